//! Tokens that are bound to a key, at the layer over HTTP: whoever has the token and the proofs of others gets nowhere.

#![cfg(test)]
#![cfg(feature = "dpop")]

mod once;
mod server;
mod shown;
