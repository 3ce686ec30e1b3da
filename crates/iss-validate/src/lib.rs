#![doc = include_str!("../README.md")]

mod callback;
mod identification;
mod rejected;

pub use callback::{AuthorizationError, Callback, Expected, Validated, ValidatedCode};
pub use identification::{AuthorizationResponse, IssuerIdentification, Outcome};
pub use rejected::{CallbackRejected, Rejection};
