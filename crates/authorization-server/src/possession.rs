//! Which key a token request proves that its sender holds (RFC 9449 §5).
//!
//! | check, in this order | requirement | error |
//! |---|---|---|
//! | there is one proof at most (before the client is looked up), and one where it has promised it (§5.2) | RFC 9449 §4.3 | `invalid_dpop_proof` |
//! | the proof is right, and made for this endpoint ([`PresentedProof`]) | RFC 9449 §4.3 | `invalid_dpop_proof` |
//! | it carries a nonce of ours, where the configuration asks for one | RFC 9449 §8 | `use_dpop_nonce` |
//! | then the grant is found and checked ([`token`](mod@crate::token)) | | |
//! | it is of the key that the grant is bound to, if to any | RFC 9449 §5 | `invalid_grant` |
//! | it is used for the first time | RFC 9449 §11.1 | `invalid_dpop_proof` |
//!
//! Anybody can sign a proof, so it is remembered last: a request with a made-up code or token writes nothing.
//!
//! Without the feature `dpop` nothing is proved, and the header is passed over. What is bound to a key then is for
//! nobody.
//!
//! [`PresentedProof`]: client_auth::PresentedProof

use client_auth::{HeldKey, InvalidProof};
use http::HeaderMap;
use oauth_types::{Thumbprint, UnixTime};

use crate::config::Config;
#[cfg(feature = "dpop")]
use crate::first_use::use_once;
use crate::refusal::{Cause, Refusal};
use crate::store::Store;

/// What a token request shows of a key.
#[derive(Debug)]
pub(crate) struct Proof {
    #[cfg(feature = "dpop")]
    presented: Option<client_auth::PresentedProof>,
}

/// Need of a proof with a token request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ProofNeed {
    /// The client has registered that it always sends one (`dpop_bound_access_tokens`, RFC 9449 §5.2).
    Promised,
    Optional,
}

/// A proof that is right and not remembered yet; nothing where none was sent.
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
            ProofNeed::Promised => Err(refuse(InvalidProof::Missing)),
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
    ) -> Result<Option<HeldKey>, Refusal> {
        match bound {
            Some(_) => Err(Refusal::invalid_grant(Cause::Proof(InvalidProof::Missing))),
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

    /// Verifies the proof, if there is one.
    pub(crate) fn check(
        self,
        config: &Config,
        need: ProofNeed,
        now: UnixTime,
    ) -> Result<CheckedProof, Refusal> {
        let Some(presented) = self.presented else {
            return match need {
                ProofNeed::Promised => Err(refuse(InvalidProof::Missing)),
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
    /// Returns the key, if one is proved, for a grant that is bound to this one, if to any. It is the last check of a
    /// grant.
    pub(crate) async fn first_use(
        self,
        store: &impl Store,
        bound: Option<Thumbprint>,
        now: UnixTime,
    ) -> Result<Option<HeldKey>, Refusal> {
        let other = |error| Refusal::invalid_grant(Cause::Proof(error));
        let proof = match (self.verified, bound) {
            (None, None) => return Ok(None),
            (None, Some(_)) => return Err(other(InvalidProof::Missing)),
            (Some(proof), None) => proof,
            (Some(proof), Some(bound)) => proof.of_key(&bound).map_err(other)?,
        };
        let step = proof.first_use();
        use_once(store, step, now, |replayed| refuse(replayed.into())).await.map(Some)
    }
}

fn refuse(error: InvalidProof) -> Refusal {
    let code = oauth_types::TokenErrorCode::InvalidDpopProof;
    Refusal::token(Cause::Proof(error), code, "the DPoP proof is not valid")
}
