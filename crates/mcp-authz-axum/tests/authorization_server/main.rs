//! The authorization server over HTTP, as a client and a browser meet it.

#![cfg(test)]

mod authorize;
mod browsers;
mod consent;
mod documents;
mod dyn_login;
mod fetching;
mod hashes;
mod host;
mod lanes;
mod login_routes;
mod login_unavailable;
mod page;
mod processes;
mod proxies;
#[cfg(feature = "jwt")]
mod published_keys;
mod rates;
mod routes;
mod server;
mod site;
mod sweeps;
mod upstream;
mod watched;
