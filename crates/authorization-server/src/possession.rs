//! Which key a token request proves that its sender holds (RFC 9449 §5).
//!
//! | check, in this order | requirement | error |
//! |---|---|---|
//! | there is one proof at most (before the client is looked up), and one where it has promised it (§5.2) | RFC 9449 §4.3 | `invalid_dpop_proof` |
//! | the proof is right, and made for this endpoint ([`PresentedProof`]) | RFC 9449 §4.3 | `invalid_dpop_proof` |
//! | it carries a nonce of ours, where the configuration asks for one | RFC 9449 §8 | `use_dpop_nonce` |
//! | it is used for the first time | RFC 9449 §11.1 | `invalid_dpop_proof` |
//!
//! Without the feature `dpop` nothing is proved, and the header is passed over. What is bound to a key then is for
//! nobody.
//!
//! [`PresentedProof`]: client_auth::PresentedProof

use client_auth::{HeldKey, InvalidProof};
use http::HeaderMap;
use oauth_types::{Thumbprint, UnixTime};

use crate::token::invalid_grant;
use crate::{Cause, ClientChecked, Config, Refusal};

/// What a token request shows of a key.
#[derive(Debug)]
pub(crate) struct Proof {
    #[cfg(feature = "dpop")]
    presented: Option<client_auth::PresentedProof>,
}

#[cfg(not(feature = "dpop"))]
#[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "the shape of the feature dpop")]
impl Proof {
    pub(crate) const fn parse(_: &HeaderMap) -> Result<Self, Refusal> {
        Ok(Self {})
    }

    pub(crate) fn check<'a, T>(
        self,
        _: &Config,
        is_promised: bool,
        _: UnixTime,
        next: impl FnOnce(Option<HeldKey>) -> Result<ClientChecked<'a, T>, Refusal> + Send + 'a,
    ) -> Result<ClientChecked<'a, T>, Refusal> {
        if is_promised { Err(refuse(InvalidProof::Missing)) } else { next(None) }
    }
}

#[cfg(feature = "dpop")]
impl Proof {
    pub(crate) fn parse(headers: &HeaderMap) -> Result<Self, Refusal> {
        let presented = client_auth::PresentedProof::parse(headers).map_err(refuse)?;
        Ok(Self { presented })
    }

    /// Goes on with the key, if one is proved; `is_promised` where the client has said that it always proves one.
    pub(crate) fn check<'a, T: 'a>(
        self,
        config: &Config,
        is_promised: bool,
        now: UnixTime,
        next: impl FnOnce(Option<HeldKey>) -> Result<ClientChecked<'a, T>, Refusal> + Send + 'a,
    ) -> Result<ClientChecked<'a, T>, Refusal> {
        let Some(presented) = self.presented else {
            return if is_promised { Err(refuse(InvalidProof::Missing)) } else { next(None) };
        };
        let proof = presented.verify(&http::Method::POST, config.token.as_str(), None, now);
        let proof = proof.map_err(refuse)?;
        let keys = &config.refresh_keys;
        if config.asks_for_nonces
            && !proof.nonce().is_some_and(|nonce| keys.opens_nonce(nonce, now))
        {
            return Err(Refusal::use_nonce(&keys.nonce(now)));
        }
        let (key, until) = (*proof.key(), proof.until());
        Ok(ClientChecked::once(key, until, |replay| {
            next(Some(proof.resume(replay).map_err(refuse)?))
        }))
    }
}

fn refuse(error: InvalidProof) -> Refusal {
    let code = oauth_types::TokenErrorCode::InvalidDpopProof;
    Refusal::token(Cause::Proof(error), code, "the DPoP proof is not valid")
}

/// A grant that is bound to a key is for whoever holds that key.
pub(crate) fn check_bound(bound: Option<Thumbprint>, held: Option<HeldKey>) -> Result<(), Refusal> {
    match (bound, held) {
        (Some(bound), Some(held)) if bound != *held.thumbprint() => {
            Err(invalid_grant(Cause::Proof(InvalidProof::OtherKey)))
        }
        (Some(_), None) => Err(invalid_grant(Cause::Proof(InvalidProof::Missing))),
        _ => Ok(()),
    }
}
