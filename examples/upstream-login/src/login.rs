//! Login at an upstream provider, for which this server is one client. Copy this file.
//!
//! The authorization server asks the user about *its* client first, because [`Login::upstream`] says where the login
//! is. Only then does the browser come here:
//!
//! | request | redirects to | cookie | contents of the cookie |
//! |---|---|---|---|
//! | `/login` | the provider | `login` | `state`, the verifier and the return path, sealed; no state on the server |
//! | `/callback` with that cookie and `state` | the return path | `session` | a secret that identifies the session |
//!
//! The provider's access token stays here. Clients get only tokens of the authorization server.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use iss_validate::{Callback, Expected, Validated, ValidatedCode};
use mcp_authz_axum::{Login, LoginResult, LoginStatus, User};
use oauth_types::{
    CodeVerifier, EndpointUrl, Entropy, FormPairs, FormWriter, Issuer, Secret, State, Subject,
    TokenResponse, encode_component,
};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::sessions::Sessions;
use crate::visit::{Answered, Seal, Visit};

/// Metadata of the provider and the registration of this server there.
pub(crate) struct Provider {
    pub(crate) issuer: Issuer,
    pub(crate) authorize: EndpointUrl,
    pub(crate) token: EndpointUrl,
    pub(crate) userinfo: EndpointUrl,
    /// `true` if its responses have `iss` (`authorization_response_iss_parameter_supported`).
    pub(crate) names_itself: bool,
    pub(crate) client_id: String,
    pub(crate) client_secret: Secret,
    /// URL of `/callback` of this server, as registered at the provider.
    pub(crate) redirect_uri: EndpointUrl,
}

/// Login of the authorization server, and its routes.
#[derive(Clone)]
pub(crate) struct ProviderLogin(Arc<Inner>);

struct Inner {
    provider: Provider,
    http: reqwest::Client,
    seal: Seal,
    answered: Answered,
    sessions: Sessions,
    turns: Semaphore,
}

#[derive(Deserialize)]
struct UserInfo {
    sub: String,
    name: Option<String>,
}

impl Login for ProviderLogin {
    async fn status(&self, headers: &HeaderMap, return_to: &str) -> LoginResult {
        Ok(match self.cookie(headers, "session").and_then(|key| self.0.sessions.user(key)) {
            Some(user) => LoginStatus::LoggedIn(user),
            None => {
                LoginStatus::Redirect(format!("/login?return_to={}", encode_component(return_to)))
            }
        })
    }

    // The provider does not ask again, because the user agreed to this server there before.
    fn upstream(&self) -> Option<&EndpointUrl> {
        Some(&self.0.provider.authorize)
    }
}

impl ProviderLogin {
    /// Maximum number of logins that are completed at once, and the longest wait for a turn.
    const AT_ONCE: usize = 32;
    const WAIT: Duration = Duration::from_secs(5);
    /// Maximum size of a response of the provider, in bytes.
    const MAX_BODY: usize = 64 * 1024;

    /// Creates a login at this provider; the processes of one issuer share the key.
    pub(crate) fn new(provider: Provider, key: &Entropy<32>) -> anyhow::Result<Self> {
        // Redirects are not followed, because the request carries a code and a secret.
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let http = http.timeout(Duration::from_secs(10)).build()?;
        let (answered, sessions) = (Answered::default(), Sessions::default());
        let (seal, turns) = (Seal::new(key), Semaphore::new(Self::AT_ONCE));
        Ok(Self(Arc::new(Inner { provider, http, seal, answered, sessions, turns })))
    }

    /// Returns the routes of the login, for `AuthorizationServer::with_login_routes`.
    pub(crate) fn router(&self) -> Router {
        let (start, finish) = (self.clone(), self.clone());
        Router::new().route("/login", get(async move |uri: Uri| answer(start.start(&uri)))).route(
            "/callback",
            get(async move |headers: HeaderMap, uri: Uri| {
                answer(finish.finish(&headers, &uri).await)
            }),
        )
    }

    /// Sends a browser to the provider.
    fn start(&self, uri: &Uri) -> anyhow::Result<Response> {
        let provider = &self.0.provider;
        let form = FormPairs::parse(uri.query().unwrap_or_default().as_bytes())?;
        let return_to = form.value("return_to").unwrap_or_default().unwrap_or("/");
        // Only a path of this server: after `//` or `/\` a browser reads a host name. It drops a tab between them.
        let path = return_to.strip_prefix('/').filter(|path| !path.starts_with(['/', '\\']));
        let path = path.filter(|path| path.bytes().all(|byte| byte.is_ascii_graphic()));
        anyhow::ensure!(path.is_some(), "a login leads back to this server");
        let (state, verifier) = (State::new(random()?), CodeVerifier::new(random()?));
        let url = provider.authorize.with_query([
            ("response_type", "code"),
            ("client_id", &*provider.client_id),
            ("redirect_uri", provider.redirect_uri.as_str()),
            ("scope", "openid profile"),
            ("state", state.as_secret().expose()),
            ("code_challenge", verifier.challenge().as_str()),
            ("code_challenge_method", "S256"),
        ]);
        let visit = Visit { state, verifier, return_to: return_to.to_owned() };
        let visit = self.0.seal.seal(&visit)?;
        self.send_to(&url, &[("login", &visit)])
    }

    /// Completes the login of the browser that began it, with the response to its request.
    async fn finish(&self, headers: &HeaderMap, uri: &Uri) -> anyhow::Result<Response> {
        let visit = self.cookie(headers, "login").context("no login began in this browser")?;
        let visit = self.0.seal.open(visit)?;
        let provider = &self.0.provider;
        let expected = Expected::new(provider.issuer.clone(), visit.state.clone())
            .with_iss_advertised(provider.names_itself);
        let callback = Callback::from_query(uri.query().unwrap_or_default());
        let code = match callback.validate(&expected)? {
            Validated::Code(code) => code,
            Validated::Denied(error) => return Err(error.into()),
        };
        let turn = timeout(Self::WAIT, self.0.turns.acquire()).await;
        let _turn = turn.context("too many logins are being finished")?;
        anyhow::ensure!(self.0.answered.take(&visit), "this login was finished before");
        let user = self.user(&code, &visit.verifier).await?;
        if let Some(ended) = self.cookie(headers, "session") {
            self.0.sessions.end(ended);
        }
        let session = self.0.sessions.begin(user)?;
        self.send_to(&visit.return_to, &[("session", &session), ("login", &Secret::new(""))])
    }

    /// Returns the user; the provider's access token is used once and dropped.
    async fn user(&self, code: &ValidatedCode, verifier: &CodeVerifier) -> anyhow::Result<User> {
        let provider = &self.0.provider;
        let mut form = FormWriter::new();
        form.append("grant_type", "authorization_code")
            .append("code", code.as_secret().expose())
            .append("code_verifier", verifier.as_secret().expose())
            .append("redirect_uri", provider.redirect_uri.as_str())
            .append("client_id", &provider.client_id)
            .append("client_secret", provider.client_secret.expose());
        let request = self.0.http.post(provider.token.as_str()).body(form.finish());
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = Self::body(request).await?;
        let token = TokenResponse::from_json(&answer)?.access_token;
        let token = token.header_value("Bearer ").context("the provider's token is no token")?;
        let request = self.0.http.get(provider.userinfo.as_str()).header(AUTHORIZATION, token);
        let answer = Self::body(request).await?;
        let info: UserInfo = serde_json::from_slice(&answer)?;
        // With the issuer, because another provider may have the same `sub` for a different user.
        let subject = Subject::try_from(format!("{} {}", provider.issuer, info.sub))?;
        let name = info.name.unwrap_or_else(|| subject.to_string());
        Ok(User::new(subject, name))
    }

    /// Returns the body of the provider's response, up to a limit.
    async fn body(request: reqwest::RequestBuilder) -> anyhow::Result<Vec<u8>> {
        let mut answer = request.send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            let length = body.len() + chunk.len();
            anyhow::ensure!(length <= Self::MAX_BODY, "the provider's answer is too long");
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn is_https(&self) -> bool {
        self.0.provider.redirect_uri.as_str().starts_with("https:")
    }

    /// Returns the name of a cookie, with the prefix `__Host-` over https.
    ///
    /// No other host can set a cookie with that prefix.
    fn cookie_name(&self, name: &str) -> String {
        if self.is_https() { format!("__Host-{name}") } else { name.to_owned() }
    }

    fn cookie<'h>(&self, headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
        let name = self.cookie_name(name);
        let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|it| it.split_once('='));
        pairs.find(|(own, _)| own.trim() == name).map(|(_, value)| value.trim())
    }

    fn send_to(&self, url: &str, cookies: &[(&str, &Secret)]) -> anyhow::Result<Response> {
        let mut response = StatusCode::SEE_OTHER.into_response();
        response.headers_mut().insert(LOCATION, HeaderValue::from_str(url)?);
        let secure = if self.is_https() { "; Secure" } else { "" };
        for (name, value) in cookies {
            let rest = format!("; Path=/; HttpOnly; SameSite=Lax{secure}");
            let cookie = Secret::new([value.expose(), &rest].concat());
            let cookie = cookie.header_value(&format!("{}=", self.cookie_name(name)));
            response.headers_mut().append(SET_COOKIE, cookie.context("no cookie")?);
        }
        Ok(response)
    }
}

/// Returns the response; the cause of an error goes to the log, here to standard error.
fn answer(outcome: anyhow::Result<Response>) -> Response {
    outcome.unwrap_or_else(|error| {
        eprintln!("login refused: {error:#}");
        let page = "<!doctype html><title>Login</title><h1>You are not logged in</h1>\
                    <p>Start again from the application.</p>";
        (StatusCode::BAD_REQUEST, Html(page)).into_response()
    })
}

#[expect(clippy::disallowed_methods, reason = "an application has a random source")]
pub(crate) fn random<const N: usize>() -> anyhow::Result<Entropy<N>> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(Entropy::new(bytes))
}

#[cfg(test)]
impl ProviderLogin {
    /// Returns the number of stored sessions and answered visits.
    pub(crate) fn kept(&self) -> usize {
        self.0.answered.len() + self.0.sessions.len()
    }
}
