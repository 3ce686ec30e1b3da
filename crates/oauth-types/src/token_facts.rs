//! What an access token stands for.

use crate::client_id::ClientId;
use crate::scope::ScopeSet;
use crate::thumbprint::Thumbprint;
use crate::time::UnixTime;
use crate::uri::{Issuer, ResourceUri};

/// What is known about an access token, by whoever gave it or verified it. Its place is an [`Arc`](std::sync::Arc): a
/// store or cache, the decision and the request's handler share it.
///
/// ```
/// use oauth_types::{ClientId, Issuer, ResourceUri, ScopeSet, TokenFacts, UnixTime};
///
/// let (client, issuer) = (ClientId::parse("c1")?, Issuer::parse("https://as.example")?);
/// let facts = TokenFacts::new("alice", client, issuer)
///     .with_scopes(ScopeSet::parse("files:read")?)
///     .with_audience([ResourceUri::parse("https://rs.example/mcp")?])
///     .with_expires_at(UnixTime::from_secs(600));
/// assert_eq!(facts.jkt, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TokenFacts {
    /// The user; the client itself where no user is involved.
    pub subject: String,
    /// The client that the token was given to.
    pub client_id: ClientId,
    /// The authorization server that gave it.
    pub issuer: Issuer,
    /// What it grants.
    pub scopes: ScopeSet,
    /// The resources that it is for.
    pub audience: Vec<ResourceUri>,
    /// When it expires; at this second it has. A token that does not say is refused. Of a token that somebody else
    /// signed, the minute is in it by which their clock may be off.
    pub expires_at: Option<UnixTime>,
    /// The key that it is bound to, if to any (RFC 9449 §6). It is worth nothing to whoever does not prove that they
    /// hold that key.
    pub jkt: Option<Thumbprint>,
}

impl TokenFacts {
    /// Facts of a token of this user, client and issuer.
    ///
    /// Everything else begins with what lets nobody in: no scope, no audience and no expiry time, without which a
    /// resource server refuses the token.
    #[must_use]
    pub fn new(subject: impl Into<String>, client_id: ClientId, issuer: Issuer) -> Self {
        Self {
            subject: subject.into(),
            client_id,
            issuer,
            scopes: ScopeSet::empty(),
            audience: Vec::new(),
            expires_at: None,
            jkt: None,
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

    /// Sets the key that the token is bound to (RFC 9449 §6). A bound token whose facts omit the key works for everybody
    /// who has stolen it.
    #[must_use]
    pub fn with_jkt(mut self, jkt: impl Into<Option<Thumbprint>>) -> Self {
        self.jkt = jkt.into();
        self
    }
}
