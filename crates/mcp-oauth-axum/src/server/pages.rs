//! What a browser meets: the authorization endpoint, the consent page, and the answer to it.

use authorization_server::{
    Approved, Asking, AuthorizationRequest, ConsentAnswer, NeedsConsent, PageError, RedirectError,
    Store, StoreError,
};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use oauth_types::{Secret, UnixTime};
use tracing::{info, warn};

use super::Server;
use crate::ambient::entropy;
use crate::page::ConsentPage;
use crate::{Browser, Login, User};

/// Most expired rows that one login removes.
const SWEPT_PER_LOGIN: usize = 100;

impl<S: Store, L: Login> Server<S, L> {
    /// Shows the consent page, or says why not; or answers at once, when the user agreed before.
    pub(super) async fn authorize(
        &self,
        request: &http::Request<Bytes>,
    ) -> Result<Response<Bytes>, PageError> {
        let now = self.clock.now();
        let headers = request.headers();
        let parsed = AuthorizationRequest::parse(&self.config, request)?;
        let return_to = parsed.return_to();
        let client = self.store.read_client(parsed.client_id()).await.map_err(PageError::store)?;
        let request = match parsed.with_client(client, now)?.check() {
            Ok(request) => request,
            Err(error) => {
                if error.needs_user()
                    && let Browser::SendTo(url) = self.login.browser(headers, &return_to).await
                {
                    return see_other(&url);
                }
                return Ok(send_back(error));
            }
        };
        let user = match self.login.browser(headers, &return_to).await {
            Browser::User(user) => user,
            Browser::SendTo(url) => {
                return match request.without_user(&self.config) {
                    Ok(()) => see_other(&url),
                    Err(error) => Ok(send_back(error)),
                };
            }
        };
        let lookup = request.with_user(&self.config, &*user.subject);
        let remembered = match lookup.key() {
            Some(key) => self.store.read_consent(key).await.map_err(PageError::store)?,
            None => None,
        };
        match lookup.with_consent(remembered, now) {
            Ok(Asking::Ask(request)) => self.ask(headers, request, user, now),
            Ok(Asking::Agreed(agreed)) => {
                let code = entropy().ok_or_else(unavailable)?;
                Ok(self.send_code(agreed.approve(&self.config, code, now), now).await)
            }
            Err(error) => Ok(send_back(error)),
        }
    }

    /// Shows the consent page.
    fn ask(
        &self,
        headers: &HeaderMap,
        request: NeedsConsent,
        user: User,
        now: UnixTime,
    ) -> Result<Response<Bytes>, PageError> {
        let transaction = entropy::<32>().ok_or_else(unavailable)?.into_secret();
        let nonce = entropy::<16>().ok_or_else(unavailable)?.into_secret();
        let fresh = entropy::<32>().ok_or_else(unavailable)?.into_secret();
        let html = self.template.write(&ConsentPage {
            request: &request,
            user: &user,
            scope_texts: &self.scope_texts,
            form_action: &self.config.paths().consent,
            transaction: &transaction,
            nonce: &nonce,
        });
        let mut response = Response::new(Bytes::from(html));
        response.headers_mut().extend(request.page_headers(nonce.expose()));
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, html);
        let known = self.cookie(headers);
        let pending = (request, user.subject);
        let browser = self.consents.keep(&transaction, (known, fresh), pending, now);
        let cookie = self.set_cookie(&browser).ok_or_else(unavailable)?;
        response.headers_mut().insert(SET_COOKIE, cookie);
        Ok(response)
    }

    /// Takes the user's answer.
    pub(super) async fn consent(
        &self,
        request: &http::Request<Bytes>,
    ) -> Result<Response<Bytes>, PageError> {
        let answer = ConsentAnswer::parse(&self.config, request)?;
        let browser = self.cookie(request.headers());
        let now = self.clock.now();
        let paths = self.config.paths();
        let user = match self.login.browser(request.headers(), &paths.authorize).await {
            Browser::User(user) => Some(user.subject),
            Browser::SendTo(_) => None,
        };
        let pending = self.consents.take(answer.transaction(), browser, user.as_deref(), now);
        let pending = pending.map_err(PageError::consent)?;
        if !answer.allows() {
            info!("the user said no");
            return Ok(pending.request.deny(&self.config));
        }
        let code = entropy().ok_or_else(unavailable)?;
        let approved = pending.request.approve(&self.config, pending.subject, code, now);
        Ok(self.send_code(approved, now).await)
    }

    /// Sends a code that the user agreed to, once it is stored.
    async fn send_code(&self, approved: Approved, now: UnixTime) -> Response<Bytes> {
        // A login pays for a bounded clean-up, so that what has expired does not pile up.
        if let Err(error) = self.store.sweep(now, SWEPT_PER_LOGIN).await {
            warn!(%error, "what has expired could not be removed");
        }
        if let Some(consent) = approved.consent()
            && let Err(error) = self.store.put_consent(consent.clone()).await
        {
            warn!(%error, "the answer is not remembered");
        }
        let outcome = self.store.insert_code(approved.record().clone()).await;
        approved.stored(&self.config, outcome).unwrap_or_else(|error| {
            warn!(cause = %error.cause(), "the code could not be stored");
            error.into_response()
        })
    }

    fn is_https(&self) -> bool {
        self.config.issuer().as_str().starts_with("https:")
    }

    /// The cookie that tells browsers apart. Over https its name keeps other hosts from setting it.
    const fn cookie_name(is_https: bool) -> &'static str {
        if is_https { "__Host-mcp-oauth" } else { "mcp-oauth" }
    }

    fn cookie<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let name = Self::cookie_name(self.is_https());
        headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            // 256 bits in base64url: anything else is not ours.
            .find_map(|(own, value)| (own == name && value.len() == 43).then_some(value))
    }

    fn set_cookie(&self, browser: &Secret) -> Option<HeaderValue> {
        let is_https = self.is_https();
        let name = Self::cookie_name(is_https);
        let secure = if is_https { "; Secure" } else { "" };
        let rest = format!("; Path=/; HttpOnly; SameSite=Lax{secure}");
        let cookie = Secret::new([browser.expose(), &rest].concat());
        cookie.header_value(&format!("{name}="))
    }
}

fn unavailable() -> PageError {
    PageError::store(StoreError::Unavailable)
}

/// A refusal that goes to the client.
fn send_back(error: RedirectError) -> Response<Bytes> {
    info!(cause = %error.cause(), "refused with a redirect");
    error.into_response()
}

/// Sends a browser to the host's login.
fn see_other(url: &str) -> Result<Response<Bytes>, PageError> {
    let location = HeaderValue::from_str(url).map_err(|_| unavailable())?;
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}
