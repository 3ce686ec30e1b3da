//! Protected resource metadata (RFC 9728 §2).

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::document::{document, is_false, known_values, or_default};
use crate::{Issuer, ResourceUri, SigningAlgorithm};

/// What a protected resource says about itself (RFC 9728 §2).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProtectedResourceMetadata {
    /// Its identifier.
    pub resource: ResourceUri,
    /// The authorization servers whose tokens it takes; a client chooses one. Reading passes over a text
    /// that is no issuer identifier: the others may still be good.
    #[serde(default, deserialize_with = "issuers", skip_serializing_if = "Vec::is_empty")]
    pub authorization_servers: Vec<Issuer>,
    /// Scopes that it knows and chooses to list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes_supported: Option<Vec<String>>,
    /// How it takes tokens; MCP knows `header` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_methods_supported: Option<Vec<String>>,
    /// How proofs of possession may be signed; absent means that none are read (RFC 9728 §2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_signing_alg_values_supported: Option<Vec<SigningAlgorithm>>,
    /// Whether it takes only tokens that are bound to a key (RFC 9728 §2).
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_false")]
    pub dpop_bound_access_tokens_required: bool,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
    /// Members that are not known here.
    #[serde(flatten, deserialize_with = "known_values")]
    pub extra: Map<String, Value>,
}

document!(ProtectedResourceMetadata);

impl ProtectedResourceMetadata {
    /// Metadata of a resource that takes the tokens of these servers, in the header only.
    #[must_use]
    pub fn new(resource: ResourceUri, authorization_servers: Vec<Issuer>) -> Self {
        Self {
            resource,
            authorization_servers,
            scopes_supported: None,
            bearer_methods_supported: Some(vec!["header".to_owned()]),
            dpop_signing_alg_values_supported: None,
            dpop_bound_access_tokens_required: false,
            resource_name: None,
            extra: Map::new(),
        }
    }
}

fn issuers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Issuer>, D::Error> {
    let texts = Option::<Vec<String>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(texts.iter().filter_map(|text| Issuer::parse(text).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_no_issuer_spoils_nothing() {
        let json = br#"{"resource":"https://mcp.example","authorization_servers":
            ["http://as.example","https://as.example",""]}"#;
        let metadata = ProtectedResourceMetadata::from_json(json).unwrap();
        assert_eq!(metadata.authorization_servers, [Issuer::parse("https://as.example").unwrap()]);
        let numbers = br#"{"resource":"https://mcp.example","authorization_servers":[1]}"#;
        assert!(ProtectedResourceMetadata::from_json(numbers).is_err());
    }
}
