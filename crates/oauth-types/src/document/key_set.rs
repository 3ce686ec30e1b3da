//! JWK Sets: published public keys (RFC 7517 §5).

use core::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::document::members::values;
use crate::document::{Document, DocumentError, Members, document};

/// JWK Set as published (RFC 7517 §5), with keys that are not parsed yet.
///
/// The verifier parses each key and passes over those that it does not know.
///
/// # Examples
///
/// ```
/// use oauth_types::JwkSet;
///
/// let set = JwkSet::from_json(br#"{"keys": [{"kty": "EC", "kid": "2026-11"}]}"#)?;
/// assert_eq!(set.keys.len(), 1);
/// # Ok::<(), oauth_types::DocumentError>(())
/// ```
#[doc(alias = "JWKS")]
#[derive(Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct JwkSet {
    /// JSON Web Keys, as received.
    pub keys: Vec<Value>,
}

document!(JwkSet);

impl Document for JwkSet {
    fn read(members: &mut Members) -> Result<Self, DocumentError> {
        Ok(Self { keys: members.required("keys", values)? })
    }
}

impl fmt::Debug for JwkSet {
    /// Shows only the number of keys, because a set may hold private keys by mistake.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JwkSet({} keys)", self.keys.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::MemberRule;

    /// SEC-192
    #[test]
    fn a_set_is_read_with_what_it_does_not_know_and_shows_nothing() {
        let set = JwkSet::from_json(br#"{"keys":[{"kty":"oct","k":"canary"},1],"x":2}"#).unwrap();
        assert_eq!(format!("{set:?}"), "JwkSet(2 keys)");
        assert_eq!(JwkSet::from_json(&set.to_json()), Ok(set));
        let error = JwkSet::from_json(b"{}").unwrap_err();
        assert_eq!(error, DocumentError::Member { member: "keys", rule: MemberRule::Missing });
    }
}
