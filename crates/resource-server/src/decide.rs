//! Access decision for one request (RFC 6750 §2.1): from the `Authorization` header to the scopes.
//!
//! | check, in this order | requirement | answer |
//! |---|---|---|
//! | `Host` and `Origin` name this server, where names are checked ([`Resource::with_host`]) | | 403 |
//! | an `Authorization` header has the scheme Bearer or DPoP | R-AUTH-1, R-AUTH-2 | 401 without `error` |
//! | there is one such header with one well-formed token, and none in the query | R-AUTH-7 | 400 `invalid_request` |
//! | the verifier knows the token | R-AUTH-1 | 401 `invalid_token` |
//! | an authorization server of the resource issued it | R-AUTH-1 | 401 `invalid_token` |
//! | a bound token is presented with DPoP, an unbound one as a bearer token | RFC 9449 §7.2 | 401 `invalid_token` |
//! | it names an expiry time, and `now < expires_at` | R-AUTH-1 | 401 `invalid_token` |
//! | the resource is in its audience | R-AUTH-3 | 401 `invalid_token` |
//! | the proof of a bound token is valid ([`CheckProof`]) | RFC 9449 §7.1 | 401 `invalid_dpop_proof` |
//! | its scopes include those that the operation needs | R-AUTH-4, R-AUTH-5 | 403 `insufficient_scope` |
//!
//! Names are checked at a loopback server, at a server with names of its own, and for every request without a token
//! where some operations are public. A token is never read from the query or the body.

use std::sync::Arc;

use http::Request;
use http::header::AUTHORIZATION;
use oauth_types::{
    AccessTokenInfo, ResourceUri, ScopeSet, Secret, SecretDigest, TokenType, UnixTime,
};
use percent_encoding::percent_decode_str;
use scope_stepup::ScopeHierarchy;

use crate::auth_info::{AuthInfo, Recognized};
use crate::denial::{Denial, DenialReason};
use crate::dpop::{CheckProof, RequestProof};
use crate::resource::Resource;

/// Well-formed access token from a request, not yet verified.
#[derive(Clone, Debug)]
#[must_use = "nobody is let in until `decide` says so"]
pub struct Presented<'a> {
    resource: &'a Resource,
    token: Secret,
    shown: RequestProof,
}

impl Resource {
    /// Extracts the access token from a request (RFC 6750 §2.1, RFC 9449 §7.1).
    ///
    /// The token comes from one `Authorization` header with the scheme Bearer, or DPoP where that is enabled; the token
    /// in a query or a body is not accepted. `hint` contains the scopes that a client without a token should request.
    ///
    /// # Errors
    ///
    /// [`Denial`] with the complete HTTP response: 401 if there is no token or if a DPoP proof is missing or malformed,
    /// 400 if the header is malformed or there are several tokens, 403 if the request names another host.
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
        let shown = RequestProof::parse(self, scheme, request.headers(), hint)?;
        Ok(Presented { resource: self, token: Secret::new(token), shown })
    }
}

/// Returns `true` if the query contains a token; one request may use only one method (RFC 6750 §2).
pub(crate) fn has_token(query: Option<&str>) -> bool {
    let mut pairs = query.into_iter().flat_map(|query| query.split(['&', ';']));
    pairs.any(|pair| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        percent_decode_str(name).eq("access_token".bytes())
    })
}

/// Parses `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="` (RFC 6750 §2.1).
fn b64token(bytes: &[u8]) -> Option<&str> {
    let padding = bytes.iter().rev().take_while(|&&byte| byte == b'=').count();
    let body = bytes.get(..bytes.len() - padding)?;
    let allowed = |b: &u8| matches!(b, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    // The fold visits every byte, so that the compiler can vectorize it.
    if body.is_empty() || !body.iter().fold(true, |all, byte| all & allowed(byte)) {
        return None;
    }
    core::str::from_utf8(bytes).ok()
}

impl Presented<'_> {
    /// Returns the token, for a verifier that needs its text.
    #[must_use]
    pub const fn token(&self) -> &Secret {
        &self.token
    }

    /// Returns the digest of the token, for a verifier that looks it up.
    #[must_use]
    pub fn digest(&self) -> SecretDigest {
        self.token.digest()
    }

    /// Decides about the request, given the facts that a verifier knows about the token.
    ///
    /// `facts` is `None` if the token is unknown. A token that is bound to a key is refused; use
    /// [`recognize`](Self::recognize) to accept bound tokens.
    ///
    /// # Errors
    ///
    /// [`Denial`] with the complete HTTP response: 401 if the token is not valid for this resource, 403 if it lacks a
    /// scope.
    pub fn decide(
        self,
        facts: Option<Arc<AccessTokenInfo>>,
        required: &ScopeSet,
        order: &(impl ScopeHierarchy + ?Sized),
        now: UnixTime,
    ) -> Result<AuthInfo, Denial> {
        match self.recognize(facts, required, now)? {
            Recognition::Done(recognized) => recognized.authorize(required, order),
            Recognition::CheckProof(step) => Err(step.refuse()),
        }
    }
}

impl<'a> Presented<'a> {
    /// Checks the token except for its scopes: the first half of [`decide`](Self::decide).
    ///
    /// A host calls this to read the body only of authenticated requests. `hint` contains the scopes that a client
    /// without a valid token should request.
    ///
    /// # Errors
    ///
    /// [`Denial`] with the complete HTTP response (401) if the token is unknown, expired, or issued by another server,
    /// has another audience, or is presented in the wrong scheme.
    pub fn recognize(
        self,
        facts: Option<Arc<AccessTokenInfo>>,
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
        // R-AUTH-3: the audience must be this resource; a token for a sibling or for a parent path is refused.
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

/// Result of [`Presented::recognize`].
#[derive(Clone, Debug)]
#[must_use = "nobody is let in until `authorize` says so"]
#[expect(clippy::exhaustive_enums, reason = "a host must take each step")]
pub enum Recognition<'a> {
    /// The token is valid for this resource.
    Done(Recognized<'a>),
    /// The token is valid if the client proves possession of its key.
    ///
    /// Requires the feature `dpop` and a resource that accepts bound tokens.
    CheckProof(CheckProof<'a>),
}
