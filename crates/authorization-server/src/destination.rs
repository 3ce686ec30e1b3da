//! Destination of an authorization response: the values that a remembered consent is bound to.

use oauth_types::{ClientId, RedirectUri, ResourceUri, SecretDigest, Subject};

/// Destination of an authorization response, to which a remembered consent is bound.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    pub(crate) client_id: ClientId,
    pub(crate) redirect_uri: RedirectUri,
    /// The resource, if the request names one that is offered.
    pub(crate) resource: Option<ResourceUri>,
    /// The operator vouches for the client and its redirect URIs.
    pub(crate) is_of_operator: bool,
}

impl Destination {
    /// Returns the key of this user's consent, if one can be remembered.
    ///
    /// JSON keeps the four parts apart, whatever they contain.
    pub(crate) fn key(&self, subject: &Subject) -> Option<SecretDigest> {
        let Self { client_id, redirect_uri, resource, .. } = self;
        let resource = resource.as_ref().filter(|_| is_elsewhere(redirect_uri))?;
        let key = serde_json::json!([subject, client_id, redirect_uri, resource]);
        Some(SecretDigest::of(&key.to_string()))
    }
}

/// Returns `true` if the URI is https and leads to another machine than the user's.
pub(crate) fn is_elsewhere(redirect_uri: &RedirectUri) -> bool {
    // A private-use scheme has no origin, and a loopback address has a local one.
    redirect_uri.origin().is_some_and(|origin| !origin.is_local_address())
}
