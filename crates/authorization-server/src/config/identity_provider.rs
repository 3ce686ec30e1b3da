//! Identity providers whose identity assertions are accepted.

use client_auth::VerifyingKeys;
use oauth_types::Issuer;

/// Identity provider of an enterprise, whose identity assertions are accepted.
///
/// See draft-ietf-oauth-identity-assertion-authz-grant.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IdentityProvider {
    /// Issuer identifier of the provider, compared byte for byte.
    pub issuer: Issuer,
    /// Keys that verify the provider's signatures.
    ///
    /// Nothing is fetched. While the provider changes its key, give both.
    pub keys: VerifyingKeys,
}

impl IdentityProvider {
    /// Creates a provider with this issuer and these keys.
    #[must_use]
    pub const fn new(issuer: Issuer, keys: VerifyingKeys) -> Self {
        Self { issuer, keys }
    }
}
