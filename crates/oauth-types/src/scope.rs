//! Scopes and scope sets (RFC 6749 §3.3).

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};

use crate::text_impls::text_impls;

/// The reason why a text is not a scope or a set of scopes (RFC 6749 §3.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidScope {
    /// The text of a single scope is empty.
    Empty,
    /// A character is outside `%x21 / %x23-5B / %x5D-7E`.
    Character {
        /// Byte offset of the character in the text.
        at: usize,
    },
    /// The text exceeds [`ScopeSet::MAX_SCOPES`] scopes or [`ScopeSet::MAX_BYTES`] bytes.
    TooLarge,
}

impl fmt::Display for InvalidScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => {
                f.write_str("the scope is empty; it needs at least one character (RFC 6749 §3.3)")
            }
            Self::Character { at } => {
                write!(
                    f,
                    "byte {at} is not allowed in a scope; use visible ASCII characters other \
                     than `\"` and `\\` (RFC 6749 §3.3)"
                )
            }
            Self::TooLarge => write!(
                f,
                "there are more than {} scopes or {} bytes; name fewer scopes",
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

/// A single, case-sensitive scope such as `files:read` (RFC 6749 §3.3).
///
/// # Examples
///
/// ```
/// use oauth_types::Scope;
///
/// let scope: Scope = "files:read".parse()?;
/// assert_eq!(scope.as_str(), "files:read");
/// assert!(Scope::parse("two words").is_err());
/// # Ok::<(), oauth_types::InvalidScope>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Scope(Box<str>);

impl Scope {
    /// Scope that requests a refresh token (OpenID Connect Core §11).
    pub const OFFLINE_ACCESS: &'static str = "offline_access";

    /// Parses one scope.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] if the text is empty, too long, or has a character that RFC 6749 §3.3 excludes.
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

    /// Returns the text of the scope.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_impls!(Scope, InvalidScope);

/// Set of scopes (RFC 6749 §3.3) that keeps the order in which they were added.
///
/// The set is stored as the text that is sent: each scope once, with one space between. A missing `scope` parameter is
/// `Option<ScopeSet>::None`, which differs from an empty set.
///
/// # Examples
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
    /// Largest number of scopes in a set; requests for more are refused.
    pub const MAX_SCOPES: usize = 128;
    /// Longest text of a set, in bytes.
    pub const MAX_BYTES: usize = 8 * 1024;

    /// Creates an empty set.
    #[must_use]
    pub const fn empty() -> Self {
        Self(String::new())
    }

    /// Parses a space-separated list; surplus spaces are skipped, repeated scopes kept once.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] for a character that is neither a space nor allowed in a scope, or for a list that exceeds the
    /// limits.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidScope::TooLarge);
        }
        let excluded = |byte| byte != b' ' && !is_scope_char(byte);
        // Without an early exit the compiler vectorizes the loop; the position is looked up only after a match.
        if text.bytes().fold(false, |found, byte| found | excluded(byte))
            && let Some(at) = text.bytes().position(excluded)
        {
            return Err(InvalidScope::Character { at });
        }
        join("", text).map(Self)
    }

    /// Returns the scopes, in first-seen order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        words(&self.0)
    }

    /// Returns the number of scopes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Returns `true` if the set is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns `true` if the set contains `scope`.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.iter().any(|member| member == scope)
    }

    /// Returns the scopes as they are sent, separated by spaces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the scopes of both sets, those of `self` first.
    ///
    /// # Errors
    ///
    /// [`InvalidScope::TooLarge`] if the union exceeds the limits.
    pub fn union(&self, other: &Self) -> Result<Self, InvalidScope> {
        join(&self.0, &other.0).map(Self)
    }

    /// Returns the scopes of `self` for which `keep` returns `true`.
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

    /// Returns the scopes of `self` that `other` lacks.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let is_other = other.finds();
        self.filter(|scope| !is_other(scope))
    }

    /// Returns `true` if `self` has a scope that `granted` lacks.
    ///
    /// A refresh does not obtain such a scope, because it cannot widen the grant (RFC 6749 §6).
    #[must_use]
    pub fn exceeds(&self, granted: &Self) -> bool {
        let is_granted = granted.finds();
        self.iter().any(|scope| !is_granted(scope))
    }

    fn sorted(&self) -> Vec<&str> {
        let mut sorted: Vec<_> = self.iter().collect();
        sorted.sort_unstable();
        sorted
    }

    /// Returns [`contains`](Self::contains) in a form that is fast for many scopes.
    fn finds(&self) -> impl Fn(&str) -> bool {
        let sorted = if self.0.len() > FEW { self.sorted() } else { Vec::new() };
        move |scope| match sorted.is_empty() {
            true => self.contains(scope),
            false => sorted.binary_search(&scope).is_ok(),
        }
    }
}

/// Longest text, in bytes, whose scopes are compared one by one.
///
/// In a longer text they are sorted, so that a peer with many scopes causes no more than near-linear work.
const FEW: usize = 1024;

/// Joins two lists of allowed characters: each scope once, in first-seen order.
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

/// Returns the words between spaces.
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
    /// Compares the sets without regard to order.
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || (!self.exceeds(other) && !other.exceeds(self))
    }
}

impl Eq for ScopeSet {}

/// Orders the sets by their sorted scopes, as [`PartialEq`] compares them without regard to order.
impl Ord for ScopeSet {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sorted().cmp(&other.sorted())
    }
}

impl PartialOrd for ScopeSet {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for ScopeSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sorted().hash(state);
    }
}

/// The set of one scope.
impl From<Scope> for ScopeSet {
    fn from(scope: Scope) -> Self {
        Self(scope.0.into())
    }
}

text_impls!(ScopeSet, InvalidScope);

#[cfg(test)]
mod tests;
