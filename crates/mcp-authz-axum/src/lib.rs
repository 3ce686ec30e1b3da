#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod clock;
mod connections;
mod consent_retries;
mod cors;
mod documents;
mod dyn_login;
#[cfg(test)]
mod error_messages;
mod lingering;
mod login;
mod metadata;
mod network;
mod page;
mod peer;
#[cfg(feature = "dpop")]
mod proofs;
mod protect;
mod rate;
mod reading;
mod reply;
mod routes;
mod secrets;
mod serve;
mod server;
mod signal;
mod standing;
mod startup;
mod sweeper;
mod verifier;

// Their types stand in public signatures, so that a user needs no further dependency.
pub use {authorization_server, oauth_types, resource_server, scope_stepup};

pub use clock::Clock;
pub use connections::ConnectionLimits;
pub use documents::{ClientDocuments, WebDocuments, WebDocumentsFailed};
pub use dyn_login::DynLogin;
pub use login::{DemoLogin, Login, LoginResult, LoginStatus, LoginUnavailable, User};
pub use metadata::{SameMetadataPath, metadata_routes, metadata_routes_of};
pub use page::ConsentPage;
pub use protect::{ProtectLayer, Protected, RawToken};
pub use rate::{Rate, RateLimits};
pub use reading::Deadlines;
pub use serve::serve;
pub use server::AuthorizationServer;
pub use signal::shutdown_signal;
pub use verifier::DynTokenVerifier;
pub use verifier::IntrospectionVerifier;
#[cfg(feature = "jwt")]
pub use verifier::JwtVerifier;
pub use verifier::{InvalidRemote, RemoteServer};
pub use verifier::{StoreVerifier, TokenVerifier, VerifierUnavailable};
