//! Claims of JWT access tokens, in the forms that authorization servers use.

use core::fmt;

use oauth_types::{Scope, ScopeSet, UnixTime};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// Registered claims, which have the same form everywhere (RFC 7519 §4.1).
#[derive(Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    #[serde(default)]
    pub(super) sub: Option<String>,
    pub(super) exp: UnixTime,
    #[serde(default)]
    pub(super) iat: Option<UnixTime>,
    #[serde(default)]
    pub(super) nbf: Option<UnixTime>,
}

/// Claims of a verified token; `None` if one is repeated.
///
/// Two parsers could read a repeated claim differently.
pub(super) struct Signed(pub(super) Option<Value>);

impl<'de> Deserialize<'de> for Signed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Signed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("claims")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Signed, A::Error> {
                let (mut members, mut is_repeated) = (Map::new(), false);
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    is_repeated |= members.insert(name, value).is_some();
                }
                Ok(Signed((!is_repeated).then_some(Value::Object(members))))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// Parses a scope claim: a string (RFC 9068 §2.2.3) or a list of scopes; `None` if it is neither.
pub(super) fn scopes(claim: Option<&Value>) -> Option<ScopeSet> {
    match claim {
        None | Some(Value::Null) => Some(ScopeSet::empty()),
        Some(Value::String(text)) => ScopeSet::parse(text).ok(),
        Some(Value::Array(list)) => {
            let mut text = String::new();
            for scope in list {
                // A member that contains a space is refused, because readers could take it for one scope or for two.
                let scope = Scope::parse(scope.as_str()?).ok()?;
                text.push_str(scope.as_str());
                text.push(' ');
            }
            ScopeSet::parse(&text).ok()
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_of_scopes_is_read_like_a_text() {
        for (claim, read) in [
            (json!("files:read files:write"), "files:read files:write"),
            (json!(["files:read", "files:write"]), "files:read files:write"),
            (json!(["files:read"]), "files:read"),
            (json!([]), ""),
            (json!(""), ""),
            (json!(null), ""),
        ] {
            let scopes = scopes(Some(&claim)).unwrap();
            assert_eq!(scopes.as_str(), read, "{claim}");
        }
        assert_eq!(scopes(None).unwrap(), ScopeSet::empty());
        for bad in
            [json!(1), json!({"a": "b"}), json!(["a b"]), json!([""]), json!(["a", 1]), json!("\"")]
        {
            assert_eq!(scopes(Some(&bad)), None, "{bad}");
        }
    }
}
