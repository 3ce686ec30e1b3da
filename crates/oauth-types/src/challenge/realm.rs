//! The protection space of a challenge (RFC 9110 §11.5).

use core::fmt;

use crate::text_impls::text_impls;

/// Error for a text that is not a [`Realm`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct InvalidRealm;

impl fmt::Display for InvalidRealm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = Realm::MAX_BYTES;
        write!(
            f,
            "the text is not a realm; use 1 to {most} printable ASCII characters, without quote \
             and backslash"
        )
    }
}

impl core::error::Error for InvalidRealm {}

/// Protection space of a challenge, the `realm` parameter (RFC 9110 §11.5, RFC 6750 §3).
///
/// It has 1 to 200 characters of `%x20-21 / %x23-5B / %x5D-7E`, so that it needs no escapes in a quoted string.
///
/// # Examples
///
/// ```
/// use oauth_types::{BearerChallenge, Realm};
///
/// let challenge = BearerChallenge::new().with_realm(Realm::parse("files of example.com")?);
/// assert_eq!(challenge.to_string(), "Bearer realm=\"files of example.com\"");
/// # Ok::<(), oauth_types::InvalidRealm>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Realm(Box<str>);

impl Realm {
    /// Longest realm, in bytes.
    pub const MAX_BYTES: usize = 200;

    /// Parses a realm.
    ///
    /// # Errors
    ///
    /// [`InvalidRealm`] if the text is empty or too long, or has a character that a quoted string cannot hold unescaped.
    pub fn parse(text: &str) -> Result<Self, InvalidRealm> {
        let is_allowed = |byte| matches!(byte, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~');
        if (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(is_allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidRealm)
        }
    }

    /// Returns the text of the realm.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_impls!(Realm, InvalidRealm);
