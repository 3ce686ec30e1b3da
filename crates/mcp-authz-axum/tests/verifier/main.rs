//! Verifiers that ask an authorization server that is not ours, on loopback.

#![cfg(test)]
#![cfg(any(feature = "introspection", feature = "jwt_access_tokens"))]

mod foreign;
#[cfg(feature = "introspection")]
mod introspection;
#[cfg(feature = "jwt_access_tokens")]
mod jwt;
#[cfg(feature = "jwt_access_tokens")]
mod keys;
#[cfg(feature = "introspection")]
mod own;
#[cfg(feature = "jwt_access_tokens")]
mod profiles;
#[cfg(feature = "jwt_access_tokens")]
mod protected;
mod remote;
#[cfg(feature = "jwt_access_tokens")]
mod rotation;
