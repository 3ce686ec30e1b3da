//! Verifiers that ask an authorization server that is not ours, on loopback.

#![cfg(test)]
#![cfg(feature = "jwt_access_tokens")]

mod foreign;
mod remote;
