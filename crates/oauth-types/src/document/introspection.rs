//! The introspection response (RFC 7662 §2.2).

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::client_id::ClientId;
use crate::document::members::{boolean, scopes, text, texts, time, uri};
use crate::document::{Document, DocumentError, MemberRule, Members, document};
use crate::scope::ScopeSet;
use crate::time::UnixTime;
use crate::uri::Issuer;

/// Recipients of a token (RFC 7519 §4.1.3): one text or a list on the wire.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "the list of recipients is all that `aud` says")]
pub struct Audience(pub Vec<String>);

impl Audience {
    /// Returns `true` if the audience contains this recipient, byte for byte.
    #[must_use]
    pub fn contains(&self, recipient: &str) -> bool {
        self.0.iter().any(|own| own == recipient)
    }
}

impl Serialize for Audience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &*self.0 {
            [one] => serializer.serialize_str(one),
            many => many.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Wire {
            One(String),
            Many(Vec<String>),
        }
        Ok(Self(match Wire::deserialize(deserializer)? {
            Wire::One(one) => vec![one],
            Wire::Many(many) => many,
        }))
    }
}

/// Introspection response (RFC 7662 §2.2). If the token is not active, no other member counts.
///
/// # Examples
///
/// ```
/// use oauth_types::IntrospectionResponse;
///
/// let json = br#"{"active":true,"aud":"https://rs.example/mcp","scope":"files:read","exp":1700000000}"#;
/// let answer = IntrospectionResponse::from_json(json)?;
/// assert!(answer.active && answer.aud.unwrap().contains("https://rs.example/mcp"));
/// # Ok::<(), oauth_types::DocumentError>(())
/// ```
#[doc(alias = "introspection response")]
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct IntrospectionResponse {
    /// `true` if the token may be used now; only a JSON boolean is accepted.
    pub active: bool,
    /// Scopes that the token grants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopeSet>,
    /// Client that the token was issued to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// Name of the user, for display.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Type of the token, as the server spells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type: Option<String>,
    /// Expiry time (exclusive).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<UnixTime>,
    /// Time at which the token was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<UnixTime>,
    /// Time before which the token must not be accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<UnixTime>,
    /// Subject of the token, usually the resource owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// Recipients that the token is meant for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<Audience>,
    /// Issuer of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<Issuer>,
    /// Identifier of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// Other members, kept as received.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

document!(IntrospectionResponse);

impl Document for IntrospectionResponse {
    fn read(members: &mut Members) -> Result<Self, DocumentError> {
        let client_id = |value| ClientId::parse(&text(value)?).map_err(MemberRule::ClientId);
        let audience = |value| match value {
            Value::String(one) => Ok(Audience(vec![one])),
            many => texts(many).map(Audience),
        };
        Ok(Self {
            active: members.required("active", boolean)?,
            scope: members.exact("scope", scopes)?,
            client_id: members.exact("client_id", client_id)?,
            // A malformed name must not turn a user's token into a token without a user.
            username: members.exact("username", text)?,
            token_type: members.exact("token_type", text)?,
            // A malformed expiry must not read as "never".
            exp: members.exact("exp", time)?,
            iat: members.lenient("iat", time),
            nbf: members.exact("nbf", time)?,
            sub: members.exact("sub", text)?,
            aud: members.exact("aud", audience)?,
            iss: members.exact("iss", uri(Issuer::parse))?,
            jti: members.lenient("jti", text),
            extra: members.take_rest(),
        })
    }
}

impl IntrospectionResponse {
    /// Creates the response for a token that is unknown, expired, revoked, or not for the caller to see.
    #[must_use]
    pub fn inactive() -> Self {
        Self {
            active: false,
            scope: None,
            client_id: None,
            username: None,
            token_type: None,
            exp: None,
            iat: None,
            nbf: None,
            sub: None,
            aud: None,
            iss: None,
            jti: None,
            extra: Map::new(),
        }
    }

    /// Creates the response for an active token, with no other member set.
    #[must_use]
    pub fn active() -> Self {
        Self { active: true, ..Self::inactive() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_boolean_makes_a_token_active() {
        for (bad, member) in [
            ("{}", "active"),
            (r#"{"active":"true"}"#, "active"),
            (r#"{"active":1}"#, "active"),
            (r#"{"active":null}"#, "active"),
            (r#"{"active":true,"exp":"soon"}"#, "exp"),
            (r#"{"active":true,"aud":[1]}"#, "aud"),
            (r#"{"active":true,"active":true}"#, ""),
        ] {
            let error = IntrospectionResponse::from_json(bad.as_bytes()).unwrap_err();
            match error {
                DocumentError::Member { member: named, .. } => assert_eq!(named, member, "{bad}"),
                other => assert_eq!((other, member), (DocumentError::NotAnObject, "")),
            }
        }
        let inactive = IntrospectionResponse::inactive().to_json();
        assert_eq!(inactive, &br#"{"active":false}"#[..]);
    }

    #[test]
    fn an_audience_is_one_or_many() {
        let read = |json: &str| IntrospectionResponse::from_json(json.as_bytes()).unwrap();
        let one = read(r#"{"active":true,"aud":"a","exp":1.5e9}"#);
        assert_eq!(one.exp, Some(UnixTime::from_secs(1_500_000_000)));
        assert_eq!(one.to_json(), &br#"{"active":true,"exp":1500000000,"aud":"a"}"#[..]);
        let many = read(r#"{"active":true,"aud":["a","b"],"ext":1}"#);
        assert!(
            many.aud.as_ref().unwrap().contains("b") && !many.aud.as_ref().unwrap().contains("c")
        );
        assert_eq!(read(core::str::from_utf8(&many.to_json()).unwrap()), many);
    }
}
