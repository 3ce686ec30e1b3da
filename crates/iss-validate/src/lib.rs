#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod callback;
#[cfg(test)]
mod error_messages;
mod identification;
mod rejected;

// Re-exported because its types are in public signatures, so that a user needs no further dependency.
pub use oauth_types;

pub use callback::{AuthorizationError, Callback, Expected, Validated, ValidatedCode};
pub use identification::{AuthorizationResponse, IssuerIdentification, Outcome};
pub use rejected::{CallbackRejected, Rejection};
