//! Settings of a resource about tokens that are bound to a key (RFC 9449).

use core::time::Duration;

use client_auth::{NonceKey, PresentedProof, VerifyingKeys};
use oauth_types::{EndpointUrl, Entropy};

use super::Resource;

impl Resource {
    /// Also takes tokens that are bound to a key (RFC 9449), from whoever proves to hold it.
    ///
    /// Says so in its metadata and, after Bearer, in its challenges.
    #[must_use]
    pub fn with_dpop(mut self) -> Self {
        let algorithms = Some(VerifyingKeys::ALGORITHMS.to_vec());
        self.metadata.dpop_signing_alg_values_supported = algorithms;
        self
    }

    /// Takes only tokens that are bound to a key. Clients that know bearer tokens alone are not served: no
    /// challenge asks them for one.
    #[must_use]
    pub fn with_dpop_required(self) -> Self {
        let mut own = self.with_dpop();
        own.metadata.dpop_bound_access_tokens_required = true;
        own
    }

    /// Takes only proofs that carry a nonce made with this key, which is 256 random bits and the same wherever
    /// this resource is served (RFC 9449 §9): a proof that was made ahead, by whoever had the client's key for a
    /// moment, is worth nothing later. It costs clients a second request every five minutes.
    #[must_use]
    pub fn with_dpop_nonces(self, key: Entropy<32>) -> Self {
        let mut own = self.with_dpop();
        own.proof_rules.nonces = Some(NonceKey::new(key));
        own
    }

    /// Takes only proofs that were made within this time of now, before or after it; 5 minutes if nothing is said,
    /// and at most (SEP-1932). A narrower window needs less memory for proofs that were used, and leaves out
    /// clients whose clocks are off by more.
    #[must_use]
    pub fn with_dpop_window(self, window: Duration) -> Self {
        let mut own = self.with_dpop();
        own.proof_rules.window = window.min(PresentedProof::MAX_WINDOW);
        own
    }

    /// Says for which URL clients make their proofs, whatever path requests arrive at: for a server behind a proxy
    /// that changes paths. If nothing is said, it is the request's path at the resource's origin.
    #[must_use]
    pub fn with_dpop_endpoint(mut self, url: EndpointUrl) -> Self {
        self.proof_rules.endpoint = Some(url);
        self
    }
}

/// Rules for the proofs that a resource takes.
#[derive(Clone, Debug)]
pub(crate) struct ProofRules {
    pub(crate) nonces: Option<NonceKey>,
    pub(crate) endpoint: Option<EndpointUrl>,
    pub(crate) window: Duration,
}

impl Default for ProofRules {
    fn default() -> Self {
        Self { nonces: None, endpoint: None, window: PresentedProof::MAX_WINDOW }
    }
}
