//! Random bytes for `state`, the PKCE verifier and signatures.

use core::fmt;

use oauth_types::{CodeVerifier, EndpointUrl, Entropy, RedirectUri, ScopeSet, UnixTime};

use crate::error::FlowError;
use crate::flow::open_browser::{BrowserRequest, Pending};
use crate::flow::redeem::Redeeming;
use crate::flow::step::Step;
use crate::keys::Keys;
use crate::session::Account;

/// Requests random bytes from the host.
#[must_use = "the flow goes on only when the step is taken"]
pub struct GenerateRandom(Draw);

/// Use of the random bytes.
enum Draw {
    /// `state` and PKCE verifier.
    Departure(Box<Departing>),
    /// Identifiers (`jti`) of signed assertions and proofs.
    Signature(Box<Redeeming>),
}

/// Login before its authorization request.
pub(super) struct Departing {
    pub(super) account: Account,
    pub(super) keys: Keys,
    pub(super) endpoint: EndpointUrl,
    pub(super) redirect_uri: RedirectUri,
    pub(super) scope: Option<ScopeSet>,
}

impl GenerateRandom {
    pub(super) fn departure(departing: Departing) -> Step {
        Step::GenerateRandom(Box::new(Self(Draw::Departure(Box::new(departing)))))
    }

    pub(super) fn signature(redeeming: Redeeming) -> Step {
        Step::GenerateRandom(Box::new(Self(Draw::Signature(Box::new(redeeming)))))
    }

    /// Returns `true` if the user's browser opens next.
    pub(crate) const fn leads_to_browser(&self) -> bool {
        matches!(self.0, Draw::Departure(_))
    }

    /// Continues with two independent random values and the current time.
    ///
    /// A login in the browser may take ten minutes from `now`.
    ///
    /// # Errors
    ///
    /// [`FlowErrorKind::NotSigned`](crate::FlowErrorKind::NotSigned) when a token request could not be signed.
    pub fn resume(
        self,
        one: Entropy<32>,
        other: Entropy<32>,
        now: UnixTime,
    ) -> Result<Step, FlowError> {
        let departing = match self.0 {
            Draw::Departure(departing) => departing,
            Draw::Signature(redeeming) => return redeeming.sign(one, now),
        };
        // C-AUTHZ-1, C-AUTHZ-6: recorded together, before the browser opens.
        let Departing { account, keys, endpoint, redirect_uri, scope } = *departing;
        let pending = Pending {
            account,
            endpoint,
            redirect_uri,
            scope,
            state: one.into_secret(),
            verifier: CodeVerifier::new(other),
            until: now.saturating_add(BrowserRequest::LIFETIME),
        };
        Ok(Step::OpenBrowser(Box::new(BrowserRequest::new(keys, pending))))
    }
}

impl fmt::Debug for GenerateRandom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Randomize")
    }
}
