//! Responses of the token endpoint (RFC 6749 §5.1, RFC 8693 §2.2.1).

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::document::members::{name, secret, text, time};
use crate::document::{Document, DocumentError, MemberRule, Members, document};
use crate::method::IssuedTokenType;
use crate::scope::ScopeSet;
use crate::secret::{Secret, serde_secret};
use crate::thumbprint::Thumbprint;
use crate::time::UnixTime;

/// Type of an access token, compared without regard to case (RFC 6749 §5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum TokenType {
    /// Bearer token: possession of the token is enough to use it (RFC 6750).
    Bearer,
    /// DPoP-bound token: the sender proves possession of a key (RFC 9449).
    Dpop,
}

impl TokenType {
    /// Returns the scheme of the `Authorization` header, which is also the name in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }

    /// Returns the type of a token that is bound to this key, if to any (RFC 9449 §5).
    #[must_use]
    pub const fn bound_to(key: Option<&Thumbprint>) -> Self {
        match key {
            Some(_) => Self::Dpop,
            None => Self::Bearer,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Bearer, Self::Dpop].into_iter().find(|own| own.as_str().eq_ignore_ascii_case(text))
    }
}

impl Serialize for TokenType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for TokenType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?)
            .ok_or_else(|| serde::de::Error::custom("a token type that is not spoken here"))
    }
}

/// Token response (RFC 6749 §5.1), which writes its tokens in the clear.
///
/// # Examples
///
/// ```
/// use oauth_types::{TokenResponse, TokenType};
///
/// let json = br#"{"access_token": "t", "token_type": "bearer", "expires_in": 600}"#;
/// let response = TokenResponse::from_json(json)?;
/// assert_eq!((response.token_type, response.expires_in), (TokenType::Bearer, Some(600)));
/// assert!(response.access_token.matches("t"));
/// # Ok::<(), oauth_types::DocumentError>(())
/// ```
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TokenResponse {
    /// Access token, of visible ASCII characters that fit a header (RFC 6750 §2.1).
    #[serde(serialize_with = "serde_secret::serialize")]
    pub access_token: Secret,
    /// Type of the access token.
    pub token_type: TokenType,
    /// Lifetime of the access token in seconds, counted from the time of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
    /// Refresh token, if one was issued.
    #[serde(serialize_with = "serde_secret::serialize", skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Secret>,
    /// Scopes that were granted; absent means all that were requested, empty means none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopeSet>,
    /// Members that are not known here, omitted from `Debug`, because one may be an ID token.
    #[serde(flatten)]
    pub extra: ExtraMembers,
}

document!(TokenResponse);

impl Document for TokenResponse {
    fn read(members: &mut Members) -> Result<Self, DocumentError> {
        let token_type = |value| {
            let expected = "Bearer or DPoP";
            TokenType::parse(&text(value)?).ok_or(MemberRule::Value { expected })
        };
        Ok(Self {
            access_token: members.required("access_token", header_token)?,
            token_type: members.required("token_type", token_type)?,
            expires_in: members.lenient("expires_in", time).map(UnixTime::as_secs),
            refresh_token: members.lenient("refresh_token", secret),
            scope: members.scopes("scope"),
            extra: ExtraMembers(members.take_rest()),
        })
    }
}

impl TokenResponse {
    /// Creates a response with a bearer token and no other member.
    #[must_use]
    pub fn bearer(access_token: Secret) -> Self {
        Self {
            access_token,
            token_type: TokenType::Bearer,
            expires_in: None,
            refresh_token: None,
            scope: None,
            extra: ExtraMembers::default(),
        }
    }
}

/// Token exchange response (RFC 8693 §2.2.1): a token of any kind in the member `access_token`.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TokenExchangeResponse {
    /// Issued token.
    #[serde(rename = "access_token", serialize_with = "serde_secret::serialize")]
    pub token: Secret,
    /// Kind of the issued token.
    pub issued_token_type: IssuedTokenType,
}

document!(TokenExchangeResponse);

impl Document for TokenExchangeResponse {
    fn read(members: &mut Members) -> Result<Self, DocumentError> {
        Ok(Self {
            token: members.required("access_token", header_token)?,
            issued_token_type: members
                .required("issued_token_type", name(IssuedTokenType::parse))?,
        })
    }
}

/// Unknown JSON members whose values are omitted from `Debug`.
#[derive(Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
#[expect(clippy::exhaustive_structs, reason = "the members are all there is")]
pub struct ExtraMembers(pub Map<String, Value>);

impl core::fmt::Debug for ExtraMembers {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} members, [redacted]", self.0.len())
    }
}

/// Reads a token of visible ASCII characters, so that it fits a header and cannot inject another one.
fn header_token(value: Value) -> Result<Secret, MemberRule> {
    let token = secret(value)?;
    let is_visible = token.expose().bytes().all(|byte| byte.is_ascii_graphic());
    if token.expose().is_empty() || !is_visible {
        return Err(MemberRule::Value { expected: "a token of visible ASCII characters" });
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SEC-105, SEC-107
    #[test]
    fn what_is_not_a_token_response() {
        for (bad, member) in [
            (r#"{"access_token":"a","token_type":"mac"}"#, "token_type"),
            (r#"{"access_token":7,"token_type":"Bearer"}"#, "access_token"),
            (r#"{"access_token":"a","token_type":["Bearer"]}"#, "token_type"),
            (r#"{"access_token":"a\r\nb","token_type":"Bearer"}"#, "access_token"),
            (r#"{"access_token":"","token_type":"Bearer"}"#, "access_token"),
            (r#"{"access_token":"a"}"#, "token_type"),
            (r#"{"token_type":"Bearer","authed_user":{"access_token":"a"}}"#, "access_token"),
        ] {
            let error = TokenResponse::from_json(bad.as_bytes()).unwrap_err();
            let named =
                matches!(error, DocumentError::Member { member: named, .. } if named == member);
            assert!(named, "{bad}: {error}");
        }
        assert_eq!(TokenResponse::from_json(b"<html>").unwrap_err(), DocumentError::NotAnObject);
        let good = TokenResponse::from_json(br#"{"access_token":"a","token_type":"BEARER"}"#);
        assert!(good.unwrap().expires_in.is_none());
        let json = br#"{"access_token":"a","token_type":"Bearer","expires_in":3599.5}"#;
        assert_eq!(TokenResponse::from_json(json).unwrap().expires_in, Some(3599));
        // A malformed lifetime is ignored, because it is optional and the grant is already used up.
        for (seconds, read) in
            [(r#""5250""#, Some(5250)), ("-1", None), (r#""never""#, None), ("1e308", None)]
        {
            let json =
                format!(r#"{{"access_token":"a","token_type":"Bearer","expires_in":{seconds}}}"#);
            let tokens = TokenResponse::from_json(json.as_bytes()).unwrap();
            assert_eq!(tokens.expires_in, read, "{seconds}");
        }
    }

    /// C-TOKEN-5, C-TOKEN-6
    #[test]
    fn an_empty_token_is_none_and_an_empty_scope_is_nothing_granted() {
        let json = br#"{"access_token":"a","token_type":"Bearer","refresh_token":"","scope":""}"#;
        let response = TokenResponse::from_json(json).unwrap();
        assert!(response.refresh_token.is_none());
        // Some servers write it when no scope was granted, so it differs from an absent member.
        assert_eq!(response.scope, Some(ScopeSet::default()));
    }

    /// C-TOKEN-10, SEC-192
    #[test]
    fn debug_shows_no_token() {
        let json = br#"{"access_token":"canary1","token_type":"bearer","refresh_token":"canary2",
            "id_token":"canary3"}"#;
        assert!(!format!("{:?}", TokenResponse::from_json(json).unwrap()).contains("canary"));
    }
}
