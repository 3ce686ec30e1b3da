//! The last step of an assertion: it counts once.

use oauth_types::{SecretDigest, UnixTime};

use crate::error::{ClientAuthError, Reason};
use crate::verify::Authenticated;

/// What [`Presented::verify`](crate::Presented::verify) found (RFC 6749 §2.3, RFC 7523 §3).
#[derive(Clone, Debug)]
#[must_use = "nobody is authenticated before the replay check"]
pub enum Verified {
    /// The client is who it says.
    Done(Authenticated),
    /// It is, if its assertion was not used before. Only `private_key_jwt` gets here.
    CheckReplay(CheckReplay),
}

/// Whether a key was put into the store now or before: the answer to `jti` (RFC 7519 §4.1.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replay {
    /// It was not there; now it is.
    Fresh,
    /// It was there.
    Seen,
}

/// Asks the host to remember an assertion, in one operation that tells whether it was known
/// (RFC 7523 §3, point 7).
#[derive(Clone, Debug)]
#[must_use = "nobody is authenticated before the replay check"]
pub struct CheckReplay {
    pub(crate) client: Authenticated,
    pub(crate) key: SecretDigest,
    pub(crate) until: UnixTime,
}

impl CheckReplay {
    /// What to remember: a digest of the client and the assertion's identifier (`jti`).
    #[must_use]
    pub const fn key(&self) -> &SecretDigest {
        &self.key
    }

    /// Until when; from then on the assertion has expired.
    #[must_use]
    pub const fn until(&self) -> UnixTime {
        self.until
    }

    /// Goes on with what the store answered.
    ///
    /// # Errors
    ///
    /// [`ClientAuthError`] when the assertion was used before.
    pub fn resume(self, replay: Replay) -> Result<Authenticated, ClientAuthError> {
        match replay {
            Replay::Fresh => Ok(self.client),
            Replay::Seen => Err(ClientAuthError::new(Reason::Replayed)),
        }
    }
}
