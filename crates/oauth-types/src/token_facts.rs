//! What an access token stands for.

use crate::client_id::ClientId;
use crate::scope::ScopeSet;
use crate::thumbprint::Thumbprint;
use crate::time::UnixTime;
use crate::uri::{Issuer, ResourceUri};

/// What is known about an access token, by whoever gave it or verified it. Its place is an [`Arc`](std::sync::Arc): a
/// store or cache, the decision and the request's handler share it.
#[derive(Clone, PartialEq, Eq, Debug)]
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
