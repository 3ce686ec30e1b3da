//! Proof of possession (DPoP) in token requests (RFC 9449 §5).
//!
//! | check, in this order | requirement | error |
//! |---|---|---|
//! | at most one proof is present (before the client is looked up) | RFC 9449 §4.3 | `invalid_dpop_proof` |
//! | a proof is present if the client's `dpop_bound_access_tokens` is set | RFC 9449 §5.2 | `invalid_dpop_proof` |
//! | the proof is valid for this endpoint ([`PresentedProof`]) | RFC 9449 §4.3 | `invalid_dpop_proof` |
//! | the proof carries a nonce of this server, if the configuration asks for one | RFC 9449 §8 | `use_dpop_nonce` |
//! | then the grant is found and checked ([`token`](mod@crate::token)) | | |
//! | the proof is signed with the key to which the grant is bound, if any | RFC 9449 §5 | `invalid_grant` |
//! | the proof is used for the first time | RFC 9449 §11.1 | `invalid_dpop_proof` |
//!
//! The proof is remembered last, because any attacker can sign one: a request with a made-up code or token writes
//! nothing.
//!
//! Without the feature `dpop` the header is ignored, and a grant that is bound to a key is refused.
//!
//! [`PresentedProof`]: client_auth::PresentedProof

use client_auth::{DpopError, DpopKey};
use http::HeaderMap;
use oauth_types::{Thumbprint, UnixTime};

use crate::config::Config;
#[cfg(feature = "dpop")]
use crate::first_use::use_once;
use crate::refusal::{Cause, Refusal};
use crate::store::Store;

/// DPoP proof of a token request, if one was sent; not verified yet.
#[derive(Debug)]
pub(crate) struct Proof {
    #[cfg(feature = "dpop")]
    presented: Option<client_auth::PresentedProof>,
}

/// Requirement of a proof in a token request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ProofNeed {
    /// The client has registered that it always sends a proof (`dpop_bound_access_tokens`, RFC 9449 §5.2).
    Promised,
    /// The client may send a proof.
    Optional,
}

/// Verified proof that is not remembered yet, if one was sent.
#[derive(Debug)]
pub(crate) struct CheckedProof {
    #[cfg(feature = "dpop")]
    verified: Option<client_auth::VerifiedProof>,
}

#[cfg(not(feature = "dpop"))]
#[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "the shape of the feature dpop")]
impl Proof {
    pub(crate) const fn parse(_: &HeaderMap) -> Result<Self, Refusal> {
        Ok(Self {})
    }

    pub(crate) fn check(
        self,
        _: &Config,
        need: ProofNeed,
        _: UnixTime,
    ) -> Result<CheckedProof, Refusal> {
        match need {
            ProofNeed::Promised => Err(refuse(DpopError::Missing)),
            ProofNeed::Optional => Ok(CheckedProof {}),
        }
    }
}

#[cfg(not(feature = "dpop"))]
#[expect(clippy::unused_async, reason = "the shape of the feature dpop")]
impl CheckedProof {
    pub(crate) async fn first_use(
        self,
        _: &impl Store,
        bound: Option<Thumbprint>,
        _: UnixTime,
    ) -> Result<Option<DpopKey>, Refusal> {
        match bound {
            Some(_) => Err(Refusal::invalid_grant(Cause::Proof(DpopError::Missing))),
            None => Ok(None),
        }
    }
}

#[cfg(feature = "dpop")]
impl Proof {
    pub(crate) fn parse(headers: &HeaderMap) -> Result<Self, Refusal> {
        let presented = client_auth::PresentedProof::parse(headers).map_err(refuse)?;
        Ok(Self { presented })
    }

    /// Verifies the proof, if one was sent.
    pub(crate) fn check(
        self,
        config: &Config,
        need: ProofNeed,
        now: UnixTime,
    ) -> Result<CheckedProof, Refusal> {
        let Some(presented) = self.presented else {
            return match need {
                ProofNeed::Promised => Err(refuse(DpopError::Missing)),
                ProofNeed::Optional => Ok(CheckedProof { verified: None }),
            };
        };
        let proof = presented.verify(&http::Method::POST, config.token.as_str(), None, now);
        let proof = proof.map_err(refuse)?;
        let keys = &config.server_keys;
        if config.asks_for_nonces
            && !proof.nonce().is_some_and(|nonce| keys.opens_nonce(nonce, now))
        {
            return Err(Refusal::use_nonce(&keys.nonce(now)));
        }
        Ok(CheckedProof { verified: Some(proof) })
    }
}

#[cfg(feature = "dpop")]
impl CheckedProof {
    /// Returns the proven key, if any, and remembers the proof; the last check of a grant.
    ///
    /// `bound` is the key to which the grant is bound, if any.
    pub(crate) async fn first_use(
        self,
        store: &impl Store,
        bound: Option<Thumbprint>,
        now: UnixTime,
    ) -> Result<Option<DpopKey>, Refusal> {
        let other = |error| Refusal::invalid_grant(Cause::Proof(error));
        let proof = match (self.verified, bound) {
            (None, None) => return Ok(None),
            (None, Some(_)) => return Err(other(DpopError::Missing)),
            (Some(proof), None) => proof,
            (Some(proof), Some(bound)) => proof.of_key(&bound).map_err(other)?,
        };
        let step = proof.first_use();
        use_once(store, step, now, |replayed| refuse(replayed.into())).await.map(Some)
    }
}

fn refuse(error: DpopError) -> Refusal {
    let code = oauth_types::TokenErrorCode::InvalidDpopProof;
    Refusal::token(Cause::Proof(error), code, "the DPoP proof is not valid")
}
