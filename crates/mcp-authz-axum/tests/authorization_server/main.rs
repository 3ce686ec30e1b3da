//! The authorization server over HTTP, as a client and a browser meet it.

#![cfg(test)]

#[cfg(feature = "private_key_jwt")]
mod assertion;
mod authorize;
mod browsers;
mod consent;
#[cfg(feature = "client_documents")]
mod documents;
#[cfg(feature = "dpop")]
mod dpop;
#[cfg(feature = "identity_assertions")]
mod enterprise;
#[cfg(feature = "client_documents")]
mod fetching;
mod host;
mod identification;
mod introspect;
#[cfg(feature = "jwt_access_tokens")]
mod jwt;
#[cfg(feature = "client_documents")]
mod lanes;
mod lives;
mod machine;
mod methods;
mod offer;
mod page;
mod proxies;
#[cfg(all(feature = "client_documents", feature = "private_key_jwt"))]
mod published_keys;
mod races;
mod rates;
mod register;
mod server;
#[cfg(feature = "client_documents")]
mod site;
mod sweeps;
mod thefts;
mod token;
mod upstream;
mod waiting;
mod watched;
