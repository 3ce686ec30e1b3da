//! Resource servers that may ask about tokens (RFC 7662).

use client_auth::Registered;
use oauth_types::{ClientId, ResourceUri};

/// A resource server that may ask about the tokens that are for it.
#[derive(Clone, Debug)]
pub struct ResourceServer {
    /// Its identifier when it asks.
    pub client_id: ClientId,
    /// Its authentication.
    pub authentication: Registered,
    /// The resource that it protects.
    pub resource: ResourceUri,
}
