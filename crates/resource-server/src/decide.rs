//! May this request in?
//!
//! | check, in this order | requirement | answer |
//! |---|---|---|
//! | the request calls the server by one of its names: a loopback server, and any with [`Resource::answering_to`]; requests without a token always | | 403 |
//! | there is an `Authorization: Bearer` header, or `DPoP` where that is read; no other place is looked at | R-AUTH-1, R-AUTH-2 | 401 without `error` |
//! | there is one, with one well-formed token, and no other in the query | R-AUTH-7 | 400 `invalid_request` |
//! | somebody knows the token | R-AUTH-1 | 401 `invalid_token` |
//! | it is of an authorization server that the resource names | R-AUTH-1 | 401 `invalid_token` |
//! | it is shown as what it is: with a proof if it is bound to a key, and only then | RFC 9449 §7.2 | 401 `invalid_token` |
//! | it says when it expires, and has not | R-AUTH-1 | 401 `invalid_token` |
//! | it is for this resource | R-AUTH-3 | 401 `invalid_token` |
//! | who shows it holds its key, if it has one ([`dpop`](crate::CheckProof)) | RFC 9449 §7.1 | 401 `invalid_dpop_proof` |
//! | it grants what the operation needs | R-AUTH-4, R-AUTH-5 | 403 `insufficient_scope` |

use std::sync::Arc;

use http::Request;
use http::header::AUTHORIZATION;
use oauth_types::{ResourceUri, ScopeSet, Secret, SecretDigest, TokenFacts, TokenType, UnixTime};
use percent_encoding::percent_decode_str;
use scope_stepup::ScopeOrder;

use crate::denial::{Denial, DenialReason};
use crate::dpop::{CheckProof, Shown};
use crate::granted::{Granted, Recognized};
use crate::resource::Resource;

/// A well-formed token out of a request. Nothing is known about it yet.
#[derive(Clone, Debug)]
#[must_use = "nobody is let in until `decide` says so"]
pub struct Presented<'a> {
    resource: &'a Resource,
    token: Secret,
    shown: Shown,
}

impl Resource {
    /// Takes the token out of a request: from one `Authorization: Bearer` header, or `DPoP` where that is switched on,
    /// and from nowhere else. `hint` are the scopes that a client without a token should ask for.
    ///
    /// # Errors
    ///
    /// [`Denial`] with the finished reply.
    pub fn present<B>(
        &self,
        request: &Request<B>,
        hint: &ScopeSet,
    ) -> Result<Presented<'_>, Denial> {
        if !self.hosts().admits(request) {
            return Err(Denial::foreign_host());
        }
        // R-AUTH-2
        let mut lines = request.headers().get_all(AUTHORIZATION).iter();
        let (Some(line), second) = (lines.next(), lines.next()) else {
            return Err(Denial::unauthorized(self, None, DenialReason::NoToken, hint));
        };
        let line = line.as_bytes();
        let at = line.iter().position(|&byte| byte == b' ').unwrap_or(line.len());
        let (name, rest) = line.split_at(at);
        let scheme = self.scheme(name);
        // R-AUTH-7
        if second.is_some() || has_token(request.uri().query()) {
            return Err(Denial::malformed(self, scheme.unwrap_or(TokenType::Bearer)));
        }
        let Some(scheme) = scheme else {
            return Err(Denial::unauthorized(self, None, DenialReason::NoToken, hint));
        };
        let token = rest.iter().position(|&byte| byte != b' ').and_then(|start| rest.get(start..));
        let Some(token) = token.and_then(b64token) else {
            return Err(Denial::malformed(self, scheme));
        };
        let shown = Shown::parse(self, scheme, request.headers(), hint)?;
        Ok(Presented { resource: self, token: Secret::new(token), shown })
    }
}

/// Whether a token is shown in the query as well, where one method is allowed (RFC 6750 §2).
pub(crate) fn has_token(query: Option<&str>) -> bool {
    let mut pairs = query.into_iter().flat_map(|query| query.split(['&', ';']));
    pairs.any(|pair| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        percent_decode_str(name).eq("access_token".bytes())
    })
}

/// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="` (RFC 6750 §2.1).
fn b64token(bytes: &[u8]) -> Option<&str> {
    let padding = bytes.iter().rev().take_while(|&&byte| byte == b'=').count();
    let body = bytes.get(..bytes.len() - padding)?;
    let allowed = |b: &u8| matches!(b, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    // Every byte is looked at, so that the compiler may look at many at once.
    if body.is_empty() || !body.iter().fold(true, |all, byte| all & allowed(byte)) {
        return None;
    }
    core::str::from_utf8(bytes).ok()
}

impl Presented<'_> {
    /// The token, for a verifier that has to see it.
    #[must_use]
    pub const fn token(&self) -> &Secret {
        &self.token
    }

    /// Its digest, for a verifier that looks it up.
    #[must_use]
    pub fn digest(&self) -> SecretDigest {
        self.token.digest()
    }

    /// Decides, with what the verifier knows; `None` when it knows nothing. A token that is bound to a key is refused: to
    /// take it, go by [`recognize`](Self::recognize).
    ///
    /// # Errors
    ///
    /// [`Denial`] with the finished reply.
    pub fn decide(
        self,
        facts: Option<Arc<TokenFacts>>,
        required: &ScopeSet,
        order: &(impl ScopeOrder + ?Sized),
        now: UnixTime,
    ) -> Result<Granted, Denial> {
        match self.recognize(facts, required, now)? {
            Recognition::Done(recognized) => recognized.authorize(required, order),
            Recognition::CheckProof(step) => Err(step.refuse()),
        }
    }
}

impl<'a> Presented<'a> {
    /// The first half of [`decide`](Self::decide), for a host that reads a body only of those it knows: is the
    /// token good for this resource at all? `hint` are the scopes that a client without a good token should ask
    /// for.
    ///
    /// # Errors
    ///
    /// [`Denial`] with the finished reply.
    pub fn recognize(
        self,
        facts: Option<Arc<TokenFacts>>,
        hint: &ScopeSet,
        now: UnixTime,
    ) -> Result<Recognition<'a>, Denial> {
        let used = self.shown.scheme();
        let deny = |reason| Err(Denial::unauthorized(self.resource, Some(used), reason, hint));
        // R-AUTH-1
        let Some(facts) = facts else { return deny(DenialReason::UnknownToken) };
        let own = self.resource.metadata();
        if !own.authorization_servers.contains(&facts.issuer) {
            return deny(DenialReason::ForeignIssuer);
        }
        match (facts.jkt, used) {
            (Some(_), TokenType::Bearer) => return deny(DenialReason::BoundToken),
            (None, TokenType::Dpop) => return deny(DenialReason::UnboundToken),
            (None, _) if self.resource.requires_dpop() => return deny(DenialReason::UnboundToken),
            _ => {}
        }
        if facts.expires_at.is_none_or(|end| now >= end) {
            return deny(DenialReason::ExpiredToken);
        }
        // R-AUTH-3: a token for this very resource; one for a sibling or for all above it is not.
        let own = &own.resource;
        let is_own = |uri: &ResourceUri| uri == own || (uri.covers(own) && own.covers(uri));
        if !facts.audience.iter().any(is_own) {
            return deny(DenialReason::WrongAudience);
        }
        let recognized = Recognized::new(self.resource, facts);
        Ok(match self.shown.into_proof(&recognized, self.token) {
            Some(proof) => Recognition::CheckProof(CheckProof::new(recognized, hint, proof)),
            None => Recognition::Done(recognized),
        })
    }
}

/// What [`Presented::recognize`] found.
#[derive(Clone, Debug)]
#[must_use = "nobody is let in until `authorize` says so"]
#[expect(clippy::exhaustive_enums, reason = "a host must take each step")]
pub enum Recognition<'a> {
    /// The token is good for this resource.
    Done(Recognized<'a>),
    /// It is, if its sender holds the key that it is bound to. Only with the feature `dpop`, and where the resource is
    /// told to take such tokens.
    CheckProof(CheckProof<'a>),
}
