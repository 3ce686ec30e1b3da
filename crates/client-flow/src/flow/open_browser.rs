//! Authorization request in the user's browser, and its response (RFC 6749 §4.1.1, §4.1.2).

use core::fmt;
use core::time::Duration;

use iss_validate::{Callback, Expected, Validated};
use oauth_types::{
    ClientId, CodeChallenge, CodeVerifier, EndpointUrl, FormWriter, GrantType, Issuer, RedirectUri,
    ResourceUri, Scope, ScopeSet, Secret, State, UnixTime,
};

use crate::error::{CallbackError, FlowError};
use crate::flow::attempt::denied;
use crate::flow::redeem::Redeeming;
use crate::flow::step::Step;
use crate::keys::Keys;
use crate::session::Account;
use crate::stage::FlowStage;
use crate::token::TokenRequest;

/// Authorization request for the user's browser, which comes back to the redirect URI.
///
/// A host that waits in this process continues with [`resume`](Self::resume). A web application, whose next request may
/// reach another process, continues with `seal` (feature `sealed`).
#[must_use = "the flow goes on only when the step is taken"]
pub struct BrowserRequest {
    pub(crate) url: String,
    keys: Keys,
    pub(crate) pending: Pending,
}

impl BrowserRequest {
    /// Time that a user may take to log in.
    pub const LIFETIME: Duration = Duration::from_secs(600);

    pub(super) fn new(keys: Keys, pending: Pending) -> Self {
        Self { url: pending.url(), keys, pending }
    }

    /// Returns the URL of the authorization request, to open in the user's browser.
    ///
    /// It is https, or http on a loopback host, and contains nothing that a shell or an operating system could
    /// interpret. Pass it as one argument.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the issuer of the authorization server, as its metadata names it.
    ///
    /// ```
    /// use client_flow::BrowserRequest;
    ///
    /// /// What a host shows before it opens the browser.
    /// fn question(visit: &BrowserRequest) -> String {
    ///     format!(
    ///         "{} sends you to log in at {}. Go on?",
    ///         visit.resource().origin().host(),
    ///         visit.authorization_endpoint().origin().host(),
    ///     )
    /// }
    /// ```
    #[must_use]
    pub const fn issuer(&self) -> &Issuer {
        &self.pending.account.server.issuer
    }

    /// Returns the URL of the authorization endpoint, without the request.
    ///
    /// The user may log in on another host than the [issuer](Self::issuer)'s.
    #[must_use]
    pub const fn authorization_endpoint(&self) -> &EndpointUrl {
        &self.pending.endpoint
    }

    /// Returns the resource that the tokens are for.
    #[must_use]
    pub const fn resource(&self) -> &ResourceUri {
        &self.pending.account.resource
    }

    /// Returns the client identifier of the request.
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        self.pending.account.client.client_id()
    }

    /// Returns the requested scope; `None` leaves it to the server.
    #[must_use]
    pub const fn scope(&self) -> Option<&ScopeSet> {
        self.pending.scope.as_ref()
    }

    /// Returns the redirect URI.
    #[must_use]
    pub const fn redirect_uri(&self) -> &RedirectUri {
        &self.pending.redirect_uri
    }

    /// Returns `true` if a callback carries the `state` of this login.
    ///
    /// A callback without it may come from an attacker and must not end the login: wait for another one.
    #[must_use]
    pub fn is_answered_by(&self, callback: &Callback<'_>) -> bool {
        callback.state_digest() == Some(self.pending.state.digest())
    }

    /// Continues with the callback: validates it and, if it carries a code, starts the token request.
    ///
    /// A host whose store is shared holds the store's lock from here until the flow has ended, and releases it while it
    /// waits for the callback.
    ///
    /// # Errors
    ///
    /// [`CallbackError::Rejected`] when the callback does not answer this login,
    /// [`FlowErrorKind::Denied`](crate::FlowErrorKind::Denied) when it is an error response of the right server,
    /// [`CallbackError::TooLate`] after ten minutes. In each case nothing is sent. After a denial of a counted login,
    /// steps that reset the count come first, and the flow then ends with
    /// [`FlowErrorKind::Denied`](crate::FlowErrorKind::Denied).
    pub fn resume(self, callback: Callback<'_>, now: UnixTime) -> Result<Step, FlowError> {
        self.pending.resume(self.keys, callback, now)
    }
}

impl fmt::Debug for BrowserRequest {
    /// Omits the URL, because it carries the state.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit").field("pending", &self.pending).finish_non_exhaustive()
    }
}

/// Login that waits for its callback; exactly one callback uses it up.
#[derive(Debug)]
#[cfg_attr(feature = "sealed", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Pending {
    pub(super) account: Account,
    pub(super) endpoint: EndpointUrl,
    pub(super) redirect_uri: RedirectUri,
    pub(super) scope: Option<ScopeSet>,
    #[cfg_attr(feature = "sealed", serde(with = "oauth_types::serde_secret"))]
    pub(crate) state: Secret,
    #[cfg_attr(feature = "sealed", serde(with = "oauth_types::serde_secret"))]
    pub(super) verifier: CodeVerifier,
    pub(crate) until: UnixTime,
}

impl Pending {
    fn url(&self) -> String {
        let account = &self.account;
        let challenge = self.verifier.challenge();
        let mut parameters = vec![
            ("response_type", "code"),
            ("client_id", account.client.client_id().as_str()),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("state", self.state.expose()),
        ];
        // C-AUTHZ-3
        if !account.server.profile.resource_omitted {
            parameters.push(("resource", account.resource.as_str()));
        }
        // C-AUTHZ-1
        parameters.push(("code_challenge", challenge.as_str()));
        parameters.push(("code_challenge_method", CodeChallenge::METHOD));
        if let Some(scope) = &self.scope {
            parameters.push(("scope", scope.as_str()));
            // C-AUTHZ-8
            let is_asked =
                account.server.is_openid_provider && scope.contains(Scope::OFFLINE_ACCESS);
            if is_asked && !account.server.profile.consent_prompt_omitted {
                parameters.push(("prompt", "consent"));
            }
        }
        self.endpoint.with_query(parameters)
    }

    pub(crate) fn resume(
        self,
        keys: Keys,
        callback: Callback<'_>,
        now: UnixTime,
    ) -> Result<Step, FlowError> {
        if now >= self.until {
            return Err(CallbackError::TooLate.into());
        }
        let server = &self.account.server;
        // Assumed endpoints have no published issuer, so no `iss` is accepted there.
        let issuer = (!server.is_assumed).then(|| server.issuer.clone());
        let expected = Expected::new(issuer, State::from_secret(self.state))
            .with_iss_advertised(server.iss_advertised);
        // C-ISS-6
        let code = match callback.validate(&expected).map_err(CallbackError::Rejected)? {
            Validated::Code(code) => code,
            Validated::Denied(error) => return denied(self.account, error),
        };
        let mut form = FormWriter::new();
        form.append("grant_type", GrantType::AuthorizationCode.as_str())
            .append("code", code.as_secret().expose())
            .append("redirect_uri", self.redirect_uri.as_str())
            .append("code_verifier", self.verifier.as_secret().expose());
        let stage = FlowStage::CodeExchange;
        Redeeming::start(TokenRequest::new(stage, self.account, keys, self.scope, form))
    }
}
