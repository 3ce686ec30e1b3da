//! Lifetimes of codes, tokens, grants and clients.

use core::time::Duration;

/// Lifetimes of codes, tokens, grants and clients.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use authorization_server::Lifetimes;
///
/// // Access tokens for five minutes; a refresh token that rests for a week is over.
/// let lifetimes = Lifetimes::default()
///     .with_access_token(Duration::from_secs(5 * 60))
///     .with_refresh_inactivity(Duration::from_secs(7 * 24 * 60 * 60));
/// assert_eq!(lifetimes.refresh_grace, Duration::from_secs(10));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Lifetimes {
    /// Lifetime of an authorization code; at most 10 minutes (RFC 6749 §4.1.2).
    pub code: Duration,
    /// Lifetime of an access token.
    pub access_token: Duration,
    /// Lifetime of a family of refresh tokens, however often it is used.
    pub refresh_absolute: Duration,
    /// Lifetime of a family of refresh tokens that is not used.
    pub refresh_inactivity: Duration,
    /// Time in which a used refresh token may be presented again; at most 60 seconds.
    ///
    /// Meant for a client that lost the response. Zero disables it.
    pub refresh_grace: Duration,
    /// Lifetime of a client that registered itself and never got a token.
    pub unused_client: Duration,
}

impl Lifetimes {
    /// Sets [`code`](Self::code): the lifetime of an authorization code.
    #[must_use]
    pub const fn with_code(mut self, code: Duration) -> Self {
        self.code = code;
        self
    }

    /// Sets [`access_token`](Self::access_token): the lifetime of an access token.
    #[must_use]
    pub const fn with_access_token(mut self, access_token: Duration) -> Self {
        self.access_token = access_token;
        self
    }

    /// Sets [`refresh_absolute`](Self::refresh_absolute): the longest life of a grant.
    #[must_use]
    pub const fn with_refresh_absolute(mut self, refresh_absolute: Duration) -> Self {
        self.refresh_absolute = refresh_absolute;
        self
    }

    /// Sets [`refresh_inactivity`](Self::refresh_inactivity): the life of a grant that is not used.
    #[must_use]
    pub const fn with_refresh_inactivity(mut self, refresh_inactivity: Duration) -> Self {
        self.refresh_inactivity = refresh_inactivity;
        self
    }

    /// Sets [`refresh_grace`](Self::refresh_grace): the time in which a used refresh token may be presented again.
    #[must_use]
    pub const fn with_refresh_grace(mut self, grace: Duration) -> Self {
        self.refresh_grace = grace;
        self
    }

    /// Sets [`unused_client`](Self::unused_client): the time that a client without a token is kept.
    #[must_use]
    pub const fn with_unused_client(mut self, unused_client: Duration) -> Self {
        self.unused_client = unused_client;
        self
    }
}

impl Default for Lifetimes {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
        Self {
            code: Duration::from_secs(60),
            access_token: Duration::from_secs(600),
            refresh_absolute: days(90),
            refresh_inactivity: days(30),
            refresh_grace: Duration::from_secs(10),
            unused_client: days(1),
        }
    }
}
