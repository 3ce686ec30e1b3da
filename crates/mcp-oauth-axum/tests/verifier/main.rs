//! Verifiers that ask an authorization server that is not ours, on loopback.

#![cfg(test)]
#![cfg(any(feature = "introspection", feature = "jwt_access_tokens"))]

mod foreign;
#[cfg(feature = "introspection")]
mod introspection;
#[cfg(feature = "introspection")]
mod own;
mod remote;
