//! Protected resource metadata over HTTP: one resource, several, and paths that look like patterns.

#![cfg(test)]

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use mcp_authz_axum::{metadata_routes, metadata_routes_of};
use oauth_types::{Issuer, ResourceUri};
use resource_server::Resource;
use tower::ServiceExt as _;

const ROOT: &str = "/.well-known/oauth-protected-resource";

fn resource(uri: &str) -> Resource {
    let issuer = Issuer::parse("https://as.example").unwrap();
    Resource::new(ResourceUri::parse(uri).unwrap(), vec![issuer]).unwrap()
}

/// The resource whose document is at a path.
async fn published(router: &Router, path: &str) -> Option<String> {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    if response.status() == StatusCode::NOT_FOUND {
        return None;
    }
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
    Some(document["resource"].as_str().unwrap().to_owned())
}

/// SEC-236
#[tokio::test]
async fn a_resource_path_that_looks_like_a_pattern_is_literal() {
    for path in ["/:tenant/mcp", "/*", "/*all/x", "/mcp/:id", "/%7Bmcp%7D", "/a:b*c"] {
        let uri = format!("https://rs.example{path}");
        let host = Router::new().route("/host/{anything}", any(async || "host"));
        let router = host.merge(metadata_routes(&resource(&uri)));
        for own in [format!("{ROOT}{path}"), ROOT.to_owned()] {
            assert_eq!(published(&router, &own).await.as_ref(), Some(&uri), "{own}");
        }
        assert_eq!(published(&router, &format!("{ROOT}/other/mcp")).await, None, "{path}");
    }
}

/// SEC-236
#[tokio::test]
async fn two_resources_on_one_origin_have_a_document_each() {
    let uris = ["https://rs.example/files", "https://rs.example/:mail"];
    let resources = uris.map(resource);
    let router = Router::new().merge(metadata_routes_of(&resources).unwrap());
    assert_eq!(published(&router, &format!("{ROOT}/files")).await.as_deref(), Some(uris[0]));
    assert_eq!(published(&router, &format!("{ROOT}/:mail")).await.as_deref(), Some(uris[1]));
    assert_eq!(published(&router, ROOT).await, None, "it could be either's");
    // Where one is the root of the host, that is its document; one alone is served as by `metadata_routes`.
    let uris = ["https://rs.example/files", "https://rs.example"];
    let router = metadata_routes_of(&uris.map(resource)).unwrap();
    assert_eq!(published(&router, ROOT).await.as_deref(), Some(uris[1]));
    let alone = metadata_routes_of(&[resource(uris[0])]).unwrap();
    assert_eq!(published(&alone, ROOT).await.as_deref(), Some(uris[0]));
}

/// SEC-236
#[test]
fn two_resources_that_no_path_tells_apart_are_an_error() {
    for other in ["https://rs.example/mcp", "https://other.example/mcp", "https://rs.example/mcp?x"]
    {
        let resources = [resource("https://rs.example/mcp"), resource(other)];
        let error = metadata_routes_of(&resources).unwrap_err();
        assert!(error.to_string().contains("/.well-known/oauth-protected-resource/mcp"), "{error}");
    }
}
