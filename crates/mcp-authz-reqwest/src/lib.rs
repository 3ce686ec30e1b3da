#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "browser")]
mod browser;
mod builder;
mod client;
mod clock;
mod drive;
mod error;
#[cfg(test)]
mod error_messages;
mod flight;
mod http_client;
mod identity;
mod renewal;
mod retry_after;
#[cfg(feature = "rmcp")]
mod rmcp;
mod store;
mod sync;
mod user_agent;

// Their types stand in public signatures, so that a user needs no further dependency.
pub use {client_flow, oauth_types, scope_stepup};

#[cfg(feature = "browser")]
pub use browser::LoopbackBrowser;
pub use builder::AuthorizedClientBuilder;
pub use client::AuthorizedClient;
pub use error::{Error, TooManyWindows};
pub use identity::{IdentityError, IdentitySource};
#[cfg(feature = "rmcp")]
pub use rmcp::{McpTransport, find_error};
pub use store::{CredentialStore, FileCredentials, MemoryCredentials, StoreError, StoreLock};
pub use user_agent::{UserAgent, VisitError};
