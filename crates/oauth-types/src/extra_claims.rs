//! Further claims of an access token, which a resource server passes on to its handlers.
//!
//! The host names them ([`ClaimNames`]); nothing else of a token is stored. Values are JSON text of bounded length,
//! because caches hold them in memory. The claims that the checks of a token use cannot be named, so that a handler
//! does not take the raw text of one for its verified value.

use core::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Claims that the checks of a token read, with the member of [`AccessTokenInfo`](crate::AccessTokenInfo) that has the
/// verified value, if one does.
const RESERVED: [(&str, Option<&str>); 18] = [
    ("active", None),
    ("appid", Some("client_id")),
    ("aud", Some("audience")),
    ("azp", Some("client_id")),
    ("cid", Some("client_id")),
    ("client_id", Some("client_id")),
    ("cnf", Some("jkt")),
    ("exp", Some("expires_at")),
    ("gty", None),
    ("iat", None),
    ("iss", Some("issuer")),
    ("nbf", None),
    ("scope", Some("scopes")),
    ("scp", Some("scopes")),
    ("sub", Some("subject")),
    ("token_type", Some("jkt")),
    ("token_use", None),
    ("typ", None),
];

/// Names of the claims that a verifier passes on besides those that it checks.
///
/// A clone is another pointer to the same list, and an empty list allocates nothing.
///
/// # Examples
///
/// ```
/// use oauth_types::{ClaimNames, InvalidClaimName};
///
/// let names = ClaimNames::new(["groups", "email"])?;
/// assert_eq!(names.iter().collect::<Vec<_>>(), ["groups", "email"]);
/// let error = ClaimNames::new(["sub"]).unwrap_err();
/// assert_eq!(error, InvalidClaimName::Reserved { name: "sub", instead: Some("subject") });
/// # Ok::<(), InvalidClaimName>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClaimNames(Option<Arc<[Arc<str>]>>);

/// Errors in the names of claims to pass on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum InvalidClaimName {
    /// A name is empty.
    Empty,
    /// A name is longer than [`ClaimNames::MAX_NAME_BYTES`].
    TooLong,
    /// There are more than [`ClaimNames::MAX`] names.
    TooMany,
    /// The checks of the token read this claim.
    Reserved {
        /// Name of the claim.
        name: &'static str,
        /// Member of [`AccessTokenInfo`](crate::AccessTokenInfo) that has the verified value; `None` if it is not passed on.
        instead: Option<&'static str>,
    },
}

impl fmt::Display for InvalidClaimName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => {
                f.write_str("a claim to pass on has an empty name: leave it out of the list")
            }
            Self::TooLong => {
                let most = ClaimNames::MAX_NAME_BYTES;
                write!(f, "the name of a claim to pass on has more than {most} bytes: correct it")
            }
            Self::TooMany => {
                let most = ClaimNames::MAX;
                write!(
                    f,
                    "more than {most} claims are to be passed on: name only those that handlers read"
                )
            }
            Self::Reserved { name, instead: Some(instead) } => write!(
                f,
                "the checks of a token read `{name}`, so it is not passed on: use {instead} of the verified token"
            ),
            Self::Reserved { name, instead: None } => write!(
                f,
                "the checks of a token read `{name}`, so it is not passed on: leave it out of the list"
            ),
        }
    }
}

impl core::error::Error for InvalidClaimName {}

impl ClaimNames {
    /// Maximum number of claims.
    pub const MAX: usize = 16;
    /// Maximum length of a name, in bytes.
    pub const MAX_NAME_BYTES: usize = 256;

    /// Creates the list without any name.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// Creates a list of claims in the order of their importance: the first ones get the space.
    ///
    /// A name that is repeated counts once. Names are compared byte for byte, so a name may be a URL.
    ///
    /// # Errors
    ///
    /// [`InvalidClaimName`] if there are too many names, if one is empty or too long, or if the checks of a token read
    /// the claim.
    pub fn new(names: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, InvalidClaimName> {
        let mut list: Vec<Arc<str>> = Vec::new();
        for name in names {
            let name = name.as_ref();
            if name.is_empty() {
                return Err(InvalidClaimName::Empty);
            }
            if name.len() > Self::MAX_NAME_BYTES {
                return Err(InvalidClaimName::TooLong);
            }
            if let Some(&(name, instead)) = RESERVED.iter().find(|(reserved, _)| *reserved == name)
            {
                return Err(InvalidClaimName::Reserved { name, instead });
            }
            if list.iter().any(|own| **own == *name) {
                continue;
            }
            if list.len() == Self::MAX {
                return Err(InvalidClaimName::TooMany);
            }
            list.push(name.into());
        }
        Ok(Self((!list.is_empty()).then(|| list.into())))
    }

    /// Returns the names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.as_deref().unwrap_or_default().iter().map(|name| &**name)
    }

    /// Selects these claims of a verified token: `find` returns the value of a claim, if the token has it.
    ///
    /// `null` counts as absent. A claim that is longer than [`ExtraClaims::MAX_CLAIM_BYTES`], or that exceeds
    /// [`ExtraClaims::MAX_BYTES`] together with those before it, is marked as too large and not stored.
    #[must_use]
    pub fn select(&self, mut find: impl FnMut(&str) -> Option<Value>) -> ExtraClaims {
        let Some(names) = &self.0 else { return ExtraClaims::none() };
        let mut left = ExtraClaims::MAX_BYTES;
        let mut claims = Vec::new();
        for name in &**names {
            let Some(value) = find(name).filter(|value| !value.is_null()) else { continue };
            let text = value.to_string();
            let text = (text.len() <= left.min(ExtraClaims::MAX_CLAIM_BYTES)).then_some(text);
            left -= text.as_ref().map_or(0, String::len);
            claims.push((Arc::clone(name), text.map(String::into_boxed_str)));
        }
        ExtraClaims((!claims.is_empty()).then(|| claims.into_boxed_slice()))
    }
}

/// Further claims of a verified token, as its authorization server states them.
///
/// They grant nothing by themselves: scopes, audience and expiry are the members of
/// [`AccessTokenInfo`](crate::AccessTokenInfo). `Debug` shows the names and no value, because claims such as `email`
/// identify persons.
///
/// # Examples
///
/// ```
/// use oauth_types::{ClaimError, ClaimNames};
///
/// let token = serde_json::json!({ "sub": "u7", "groups": ["staff", "admins"], "department": 12 });
/// let claims = ClaimNames::new(["groups", "department"])?.select(|name| token.get(name).cloned());
///
/// assert_eq!(claims.get::<Vec<String>>("groups")?, ["staff", "admins"]);
/// assert_eq!(claims.get::<String>("department"), Err(ClaimError::OtherType));
/// assert_eq!(claims.get::<String>("email"), Err(ClaimError::Absent));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ExtraClaims(Option<Box<[Claim]>>);

/// Name of a claim, and its value as JSON; `None` if it is too large.
type Claim = (Arc<str>, Option<Box<str>>);

/// Reasons for which a further claim of a token cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ClaimError {
    /// The token does not have the claim, or the verifier does not pass it on.
    Absent,
    /// The claim has another type than the handler expects.
    OtherType,
    /// The claim is larger than what is stored for a token.
    TooLarge,
}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => {
                "the token does not have the claim, or the verifier does not pass it on: name it by `with_extra_claims`, and \
                 have the authorization server send it"
            }
            Self::OtherType => "the claim has another type than expected: read it as the type that the authorization server sends",
            Self::TooLarge => "the claim is larger than what is stored for a token: have the authorization server send less",
        })
    }
}

impl core::error::Error for ClaimError {}

impl ExtraClaims {
    /// Maximum length of the JSON text of one claim, in bytes.
    pub const MAX_CLAIM_BYTES: usize = 4 * 1024;
    /// Maximum length of the JSON texts of all further claims of a token, in bytes.
    pub const MAX_BYTES: usize = 8 * 1024;

    /// Creates the set without any claim, which allocates nothing.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// Returns a claim as this type.
    ///
    /// # Errors
    ///
    /// [`ClaimError`] if the claim is absent, has another type, or was too large to store.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<T, ClaimError> {
        let claims = self.0.as_deref().unwrap_or_default();
        let (_, text) = claims.iter().find(|(own, _)| **own == *name).ok_or(ClaimError::Absent)?;
        let text = text.as_deref().ok_or(ClaimError::TooLarge)?;
        serde_json::from_str(text).map_err(|_| ClaimError::OtherType)
    }

    /// Returns the names of the claims that the token has.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.as_deref().unwrap_or_default().iter().map(|(name, _)| &**name)
    }
}

impl fmt::Debug for ExtraClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(names: &[&str]) -> ClaimNames {
        ClaimNames::new(names).unwrap()
    }

    #[test]
    fn only_named_claims_are_stored_and_read_as_their_type() {
        let token = json!({ "groups": ["a", "b"], "n": 7, "none": null, "secret": "canary" });
        let claims = names(&["groups", "n", "none", "missing"]).select(|it| token.get(it).cloned());
        assert_eq!(claims.get::<Vec<String>>("groups").unwrap(), ["a", "b"]);
        assert_eq!(claims.get::<u8>("n"), Ok(7));
        assert_eq!(claims.get::<Value>("n"), Ok(json!(7)));
        assert_eq!(claims.get::<Vec<String>>("n"), Err(ClaimError::OtherType));
        for absent in ["none", "missing", "secret", ""] {
            assert_eq!(claims.get::<Value>(absent), Err(ClaimError::Absent), "{absent}");
        }
        assert_eq!(claims.names().collect::<Vec<_>>(), ["groups", "n"]);
        assert_eq!(format!("{claims:?}"), r#"{"groups", "n"}"#);
    }

    #[test]
    fn a_token_takes_bounded_memory() {
        let text = |length: usize| json!("x".repeat(length - 2));
        let all = names(&["a", "b", "c", "d"]);
        let claims = all.select(|name| {
            Some(text(match name {
                "a" => ExtraClaims::MAX_CLAIM_BYTES + 1,
                "b" => ExtraClaims::MAX_CLAIM_BYTES,
                "c" => ExtraClaims::MAX_BYTES - ExtraClaims::MAX_CLAIM_BYTES - 1,
                _ => 2,
            }))
        });
        let is_stored = |name| claims.get::<String>(name).map(drop);
        assert_eq!(is_stored("a"), Err(ClaimError::TooLarge));
        assert_eq!(is_stored("b"), Ok(()));
        assert_eq!(is_stored("c"), Ok(()));
        assert_eq!(
            is_stored("d"),
            Err(ClaimError::TooLarge),
            "one byte is left, and two are needed"
        );
    }

    #[test]
    fn a_claim_of_the_checks_is_not_passed_on() {
        for (name, instead) in RESERVED {
            let error = ClaimNames::new(["groups", name]).unwrap_err();
            assert_eq!(error, InvalidClaimName::Reserved { name, instead });
        }
        assert!(ClaimNames::new(["roles", "username", "jti", "https://example/sub"]).is_ok());
    }

    #[test]
    fn names_are_bounded_and_count_once() {
        let many = |count: usize| (0..count).map(|number| number.to_string());
        assert_eq!(ClaimNames::new(many(16)).unwrap().iter().count(), 16);
        assert_eq!(ClaimNames::new(many(16).chain(many(16))).unwrap().iter().count(), 16);
        assert_eq!(ClaimNames::new(many(17)), Err(InvalidClaimName::TooMany));
        assert_eq!(ClaimNames::new([""]), Err(InvalidClaimName::Empty));
        assert!(ClaimNames::new(["x".repeat(256)]).is_ok());
        assert_eq!(ClaimNames::new(["x".repeat(257)]), Err(InvalidClaimName::TooLong));
        assert_eq!(ClaimNames::new([] as [&str; 0]), Ok(ClaimNames::none()));
        assert_eq!(
            ClaimNames::none().select(|_| unreachable!("no name is asked for")),
            ExtraClaims::none()
        );
    }
}
