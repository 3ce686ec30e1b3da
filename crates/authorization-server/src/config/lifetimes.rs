//! Lifetimes of codes, tokens, grants and clients.

use core::time::Duration;

/// Lifetimes of codes, tokens, grants and clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetimes {
    /// An authorization code; at most 10 minutes (RFC 6749 §4.1.2).
    pub code: Duration,
    /// An access token.
    pub access_token: Duration,
    /// A family of refresh tokens, however often it is used.
    pub refresh_absolute: Duration,
    /// A family of refresh tokens that is not used.
    pub refresh_idle: Duration,
    /// The time in which a refresh token may be shown again after its use, by a client that lost the answer; at most
    /// 60 seconds, 0 for never.
    pub grace: Duration,
    /// A client that registered itself and never got a token.
    pub unused_client: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
        Self {
            code: Duration::from_secs(60),
            access_token: Duration::from_secs(600),
            refresh_absolute: days(90),
            refresh_idle: days(30),
            grace: Duration::from_secs(10),
            unused_client: days(1),
        }
    }
}
