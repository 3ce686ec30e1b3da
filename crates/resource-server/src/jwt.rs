//! JWT access tokens of an external issuer (RFC 9068 §4).
//!
//! | check, in this order | requirement | otherwise |
//! |---|---|---|
//! | at most 16 KiB; `iss` is this issuer, byte for byte | RFC 9068 §4 | [`JwtRefused::NotOurs`] |
//! | keys are known | RFC 8414 §2 | [`NeedsKeys`](JwtVerdict::NeedsKeys), [`Unavailable`](JwtVerdict::Unavailable) |
//! | `typ` fits the [profile](JwtProfile) of the issuer | RFC 9068 §4, RFC 8725 §3.11 | [`JwtRefused::Type`] |
//! | one of the keys verifies the signature, in the key's algorithm | RFC 8725 §3.1 | [`JwtRefused::NotSigned`] |
//! | no claim is repeated | RFC 7519 §4 | [`JwtRefused::Claims`] |
//! | the claims are those of an access token in this profile | RFC 8725 §3.12 | [`JwtRefused::NotAccessToken`] |
//! | a client is named | RFC 9068 §2.2 | [`JwtRefused::NoClient`] |
//! | `cnf` is absent or has the thumbprint of a key | RFC 9449 §6, RFC 7800 §3.1 | [`JwtRefused::Confirmation`] |
//! | the other claims are well-formed, with at most 100 audience members | RFC 9068 §2.2 | [`JwtRefused::Claims`] |
//! | `sub` is present and not empty | RFC 9068 §2.2 | [`JwtRefused::NoSubject`] |
//! | `iat` and `nbf` are reached, `exp` is within a year | RFC 7519 §4.1 | [`JwtRefused::OutsideLifetime`] |
//!
//! Keys that are stale are fetched again before they are used, if that is possible. A signature that no key verifies
//! first leads to `NeedsKeys`, at most every 30 seconds. Times have a tolerance of 60 seconds.
//!
//! [`Presented::decide`](crate::Presented::decide) checks expiry, audience and scope, as for every token.

mod claims;
mod error;
mod profile;

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use client_auth::{InvalidKeys, VerifyingKeys, claimed_issuer, claimed_type};
use http::{Response, StatusCode};
use oauth_types::{
    AccessTokenInfo, ClaimNames, ClientId, Issuer, JwkSet, ResourceUri, Secret, SigningAlgorithm,
    Subject, UnixTime,
};
use serde::Deserialize as _;
use serde_json::Value;

use crate::cached::Cached;
use crate::foreign::{Audiences, SKEW, bound_key};
use claims::{Claims, Signed, scopes};

pub use error::{JwtRefused, NoKeys};
pub use profile::JwtProfile;

/// Verifier of the JWT access tokens of one external issuer, with its cached keys.
///
/// A plain value that the host stores; it performs no I/O.
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
    extra_claims: ClaimNames,
    audiences: Audiences,
    keys: Keys,
}

#[derive(Clone, Debug)]
enum Keys {
    Fixed(Arc<VerifyingKeys>),
    Published(Cached<VerifyingKeys>),
}

/// Result of verifying a token.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
#[expect(clippy::exhaustive_enums, reason = "a host must act on each verdict")]
pub enum JwtVerdict {
    /// The token is valid; `expires_at` is 60 seconds after `exp`, because clocks differ.
    Known(Arc<AccessTokenInfo>),
    /// The token is not an access token of the issuer.
    Refused(JwtRefused),
    /// The key set of the issuer is needed: fetch it, call [`fetched`](JwtTokens::fetched), and verify again.
    NeedsKeys,
    /// No keys are known, and the last attempt to fetch them was a moment ago.
    Unavailable,
}

impl JwtTokens {
    /// Maximum length of a token, in bytes.
    pub const MAX_BYTES: usize = 16 * 1024;
    /// Time after which keys are fetched again; a withdrawn key remains accepted until then.
    pub const FRESH: Duration = Duration::from_secs(5 * 60);
    /// Time after a fetch for which keys remain in use if they cannot be refreshed.
    pub const LONGEST: Duration = Duration::from_secs(60 * 60);
    /// Time before keys become stale at which they are refreshed.
    const EARLY: Duration = Duration::from_secs(60);
    /// Maximum remaining lifetime of a token.
    const LIFETIME: Duration = Duration::from_secs(366 * 24 * 60 * 60);

    /// Creates a verifier for an issuer whose keys are fetched.
    #[must_use]
    pub fn new(issuer: Issuer) -> Self {
        Self::of(issuer, Keys::Published(Cached::new(Self::FRESH, Self::LONGEST)))
    }

    /// Creates a verifier for an issuer with fixed keys.
    ///
    /// An RSA key without `alg` is used with RS256.
    ///
    /// # Errors
    ///
    /// [`InvalidKeys::NoUsableKey`] if the JWK Set contains no usable key.
    pub fn with_keys(issuer: Issuer, keys: &JwkSet) -> Result<Self, InvalidKeys> {
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
            extra_claims: ClaimNames::none(),
            audiences: Audiences::new(),
            keys,
        }
    }

    /// Sets the token dialect of the issuer; the default is RFC 9068.
    #[must_use]
    pub const fn with_profile(mut self, profile: JwtProfile) -> Self {
        self.profile = profile;
        self
    }

    /// Accepts `name` in the audience of a token as a name of this resource.
    ///
    /// Use this for an authorization server with names of its own for resources, such as `api://…`, a GUID or an API
    /// identifier. Call it once for each name.
    ///
    /// The name is compared byte for byte. The identifier of the resource itself is always accepted.
    #[must_use]
    pub fn with_audience(mut self, name: &str, resource: ResourceUri) -> Self {
        self.audiences.add(name, resource);
        self
    }

    /// Uses fetched RSA keys without `alg` with PS256 instead of RS256.
    ///
    /// The algorithm comes from the key, never from the token.
    #[must_use]
    pub fn with_ps256(mut self) -> Self {
        self.rsa = SigningAlgorithm::Ps256;
        self
    }

    /// Takes the client from this claim instead of the profile's (`client_id`, RFC 9068 §2.2).
    #[must_use]
    pub fn with_client_claim(mut self, name: &str) -> Self {
        self.client_claim = Some(name.into());
        self
    }

    /// Takes the scopes from this claim, such as `scp`, instead of the profile's claim.
    ///
    /// The claim is a string or a list; RFC 9068 §2.2.3 uses `scope`.
    #[must_use]
    pub fn with_scope_claim(mut self, name: &str) -> Self {
        self.scope_claim = Some(name.into());
        self
    }

    /// Passes these further claims of a token on to handlers, which read them with [`AuthInfo::claim`].
    ///
    /// Nothing else of a token is stored. The claims grant nothing by themselves.
    ///
    /// [`AuthInfo::claim`]: crate::AuthInfo::claim
    #[must_use]
    pub fn with_extra_claims(mut self, names: ClaimNames) -> Self {
        self.extra_claims = names;
        self
    }

    /// Returns the issuer whose tokens are verified.
    #[must_use]
    pub const fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Verifies a token with the known keys.
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
            // The issuer may have a new key. The pause between fetches applies, so invented tokens cause no further
            // requests.
            None if self.may_fetch(now) => JwtVerdict::NeedsKeys,
            None => JwtVerdict::Refused(JwtRefused::NotSigned),
        }
    }

    /// Returns the keys, unless they are stale and a fetch may help; after a failed fetch stale keys are used.
    fn fresh_keys(&self, now: UnixTime) -> Option<&Arc<VerifyingKeys>> {
        match &self.keys {
            Keys::Fixed(keys) => Some(keys),
            Keys::Published(kept) => {
                let is_worth_it = kept.is_stale(now) && kept.may_fetch(now) && !kept.has_failed();
                kept.value(now).filter(|_| !is_worth_it)
            }
        }
    }

    /// Returns `true` if the key set may be fetched now.
    #[must_use]
    pub fn may_fetch(&self, now: UnixTime) -> bool {
        matches!(&self.keys, Keys::Published(kept) if kept.may_fetch(now))
    }

    /// Returns `true` if the key set should be refreshed in the background.
    ///
    /// This is the case from one minute before the keys become stale, so that under steady traffic no request waits.
    #[must_use]
    pub fn should_fetch(&self, now: UnixTime) -> bool {
        let soon = now.saturating_add(Self::EARLY);
        matches!(&self.keys, Keys::Published(kept) if kept.is_stale(soon) && kept.may_fetch(now))
    }

    /// Stores the response to a key set request that was sent at `now`; `None` if there was none.
    ///
    /// Without a valid JWK Set the known keys remain in use. A JWK Set without a usable key removes them.
    ///
    /// # Errors
    ///
    /// [`NoKeys`] with the reason why no key was stored.
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
            // The issuer has withdrawn all keys.
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
        let set = JwkSet::from_json(answer.body()).map_err(NoKeys::Document)?;
        VerifyingKeys::of_server(&set, &self.rsa).map_err(NoKeys::Keys)
    }

    /// Reads the claims of a token whose signature is verified.
    fn read(&self, claims: &Value, now: UnixTime) -> Result<AccessTokenInfo, JwtRefused> {
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
        let extra = self.extra_claims.select(|name| claims.get(name).cloned());
        let claims = Claims::deserialize(claims).map_err(|_| JwtRefused::Claims)?;
        if !self.issuer.is(&claims.iss) {
            return Err(JwtRefused::Claims);
        }
        let subject = claims.sub.and_then(|sub| Subject::try_from(sub).ok());
        let subject = subject.ok_or(JwtRefused::NoSubject)?;
        let latest = now.saturating_add(SKEW);
        let is_later = |time: Option<UnixTime>| time.is_some_and(|time| time > latest);
        if is_later(claims.nbf)
            || is_later(claims.iat)
            || claims.exp > latest.saturating_add(Self::LIFETIME)
        {
            return Err(JwtRefused::OutsideLifetime);
        }
        Ok(AccessTokenInfo::new(subject, client_id, self.issuer.clone())
            .with_scopes(scopes)
            .with_audience(audience)
            // Only here is the difference between the clocks taken into account.
            .with_expires_at(claims.exp.saturating_add(SKEW))
            .with_jkt(jkt)
            .with_claims(extra))
    }
}
