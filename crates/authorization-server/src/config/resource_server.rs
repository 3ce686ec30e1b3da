//! Resource servers that may introspect tokens (RFC 7662).

use client_auth::ClientAuthRecord;
use oauth_types::{ClientId, ResourceUri};

/// Resource server that may introspect the tokens that are for it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResourceServer {
    /// Client identifier with which the resource server authenticates.
    pub client_id: ClientId,
    /// Client authentication of the resource server.
    pub authentication: ClientAuthRecord,
    /// Resource of the tokens that it may introspect.
    pub resource: ResourceUri,
}

impl ResourceServer {
    /// Creates a resource server with this authentication, for the tokens of this resource.
    #[must_use]
    pub const fn new(
        client_id: ClientId,
        authentication: ClientAuthRecord,
        resource: ResourceUri,
    ) -> Self {
        Self { client_id, authentication, resource }
    }
}
