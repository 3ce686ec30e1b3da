//! The endpoints as a client and a browser meet them, over a host in memory: without a server, a socket or a runtime.

#![cfg(test)]

mod answer;
#[cfg(feature = "jwt")]
mod assertion;
mod authorize;
mod consent;
mod documents;
#[cfg(feature = "dpop")]
mod dpop;
#[cfg(feature = "jwt")]
mod enterprise;
mod identification;
mod introspect;
#[cfg(feature = "jwt")]
mod jwt;
mod limits;
mod lives;
mod machine;
mod methods;
mod offer;
mod pages;
#[cfg(feature = "jwt")]
mod published_keys;
mod races;
mod register;
mod remembered;
mod secret_hash;
mod server;
mod thefts;
mod token;
mod waiting;
mod watched;
mod web;
