//! Sending the user's browser away, and reading what it comes back with.

use core::fmt;
use core::time::Duration;

use client_auth::NoUsableMethod;
use http::HeaderMap;
use iss_validate::{Callback, Expected, Validated};
use oauth_types::{
    AuthMethod, CodeChallenge, CodeVerifier, EndpointUrl, Entropy, FormWriter, RedirectUri,
    ScopeSet, Secret, State, UnixTime,
};

use crate::exchange::Then;
use crate::token::Redeeming;
use crate::{Account, ClientConfig, Exchange, FlowError, Grant, Purpose, Step};

/// Asks the host for random bytes.
#[derive(Debug)]
#[must_use = "the flow goes on only when the step is taken"]
pub struct Randomize {
    account: Account,
    endpoint: EndpointUrl,
    redirect_uri: RedirectUri,
    scope: Option<ScopeSet>,
}

/// The first step from an account to tokens with this scope.
pub(crate) fn authorize(
    account: Account,
    config: &ClientConfig,
    scope: Option<ScopeSet>,
) -> Result<Step, FlowError> {
    match &config.grant {
        Grant::AuthorizationCode { redirect_uri } => {
            let endpoint = account.server.for_users()?.clone();
            let redirect_uri = redirect_uri.clone();
            Ok(Step::Randomize(Box::new(Randomize { account, endpoint, redirect_uri, scope })))
        }
        // C-SCOPE-9
        Grant::ClientCredentials => {
            if *account.client.method() == AuthMethod::None {
                return Err(FlowError::Credentials(NoUsableMethod::SecretMissing));
            }
            let mut form = FormWriter::new();
            form.append("grant_type", "client_credentials")
                // C-AUTHZ-3
                .append("resource", account.resource.as_str());
            if let Some(scope) = &scope {
                form.append("scope", scope.as_str());
            }
            redeem(Purpose::ClientCredentials, account, scope, form)
        }
    }
}

/// A token request of this account, authenticated.
fn redeem(
    purpose: Purpose,
    account: Account,
    scope: Option<ScopeSet>,
    mut form: FormWriter,
) -> Result<Step, FlowError> {
    let mut headers = HeaderMap::new();
    let unsigned = |_| FlowError::Credentials(NoUsableMethod::KeyMissing);
    account.client.attach(&mut headers, &mut form).map_err(unsigned)?;
    let endpoint = account.server.token_endpoint.clone();
    let then = Then::Tokens(Redeeming::grant(account, scope));
    Exchange::post_form(purpose, &endpoint, headers, form, then)
}

impl Randomize {
    /// Goes on with two independent draws, one for `state` and one for the PKCE verifier. The user has
    /// ten minutes from `now`.
    pub fn resume(self, state: Entropy<32>, verifier: Entropy<32>, now: UnixTime) -> Step {
        // C-AUTHZ-1, C-AUTHZ-6: recorded together, before the browser leaves.
        let pending = Pending {
            account: self.account,
            endpoint: self.endpoint,
            redirect_uri: self.redirect_uri,
            scope: self.scope,
            state: state.into_secret(),
            verifier: CodeVerifier::new(verifier).as_secret().clone(),
            until: now.plus(Visit::LIFETIME),
        };
        Step::Visit(Box::new(Visit { url: pending.url(), pending }))
    }
}

/// Sends the user's browser to a URL and waits for it to come back to the redirect URI.
///
/// A host that waits in this process goes on with [`resume`](Self::resume); a web application, whose next
/// request may reach another process, with `seal` (feature `sealed`).
#[must_use = "the flow goes on only when the step is taken"]
pub struct Visit {
    pub(crate) url: String,
    pub(crate) pending: Pending,
}

impl Visit {
    /// How long a user may take.
    pub const LIFETIME: Duration = Duration::from_secs(600);

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

    /// Goes on with the callback: validates it and, if it holds a code, asks for the token request.
    ///
    /// # Errors
    ///
    /// [`FlowError::Callback`] when it does not answer this login, [`FlowError::Denied`] when the right
    /// server said no, [`FlowError::CallbackTooLate`] after ten minutes. In each case nothing is sent.
    pub fn resume(self, callback: Callback<'_>, now: UnixTime) -> Result<Step, FlowError> {
        self.pending.resume(callback, now)
    }
}

impl fmt::Debug for Visit {
    /// Without the URL, which carries the state.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit").field("pending", &self.pending).finish_non_exhaustive()
    }
}

/// A login whose user is away. The one callback that answers it uses it up.
#[derive(Debug)]
#[cfg_attr(feature = "sealed", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Pending {
    account: Account,
    endpoint: EndpointUrl,
    redirect_uri: RedirectUri,
    scope: Option<ScopeSet>,
    #[cfg_attr(feature = "sealed", serde(with = "oauth_types::exposed"))]
    pub(crate) state: Secret,
    #[cfg_attr(feature = "sealed", serde(with = "oauth_types::exposed"))]
    verifier: Secret,
    pub(crate) until: UnixTime,
}

impl Pending {
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
        self.endpoint.with_query(parameters)
    }

    pub(crate) fn resume(self, callback: Callback<'_>, now: UnixTime) -> Result<Step, FlowError> {
        if now >= self.until {
            return Err(FlowError::CallbackTooLate);
        }
        let server = &self.account.server;
        let expected = Expected {
            issuer: Some(server.issuer.clone()),
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
        redeem(Purpose::CodeExchange, self.account, self.scope, form)
    }
}
