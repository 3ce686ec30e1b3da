//! Sending the user's browser away, and reading what it comes back with.

use core::time::Duration;

use client_auth::NoUsableMethod;
use iss_validate::{Callback, Expected, Validated};
use oauth_types::{
    CodeChallenge, CodeVerifier, Entropy, FormWriter, RedirectUri, ScopeSet, Secret, State,
    UnixTime, exposed,
};
use serde::{Deserialize, Serialize};

use crate::exchange::Then;
use crate::token::Redeeming;
use crate::{Account, ClientConfig, Exchange, FlowError, Purpose, Step};

/// Asks the host for random bytes.
#[derive(Debug)]
#[must_use = "the flow goes on only when the step is taken"]
pub struct Randomize {
    account: Account,
    redirect_uri: RedirectUri,
    scope: Option<ScopeSet>,
}

impl Randomize {
    pub(crate) fn new(account: Account, config: &ClientConfig, scope: Option<ScopeSet>) -> Self {
        Self { account, redirect_uri: config.redirect_uri.clone(), scope }
    }

    /// Goes on with two independent draws, one for `state` and one for the PKCE verifier. The user has
    /// ten minutes from `now`.
    pub fn resume(self, state: Entropy<32>, verifier: Entropy<32>, now: UnixTime) -> Step {
        // C-AUTHZ-1, C-AUTHZ-6: recorded together, before the browser leaves.
        let pending = PendingAuthorization {
            account: self.account,
            redirect_uri: self.redirect_uri,
            scope: self.scope,
            state: state.into_secret(),
            verifier: CodeVerifier::new(verifier).as_secret().clone(),
            until: now.plus(PendingAuthorization::LIFETIME),
        };
        Step::Visit(Box::new(Visit { url: pending.url(), pending }))
    }
}

/// Sends the user's browser to a URL and waits for it to come back to the redirect URI.
#[derive(Debug)]
#[must_use = "the flow goes on only when the step is taken"]
pub struct Visit {
    url: String,
    pending: PendingAuthorization,
}

impl Visit {
    /// Where to send the browser: https, or http on a loopback host, and nothing that a shell or an
    /// operating system could take for something else. Hand it over as one argument.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where the browser comes back to.
    #[must_use]
    pub const fn redirect_uri(&self) -> &RedirectUri {
        &self.pending.redirect_uri
    }

    /// What has to survive the browser, for a host that goes on in another process.
    pub fn into_pending(self) -> PendingAuthorization {
        self.pending
    }

    /// Goes on with the callback.
    ///
    /// # Errors
    ///
    /// As [`PendingAuthorization::resume`].
    pub fn resume(self, callback: Callback<'_>, now: UnixTime) -> Result<Step, FlowError> {
        self.pending.resume(callback, now)
    }
}

/// A login whose user is away. It is used up by the one callback that answers it; serializes with its
/// secrets in the clear, for a store bound to the user's session.
#[derive(Debug, Serialize, Deserialize)]
#[must_use = "the flow goes on only when the callback is read"]
pub struct PendingAuthorization {
    account: Account,
    redirect_uri: RedirectUri,
    scope: Option<ScopeSet>,
    #[serde(with = "exposed")]
    state: Secret,
    #[serde(with = "exposed")]
    verifier: Secret,
    until: UnixTime,
}

impl PendingAuthorization {
    /// How long a user may take.
    pub const LIFETIME: Duration = Duration::from_secs(600);

    fn url(&self) -> String {
        let account = &self.account;
        let challenge = CodeVerifier::parse(self.verifier.expose()).map(|own| own.challenge());
        let mut parameters = vec![
            ("response_type", "code"),
            ("client_id", account.client.client_id().as_str()),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("state", self.state.expose()),
            // C-AUTHZ-3
            ("resource", account.resource.as_str()),
        ];
        // C-AUTHZ-1
        if let Ok(challenge) = &challenge {
            parameters.push(("code_challenge", challenge.as_str()));
            parameters.push(("code_challenge_method", CodeChallenge::METHOD));
        }
        if let Some(scope) = &self.scope {
            parameters.push(("scope", scope.as_str()));
        }
        account.server.authorization_endpoint.with_query(parameters)
    }

    /// Goes on with the callback: validates it and, if it holds a code, asks for the token request.
    ///
    /// # Errors
    ///
    /// [`FlowError::Callback`] when it does not answer this login, [`FlowError::Denied`] when the right
    /// server said no, [`FlowError::CallbackTooLate`] after ten minutes. In each case nothing is sent.
    pub fn resume(self, callback: Callback<'_>, now: UnixTime) -> Result<Step, FlowError> {
        if now >= self.until {
            return Err(FlowError::CallbackTooLate);
        }
        let server = &self.account.server;
        let expected = Expected {
            issuer: server.issuer.clone(),
            iss_advertised: server.iss_advertised,
            state: State::from_secret(self.state),
        };
        // C-ISS-6
        let code = match callback.validate(&expected).map_err(FlowError::Callback)? {
            Validated::Code(code) => code,
            Validated::Denied(error) => return Err(FlowError::Denied(error)),
        };
        let mut form = FormWriter::new();
        form.append("grant_type", "authorization_code")
            .append("code", code.as_secret().expose())
            .append("redirect_uri", self.redirect_uri.as_str())
            .append("code_verifier", self.verifier.expose())
            // C-AUTHZ-3
            .append("resource", self.account.resource.as_str());
        let mut headers = http::HeaderMap::new();
        let unsigned = |_| FlowError::Credentials(NoUsableMethod::KeyMissing);
        self.account.client.attach(&mut headers, &mut form).map_err(unsigned)?;
        let endpoint = server.token_endpoint.clone();
        let then = Then::Tokens(Redeeming::code(self.account, self.scope));
        Exchange::post_form(Purpose::CodeExchange, &endpoint, headers, form, then)
    }
}
