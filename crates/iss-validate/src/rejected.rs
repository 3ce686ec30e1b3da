//! Errors of refused callbacks, which contain no text of the callback.

use core::fmt;

use oauth_types::UntrustedText;

/// Rule that a callback broke.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Rejection {
    /// The callback is not a well-formed, bounded query.
    Malformed,
    /// This parameter appears more than once (RFC 6749 §3.1).
    Repeated(&'static str),
    /// The server advertises `iss` and the callback has none (RFC 9207 §2.4).
    IssuerMissing,
    /// The callback's `iss` is not the issuer that the request was sent to (RFC 9207 §2.4).
    IssuerMismatch,
    /// The callback has an `iss`, and no issuer was recorded to compare it with.
    IssuerNotRecorded,
    /// `state` is missing or differs from the recorded one (RFC 6749 §10.12).
    StateMismatch,
    /// The callback carries both a code and an error, or neither.
    Contradiction,
}

/// Error of a refused callback: the login ends, and nothing is sent.
///
/// No text of the callback is in its messages, so that a forged callback cannot address the user through them. The
/// received issuer is available only by [`received_issuer_for_security_log`](Self::received_issuer_for_security_log).
#[derive(Clone)]
pub struct CallbackRejected {
    rejection: Rejection,
    received_issuer: Option<UntrustedText>,
}

impl CallbackRejected {
    pub(crate) const fn new(rejection: Rejection) -> Self {
        Self { rejection, received_issuer: None }
    }

    pub(crate) fn issuer(rejection: Rejection, received: &str) -> Self {
        Self { rejection, received_issuer: Some(UntrustedText::new(received)) }
    }

    /// Returns the rule that the callback broke.
    #[must_use]
    pub const fn rejection(&self) -> Rejection {
        self.rejection
    }

    /// Returns the issuer that the callback claimed, escaped and capped.
    ///
    /// Use it only in a security log, because an attacker chose it.
    #[must_use]
    pub const fn received_issuer_for_security_log(&self) -> Option<&UntrustedText> {
        self.received_issuer.as_ref()
    }
}

/// Compares the rules only, because the received issuer is an attacker's text.
impl PartialEq for CallbackRejected {
    fn eq(&self, other: &Self) -> bool {
        self.rejection == other.rejection
    }
}

impl Eq for CallbackRejected {}

impl PartialEq<Rejection> for CallbackRejected {
    fn eq(&self, other: &Rejection) -> bool {
        self.rejection == *other
    }
}

impl fmt::Debug for CallbackRejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // C-ISS-5: the received issuer is omitted here as well.
        f.debug_tuple("CallbackRejected").field(&self.rejection).finish()
    }
}

impl fmt::Display for CallbackRejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the authorization response was refused: ")?;
        match self.rejection {
            Rejection::Malformed => f.write_str(
                "it is malformed; log in again, and if it happens again, the server's \
                 operator has to correct it",
            ),
            Rejection::Repeated(name) => write!(
                f,
                "`{name}` appears more than once (RFC 6749 §3.1); log in again, and if it \
                 happens again, the server's operator has to correct it"
            ),
            Rejection::IssuerMissing => f.write_str(
                "the server promises the parameter `iss` and the response has none (RFC \
                     9207 §2.4); log in again, and if it happens again, the server's \
                     operator has to send it",
            ),
            Rejection::IssuerMismatch => f.write_str(
                "it names another authorization server than the one that was asked (RFC \
                     9207 §2.4); log in again, and do not use the link that led here",
            ),
            Rejection::IssuerNotRecorded => f.write_str(
                "it names an authorization server, and none was recorded; the program \
                     has to record the issuer of each login",
            ),
            Rejection::StateMismatch => {
                f.write_str("it does not belong to this login; log in again, in one window")
            }
            Rejection::Contradiction => f.write_str(
                "it has to carry either a code or an error (RFC 6749 §4.1.2); log in again, \
                 and if it happens again, the server's operator has to correct it",
            ),
        }
    }
}

impl core::error::Error for CallbackRejected {}
