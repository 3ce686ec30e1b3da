//! DPoP settings of a resource (RFC 9449).

use core::time::Duration;

use client_auth::{NonceKey, PresentedProof, VerifyingKeys};
use oauth_types::{EndpointUrl, Entropy};

use super::Resource;

impl Resource {
    /// Accepts bound tokens (DPoP, RFC 9449) beside bearer tokens.
    ///
    /// The metadata and the challenges announce it; the Bearer challenge remains the first.
    #[must_use]
    pub fn with_dpop(mut self) -> Self {
        let algorithms = Some(VerifyingKeys::ALGORITHMS.to_vec());
        self.metadata.dpop_signing_alg_values_supported = algorithms;
        self
    }

    /// Accepts only bound tokens (DPoP, RFC 9449).
    ///
    /// Clients that support only bearer tokens cannot use the resource, and the challenges do not name Bearer.
    #[must_use]
    pub fn with_dpop_required(self) -> Self {
        let mut own = self.with_dpop();
        own.metadata.dpop_bound_access_tokens_required = true;
        own
    }

    /// Requires a nonce of this resource in every proof (RFC 9449 §9).
    ///
    /// `key` is 256 random bits, the same in every process that serves this resource. A proof that an attacker made in
    /// advance with access to the client's key is then useless later. Clients need one additional request every five
    /// minutes.
    #[must_use]
    pub fn with_dpop_nonces(self, key: Entropy<32>) -> Self {
        let mut own = self.with_dpop();
        own.proof_rules.nonces = Some(NonceKey::new(key));
        own
    }

    /// Sets the accepted age of proofs, before or after now.
    ///
    /// The default and maximum is 5 minutes (SEP-1932).
    ///
    /// A shorter window needs less memory for used proofs, but excludes clients whose clocks differ by more.
    #[must_use]
    pub fn with_dpop_window(self, window: Duration) -> Self {
        let mut own = self.with_dpop();
        own.proof_rules.window = window.min(PresentedProof::MAX_WINDOW);
        own
    }

    /// Sets the URL that clients make their proofs for (`htu`), behind a proxy that changes paths.
    ///
    /// By default, it is the path of the request at the origin of the resource.
    #[must_use]
    pub fn with_dpop_endpoint(mut self, url: EndpointUrl) -> Self {
        self.proof_rules.endpoint = Some(url);
        self
    }
}

/// Rules for DPoP proofs at a resource.
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
