//! Verifiers that ask an authorization server that is not ours, on loopback.

#![cfg(test)]

mod foreign;
mod introspection;
#[cfg(feature = "jwt")]
mod jwt;
#[cfg(feature = "jwt")]
mod keys;
mod own;
#[cfg(feature = "jwt")]
mod profiles;
#[cfg(feature = "jwt")]
mod protected;
mod remote;
#[cfg(feature = "jwt")]
mod rotation;
