//! Paths of the endpoints, for a router.

/// Paths at which a router mounts the endpoints.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Paths {
    /// The authorization endpoint.
    pub authorize: String,
    /// The endpoint of the consent form; served by the host, below the authorization endpoint.
    pub consent: String,
    /// The token endpoint.
    pub token: String,
    /// The registration endpoint.
    pub register: String,
    /// The revocation endpoint.
    pub revoke: String,
    /// The public keys; `None` if access tokens are not signed.
    pub jwks: Option<String>,
    /// The introspection endpoint; `None` if there is no resource server.
    pub introspect: Option<String>,
    /// All paths at which clients look for the metadata.
    pub metadata: Vec<String>,
}
