#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(test)]
mod error_messages;
mod keys;
mod leftovers;
mod mounted;
pub mod private_file;

// Re-exported because its types are in public signatures, so that a user needs no further dependency.
pub use authorization_server;

pub use keys::{KeyFileError, MissingFile, read_mounted_keys, read_or_make, rotate_server_key};
pub use mounted::MountRule;
