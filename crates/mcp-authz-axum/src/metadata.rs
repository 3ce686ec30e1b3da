//! Routes of protected resource metadata (RFC 9728 §3).

use core::fmt;
use std::collections::BTreeSet;

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use http::Method;
use oauth_types::metadata_response;
use resource_server::Resource;

use crate::cors;
use crate::routes::route_exactly;

/// Returns the routes that publish the metadata of one resource (RFC 9728 §3).
///
/// The routes are public, so mount them beside the protected service. The document is at the well-known path of the
/// resource, and at the root of its host as well. Use [`metadata_routes_of`] for a router with several resources,
/// because two routers with the root document cannot be merged.
///
/// Paths are served literally, even those that axum would read as a pattern (`/:tenant/mcp`, `/*/mcp`).
pub fn metadata_routes(resource: &Resource) -> Router {
    let paths = resource.metadata_paths();
    let routes = paths.fold(Router::new(), |router, path| publish(router, path, resource));
    routes.layer(cors::public(Method::GET))
}

/// Returns the routes that publish the metadata of several resources.
///
/// Each document is at the well-known path of its resource. Clients fall back to the root of the host; a document is
/// there only if it belongs to one resource, which is the host's root or the only resource.
///
/// ```
/// use axum::Router;
/// use mcp_authz_axum::metadata_routes_of;
/// use oauth_types::{Issuer, ResourceUri};
/// use resource_server::Resource;
///
/// # fn f(files: Router, mail: Router) -> Result<Router, Box<dyn std::error::Error>> {
/// let resource = |uri: &str| -> Result<Resource, Box<dyn std::error::Error>> {
///     Ok(Resource::new(ResourceUri::parse(uri)?, vec![Issuer::parse("https://as.example")?])?)
/// };
/// let resources = [resource("https://mcp.example/files")?, resource("https://mcp.example/mail")?];
/// let router = files.merge(mail).merge(metadata_routes_of(&resources)?);
/// # Ok(router) }
/// ```
///
/// # Errors
///
/// [`SameMetadataPath`] if two of the resources publish their metadata at one path. Such resources differ only in their
/// host or query, so one router cannot serve both.
pub fn metadata_routes_of(resources: &[Resource]) -> Result<Router, SameMetadataPath> {
    if let [resource] = resources {
        return Ok(metadata_routes(resource));
    }
    let mut taken = BTreeSet::new();
    let mut routes = Router::new();
    for resource in resources {
        let path = resource.metadata_url().path();
        if !taken.insert(path) {
            return Err(SameMetadataPath { path: path.into() });
        }
        routes = publish(routes, path, resource);
    }
    Ok(routes.layer(cors::public(Method::GET)))
}

fn publish(router: Router, path: &str, resource: &Resource) -> Router {
    let document = resource.metadata().to_json();
    let handler =
        async move |method: Method| metadata_response(&method, document.clone()).map(Body::from);
    route_exactly(router, path, any(handler))
}

/// Error for two resources of one router with the same metadata path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SameMetadataPath {
    path: Box<str>,
}

impl fmt::Display for SameMetadataPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "two resources publish their metadata at {}: give them paths that differ, or a router each, chosen by host",
            self.path
        )
    }
}

impl core::error::Error for SameMetadataPath {}
