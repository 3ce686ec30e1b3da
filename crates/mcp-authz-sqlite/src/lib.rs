#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod clients;
mod codes;
mod consents;
#[cfg(test)]
mod error_messages;
mod failure;
mod families;
mod file;
mod once;
mod queue;
mod row;
mod schema;
mod settings;
mod store;
mod sweep;

// Public signatures name its types, so a user needs no further dependency.
pub use authorization_server;

pub use file::OpenError;
pub use mcp_authz_keys::{KeyFileError, MountRule, read_mounted_keys, rotate_server_key};
pub use settings::{InvalidSynchronous, Settings, Synchronous};
pub use store::SqliteStore;
