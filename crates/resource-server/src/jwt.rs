//! Access tokens that an authorization server which is not ours has signed (RFC 9068 §4).
//!
//! | check, in this order | requirement | otherwise |
//! |---|---|---|
//! | it has 16 KiB at most, and says that it is of this issuer, byte for byte | RFC 9068 §4 | [`JwtRefused::NotOurs`] |
//! | the issuer's keys are known, and fresh if they can be | RFC 8414 §2 | [`JwtVerdict::NeedsKeys`], [`JwtVerdict::Unavailable`] |
//! | its header has the type of an access token, in the issuer's [profile](JwtProfile) | RFC 9068 §4, RFC 8725 §3.11 | [`JwtRefused::Type`] |
//! | one of the keys has signed it, in the key's own algorithm | RFC 9068 §4, RFC 8725 §3.1 | `NeedsKeys` at most every 30 seconds, then [`JwtRefused::NotSigned`] |
//! | its claims are those of an access token, in the issuer's profile | RFC 8725 §3.12 | [`JwtRefused::NotAccessToken`] |
//! | its claims have their form, and each is said once; 100 recipients at most; it says whose it is, whose client's, and when it expires | RFC 9068 §2.2 | [`JwtRefused::Claims`] |
//! | what it is bound to is a key that a proof can be shown for | RFC 9449 §6, RFC 7800 §3.1 | [`JwtRefused::Confirmation`] |
//! | it has begun, give or take a minute, and ends within a year | RFC 7519 §4.1 | [`JwtRefused::OutsideLifetime`] |
//!
//! Expiry, audience and scope are for [`Presented::decide`](crate::Presented::decide), as with every token.

mod claims;
mod profile;

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use client_auth::{InvalidKeys, VerifyingKeys, claimed_issuer, claimed_type};
use http::{Response, StatusCode};
use oauth_types::{
    ClientId, DocumentError, Issuer, KeySet, ResourceUri, Secret, SigningAlgorithm, TokenFacts,
    UnixTime,
};
use serde::Deserialize as _;
use serde_json::Value;

use crate::foreign::{Audiences, SKEW, bound_key};
use crate::kept::Kept;
use claims::{Claims, Signed, scopes};

pub use profile::JwtProfile;

/// The tokens of one authorization server that is not ours, and what is known of its keys: a plain value that the host
/// keeps.
///
/// ```
/// use http::Response;
/// use oauth_types::{Issuer, Secret, UnixTime};
/// use resource_server::{JwtTokens, JwtVerdict};
///
/// # fn fetch() -> Option<Response<bytes::Bytes>> { None }
/// let mut tokens = JwtTokens::new(Issuer::parse("https://as.example")?);
/// // The claims say {"iss":"https://as.example"}.
/// let token = Secret::new("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2FzLmV4YW1wbGUifQ.AAAA");
/// let now = UnixTime::from_secs(1_800_000_000);
/// if tokens.verify(&token, now) == JwtVerdict::NeedsKeys {
///     // The host fetches the set at the server's `jwks_uri`, once for all who wait.
///     let noted = tokens.fetched(fetch().as_ref(), now);
///     assert!(noted.is_err());
/// }
/// assert_eq!(tokens.verify(&token, now), JwtVerdict::Unavailable);
/// # Ok::<(), oauth_types::InvalidUri>(())
/// ```
#[derive(Clone, Debug)]
pub struct JwtTokens {
    issuer: Issuer,
    rsa: SigningAlgorithm,
    profile: JwtProfile,
    client_claim: Option<Box<str>>,
    scope_claim: Option<Box<str>>,
    audiences: Audiences,
    keys: Keys,
}

#[derive(Clone, Debug)]
enum Keys {
    Fixed(Arc<VerifyingKeys>),
    Published(Kept<VerifyingKeys>),
}

/// What is known about a token.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
#[expect(clippy::exhaustive_enums, reason = "a host must act on each verdict")]
pub enum JwtVerdict {
    /// It is the server's, and says this. Its end is a minute after `exp`: the server's clock may be off.
    Known(Arc<TokenFacts>),
    /// It is none of the server's access tokens.
    Refused(JwtRefused),
    /// The server's key set has to be fetched before anybody can tell: note what that brought, and ask again.
    NeedsKeys,
    /// Nobody can tell: there are no keys, and they could not be fetched a moment ago.
    Unavailable,
}

/// Why a token is refused: for the log.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum JwtRefused {
    /// It is no JWT, or says that it is of another issuer, or is too long.
    NotOurs,
    /// None of the server's keys has signed it.
    NotSigned,
    /// The header lacks the type of an access token in the issuer's [profile](JwtProfile).
    Type,
    /// The server has signed it as something else, such as an ID token.
    NotAccessToken,
    /// A claim is missing, there twice, or does not have its form.
    Claims,
    /// The claim that names the client is missing or no client identifier.
    NoClient,
    /// `sub` is missing or empty.
    NoSubject,
    /// It is bound to something that cannot be checked here.
    Confirmation,
    /// It has not begun yet, or is meant to last longer than a year.
    OutsideLifetime,
}

impl fmt::Display for JwtRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOurs => "it is no JWT of this issuer",
            Self::NotSigned => "no key of the issuer has signed it",
            Self::Type => {
                "the `typ` of its header is not that of an access token (`at+jwt`, RFC 9068); \
                 where the issuer types its access tokens otherwise, name its `JwtProfile`"
            }
            Self::NotAccessToken => {
                "its claims are not those of an access token in the issuer's `JwtProfile`: \
                 send the access token, not the ID token"
            }
            Self::NoClient => {
                "the claim that names the client is missing or malformed; \
                 where the issuer has it elsewhere, name it by `with_client_claim`"
            }
            Self::NoSubject => "`sub` is missing or empty",
            Self::Claims => "a claim is missing, there twice, or does not have its form",
            Self::Confirmation => "it is bound to something that cannot be checked here",
            Self::OutsideLifetime => "it has not begun yet, or lasts too long",
        })
    }
}

impl core::error::Error for JwtRefused {}

/// Why an attempt to fetch keys brought none: for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NoKeys {
    /// There is no answer.
    NoAnswer,
    /// The answer has this status.
    Status(StatusCode),
    /// The answer is no key set (RFC 7517 §5).
    Document(DocumentError),
    /// The set has no key that tokens could be verified with.
    Keys(InvalidKeys),
}

impl fmt::Display for NoKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer => f.write_str("there is no answer"),
            Self::Status(status) => write!(f, "the answer is {status}"),
            Self::Document(error) => error.fmt(f),
            Self::Keys(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for NoKeys {}

impl JwtTokens {
    /// Longest token that is read, in bytes.
    pub const MAX_BYTES: usize = 16 * 1024;
    /// How long keys are used before they have to be fetched again: for so long, a key that the server took back still
    /// counts.
    pub const FRESH: Duration = Duration::from_secs(5 * 60);
    /// How long they are used on while they cannot be fetched.
    pub const LONGEST: Duration = Duration::from_secs(60 * 60);
    /// How long before they are old they are fetched again, while they are used.
    const EARLY: Duration = Duration::from_secs(60);
    /// The longest that a token may be meant to last.
    const LIFETIME: Duration = Duration::from_secs(366 * 24 * 60 * 60);

    /// The tokens of the server with this issuer, whose keys are yet to be fetched.
    #[must_use]
    pub fn new(issuer: Issuer) -> Self {
        Self::of(issuer, Keys::Published(Kept::new(Self::FRESH, Self::LONGEST)))
    }

    /// The same with keys that never change. An RSA key that names no algorithm is used with RS256.
    ///
    /// # Errors
    ///
    /// [`InvalidKeys::NoUsableKey`]
    pub fn with_keys(issuer: Issuer, keys: &KeySet) -> Result<Self, InvalidKeys> {
        let keys = VerifyingKeys::of_server(keys, &SigningAlgorithm::Rs256)?;
        Ok(Self::of(issuer, Keys::Fixed(Arc::new(keys))))
    }

    fn of(issuer: Issuer, keys: Keys) -> Self {
        Self {
            issuer,
            rsa: SigningAlgorithm::Rs256,
            profile: JwtProfile::Rfc9068,
            client_claim: None,
            scope_claim: None,
            audiences: Audiences::new(),
            keys,
        }
    }

    /// Takes access tokens in the dialect of this provider. RFC 9068 if nothing is said.
    #[must_use]
    pub const fn with_profile(mut self, profile: JwtProfile) -> Self {
        self.profile = profile;
        self
    }

    /// Takes `name` in a token's audience for this resource: where the authorization server has a name of its own for
    /// it, such as `api://…`, a GUID or the identifier of an API. May be called for several names.
    ///
    /// The name is compared byte for byte. A token whose audience is the resource's identifier needs no name.
    #[must_use]
    pub fn with_audience(mut self, name: &str, resource: ResourceUri) -> Self {
        self.audiences.add(name, resource);
        self
    }

    /// Uses RSA keys that are fetched and name no algorithm with PS256 instead of RS256. It is the key that tells the
    /// algorithm, and never a token.
    #[must_use]
    pub fn with_ps256(mut self) -> Self {
        self.rsa = SigningAlgorithm::Ps256;
        self
    }

    /// Takes the client from another claim than the profile's, which is `client_id` in RFC 9068 (§2.2).
    #[must_use]
    pub fn with_client_claim(mut self, name: &str) -> Self {
        self.client_claim = Some(name.into());
        self
    }

    /// Takes the scopes from another claim than the profile's, which is `scope` in RFC 9068 (§2.2.3), such as `scp`.
    /// The claim may be one text or a list.
    #[must_use]
    pub fn with_scope_claim(mut self, name: &str) -> Self {
        self.scope_claim = Some(name.into());
        self
    }

    /// Whose tokens they are.
    #[must_use]
    pub const fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// What is known about a token.
    pub fn verify(&self, token: &Secret, now: UnixTime) -> JwtVerdict {
        let token = token.expose();
        let is_ours = |issuer: String| self.issuer.is(&issuer);
        if token.len() > Self::MAX_BYTES || !claimed_issuer(token).is_some_and(is_ours) {
            return JwtVerdict::Refused(JwtRefused::NotOurs);
        }
        let Some(keys) = self.fresh_keys(now) else {
            let may_fetch = self.may_fetch(now);
            return if may_fetch { JwtVerdict::NeedsKeys } else { JwtVerdict::Unavailable };
        };
        match keys.verify_typed::<Signed>(token, |typ| self.profile.is_type(typ)) {
            Some(Signed(claims)) => {
                let facts = claims.ok_or(JwtRefused::Claims);
                let facts = facts.and_then(|claims| self.read(&claims, now));
                facts.map_or_else(JwtVerdict::Refused, |facts| JwtVerdict::Known(Arc::new(facts)))
            }
            None if !claimed_type(token)
                .is_some_and(|typ| self.profile.is_type(typ.as_deref())) =>
            {
                JwtVerdict::Refused(JwtRefused::Type)
            }
            // The server may have a new key. Whoever makes tokens up makes nobody ask more often.
            None if self.may_fetch(now) => JwtVerdict::NeedsKeys,
            None => JwtVerdict::Refused(JwtRefused::NotSigned),
        }
    }

    /// The keys, unless they are old and a fetch is worth waiting for: after one that failed, it is not.
    fn fresh_keys(&self, now: UnixTime) -> Option<&Arc<VerifyingKeys>> {
        match &self.keys {
            Keys::Fixed(keys) => Some(keys),
            Keys::Published(kept) => {
                let is_worth_it = kept.is_stale(now) && kept.may_fetch(now) && !kept.has_failed();
                kept.value(now).filter(|_| !is_worth_it)
            }
        }
    }

    /// Whether the key set may be fetched now.
    #[must_use]
    pub fn may_fetch(&self, now: UnixTime) -> bool {
        matches!(&self.keys, Keys::Published(kept) if kept.may_fetch(now))
    }

    /// Whether it should be, although nobody has to wait for it: a minute before the keys are old, so that where
    /// tokens are shown all the time nobody ever waits.
    #[must_use]
    pub fn should_fetch(&self, now: UnixTime) -> bool {
        let soon = now.plus(Self::EARLY);
        matches!(&self.keys, Keys::Published(kept) if kept.is_stale(soon) && kept.may_fetch(now))
    }

    /// Notes the answer to a request for the key set that was sent now; `None` when there was none. Keys that are known
    /// are used on when there is no key set in it; a set without a key to verify with ends them.
    ///
    /// # Errors
    ///
    /// [`NoKeys`] says why it brought none.
    pub fn fetched(
        &mut self,
        answer: Option<&Response<Bytes>>,
        now: UnixTime,
    ) -> Result<(), NoKeys> {
        let (keys, outcome) = match self.published(answer) {
            Ok(keys) => (Some(keys), Ok(())),
            Err(why) => (None, Err(why)),
        };
        if let Keys::Published(kept) = &mut self.keys {
            kept.fetched(keys, now);
            // The server took all of them back, and says so.
            if matches!(outcome, Err(NoKeys::Keys(_))) {
                kept.clear();
            }
        }
        outcome
    }

    fn published(&self, answer: Option<&Response<Bytes>>) -> Result<VerifyingKeys, NoKeys> {
        let answer = answer.ok_or(NoKeys::NoAnswer)?;
        if answer.status() != StatusCode::OK {
            return Err(NoKeys::Status(answer.status()));
        }
        let set = KeySet::from_json(answer.body()).map_err(NoKeys::Document)?;
        VerifyingKeys::of_server(&set, &self.rsa).map_err(NoKeys::Keys)
    }

    /// What the claims of a token say that the server has signed.
    fn read(&self, claims: &Value, now: UnixTime) -> Result<TokenFacts, JwtRefused> {
        if !self.profile.is_access_token(claims) {
            return Err(JwtRefused::NotAccessToken);
        }
        let client =
            self.client_claim.as_deref().unwrap_or_else(|| self.profile.client_claim(claims));
        let client = claims.get(client).ok_or(JwtRefused::NoClient)?;
        let client_id = ClientId::deserialize(client).map_err(|_| JwtRefused::NoClient)?;
        let jkt = bound_key(claims.get("cnf")).map_err(|_| JwtRefused::Confirmation)?;
        let scope = self.scope_claim.as_deref().unwrap_or_else(|| self.profile.scope_claim(claims));
        let scopes = scopes(claims.get(scope)).ok_or(JwtRefused::Claims)?;
        let audience = self.profile.audience(claims).ok_or(JwtRefused::Claims)?;
        let audience = self.audiences.recipients(&audience).ok_or(JwtRefused::Claims)?;
        let claims = Claims::deserialize(claims).map_err(|_| JwtRefused::Claims)?;
        if !self.issuer.is(&claims.iss) {
            return Err(JwtRefused::Claims);
        }
        let subject = claims.sub.filter(|sub| !sub.is_empty()).ok_or(JwtRefused::NoSubject)?;
        let latest = now.plus(SKEW);
        let is_later = |time: Option<UnixTime>| time.is_some_and(|time| time > latest);
        if is_later(claims.nbf) || is_later(claims.iat) || claims.exp > latest.plus(Self::LIFETIME)
        {
            return Err(JwtRefused::OutsideLifetime);
        }
        Ok(TokenFacts::new(subject, client_id, self.issuer.clone())
            .with_scopes(scopes)
            .with_audience(audience)
            // The one place where the server's clock may be off.
            .with_expires_at(claims.exp.plus(SKEW))
            .with_jkt(jkt))
    }
}
