//! The checks of a proof, and the replay check after them (RFC 9449 §4.3, §11.1).

use client_auth::{FirstUse, HeldKey, InvalidProof, PresentedProof, Replay};
use http::{HeaderMap, Method};
use oauth_types::{ScopeSet, Secret, SecretDigest, Thumbprint, TokenType, UnixTime};

use super::CheckProof;
use crate::denial::{Denial, DenialReason};
use crate::granted::Recognized;
use crate::principal::Account;
use crate::resource::{ProofRules, Resource};

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

    /// Returns what has to be proved of a good token, if it is bound to a key.
    pub(crate) fn into_proof(self, recognized: &Recognized<'_>, token: Secret) -> Option<Proof> {
        Some(Proof { shown: self.0?, token, bound: *recognized.key()? })
    }
}

/// What is shown with a token, and what it has to show.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
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
            return Err(deny(InvalidProof::Nonce).with_nonce(&nonces.nonce(now)));
        }
        Ok(CheckReplay { recognized, hint, proof: proof.first_use() })
    }
}

/// Bound token whose sender holds its key, if the proof is used for the first time.
///
/// A [`FirstUse`] of the proof and more: it names the account whose quota the memory counts, which is asked before
/// the outcome is known, and its refusal is the finished reply of the resource. Only a genuine token and proof lead
/// to one.
#[derive(Debug)]
#[must_use = "nobody is let in before the replay check"]
pub struct CheckReplay<'a> {
    recognized: Recognized<'a>,
    hint: ScopeSet,
    proof: FirstUse<HeldKey>,
}

impl<'a> CheckReplay<'a> {
    /// Returns the key to remember: a digest of the proof's key and its identifier (`jti`).
    #[must_use]
    pub const fn key(&self) -> &SecretDigest {
        self.proof.key()
    }

    /// Returns the time at which the proof expires, and its key may be forgotten.
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
            Err(replayed) => {
                let reason = DenialReason::Proof(replayed.into());
                Err(self.recognized.deny(reason, &self.hint))
            }
        }
    }
}
