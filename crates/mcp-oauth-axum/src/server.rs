//! The authorization server as a router. It decides nothing: each handler carries out a chain of steps.

use std::collections::BTreeMap;
use std::sync::Arc;

use authorization_server::{
    Admitted, Approved, Asking, AuthorizationRequest, Config, ConsentAnswer, Introspecting,
    IssuableToken, NeedsConsent, NewClient, PageError, RedirectError, Refusal, RevocationRequest,
    RevokeTarget, Store, StoreError, TokenRequest,
};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::routing::any;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use oauth_types::{FormPairs, Secret, UnixTime};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{Any, CorsLayer};
use tracing::{error, info, warn};

use crate::ambient::{Clock, correlation_id, entropy};
use crate::consent::Consents;
use crate::{Browser, Login, User, page};

/// An authorization server: a configuration, a store, and the host's login.
#[derive(Debug)]
pub struct AuthorizationServer<S, L> {
    config: Config,
    store: Arc<S>,
    login: L,
    clock: Clock,
    scope_texts: BTreeMap<String, String>,
}

struct Server<S, L> {
    config: Config,
    store: Arc<S>,
    login: L,
    clock: Clock,
    scope_texts: BTreeMap<String, String>,
    consents: Consents,
}

/// Most expired rows that one login removes.
const SWEPT_PER_LOGIN: usize = 100;

type Shared<S, L> = State<Arc<Server<S, L>>>;

impl<S: Store + 'static, L: Login> AuthorizationServer<S, L> {
    /// A server with this configuration. The store is shared with whatever verifies its tokens.
    #[must_use]
    pub fn new(config: Config, store: Arc<S>, login: L) -> Self {
        Self { config, store, login, clock: Clock::default(), scope_texts: BTreeMap::new() }
    }

    /// Says in words what a scope allows, for the consent page.
    #[must_use]
    pub fn describe(mut self, scope: &str, text: &str) -> Self {
        self.scope_texts.insert(scope.to_owned(), text.to_owned());
        self
    }

    /// Tells the time by another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// All endpoints, at the paths that the issuer gives them.
    pub fn router(self) -> Router {
        let Self { config, store, login, clock, scope_texts } = self;
        let paths = config.paths();
        let consents = Consents::default();
        let server = Arc::new(Server { config, store, login, clock, scope_texts, consents });
        // Programs on web pages may call these; no cookie counts there.
        let cors =
            CorsLayer::new().allow_origin(Any).allow_methods([Method::POST]).allow_headers([
                AUTHORIZATION,
                CONTENT_TYPE,
                HeaderName::from_static("mcp-protocol-version"),
            ]);
        // The host's code may panic: its client still gets an answer, and nobody hears what it said.
        let failed = CatchPanicLayer::custom(|_: Box<dyn core::any::Any + Send>| {
            answer(Err(Refusal::panicked()))
        });
        let failed_page = CatchPanicLayer::custom(|_: Box<dyn core::any::Any + Send>| {
            page_answer(Err(PageError::panicked()))
        });
        let mut public = Router::new()
            .route(&paths.token, any(token::<S, L>))
            .route(&paths.register, any(register::<S, L>))
            .route(&paths.revoke, any(revoke::<S, L>))
            .layer(failed)
            .layer(cors);
        // No page asks about tokens: a resource server does.
        if let Some(path) = &paths.introspect {
            public = public.route(path, any(introspect::<S, L>).layer(failed));
        }
        #[cfg(feature = "jwt_access_tokens")]
        if let Some(path) = &paths.jwks {
            public = public.route(path, any(jwks::<S, L>));
        }
        for path in &paths.metadata {
            public = public.route(path, any(metadata::<S, L>));
        }
        let pages = Router::new()
            .route(&paths.authorize, any(authorize::<S, L>))
            .route(&paths.consent, any(consent::<S, L>))
            .layer(failed_page);
        public.merge(pages).with_state(server)
    }
}

/// The whole request in memory; `None` when its body is longer than any form that is read.
async fn whole(request: Request) -> Option<http::Request<Bytes>> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, FormPairs::MAX_BYTES).collect().await.ok()?.to_bytes();
    Some(http::Request::from_parts(parts, body))
}

/// The finished reply of either outcome; a refusal's cause goes to the log.
fn answer(outcome: Result<Response<Bytes>, Refusal>) -> Response<Body> {
    let response = outcome.unwrap_or_else(|refusal| {
        if refusal.is_failure() {
            let id = correlation_id();
            error!(cause = %refusal.cause(), %id, "the server failed");
            return refusal.with_correlation(id).into_response();
        }
        info!(cause = %refusal.cause(), "refused");
        refusal.into_response()
    });
    response.map(Body::from)
}

fn no_entropy() -> Refusal {
    warn!("the system's random source failed: nothing is issued");
    Refusal::store(StoreError::Unavailable)
}

async fn metadata<S: Store + 'static, L: Login>(
    State(server): Shared<S, L>,
    method: Method,
) -> Response<Body> {
    server.config.metadata_response(&method).map(Body::from)
}

#[cfg(feature = "jwt_access_tokens")]
async fn jwks<S: Store + 'static, L: Login>(
    State(server): Shared<S, L>,
    method: Method,
) -> Response<Body> {
    server.config.jwks_response(&method).map(Body::from)
}

async fn token<S: Store + 'static, L: Login>(
    State(server): Shared<S, L>,
    request: Request,
) -> Response<Body> {
    let Some(request) = whole(request).await else {
        return answer(Err(Refusal::body_too_large()));
    };
    answer(server.token(&request).await)
}

async fn register<S: Store + 'static, L: Login>(
    State(server): Shared<S, L>,
    request: Request,
) -> Response<Body> {
    let Some(request) = whole(request).await else {
        return answer(Err(Refusal::body_too_large()));
    };
    answer(server.register(&request).await)
}

async fn revoke<S: Store + 'static, L: Login>(
    State(server): Shared<S, L>,
    request: Request,
) -> Response<Body> {
    let Some(request) = whole(request).await else {
        return answer(Err(Refusal::body_too_large()));
    };
    answer(server.revoke(&request).await)
}

async fn introspect<S: Store + 'static, L: Login>(
    State(server): Shared<S, L>,
    request: Request,
) -> Response<Body> {
    let Some(request) = whole(request).await else {
        return answer(Err(Refusal::body_too_large()));
    };
    answer(server.introspect(&request).await)
}

async fn authorize<S: Store + 'static, L: Login>(
    State(server): Shared<S, L>,
    request: Request,
) -> Response<Body> {
    let response = match whole(request).await {
        Some(request) => server.authorize(&request).await,
        None => Err(PageError::body_too_large()),
    };
    page_answer(response)
}

async fn consent<S: Store + 'static, L: Login>(
    State(server): Shared<S, L>,
    request: Request,
) -> Response<Body> {
    let response = match whole(request).await {
        Some(request) => server.consent(&request).await,
        None => Err(PageError::body_too_large()),
    };
    page_answer(response)
}

fn page_answer(outcome: Result<Response<Bytes>, PageError>) -> Response<Body> {
    let response = outcome.unwrap_or_else(|error| {
        if error.is_failure() {
            let id = correlation_id();
            error!(cause = %error.cause(), %id, "the server failed");
            return error.with_correlation(id).into_response();
        }
        info!(cause = %error.cause(), "refused with a page");
        error.into_response()
    });
    response.map(Body::from)
}

impl<S: Store, L: Login> Server<S, L> {
    async fn token(&self, request: &http::Request<Bytes>) -> Result<Response<Bytes>, Refusal> {
        let now = self.clock.now();
        let parsed = TokenRequest::parse(&self.config, request)?;
        let client = self.store.read_client(parsed.client_id()).await.map_err(Refusal::store)?;
        let checked = parsed.with_client(client.as_ref(), now)?;
        match checked.first_use(&*self.store, now).await? {
            Admitted::Code(grant) => {
                let code = self.store.read_code(grant.digest()).await.map_err(Refusal::store)?;
                let issuable = grant.with_code(code, now)?;
                let (Some(family), Some(access)) = (entropy(), entropy()) else {
                    return Err(no_entropy());
                };
                let redeem = issuable.draw(&family, access, now);
                let family = redeem.family().clone();
                let outcome = self.store.redeem(redeem.digest(), family, now).await;
                redeem.finish(outcome)
            }
            Admitted::Machine(issuable) => self.issue(issuable, now).await,
            Admitted::Assertion(grant) => {
                let issuable = grant.first_use(&*self.store, now).await?;
                self.issue(issuable, now).await
            }
            Admitted::Refresh(grant) => {
                let family =
                    self.store.read_family(grant.family()).await.map_err(Refusal::store)?;
                let issuable = grant.with_family(family)?;
                let rotate = issuable.draw(entropy().ok_or_else(no_entropy)?, now);
                let outcome = self.store.rotate(rotate.rotation().clone(), now).await;
                rotate.finish(outcome)
            }
        }
    }

    async fn issue(
        &self,
        issuable: IssuableToken<'_>,
        now: UnixTime,
    ) -> Result<Response<Bytes>, Refusal> {
        let (Some(family), Some(access)) = (entropy(), entropy()) else { return Err(no_entropy()) };
        let issue = issuable.draw(&family, access, now);
        let outcome = self.store.insert_family(issue.family().clone(), now).await;
        issue.finish(outcome)
    }

    async fn register(&self, request: &http::Request<Bytes>) -> Result<Response<Bytes>, Refusal> {
        let client = NewClient::parse(&self.config, request)?;
        let (Some(id), Some(secret)) = (entropy(), entropy()) else { return Err(no_entropy()) };
        let now = self.clock.now();
        let create = client.draw(id, secret, now);
        let outcome = self.store.create_client(create.record().clone(), now).await;
        create.finish(outcome)
    }

    async fn revoke(&self, request: &http::Request<Bytes>) -> Result<Response<Bytes>, Refusal> {
        let now = self.clock.now();
        let parsed = RevocationRequest::parse(&self.config, request)?;
        let client = self.store.read_client(parsed.client_id()).await.map_err(Refusal::store)?;
        let checked = parsed.with_client(client.as_ref(), now)?;
        let revoking = checked.first_use(&*self.store, now).await?;
        let found = match revoking.target() {
            RevokeTarget::Family(family) => {
                let record = self.store.read_family(&family).await.map_err(Refusal::store)?;
                record.map(|record| (family, record.client_id))
            }
            RevokeTarget::Access(digest) => {
                let record = self.store.access(&digest, now).await.map_err(Refusal::store)?;
                record.map(|record| (record.family, record.client_id))
            }
        };
        let found = found.as_ref().map(|(family, client_id)| (*family, client_id));
        let outcome = match revoking.family(found) {
            Some(family) => self.store.revoke_family(&family, now).await,
            None => Ok(()),
        };
        revoking.finish(outcome)
    }

    async fn introspect(&self, request: &http::Request<Bytes>) -> Result<Response<Bytes>, Refusal> {
        let now = self.clock.now();
        let checked = Introspecting::parse(&self.config, request, now)?;
        let introspecting = checked.first_use(&*self.store, now).await?;
        let found = self.store.access(introspecting.token(), now).await;
        introspecting.finish(found)
    }

    /// Shows the consent page, or says why not; or answers at once, when the user agreed before.
    async fn authorize(
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
        let paths = self.config.paths();
        let form = (&*paths.consent, transaction.expose(), nonce.expose());
        let html = page::consent(&request, &user, &self.scope_texts, form).into_string();
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
    async fn consent(&self, request: &http::Request<Bytes>) -> Result<Response<Bytes>, PageError> {
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
