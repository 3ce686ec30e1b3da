//! May this request in?
//!
//! | check, in this order | requirement | answer |
//! |---|---|---|
//! | a loopback server is asked for under a loopback name | | 403 |
//! | there is an `Authorization: Bearer` header; no other place is looked at | R-AUTH-1, R-AUTH-2 | 401 without `error` |
//! | there is one, with one well-formed token | R-AUTH-7 | 400 `invalid_request` |
//! | somebody knows the token | R-AUTH-1 | 401 `invalid_token` |
//! | it says when it expires, and has not | R-AUTH-1 | 401 `invalid_token` |
//! | it is for this resource | R-AUTH-3 | 401 `invalid_token` |
//! | it grants what the operation needs | R-AUTH-4, R-AUTH-5 | 403 `insufficient_scope` |

use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderMap, StatusCode};
use oauth_types::{
    ClientId, Issuer, Origin, ResourceUri, ScopeSet, Secret, SecretDigest, UnixTime,
};
use scope_stepup::{ScopeOrder, check};

use crate::{Denial, DenialReason, Principal, Resource};

/// What a verifier knows about a token that it recognized.
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
    /// When it expires. A token that does not say is refused.
    pub expires_at: Option<UnixTime>,
}

/// A well-formed token out of a request. Nothing is known about it yet.
#[derive(Clone, Debug)]
#[must_use = "nobody is let in until `decide` says so"]
pub struct Presented<'a> {
    resource: &'a Resource,
    token: Secret,
}

impl Resource {
    /// Takes the token out of a request's headers: from one `Authorization: Bearer` header and from
    /// nowhere else. `hint` are the scopes that a client without a token should ask for.
    ///
    /// # Errors
    ///
    /// [`Denial`] with the finished reply.
    pub fn present(&self, headers: &HeaderMap, hint: &ScopeSet) -> Result<Presented<'_>, Denial> {
        self.check_host(headers)?;
        // R-AUTH-2
        let mut lines = headers.get_all(AUTHORIZATION).iter();
        let (Some(line), second) = (lines.next(), lines.next()) else {
            return Err(Denial::unauthorized(self, DenialReason::NoToken, hint));
        };
        // R-AUTH-7
        if second.is_some() {
            return Err(Denial::malformed(self));
        }
        let line = line.as_bytes();
        let at = line.iter().position(|&byte| byte == b' ').unwrap_or(line.len());
        let (scheme, rest) = line.split_at(at);
        if !scheme.eq_ignore_ascii_case(b"Bearer") {
            return Err(Denial::unauthorized(self, DenialReason::NoToken, hint));
        }
        let token = rest.iter().position(|&byte| byte != b' ').and_then(|start| rest.get(start..));
        match token.and_then(b64token) {
            Some(token) => Ok(Presented { resource: self, token: Secret::new(token) }),
            None => Err(Denial::malformed(self)),
        }
    }

    /// A server on a loopback address answers to loopback names only, so that a page which rebinds its DNS
    /// to this machine gets nothing. `Host` decides nothing else.
    fn check_host(&self, headers: &HeaderMap) -> Result<(), Denial> {
        if !self.uri().origin().is_loopback() {
            return Ok(());
        }
        let is_own = |url: String| Origin::of(&url).is_ok_and(|origin| origin.is_loopback());
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let host = text(HOST).is_none_or(|host| is_own(format!("http://{host}")));
        let origin = text(ORIGIN).is_none_or(|origin| is_own(origin.to_owned()));
        if host && origin {
            return Ok(());
        }
        Err(Denial::plain(DenialReason::ForeignHost, StatusCode::FORBIDDEN, "foreign_host"))
    }
}

/// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="` (RFC 6750 §2.1).
fn b64token(bytes: &[u8]) -> Option<&str> {
    let padding = bytes.iter().rev().take_while(|&&byte| byte == b'=').count();
    let body = bytes.get(..bytes.len() - padding)?;
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(b);
    if body.is_empty() || !body.iter().all(allowed) {
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

    /// Decides, with what the verifier knows; `None` when it knows nothing.
    ///
    /// # Errors
    ///
    /// [`Denial`] with the finished reply.
    pub fn decide(
        self,
        facts: Option<TokenFacts>,
        required: &ScopeSet,
        order: &(impl ScopeOrder + ?Sized),
        now: UnixTime,
    ) -> Result<Granted, Denial> {
        self.recognize(facts, required, now)?.authorize(required, order)
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
        facts: Option<TokenFacts>,
        hint: &ScopeSet,
        now: UnixTime,
    ) -> Result<Recognized<'a>, Denial> {
        let deny = |reason| Err(Denial::unauthorized(self.resource, reason, hint));
        // R-AUTH-1
        let Some(facts) = facts else { return deny(DenialReason::UnknownToken) };
        if facts.expires_at.is_none_or(|end| now >= end) {
            return deny(DenialReason::ExpiredToken);
        }
        // R-AUTH-3: a token for this very resource; one for a sibling or for all above it is not.
        let own = self.resource.uri();
        if !facts.audience.iter().any(|audience| audience.covers(own) && own.covers(audience)) {
            return deny(DenialReason::WrongAudience);
        }
        Ok(Recognized { resource: self.resource, facts })
    }
}

/// A token that is good for this resource. What it may do here is not decided yet.
#[derive(Clone, Debug)]
#[must_use = "nobody is let in until `authorize` says so"]
pub struct Recognized<'a> {
    resource: &'a Resource,
    facts: TokenFacts,
}

impl Recognized<'_> {
    /// The second half of [`Presented::decide`]: does the token grant what the operation needs?
    ///
    /// # Errors
    ///
    /// [`Denial`] with the finished reply.
    pub fn authorize(
        self,
        required: &ScopeSet,
        order: &(impl ScopeOrder + ?Sized),
    ) -> Result<Granted, Denial> {
        // R-AUTH-4, R-AUTH-5
        check(&self.facts.scopes, required, order)
            .map_err(|missing| Denial::insufficient(self.resource, &missing))?;
        Ok(Granted { facts: self.facts })
    }
}

/// A request that may in, and who makes it. Only [`Presented::decide`] makes one. It does not hold the
/// token: handlers have no use for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Granted {
    facts: TokenFacts,
}

impl Granted {
    /// The user; the client itself where no user is involved.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.facts.subject
    }

    /// The client that the token was given to.
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        &self.facts.client_id
    }

    /// The authorization server that gave it.
    #[must_use]
    pub const fn issuer(&self) -> &Issuer {
        &self.facts.issuer
    }

    /// What it grants.
    #[must_use]
    pub const fn scopes(&self) -> &ScopeSet {
        &self.facts.scopes
    }

    /// Who this is, for binding a session.
    #[must_use]
    pub fn principal(&self) -> Principal {
        Principal::new(&self.facts.issuer, &self.facts.client_id, &self.facts.subject)
    }
}
