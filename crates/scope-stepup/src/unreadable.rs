//! Errors of requests whose operations cannot be determined.

use core::fmt;

/// Error of a request whose operations cannot be determined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum UnreadableRequest {
    /// The body is not JSON-RPC, or exceeds a limit on messages or resources.
    Body,
    /// This header is missing, repeated or malformed, or disagrees with the body.
    Header(&'static str),
}

impl fmt::Display for UnreadableRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => f.write_str("the body is not a JSON-RPC message"),
            Self::Header(name) => write!(
                f,
                "the header {name} is missing, repeated or malformed, or does not agree with \
                 the body: the client has to send it once, with the value in the body"
            ),
        }
    }
}

impl core::error::Error for UnreadableRequest {}
