//! Verification of DPoP proofs, and the replay check after it (RFC 9449 §4.3, §11.1).

use client_auth::{DpopError, DpopKey, FirstUse, PresentedProof, Replay};
use http::{HeaderMap, Method};
use oauth_types::{ScopeSet, Secret, SecretDigest, Thumbprint, TokenType, UnixTime};

use super::CheckProof;
use crate::auth_info::Recognized;
use crate::denial::{Denial, DenialReason};
use crate::principal::Account;
use crate::resource::{ProofRules, Resource};

/// DPoP proof of a request, if it has one; not yet verified.
#[derive(Clone, Debug)]
pub(crate) struct RequestProof(Option<PresentedProof>);

impl RequestProof {
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
        match proof.and_then(|proof| proof.ok_or(DpopError::Missing)) {
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

    /// Returns the proof with the key that it must have, if the token is bound.
    pub(crate) fn into_proof(self, recognized: &Recognized<'_>, token: Secret) -> Option<Proof> {
        Some(Proof { shown: self.0?, token, bound: *recognized.key()? })
    }
}

/// DPoP proof, with the token and the key that it is checked against.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    shown: PresentedProof,
    token: Secret,
    bound: Thumbprint,
}

impl<'a> CheckProof<'a> {
    /// Verifies the proof for a request with this method and path (RFC 9449 §4.3).
    ///
    /// `path` is the path that the client requested, before a router removed a prefix. The origin is that of the
    /// resource, whatever `Host` the request names.
    ///
    /// # Errors
    ///
    /// [`Denial`] with the complete HTTP response (401) if the proof is invalid, is made with another key, or lacks a
    /// nonce.
    pub fn prove(
        self,
        method: &Method,
        path: &str,
        now: UnixTime,
    ) -> Result<CheckReplay<'a>, Denial> {
        let Self { recognized, hint, proof: Proof { shown, token, bound } } = self;
        let resource = recognized.resource();
        let ProofRules { nonces, endpoint, window } = resource.proof_rules();
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
            return Err(deny(DpopError::Nonce).with_nonce(&nonces.nonce(now)));
        }
        Ok(CheckReplay { recognized, hint, proof: proof.first_use() })
    }
}

/// Bound token with a valid proof, pending the replay check (RFC 9449 §11.1).
///
/// This step extends [`FirstUse`] in two ways: it names the account whose quota of remembered proofs is used, and its
/// refusal is the complete HTTP response. A value exists only for a valid token with a valid proof.
#[derive(Debug)]
#[must_use = "nobody is let in before the replay check"]
pub struct CheckReplay<'a> {
    recognized: Recognized<'a>,
    hint: ScopeSet,
    proof: FirstUse<DpopKey>,
}

impl<'a> CheckReplay<'a> {
    /// Returns the key to store: a digest of the key of the proof and its `jti`.
    #[must_use]
    pub const fn key(&self) -> &SecretDigest {
        self.proof.key()
    }

    /// Returns the expiry time of the proof, after which the key may be deleted.
    #[must_use]
    pub const fn until(&self) -> UnixTime {
        self.proof.until()
    }

    /// Returns the account whose quota of remembered proofs this proof counts against.
    #[must_use]
    pub fn account(&self) -> Account {
        self.recognized.account()
    }

    /// Continues with the result of the replay check.
    ///
    /// # Errors
    ///
    /// [`Denial`] with the complete HTTP response (401) if the proof was used before.
    pub fn resume(self, replay: Replay) -> Result<Recognized<'a>, Denial> {
        match self.proof.resume(replay) {
            Ok(_held) => Ok(self.recognized),
            Err(replayed) => {
                let reason = DenialReason::Proof(replayed.into());
                Err(self.recognized.deny(reason, &self.hint))
            }
        }
    }
}
