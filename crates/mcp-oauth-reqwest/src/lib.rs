#![doc = include_str!("../README.md")]

mod ambient;
#[cfg(feature = "browser")]
mod browser;
mod client;
mod drive;
mod error;
#[cfg(feature = "rmcp")]
mod rmcp;
mod store;
mod user_agent;

#[cfg(feature = "browser")]
pub use browser::LoopbackBrowser;
pub use client::AuthorizedClient;
pub use error::Error;
#[cfg(feature = "rmcp")]
pub use rmcp::{McpTransport, find_error};
pub use store::{CredentialStore, MemoryCredentials, StoreFailed};
pub use user_agent::{UserAgent, VisitFailed};
