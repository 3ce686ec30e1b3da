//! Errors about a request whose operations cannot be told.

use core::fmt;

/// A request whose operations cannot be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum UnreadableRequest {
    /// The body is not JSON-RPC.
    Body,
    /// This header is missing, repeated, malformed, or says something else than the body.
    Header(&'static str),
}

impl fmt::Display for UnreadableRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => f.write_str("the body is not a JSON-RPC message"),
            Self::Header(name) => write!(f, "the header {name} does not say what the body says"),
        }
    }
}

impl core::error::Error for UnreadableRequest {}
