//! Protected resource metadata (RFC 9728 §2).

use serde::Serialize;
use serde_json::{Map, Value};

use crate::document::members::{text, uri};
use crate::document::{Document, DocumentError, Members, document, is_false};
use crate::method::SigningAlgorithm;
use crate::uri::{Issuer, ResourceUri};

/// Protected resource metadata (RFC 9728 §2).
///
/// # Examples
///
/// ```
/// use oauth_types::{Issuer, ProtectedResourceMetadata, ResourceUri};
///
/// let resource = ResourceUri::parse("https://mcp.example/mcp")?;
/// let metadata = ProtectedResourceMetadata::new(resource, vec![Issuer::parse("https://as.example")?]);
/// assert_eq!(ProtectedResourceMetadata::from_json(&metadata.to_json())?, metadata);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct ProtectedResourceMetadata {
    /// Resource identifier.
    pub resource: ResourceUri,
    /// Authorization servers whose tokens the resource accepts; a client chooses one.
    ///
    /// Malformed items are passed over while another is left.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authorization_servers: Vec<Issuer>,
    /// Scopes that the resource chooses to list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes_supported: Option<Vec<String>>,
    /// Methods by which the resource accepts tokens; MCP uses `header` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_methods_supported: Option<Vec<String>>,
    /// Signing algorithms of DPoP proofs (RFC 9728 §2); absent means that proofs are not supported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dpop_signing_alg_values_supported: Option<Vec<SigningAlgorithm>>,
    /// `true` if the resource accepts only tokens that are bound to a key (RFC 9728 §2).
    #[serde(skip_serializing_if = "is_false")]
    pub dpop_bound_access_tokens_required: bool,
    /// Name of the resource for users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
    /// Other members, kept as received.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

document!(ProtectedResourceMetadata);

impl Document for ProtectedResourceMetadata {
    fn read(members: &mut Members) -> Result<Self, DocumentError> {
        Ok(Self {
            resource: members.required("resource", uri(ResourceUri::parse))?,
            authorization_servers: members
                .items("authorization_servers", uri(Issuer::parse))?
                .unwrap_or_default(),
            scopes_supported: members.names("scopes_supported", str::to_owned),
            bearer_methods_supported: members.names("bearer_methods_supported", str::to_owned),
            dpop_signing_alg_values_supported: members
                .names("dpop_signing_alg_values_supported", SigningAlgorithm::parse),
            dpop_bound_access_tokens_required: members
                .flag("dpop_bound_access_tokens_required")
                .unwrap_or(true),
            resource_name: members.lenient("resource_name", text),
            extra: members.take_rest(),
        })
    }
}

impl ProtectedResourceMetadata {
    /// Creates the metadata of a resource that accepts tokens of these servers, in the header only.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::MemberRule;
    use crate::uri::InvalidUri;

    #[test]
    fn a_text_that_is_no_issuer_spoils_nothing() {
        let json = br#"{"resource":"https://mcp.example","authorization_servers":
            ["http://as.example","https://as.example",""]}"#;
        let metadata = ProtectedResourceMetadata::from_json(json).unwrap();
        assert_eq!(metadata.authorization_servers, [Issuer::parse("https://as.example").unwrap()]);
        assert_eq!(ProtectedResourceMetadata::passed_over(json), ["authorization_servers"]);
        // If no valid issuer is left, the document is refused with the rule that the first one breaks.
        for (none, rule) in [
            ("[1]", MemberRule::Type { found: "a number", expected: "a text" }),
            (r#"["http://as.example", ""]"#, MemberRule::Uri(InvalidUri::PlainHttp)),
            ("7", MemberRule::Type { found: "a number", expected: "a list of texts" }),
        ] {
            let json = format!(r#"{{"resource":"https://r","authorization_servers":{none}}}"#);
            let error = ProtectedResourceMetadata::from_json(json.as_bytes()).unwrap_err();
            assert_eq!(error, DocumentError::Member { member: "authorization_servers", rule });
        }
    }
}
