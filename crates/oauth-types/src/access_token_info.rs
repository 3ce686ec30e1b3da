//! Properties of a verified access token: subject, client, scopes, audience, expiry and bound key.

use crate::client_id::ClientId;
use crate::extra_claims::ExtraClaims;
use crate::scope::ScopeSet;
use crate::subject::Subject;
use crate::thumbprint::Thumbprint;
use crate::time::UnixTime;
use crate::uri::{Issuer, ResourceUri};

/// Properties of an access token, as known to its issuer or to the resource server that verified it.
///
/// Share it in an [`Arc`](std::sync::Arc) between the store or cache, the access decision and the request's handler.
///
/// # Examples
///
/// ```
/// use oauth_types::{ClientId, Issuer, ResourceUri, ScopeSet, Subject, AccessTokenInfo, UnixTime};
///
/// let (client, issuer) = (ClientId::parse("c1")?, Issuer::parse("https://as.example")?);
/// let facts = AccessTokenInfo::new(Subject::parse("alice")?, client, issuer)
///     .with_scopes(ScopeSet::parse("files:read")?)
///     .with_audience([ResourceUri::parse("https://rs.example/mcp")?])
///     .with_expires_at(UnixTime::from_secs(600));
/// assert_eq!(facts.jkt, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "claims")]
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct AccessTokenInfo {
    /// Resource owner, or the client itself if no user is involved.
    pub subject: Subject,
    /// Client that the token was issued to.
    pub client_id: ClientId,
    /// Authorization server that issued the token.
    pub issuer: Issuer,
    /// Scopes that the token grants.
    pub scopes: ScopeSet,
    /// Resources that the token is meant for.
    pub audience: Vec<ResourceUri>,
    /// Expiry time (exclusive): the token is valid while `now < expires_at`.
    ///
    /// A token without one is refused. For a token of an external issuer, the time includes the tolerance of one
    /// minute for its clock.
    pub expires_at: Option<UnixTime>,
    /// Thumbprint of the key that the token is bound to, if to any (RFC 9449 §6).
    ///
    /// A bound token is accepted only with a proof of possession of that key.
    pub jkt: Option<Thumbprint>,
    /// Further claims that the host asked the verifier to pass on; they grant nothing by themselves.
    pub claims: ExtraClaims,
}

impl AccessTokenInfo {
    /// Creates the properties of a token of this resource owner, client and issuer.
    ///
    /// All else begins with values that grant no access: no scope, no audience, and no expiry time, without which a
    /// resource server refuses the token.
    #[must_use]
    pub fn new(subject: Subject, client_id: ClientId, issuer: Issuer) -> Self {
        Self {
            subject,
            client_id,
            issuer,
            scopes: ScopeSet::empty(),
            audience: Vec::new(),
            expires_at: None,
            jkt: None,
            claims: ExtraClaims::none(),
        }
    }

    /// Sets the scopes that the token grants.
    #[must_use]
    pub fn with_scopes(mut self, scopes: ScopeSet) -> Self {
        self.scopes = scopes;
        self
    }

    /// Sets the resources that the token is for.
    #[must_use]
    pub fn with_audience(mut self, audience: impl IntoIterator<Item = ResourceUri>) -> Self {
        self.audience = audience.into_iter().collect();
        self
    }

    /// Sets the expiry time (exclusive): the token is valid while `now < expires_at`.
    #[must_use]
    pub fn with_expires_at(mut self, expires_at: impl Into<Option<UnixTime>>) -> Self {
        self.expires_at = expires_at.into();
        self
    }

    /// Sets the key that the token is bound to (RFC 9449 §6).
    ///
    /// Without it, a bound token works for anyone who has stolen it.
    #[must_use]
    pub fn with_jkt(mut self, jkt: impl Into<Option<Thumbprint>>) -> Self {
        self.jkt = jkt.into();
        self
    }

    /// Sets the further claims, which a verifier selects by [`ClaimNames`](crate::ClaimNames).
    #[must_use]
    pub fn with_claims(mut self, claims: ExtraClaims) -> Self {
        self.claims = claims;
        self
    }
}
