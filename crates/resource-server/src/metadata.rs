//! Protected resource metadata responses (RFC 9728 §3.2).

use bytes::Bytes;
use http::{Method, Response};
use oauth_types::metadata_response;

use crate::resource::Resource;

impl Resource {
    /// Returns the response to a metadata request: public, cacheable and readable from any origin.
    #[must_use]
    pub fn metadata_response(&self, method: &Method) -> Response<Bytes> {
        metadata_response(method, self.metadata().to_json())
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW};
    use oauth_types::{Issuer, ResourceUri, ScopeSet};

    use super::*;
    use crate::operations::OperationScopes;

    fn resource(uri: &str) -> Resource {
        let issuer = Issuer::parse("https://as.example").unwrap();
        Resource::new(ResourceUri::parse(uri).unwrap(), vec![issuer]).unwrap()
    }

    /// R-PRM-1
    #[test]
    fn the_metadata_is_at_the_path_and_at_the_root() {
        let own = resource("https://rs.example/mcp");
        let paths: Vec<_> = own.metadata_paths().collect();
        assert_eq!(
            paths,
            ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"]
        );
        assert_eq!(resource("https://rs.example").metadata_paths().count(), 1);
        let none = Resource::new(ResourceUri::parse("https://rs.example").unwrap(), vec![]);
        assert!(none.is_err());
    }

    /// R-PRM-2
    #[test]
    fn offline_access_is_not_listed() {
        let scopes = ScopeSet::parse("files:read offline_access").unwrap();
        let own = resource("https://rs.example/mcp").with_scopes_listed(&scopes);
        let response = own.metadata_response(&Method::GET);
        let json: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(json["scopes_supported"], serde_json::json!(["files:read"]));
        assert_eq!(json["resource"], "https://rs.example/mcp");
        assert_eq!(json["authorization_servers"], serde_json::json!(["https://as.example"]));
    }

    #[test]
    fn the_list_joined_is_no_step_up_that_a_client_asks_for() {
        let scopes = OperationScopes::new("files:read").unwrap();
        let scopes = scopes.tool("write", "files:write").unwrap().tool("admin", "admin").unwrap();
        let own = resource("https://rs.example/mcp").with_scopes_listed(scopes.all());
        let listed = own.metadata().scopes_supported.clone().unwrap().join(" ");
        // The scopes of the 401, then those of each step-up, in either order, as the official SDK joins them.
        for asked in ["files:read files:write admin", "files:read admin files:write"] {
            assert_ne!(listed, asked);
        }
        assert_eq!(listed, "admin files:write files:read");
        assert_eq!(ScopeSet::parse(&listed).unwrap(), *scopes.all(), "nothing is missing");
    }

    /// SEC-196
    #[test]
    fn metadata_is_public_and_other_methods_are_told_so() {
        let own = resource("https://rs.example/mcp");
        let response = own.metadata_response(&Method::GET);
        assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        let response = own.metadata_response(&Method::POST);
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[ALLOW], "GET, HEAD");
    }
}
