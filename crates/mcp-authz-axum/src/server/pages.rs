//! Pages for browsers: the authorization endpoint (RFC 6749 §3.1), the consent page, and the answer to it.

use authorization_server::store::StoreError;
use authorization_server::{
    Answered, Approved, Asking, AuthorizationRequest, ConsentAnswer, ConsentViewer, ErrorForm,
    NeedsConsent, OfAsked, PageError, RedirectError, Store, find_client,
};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use oauth_types::{Secret, Subject, UnixTime};
use tracing::{info, warn};

use super::Server;
use crate::clock::entropy;
use crate::consent_retries::Taken;
use crate::login::{Login, LoginStatus, User};
use crate::page::ConsentPage;
use crate::reply::sources;

impl<S: Store + 'static, L: Login> Server<S, L> {
    /// Answers an authorization request (RFC 6749 §4.1.1).
    ///
    /// The answer is the consent page, a redirect to the login, an error, or a code at once if the user consented
    /// before.
    pub(super) async fn authorize(
        &self,
        request: &http::Request<Bytes>,
    ) -> Result<Response<Bytes>, PageError> {
        let (received, headers) = (request, request.headers());
        let send_back = |error| send_back(error, ErrorForm::accepted(headers));
        let now = self.clock.now();
        let parsed = AuthorizationRequest::parse(&self.config, request)?;
        let return_to = parsed.return_to();
        let client = find_client(&self.config, &self.host(received), parsed.client_id()).await;
        let client = client.map_err(PageError::client)?;
        let request = match parsed.with_client(client, now)?.check() {
            Ok(request) => request,
            Err(error) => {
                let error = self.for_user(error, headers, &return_to, now).await;
                return Ok(send_back(error));
            }
        };
        let status = self.login.status(headers, &return_to).await;
        let user = match status.map_err(|error| error.into_page().with_retry_link(&return_to))? {
            LoginStatus::LoggedIn(user) => user,
            LoginStatus::Redirect(url) => {
                return match request.without_user() {
                    Ok(request) if self.login.upstream().is_some() => {
                        self.ask(received, &request, None, now)
                    }
                    Ok(_) => see_other(&url),
                    Err(error) => Ok(send_back(error)),
                };
            }
        };
        let lookup = request.with_user(user.subject.clone());
        let remembered = match lookup.key() {
            Some(key) => self.store.read_consent(key).await.map_err(PageError::store)?,
            None => None,
        };
        match lookup.with_consent(remembered, now) {
            Ok(Asking::Ask(request)) => self.ask(received, &request, Some(&user), now),
            Ok(Asking::Agreed(agreed)) => {
                let code = entropy().ok_or_else(unavailable)?;
                Ok(self.send_code(agreed.approve(code, now), now).await)
            }
            Err(error) => Ok(send_back(error)),
        }
    }

    /// Lets an error redirect where that depends on the logged-in user.
    ///
    /// Without a user the error is shown as a page, so no login is asked for.
    async fn for_user(
        &self,
        error: RedirectError,
        headers: &HeaderMap,
        return_to: &str,
        now: UnixTime,
    ) -> RedirectError {
        if !error.needs_user() {
            return error;
        }
        let user = match self.login.status(headers, return_to).await {
            Ok(LoginStatus::LoggedIn(user)) => user,
            Ok(LoginStatus::Redirect(_)) => return error,
            // The request is wrong whoever the user is, so its page says that rather than that the login failed.
            Err(failure) => {
                warn!(source = %sources(&failure), "{failure}");
                return error;
            }
        };
        let consent = match error.consent_key(&user.subject) {
            // A failure of the store counts as no earlier consent, so the error is shown as a page.
            Some(key) => self.store.read_consent(&key).await.ok().flatten(),
            None => None,
        };
        error.with_user(&user.subject, consent.as_ref(), now)
    }

    /// Shows the consent page.
    fn ask(
        &self,
        received: &http::Request<Bytes>,
        request: &NeedsConsent<'_>,
        user: Option<&User>,
        now: UnixTime,
    ) -> Result<Response<Bytes>, PageError> {
        // A logged-in user is asked without naming the upstream server, because no login there follows.
        let upstream = self.login.upstream().filter(|_| user.is_none());
        let network = if user.is_none() { self.rates.network(received) } else { None };
        let network = network.map(|network| network.to_string());
        let asked = match user {
            Some(user) => ConsentViewer::User(&user.subject),
            None => ConsentViewer::Anonymous(network.as_deref()),
        };
        let (Some(nonce), Some(random)) = (entropy::<16>(), entropy()) else {
            return Err(unavailable());
        };
        let known = self.cookie(received.headers());
        let question = request.ask(asked, known, random, now)?;
        let nonce = nonce.into_secret();
        let html = self.template.write(&ConsentPage {
            request,
            user,
            upstream,
            scope_texts: &self.scope_texts,
            form_action: &self.config.paths().consent,
            transaction: &question.transaction,
            nonce: &nonce,
        });
        let mut response = Response::new(Bytes::from(html));
        response.headers_mut().extend(request.page_headers(nonce.expose()));
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, html);
        let cookie = self.set_cookie(&question.browser).ok_or_else(unavailable)?;
        response.headers_mut().insert(SET_COOKIE, cookie);
        Ok(response)
    }

    /// Handles the user's answer to the consent page.
    pub(super) async fn consent(
        &self,
        request: &http::Request<Bytes>,
    ) -> Result<Response<Bytes>, PageError> {
        if request.method() == Method::GET && self.login.upstream().is_some() {
            return self.logged_in(request).await;
        }
        let answer = ConsentAnswer::parse(&self.config, request)?;
        let browser = self.cookie(request.headers());
        let now = self.clock.now();
        match answer.open(browser, now)? {
            Answered::OfAnonymous(asked) => {
                let status = match answer.allows() {
                    true => Some(self.status_after(request.headers(), &asked, &answer, now).await?),
                    false => None,
                };
                let Taken { request: pending, guard } = self.take(asked, request, now).await?;
                let response = match status {
                    // The user may have logged in meanwhile, in another tab.
                    Some(LoginStatus::LoggedIn(user)) => {
                        self.approve(pending, user.subject, now).await?
                    }
                    Some(LoginStatus::Redirect(url)) => see_other(&url)?,
                    None => deny(pending),
                };
                guard.replied();
                Ok(response)
            }
            Answered::OfUser(asked) => {
                let paths = self.config.paths();
                let status = self.login.status(request.headers(), &paths.authorize).await;
                let user = match status.map_err(|error| error.into_page().with_retry_of(&answer))? {
                    LoginStatus::LoggedIn(user) => Some(user.subject),
                    LoginStatus::Redirect(_) => None,
                };
                let asked = asked.with_user(user.as_ref())?;
                let Taken { request: pending, guard } = self.take(asked, request, now).await?;
                let response = match user {
                    Some(user) if answer.allows() => self.approve(pending, user, now).await?,
                    _ => deny(pending),
                };
                guard.replied();
                Ok(response)
            }
        }
    }

    /// Takes the pending request, unless it was answered before.
    pub(super) async fn take<'a>(
        &'a self,
        asked: OfAsked<'a>,
        received: &http::Request<Bytes>,
        now: UnixTime,
    ) -> Result<Taken<'a>, PageError> {
        let client = find_client(&self.config, &self.host(received), asked.client_id()).await;
        let client = client.map_err(PageError::client)?;
        let answer = asked.with_client(client, now)?;
        let taken = self.retries.take(answer, &*self.store, now).await;
        self.sweeper.stored(&self.store, now);
        taken
    }

    /// Sends a code for the request to which this user consented.
    pub(super) async fn approve(
        &self,
        request: NeedsConsent<'_>,
        subject: Subject,
        now: UnixTime,
    ) -> Result<Response<Bytes>, PageError> {
        let code = entropy().ok_or_else(unavailable)?;
        Ok(self.send_code(request.approve(subject, code, now), now).await)
    }

    /// Stores the code, then sends it to the client.
    async fn send_code(&self, approved: Approved<'_>, now: UnixTime) -> Response<Bytes> {
        let outcome = self.store.insert_code(approved.record().clone()).await;
        // A consent is remembered only after its code is stored, because the next answer may be a refusal.
        if outcome.is_ok()
            && let Some(consent) = approved.consent()
            && let Err(error) = self.store.put_consent(consent.clone()).await
        {
            warn!(%error, "the answer is not remembered");
        }
        self.sweeper.stored(&self.store, now);
        approved.stored(outcome).unwrap_or_else(|error| {
            warn!(cause = %error.cause(), "the code could not be stored");
            error.into_response()
        })
    }

    fn is_https(&self) -> bool {
        self.config.issuer().as_str().starts_with("https:")
    }

    /// Returns the name of the cookie that identifies a browser.
    ///
    /// Over https, the prefix `__Host-` keeps other hosts from setting it.
    fn cookie_name(&self) -> &'static str {
        if self.is_https() { "__Host-mcp-oauth" } else { "mcp-oauth" }
    }

    pub(super) fn cookie<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let name = self.cookie_name();
        headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            // The server's cookies are 256 bits in base64url, so other lengths are skipped.
            .find_map(|(own, value)| (own == name && value.len() == 43).then_some(value))
    }

    fn set_cookie(&self, browser: &Secret) -> Option<HeaderValue> {
        let name = self.cookie_name();
        let secure = if self.is_https() { "; Secure" } else { "" };
        let rest = format!("; Path=/; HttpOnly; SameSite=Lax{secure}");
        let cookie = Secret::new([browser.expose(), &rest].concat());
        cookie.header_value(&format!("{name}="))
    }
}

fn deny(request: NeedsConsent<'_>) -> Response<Bytes> {
    info!("the user said no");
    request.deny()
}

pub(super) fn unavailable() -> PageError {
    PageError::store(StoreError::Unavailable)
}

/// Redirects an error to the client (RFC 6749 §4.1.2.1).
fn send_back(error: RedirectError, form: ErrorForm) -> Response<Bytes> {
    info!(cause = %error.cause(), "refused the authorization request");
    error.with_form(form).into_response()
}

/// Redirects a browser to the host's login, with status 303.
pub(super) fn see_other(url: &str) -> Result<Response<Bytes>, PageError> {
    let location = HeaderValue::from_str(url).map_err(|_| unavailable())?;
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}
