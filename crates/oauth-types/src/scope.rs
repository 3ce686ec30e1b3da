//! Scopes (RFC 6749 §3.3).

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not a scope or a set of scopes (RFC 6749 §3.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidScope {
    /// A single scope has no characters.
    Empty,
    /// A character outside `%x21 / %x23-5B / %x5D-7E`, at this byte of the text.
    Character {
        /// Byte offset.
        at: usize,
    },
    /// More than [`ScopeSet::MAX_SCOPES`] scopes, or more than [`ScopeSet::MAX_BYTES`] bytes.
    TooLarge,
}

impl fmt::Display for InvalidScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a scope needs at least one character"),
            Self::Character { at } => {
                write!(f, "byte {at} is not allowed in a scope (RFC 6749 §3.3)")
            }
            Self::TooLarge => write!(
                f,
                "more than {} scopes or {} bytes",
                ScopeSet::MAX_SCOPES,
                ScopeSet::MAX_BYTES
            ),
        }
    }
}

impl core::error::Error for InvalidScope {}

const fn is_scope_char(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)
}

/// One scope, such as `files:read` (RFC 6749 §3.3). Case-sensitive.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Scope(Box<str>);

impl Scope {
    /// The scope that asks for a refresh token (OpenID Connect Core §11).
    pub const OFFLINE_ACCESS: &'static str = "offline_access";

    /// Reads one scope.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] when the text is empty or has a character that RFC 6749 §3.3 excludes.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        if text.is_empty() {
            return Err(InvalidScope::Empty);
        }
        if text.len() > ScopeSet::MAX_BYTES {
            return Err(InvalidScope::TooLarge);
        }
        match text.bytes().position(|byte| !is_scope_char(byte)) {
            Some(at) => Err(InvalidScope::Character { at }),
            None => Ok(Self(text.into())),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        Self::parse(text)
    }
}

/// A set of scopes (RFC 6749 §3.3) that remembers in which order it first saw them.
///
/// Kept as the one text that goes over the wire: each scope once, one space between. "No scope
/// parameter" is `Option<ScopeSet>::None`, which is not the same as an empty set.
///
/// ```
/// use oauth_types::ScopeSet;
///
/// let held = ScopeSet::parse("files:read")?;
/// let wanted = held.union(&ScopeSet::parse("files:write files:read")?)?;
/// assert_eq!(wanted.as_str(), "files:read files:write");
/// assert!(wanted.exceeds(&held));
/// # Ok::<(), oauth_types::InvalidScope>(())
/// ```
#[derive(Clone, Default, Debug)]
pub struct ScopeSet(String);

impl ScopeSet {
    /// Most scopes that a set holds; a peer that asks for more is not served.
    pub const MAX_SCOPES: usize = 128;
    /// Longest text of a set, in bytes.
    pub const MAX_BYTES: usize = 8 * 1024;

    /// The set without a member.
    #[must_use]
    pub const fn empty() -> Self {
        Self(String::new())
    }

    /// Reads a space-separated list. Surplus spaces are skipped and repeated scopes kept once.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] for a character that is neither a space nor allowed in a scope, or for a
    /// list over the bounds.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidScope::TooLarge);
        }
        let excluded = |byte| byte != b' ' && !is_scope_char(byte);
        // Without a way out of the loop the compiler looks at many bytes at once; which one it was is asked after.
        if text.bytes().fold(false, |found, byte| found | excluded(byte))
            && let Some(at) = text.bytes().position(excluded)
        {
            return Err(InvalidScope::Character { at });
        }
        join("", text).map(Self)
    }

    /// The members, in first-seen order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        words(&self.0)
    }

    /// How many members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is no member.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `scope` is a member.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.iter().any(|member| member == scope)
    }

    /// The members as they go over the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The members of both, those of `self` first.
    ///
    /// # Errors
    ///
    /// [`InvalidScope::TooLarge`] when together they exceed the bounds.
    pub fn union(&self, other: &Self) -> Result<Self, InvalidScope> {
        join(&self.0, &other.0).map(Self)
    }

    /// The members of `self` for which `keep` answers yes.
    #[must_use]
    pub fn filter(&self, keep: impl Fn(&str) -> bool) -> Self {
        let mut kept = Self(String::with_capacity(self.0.len()));
        for scope in self.iter().filter(|scope| keep(scope)) {
            if !kept.0.is_empty() {
                kept.0.push(' ');
            }
            kept.0.push_str(scope);
        }
        kept
    }

    /// The members of `self` that `other` lacks.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let is_other = other.finds();
        self.filter(|scope| !is_other(scope))
    }

    /// Whether `self` asks for anything beyond `granted`, so that a refresh, which cannot widen
    /// (RFC 6749 §6), does not satisfy it.
    #[must_use]
    pub fn exceeds(&self, granted: &Self) -> bool {
        let is_granted = granted.finds();
        self.iter().any(|scope| !is_granted(scope))
    }

    /// Returns [`contains`](Self::contains) for a caller that asks about many scopes.
    fn finds(&self) -> impl Fn(&str) -> bool {
        let mut sorted = Vec::new();
        if self.0.len() > FEW {
            sorted.extend(self.iter());
            sorted.sort_unstable();
        }
        move |scope| match sorted.is_empty() {
            true => self.contains(scope),
            false => sorted.binary_search(&scope).is_ok(),
        }
    }
}

/// The longest text, in bytes, whose members are compared one by one. In a longer one they are sorted, so that a peer
/// that sends many of them causes no more work than their length does.
const FEW: usize = 1024;

/// Joins two lists whose characters are known to be allowed: each scope once, in first-seen order.
fn join(held: &str, added: &str) -> Result<String, InvalidScope> {
    let is_long = held.len() + added.len() > FEW;
    let mut text = String::with_capacity(held.len() + 1 + added.len());
    let mut members: Vec<&str> = Vec::with_capacity(32);
    for scope in words(held).chain(words(added)) {
        let found = match is_long {
            true => members.binary_search(&scope),
            false => members.iter().position(|own| *own == scope).ok_or(members.len()),
        };
        let Err(at) = found else { continue };
        members.insert(at, scope);
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(scope);
        if members.len() > ScopeSet::MAX_SCOPES || text.len() > ScopeSet::MAX_BYTES {
            return Err(InvalidScope::TooLarge);
        }
    }
    Ok(text)
}

/// What stands between the spaces.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let ends = memchr::memchr_iter(b' ', text.as_bytes()).chain([text.len()]);
    let mut start = 0;
    ends.filter_map(move |end| {
        let word = text.get(start..end).filter(|word| !word.is_empty());
        start = end + 1;
        word
    })
}

impl PartialEq for ScopeSet {
    /// Equal as sets: the order does not count.
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || (!self.exceeds(other) && !other.exceeds(self))
    }
}

impl Eq for ScopeSet {}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ScopeSet {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        Self::parse(text)
    }
}

impl Serialize for ScopeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ScopeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
