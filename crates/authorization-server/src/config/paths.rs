//! Paths of the endpoints, for a router.

/// Paths at which a router mounts the endpoints.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Paths {
    /// The authorization endpoint.
    pub authorize: String,
    /// Where the consent page posts to; the host's, below the authorization endpoint.
    pub consent: String,
    /// The token endpoint.
    pub token: String,
    /// The registration endpoint.
    pub register: String,
    /// The revocation endpoint.
    pub revoke: String,
    /// Where the public keys are; `None` where nothing is signed.
    pub jwks: Option<String>,
    /// The introspection endpoint; `None` where nobody may ask.
    pub introspect: Option<String>,
    /// Everywhere that clients look for the metadata.
    pub metadata: Vec<String>,
}
