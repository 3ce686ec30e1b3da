//! Fake provider, such as a company or a code host would run.
//!
//! Its only client is the authorization server, to which all users have consented. The cookie `provider` names the user
//! of a browser.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::Router;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION};
use http::{HeaderMap, StatusCode, Uri};
use oauth_types::{CodeChallenge, CodeVerifier, EndpointUrl, FormPairs, Issuer, Secret};

use crate::login::{Provider, random};

pub(crate) const CLIENT: (&str, &str) = ("the-authorization-server", "provider-secret");

/// Fake provider with its codes, its tokens and counters of its requests.
#[derive(Default)]
pub(crate) struct FakeProvider {
    issuer: String,
    redirect_uri: String,
    codes: Mutex<HashMap<String, (CodeChallenge, String)>>,
    tokens: Mutex<HashMap<String, String>>,
    pub(crate) visits: AtomicUsize,
    asked: AtomicUsize,
}

impl FakeProvider {
    /// Creates a provider at this address for this authorization server.
    pub(crate) fn new(at: SocketAddr, server: &Issuer) -> Arc<Self> {
        let redirect_uri = format!("{server}/callback");
        Arc::new(Self { issuer: format!("http://{at}"), redirect_uri, ..Self::default() })
    }

    /// Returns the metadata and the registration of the authorization server.
    pub(crate) fn registration(&self) -> anyhow::Result<Provider> {
        let endpoint = |path: &str| EndpointUrl::parse(&format!("{}{path}", self.issuer));
        Ok(Provider {
            issuer: Issuer::parse(&self.issuer)?,
            authorize: endpoint("/authorize")?,
            token: endpoint("/token")?,
            userinfo: endpoint("/userinfo")?,
            names_itself: true,
            client_id: CLIENT.0.to_owned(),
            client_secret: Secret::new(CLIENT.1),
            redirect_uri: EndpointUrl::parse(&self.redirect_uri)?,
        })
    }

    pub(crate) fn router(self: &Arc<Self>) -> Router {
        let [authorize, token, userinfo] = [self, self, self].map(Arc::clone);
        Router::new()
            .route(
                "/authorize",
                get(async move |headers: HeaderMap, uri: Uri| {
                    authorize.authorize(&headers, &uri).or_refuse()
                }),
            )
            .route("/token", post(async move |body: String| token.token(&body).or_refuse()))
            .route(
                "/userinfo",
                get(async move |headers: HeaderMap| userinfo.userinfo(&headers).or_refuse()),
            )
    }

    fn authorize(&self, headers: &HeaderMap, uri: &Uri) -> anyhow::Result<Response> {
        self.visits.fetch_add(1, Ordering::SeqCst);
        let form = FormPairs::parse(uri.query().unwrap_or_default().as_bytes())?;
        let value = |name| form.single(name).ok().flatten().context(name);
        anyhow::ensure!(value("client_id")? == CLIENT.0);
        anyhow::ensure!(value("redirect_uri")? == self.redirect_uri);
        anyhow::ensure!(value("code_challenge_method")? == "S256");
        let challenge = CodeChallenge::parse(value("code_challenge")?)?;
        let cookies = headers.get(COOKIE).and_then(|cookies| cookies.to_str().ok());
        let mut pairs = cookies.unwrap_or_default().split("; ");
        let user = pairs.find_map(|pair| pair.strip_prefix("provider=")).context("who is it?")?;
        let code = random::<32>()?.into_secret();
        lock(&self.codes).insert(code.expose().to_owned(), (challenge, user.to_owned()));
        let back = EndpointUrl::parse(&self.redirect_uri)?.with_query([
            ("code", code.expose()),
            ("state", value("state")?),
            ("iss", &self.issuer),
        ]);
        Ok((StatusCode::SEE_OTHER, [(LOCATION, back)]).into_response())
    }

    /// Returns the number of token requests.
    #[cfg(test)]
    pub(crate) fn codes_asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn token(&self, body: &str) -> anyhow::Result<Response> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let form = FormPairs::parse(body.as_bytes())?;
        let value = |name| form.single(name).ok().flatten().context(name);
        anyhow::ensure!((value("client_id")?, value("client_secret")?) == CLIENT);
        anyhow::ensure!(value("redirect_uri")? == self.redirect_uri);
        let code = lock(&self.codes).remove(value("code")?);
        let (challenge, user) = code.context("no such code")?;
        anyhow::ensure!(challenge.matches(&CodeVerifier::parse(value("code_verifier")?)?));
        let token = format!("provider-token-{}", random::<16>()?.into_secret().expose());
        lock(&self.tokens).insert(token.clone(), user);
        let answer = serde_json::json!({"access_token": token, "token_type": "Bearer"});
        Ok(([(CONTENT_TYPE, "application/json")], answer.to_string()).into_response())
    }

    fn userinfo(&self, headers: &HeaderMap) -> anyhow::Result<Response> {
        let token = headers.get(AUTHORIZATION).context("no token")?.to_str()?;
        let token = token.strip_prefix("Bearer ").context("no token")?;
        let user = lock(&self.tokens).get(token).cloned().context("unknown token")?;
        let answer = serde_json::json!({"sub": user, "name": user});
        Ok(([(CONTENT_TYPE, "application/json")], answer.to_string()).into_response())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

trait OrRefuse {
    fn or_refuse(self) -> Response;
}

impl OrRefuse for anyhow::Result<Response> {
    fn or_refuse(self) -> Response {
        self.unwrap_or_else(|error| (StatusCode::BAD_REQUEST, error.to_string()).into_response())
    }
}
