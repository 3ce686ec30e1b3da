//! The authorization server over HTTP, as a client and a browser meet it.

#![cfg(test)]

mod authorize;
mod browsers;
#[cfg(feature = "client_documents")]
mod documents;
#[cfg(feature = "client_documents")]
mod fetching;
mod host;
#[cfg(feature = "client_documents")]
mod lanes;
mod login_routes;
mod page;
mod proxies;
#[cfg(all(feature = "client_documents", feature = "private_key_jwt"))]
mod published_keys;
mod rates;
mod routes;
mod server;
#[cfg(feature = "client_documents")]
mod site;
mod sweeps;
mod upstream;
mod watched;
