//! Does whoever shows a bound token hold its key? (RFC 9449 §7)
//!
//! | check, in this order | requirement | answer |
//! |---|---|---|
//! | there is one `DPoP` header beside `Authorization: DPoP` | RFC 9449 §4.3 | 401 `invalid_dpop_proof` |
//! | the token is good for this resource ([`decide`](crate::Presented::recognize)) | RFC 9449 §7.1 | 401 `invalid_token` |
//! | the proof is right, for this method, URL and token, and made within five minutes of now ([`PresentedProof`]) | RFC 9449 §4.3, SEP-1932 | 401 `invalid_dpop_proof` |
//! | it is of the key that the token is bound to | RFC 9449 §7.1 | 401 `invalid_token` |
//! | it carries a nonce of ours, where the resource asks for one | RFC 9449 §9 | 401 `use_dpop_nonce` |
//! | it is used for the first time | RFC 9449 §11.1 | 401 `invalid_dpop_proof` |
//!
//! Without the feature `dpop` nobody proves anything, and what is bound to a key is for nobody.
//!
//! [`PresentedProof`]: https://docs.rs/client-auth/latest/client_auth/struct.PresentedProof.html

use oauth_types::{ScopeSet, TokenType};

use crate::decide::Recognized;
use crate::denial::{Denial, DenialReason};
use crate::resource::Resource;

impl Resource {
    /// The scheme of this name, if this resource reads it.
    pub(crate) fn scheme(&self, name: &[u8]) -> Option<TokenType> {
        if name.eq_ignore_ascii_case(b"Bearer") {
            return Some(TokenType::Bearer);
        }
        let is_dpop = self.speaks_dpop() && name.eq_ignore_ascii_case(b"DPoP");
        is_dpop.then_some(TokenType::Dpop)
    }

    /// Whether proofs are read. Only the feature `dpop` switches that on.
    pub(crate) const fn speaks_dpop(&self) -> bool {
        self.metadata().dpop_signing_alg_values_supported.is_some()
    }

    /// Whether every token has to be bound to a key.
    pub(crate) const fn requires_dpop(&self) -> bool {
        self.metadata().dpop_bound_access_tokens_required
    }
}

/// A token that is good for this resource and bound to a key. That its sender holds this key is not proved yet.
#[derive(Clone, Debug)]
#[must_use = "nobody is let in before the key is proved"]
pub struct CheckProof<'a> {
    recognized: Recognized<'a>,
    hint: ScopeSet,
    #[cfg(feature = "dpop")]
    proof: prove::Proof,
}

impl CheckProof<'_> {
    /// The refusal of a host that looks at no proofs: a bound token is for nobody there.
    #[must_use]
    pub fn refuse(self) -> Denial {
        self.recognized.deny(DenialReason::BoundToken, &self.hint)
    }
}

#[cfg(feature = "dpop")]
pub use prove::CheckReplay;
#[cfg(feature = "dpop")]
pub(crate) use prove::Shown;

/// What a request shows of a key: nothing.
#[cfg(not(feature = "dpop"))]
#[derive(Clone, Debug)]
pub(crate) struct Shown;

#[cfg(not(feature = "dpop"))]
#[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "the shape of the feature dpop")]
impl Shown {
    pub(crate) const fn parse(
        _: &Resource,
        _: TokenType,
        _: &http::HeaderMap,
        _: &ScopeSet,
    ) -> Result<Self, Denial> {
        Ok(Self)
    }

    pub(crate) const fn scheme(&self) -> TokenType {
        TokenType::Bearer
    }
}

#[cfg(feature = "dpop")]
mod prove {
    use core::time::Duration;

    use client_auth::{InvalidProof, NonceKey, PresentedProof, Replay, UnusedProof, VerifyingKeys};
    use http::{HeaderMap, Method};
    use oauth_types::{
        EndpointUrl, Entropy, ScopeSet, Secret, SecretDigest, Thumbprint, TokenType, UnixTime,
    };

    use super::CheckProof;
    use crate::decide::{Recognition, Recognized};
    use crate::denial::{Denial, DenialReason};
    use crate::principal::Account;
    use crate::resource::Resource;

    impl Resource {
        /// Also takes tokens that are bound to a key (RFC 9449), from whoever proves to hold it.
        ///
        /// Says so in its metadata and, after Bearer, in its challenges.
        #[must_use]
        pub fn with_dpop(mut self) -> Self {
            let algorithms = Some(VerifyingKeys::ALGORITHMS.to_vec());
            self.metadata_mut().dpop_signing_alg_values_supported = algorithms;
            self
        }

        /// Takes only tokens that are bound to a key. Clients that know bearer tokens alone are not served: no
        /// challenge asks them for one.
        #[must_use]
        pub fn with_dpop_required(self) -> Self {
            let mut own = self.with_dpop();
            own.metadata_mut().dpop_bound_access_tokens_required = true;
            own
        }

        /// Takes only proofs that carry a nonce made with this key, which is 256 random bits and the same wherever
        /// this resource is served (RFC 9449 §9): a proof that was made ahead, by whoever had the client's key for a
        /// moment, is worth nothing later. It costs clients a second request every five minutes.
        #[must_use]
        pub fn with_dpop_nonces(self, key: &Entropy<32>) -> Self {
            let mut own = self.with_dpop();
            own.proofs_mut().nonces = Some(NonceKey::new(key));
            own
        }

        /// Takes only proofs that were made within this time of now, before or after it; 5 minutes if nothing is said,
        /// and at most (SEP-1932). A narrower window needs less memory for proofs that were used, and leaves out
        /// clients whose clocks are off by more.
        #[must_use]
        pub fn with_dpop_window(self, window: Duration) -> Self {
            let mut own = self.with_dpop();
            own.proofs_mut().window = window.min(PresentedProof::MAX_WINDOW);
            own
        }

        /// Says for which URL clients make their proofs, whatever path requests arrive at: for a server behind a proxy
        /// that changes paths. If nothing is said, it is the request's path at the resource's origin.
        #[must_use]
        pub fn with_dpop_endpoint(mut self, url: EndpointUrl) -> Self {
            self.proofs_mut().endpoint = Some(url);
            self
        }
    }

    /// What a resource asks of proofs.
    #[derive(Clone, Debug)]
    pub(crate) struct Proofs {
        nonces: Option<NonceKey>,
        endpoint: Option<EndpointUrl>,
        window: Duration,
    }

    impl Default for Proofs {
        fn default() -> Self {
            Self { nonces: None, endpoint: None, window: PresentedProof::MAX_WINDOW }
        }
    }

    /// What a request shows of a key.
    #[derive(Clone, Debug)]
    pub(crate) struct Shown(Option<PresentedProof>);

    impl Shown {
        pub(crate) fn parse(
            resource: &Resource,
            scheme: TokenType,
            headers: &HeaderMap,
            hint: &ScopeSet,
        ) -> Result<Self, Denial> {
            if scheme == TokenType::Bearer {
                return Ok(Self(None));
            }
            let proof = PresentedProof::parse(headers);
            match proof.and_then(|proof| proof.ok_or(InvalidProof::Missing)) {
                Ok(proof) => Ok(Self(Some(proof))),
                Err(error) => {
                    let reason = DenialReason::Proof(error);
                    Err(Denial::unauthorized(resource, Some(scheme), reason, hint))
                }
            }
        }

        pub(crate) const fn scheme(&self) -> TokenType {
            match self.0 {
                Some(_) => TokenType::Dpop,
                None => TokenType::Bearer,
            }
        }

        /// Goes on with a token that is good.
        pub(crate) fn recognition<'a>(
            self,
            recognized: Recognized<'a>,
            token: Secret,
            hint: &ScopeSet,
        ) -> Recognition<'a> {
            match (self.0, recognized.key()) {
                (Some(shown), Some(&bound)) => {
                    let proof = Proof { shown, token, bound };
                    let hint = hint.clone();
                    Recognition::CheckProof(CheckProof { recognized, hint, proof })
                }
                _ => Recognition::Done(recognized),
            }
        }
    }

    /// What is shown with a token, and what it has to show.
    #[derive(Clone, Debug)]
    pub(super) struct Proof {
        shown: PresentedProof,
        token: Secret,
        bound: Thumbprint,
    }

    impl<'a> CheckProof<'a> {
        /// Verifies the proof for a request with this method to this path. The path is the one that the client asked
        /// for, before any router took its prefix off; the origin is the resource's, whatever the request says.
        ///
        /// # Errors
        ///
        /// [`Denial`] with the finished reply.
        pub fn prove(
            self,
            method: &Method,
            path: &str,
            now: UnixTime,
        ) -> Result<CheckReplay<'a>, Denial> {
            let Self { recognized, hint, proof: Proof { shown, token, bound } } = self;
            let resource = recognized.resource();
            let Proofs { nonces, endpoint, window } = resource.proofs();
            let deny = |error| recognized.deny(DenialReason::Proof(error), &hint);
            let url = match endpoint {
                Some(url) => url.to_string(),
                None => format!("{}{path}", resource.uri().origin()),
            };
            let proof = shown.with_window(*window).verify(method, &url, Some(&token), now);
            let proof = proof.and_then(|proof| proof.of_key(&bound)).map_err(deny)?;
            if let Some(nonces) = nonces
                && !proof.nonce().is_some_and(|nonce| nonces.opens(nonce, now))
            {
                return Err(deny(InvalidProof::Nonce).with_nonce(&nonces.nonce(now)));
            }
            Ok(CheckReplay { recognized, hint, proof })
        }
    }

    /// A bound token whose sender holds its key, if the proof was not used before: asks the host to remember it, in
    /// one operation that tells whether it was known. Nobody gets here whose token and proof are not genuine.
    #[derive(Clone, Debug)]
    #[must_use = "nobody is let in before the replay check"]
    pub struct CheckReplay<'a> {
        recognized: Recognized<'a>,
        hint: ScopeSet,
        proof: UnusedProof,
    }

    impl<'a> CheckReplay<'a> {
        /// What to remember: a digest of the key and the proof's identifier (`jti`).
        #[must_use]
        pub const fn key(&self) -> &SecretDigest {
            self.proof.key()
        }

        /// Until when; from then on the proof has expired.
        #[must_use]
        pub const fn until(&self) -> UnixTime {
            self.proof.until()
        }

        /// The user whose quota the proof counts for.
        #[must_use]
        pub fn account(&self) -> Account {
            self.recognized.account()
        }

        /// Goes on with what the host's memory answered.
        ///
        /// # Errors
        ///
        /// [`Denial`] with the finished reply.
        pub fn resume(self, replay: Replay) -> Result<Recognized<'a>, Denial> {
            match self.proof.resume(replay) {
                Ok(_held) => Ok(self.recognized),
                Err(error) => Err(self.recognized.deny(DenialReason::Proof(error), &self.hint)),
            }
        }
    }
}
#[cfg(feature = "dpop")]
pub(crate) use prove::Proofs;
