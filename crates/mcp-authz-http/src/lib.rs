#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod client;
mod error;
#[cfg(test)]
mod error_messages;
mod proxy;
mod reach;
mod resolve;

// Public signatures name their types, so a user needs no further dependency.
pub use {oauth_types, reqwest};

pub use body::read_body;
pub use client::{Bounds, GuardedClient, GuardedClientBuilder};
pub use error::{BuildError, HttpError, HttpErrorKind};
