//! Subject identifiers (RFC 7519 §4.1.2, RFC 9068 §2.2).

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::client_id::ClientId;
use crate::text_impls::as_str_impls;

/// Reason why a text is not a subject.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum InvalidSubject {
    /// The text has no characters.
    Empty,
    /// The text has more than [`Subject::MAX_BYTES`] bytes.
    TooLong,
}

impl fmt::Display for InvalidSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str(
                "the subject is empty: name the user by an identifier that never changes",
            ),
            Self::TooLong => write!(
                f,
                "the subject is longer than {} bytes: use a shorter identifier of the user",
                Subject::MAX_BYTES
            ),
        }
    }
}

impl core::error::Error for InvalidSubject {}

/// Identifier of a user at an authorization server: the `sub` of its tokens (RFC 7519 §4.1.2).
///
/// Where no user is involved, the client is the subject (RFC 9068 §2.2): `Subject::from(&client_id)`. The text is opaque,
/// may hold any characters, and is compared byte for byte. Two authorization servers may give the same one to different
/// users, so it names nobody without its issuer.
///
/// # Examples
///
/// ```
/// use oauth_types::{InvalidSubject, Subject};
///
/// let alice: Subject = "alice".parse()?;
/// assert_ne!(alice, Subject::parse("Alice")?);
/// assert_eq!(Subject::parse(""), Err(InvalidSubject::Empty));
/// # Ok::<(), InvalidSubject>(())
/// ```
#[doc(alias = "sub")]
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Subject(Box<str>);

impl Subject {
    /// Longest subject, in bytes: no shorter than the longest document that is read, so that every `sub` in one fits.
    pub const MAX_BYTES: usize = 128 * 1024;

    /// Parses a subject.
    ///
    /// # Errors
    ///
    /// [`InvalidSubject::Empty`], or [`TooLong`](InvalidSubject::TooLong) beyond [`MAX_BYTES`](Self::MAX_BYTES).
    pub fn parse(text: &str) -> Result<Self, InvalidSubject> {
        check(text)?;
        Ok(Self(text.into()))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const fn check(text: &str) -> Result<(), InvalidSubject> {
    match text.len() {
        0 => Err(InvalidSubject::Empty),
        1..=Subject::MAX_BYTES => Ok(()),
        _ => Err(InvalidSubject::TooLong),
    }
}

impl TryFrom<String> for Subject {
    type Error = InvalidSubject;

    fn try_from(text: String) -> Result<Self, InvalidSubject> {
        check(&text)?;
        Ok(Self(text.into()))
    }
}

impl TryFrom<&str> for Subject {
    type Error = InvalidSubject;

    fn try_from(text: &str) -> Result<Self, InvalidSubject> {
        Self::parse(text)
    }
}

impl FromStr for Subject {
    type Err = InvalidSubject;

    fn from_str(text: &str) -> Result<Self, InvalidSubject> {
        Self::parse(text)
    }
}

/// A client that acts for itself (RFC 6749 §4.4).
impl From<&ClientId> for Subject {
    fn from(client_id: &ClientId) -> Self {
        const { assert!(ClientId::MAX_BYTES <= Self::MAX_BYTES) };
        Self(client_id.as_str().into())
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.0.into()
    }
}

as_str_impls!(Subject);

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_opaque_and_keep_their_bytes() {
        for text in [" ", "\0", "a\r\nb", "e\u{301}", "\u{e9}", "Alice", "alice"] {
            let subject = Subject::parse(text).unwrap();
            assert_eq!((subject.as_str(), &*subject.to_string()), (text, text));
            let json = serde_json::to_string(&subject).unwrap();
            assert_eq!(json, serde_json::to_string(text).unwrap());
            assert_eq!(serde_json::from_str::<Subject>(&json).unwrap(), subject);
        }
        assert_ne!(Subject::parse("e\u{301}"), Subject::parse("\u{e9}"));
    }

    #[test]
    fn every_way_to_a_subject_has_the_same_bounds() {
        let longest = "s".repeat(Subject::MAX_BYTES);
        for (text, expected) in [
            (String::new(), Err(InvalidSubject::Empty)),
            (format!("{longest}s"), Err(InvalidSubject::TooLong)),
            (longest.clone(), Ok(&*longest)),
        ] {
            let json = serde_json::to_string(&text).unwrap();
            let read = serde_json::from_str::<Subject>(&json);
            assert_eq!(read.is_ok(), expected.is_ok());
            for subject in [Subject::parse(&text), text.parse(), Subject::try_from(text.clone())] {
                assert_eq!(subject.as_ref().map(Subject::as_str), expected.as_ref().map(|it| *it));
            }
        }
    }

    #[test]
    fn a_client_that_acts_for_itself_is_the_subject() {
        let longest = ClientId::parse(&"c".repeat(ClientId::MAX_BYTES)).unwrap();
        assert_eq!(String::from(Subject::from(&longest)), longest.as_str());
    }
}
