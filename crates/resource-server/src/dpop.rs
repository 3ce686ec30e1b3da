//! DPoP: proof of possession of the key that a token is bound to (RFC 9449 §7).
//!
//! | check, in this order | requirement | answer |
//! |---|---|---|
//! | there is one `DPoP` header beside `Authorization: DPoP` | RFC 9449 §4.3 | 401 `invalid_dpop_proof` |
//! | the token is valid for this resource ([`Presented::recognize`]) | RFC 9449 §7.1 | 401 `invalid_token` |
//! | the proof matches method, URL and token ([`PresentedProof`]) | RFC 9449 §4.3 | 401 `invalid_dpop_proof` |
//! | the proof was made within five minutes before or after now | SEP-1932 | 401 `invalid_dpop_proof` |
//! | the key of the proof is the key that the token is bound to | RFC 9449 §7.1 | 401 `invalid_token` |
//! | the proof carries a nonce of this resource, where required | RFC 9449 §9 | 401 `use_dpop_nonce` |
//! | the proof is used for the first time | RFC 9449 §11.1 | 401 `invalid_dpop_proof` |
//!
//! Without the feature `dpop` proofs are not read, and a bound token is refused.
//!
//! [`Presented::recognize`]: crate::Presented::recognize
//! [`PresentedProof`]: https://docs.rs/client-auth/latest/client_auth/struct.PresentedProof.html

#[cfg(feature = "dpop")]
mod prove;

use oauth_types::ScopeSet;
#[cfg(not(feature = "dpop"))]
use oauth_types::{Secret, TokenType};

use crate::auth_info::Recognized;
use crate::denial::{Denial, DenialReason};
#[cfg(not(feature = "dpop"))]
use crate::resource::Resource;

#[cfg(feature = "dpop")]
pub use prove::CheckReplay;
#[cfg(feature = "dpop")]
pub(crate) use prove::{Proof, RequestProof};

/// Bound token that is valid for this resource, if the client proves possession of its key.
#[derive(Clone, Debug)]
#[must_use = "nobody is let in before the key is proved"]
pub struct CheckProof<'a> {
    recognized: Recognized<'a>,
    hint: ScopeSet,
    #[cfg_attr(
        not(feature = "dpop"),
        expect(dead_code, reason = "says that there is no such value")
    )]
    proof: Proof,
}

impl<'a> CheckProof<'a> {
    pub(crate) fn new(recognized: Recognized<'a>, hint: &ScopeSet, proof: Proof) -> Self {
        Self { recognized, hint: hint.clone(), proof }
    }

    /// Returns the denial for a host that does not accept bound tokens.
    #[must_use]
    pub fn refuse(self) -> Denial {
        self.recognized.deny(DenialReason::BoundToken, &self.hint)
    }
}

/// Proof of possession; uninhabited without the feature `dpop`.
#[cfg(not(feature = "dpop"))]
#[derive(Clone, Debug)]
pub(crate) enum Proof {}

/// DPoP part of a request; empty without the feature `dpop`.
#[cfg(not(feature = "dpop"))]
#[derive(Clone, Debug)]
pub(crate) struct RequestProof;

#[cfg(not(feature = "dpop"))]
#[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "the shape of the feature dpop")]
impl RequestProof {
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

    pub(crate) fn into_proof(self, _: &Recognized<'_>, _: Secret) -> Option<Proof> {
        None
    }
}
