//! Router of the authorization server.
//!
//! It takes no decisions: handlers call an endpoint of `authorization-server`, and those of pages carry out its steps.

mod endpoints;
mod login_routes;
mod pages;
mod settings;
mod upstream;

use std::collections::BTreeMap;
use std::sync::Arc;

use authorization_server::DocumentRefused;
use authorization_server::{Config, ErrorForm, Paths, Store};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn};
use axum::routing::any;
use bytes::Bytes;
use http::{Method, Response};
use oauth_types::{ClientMetadataUrl, metadata_response};
use tower_http::catch_panic::CatchPanicLayer;

use crate::clock::{Clock, warn_of_http_for_development};
use crate::consent_retries::ConsentRetries;
use crate::cors;
use crate::documents::{ClientDocuments, Documents, Reach, WebDocuments};
use crate::login::{Login, is_open_to_all};
use crate::page::Template;
use crate::peer::TrustedProxies;
use crate::rate::{RateLimits, Rates};
use crate::reading::{Deadlines, whole};
use crate::reply::{answer, page_answer, page_panicked, panicked, refused};
use crate::routes::route_exactly;
use crate::secrets::Secrets;
use crate::startup;
use crate::sweeper::Sweeper;

/// Authorization server, made of a configuration, a store and the host's login.
pub struct AuthorizationServer<S, L> {
    config: Config,
    store: Arc<S>,
    login: L,
    clock: Clock,
    deadlines: Deadlines,
    rate_limits: RateLimits,
    proxies: TrustedProxies,
    stripped: Box<str>,
    scope_texts: BTreeMap<String, String>,
    template: Template,
    login_routes: Router,
    documents: Option<Arc<dyn ClientDocuments>>,
    reach: Reach,
    secrets: Option<Secrets>,
}

impl<S, L> core::fmt::Debug for AuthorizationServer<S, L> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("AuthorizationServer").field("config", &self.config).finish_non_exhaustive()
    }
}

struct Server<S, L> {
    config: Config,
    store: Arc<S>,
    login: L,
    clock: Clock,
    deadlines: Deadlines,
    rates: Rates,
    scope_texts: BTreeMap<String, String>,
    template: Template,
    sweeper: Sweeper,
    retries: ConsentRetries,
    documents: Option<Arc<Documents>>,
    secrets: Option<Secrets>,
    /// Metadata document, and the one for when client ID metadata documents cannot be fetched.
    metadata: [Bytes; 2],
}

type Shared<S, L> = State<Arc<Server<S, L>>>;

impl<S, L> Server<S, L> {
    /// Checks that `Host` names this server, before every endpoint and preflight.
    async fn check_host(&self, request: Request, next: Next) -> Response<Body> {
        match self.config.check_host(&request) {
            Ok(()) => next.run(request).await,
            Err(refusal) => refused(refusal),
        }
    }
}

impl<S: Store + 'static, L: Login> AuthorizationServer<S, L> {
    /// Creates a server with this configuration, store and login.
    ///
    /// Pass the store as an [`Arc`] if it is used elsewhere too, such as in a [`StoreVerifier`].
    ///
    /// [`StoreVerifier`]: crate::StoreVerifier
    #[must_use]
    pub fn new(config: Config, store: S, login: L) -> Self {
        warn_of_http_for_development();
        Self {
            config,
            store: Arc::new(store),
            login,
            clock: Clock::default(),
            deadlines: Deadlines::default(),
            rate_limits: RateLimits::default(),
            proxies: TrustedProxies::default(),
            stripped: Box::default(),
            scope_texts: BTreeMap::new(),
            template: Template::default(),
            login_routes: Router::new(),
            documents: WebDocuments::or_none(),
            reach: Reach::default(),
            secrets: None,
        }
    }

    /// Sets the fetcher of client ID metadata documents.
    ///
    /// [`WebDocuments::new`] is the default.
    #[must_use]
    pub fn with_client_documents(mut self, documents: impl ClientDocuments) -> Self {
        self.documents = Some(Arc::new(documents));
        self
    }

    /// Fetches one document at start-up, to check that the web can be reached.
    ///
    /// Several clients (Claude Code, Codex) use documents wherever the metadata offers them, and do not register when
    /// the server cannot fetch theirs. Where `url` cannot be reached, the offer is withdrawn and an event says so:
    /// clients register instead, for an hour after each fetch that fails. Without this call the first fetch for a
    /// client that fails withdraws it for an hour, once, because anybody can name a URL that leads nowhere. An answer
    /// of any status counts as reached. For a server that is meant to have no way to the web, call
    /// [`without_client_documents`](Self::without_client_documents) instead.
    ///
    /// ```
    /// use authorization_server::MemoryStore;
    /// use mcp_authz_axum::{AuthorizationServer, DemoLogin};
    /// use oauth_types::ClientMetadataUrl;
    ///
    /// # async fn f(server: AuthorizationServer<MemoryStore, DemoLogin>) -> Result<(), oauth_types::InvalidClientId> {
    /// let known = ClientMetadataUrl::parse("https://claude.ai/oauth/claude-code-client-metadata")?;
    /// let server = server.check_client_documents(&known).await;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub async fn check_client_documents(self, url: &ClientMetadataUrl) -> Self {
        if let Some(documents) = &self.documents {
            let answer = tokio::time::timeout(Documents::DEADLINE, documents.fetch(url)).await;
            let answer = answer.unwrap_or(Err(DocumentRefused::Unreachable));
            self.reach.record_check(answer.as_ref(), self.clock.now());
        }
        self
    }

    /// Turns off client ID metadata documents, for a server without web access.
    ///
    /// Only clients in the store are known then, and the metadata does not offer documents.
    #[must_use]
    pub fn without_client_documents(mut self) -> Self {
        self.documents = None;
        self
    }

    /// Returns the router with all endpoints.
    ///
    /// One event at level `INFO` names the issuer, the resources, the kinds of store and login, the ways to register, and
    /// the paths.
    ///
    /// The issuer determines the paths, less a [prefix](Self::with_stripped_prefix) that a proxy removes. Any other
    /// path is answered with 404 and the addresses of the endpoints. Before you merge the router with one that has a
    /// fallback of its own, call [`Router::reset_fallback`] on this one.
    pub fn router(self) -> Router {
        let Self { config, store, login, clock, deadlines, scope_texts, template, .. } = self;
        is_open_to_all(&login, config.issuer());
        let rates = Rates::new(self.rate_limits, self.proxies);
        // A-META-4: the metadata offers only what this server can do.
        let config = config.without_client_documents();
        let (config, documents) = Documents::behind(config, &clock, self.documents, self.reach);
        let mut paths = config.paths();
        let own = [
            Some(&mut paths.authorize),
            Some(&mut paths.consent),
            Some(&mut paths.token),
            Some(&mut paths.register),
            Some(&mut paths.revoke),
            paths.introspect.as_mut(),
            paths.jwks.as_mut(),
        ];
        for path in own.into_iter().flatten() {
            path.replace_range(..self.stripped.len(), "");
        }
        let has_documents = documents.is_some();
        startup::authorization_server(&config, &paths, &*store, &login, has_documents);
        let without_documents = config.clone().without_client_documents();
        let server = Server {
            metadata: [&config, &without_documents].map(|config| config.metadata().to_json()),
            documents,
            config,
            store,
            login,
            clock,
            deadlines,
            rates,
            scope_texts,
            template,
            sweeper: Sweeper::default(),
            retries: ConsentRetries::default(),
            secrets: self.secrets,
        };
        let server = Arc::new(server);
        let endpoints = Self::endpoints(&paths).with_state(Arc::clone(&server));
        endpoints.merge(server.limit(self.login_routes)).layer(from_fn(move |request, next| {
            let server = Arc::clone(&server);
            async move { server.check_host(request, next).await }
        }))
    }

    /// Returns the routes of endpoints and pages, with the CORS rules of each kind.
    fn endpoints(paths: &Paths) -> Router<Arc<Server<S, L>>> {
        let failed = CatchPanicLayer::custom(panicked);
        let public = route_exactly(Router::new(), &paths.token, any(token::<S, L>));
        let public = route_exactly(public, &paths.register, any(register::<S, L>));
        let mut public = route_exactly(public, &paths.revoke, any(revoke::<S, L>))
            .layer(failed)
            .layer(cors::public(Method::POST));
        // Introspection is called by resource servers and never by pages, so it has no CORS layer.
        if let Some(path) = &paths.introspect {
            public = route_exactly(public, path, any(introspect::<S, L>).layer(failed));
        }
        let document = cors::public(Method::GET);
        #[cfg(feature = "jwt")]
        if let Some(path) = &paths.jwks {
            public = route_exactly(public, path, any(jwks::<S, L>).layer(document.clone()));
        }
        for path in &paths.metadata {
            public = route_exactly(public, path, any(metadata::<S, L>).layer(document.clone()));
        }
        let pages = route_exactly(Router::new(), &paths.authorize, any(authorize::<S, L>));
        let pages = route_exactly(pages, &paths.consent, any(consent::<S, L>))
            .layer(CatchPanicLayer::custom(page_panicked));
        public.merge(pages).fallback(not_found::<S, L>)
    }
}

async fn not_found<S: Store + 'static, L: Login>(State(server): Shared<S, L>) -> Response<Body> {
    server.config.not_found_response().map(Body::from)
}

async fn metadata<S: Store + 'static, L: Login>(
    State(server): Shared<S, L>,
    method: Method,
) -> Response<Body> {
    let is_withdrawn = server.documents.as_ref().is_some_and(|documents| !documents.are_offered());
    let [metadata, without_documents] = &server.metadata;
    let document = if is_withdrawn { without_documents } else { metadata };
    metadata_response(&method, document.clone()).map(Body::from)
}

#[cfg(feature = "jwt")]
async fn jwks<S: Store + 'static, L: Login>(
    State(server): Shared<S, L>,
    method: Method,
) -> Response<Body> {
    let keys = server.config.jwks_response(&method);
    keys.unwrap_or_else(|| server.config.not_found_response()).map(Body::from)
}

async fn token<S: Store + 'static, L: Login>(
    State(server): Shared<S, L>,
    request: Request,
) -> Response<Body> {
    let endpoint = async { server.token(&whole(request, server.deadlines).await?).await };
    answer(server.deadlines, endpoint).await
}

async fn register<S: Store + 'static, L: Login>(
    State(server): Shared<S, L>,
    request: Request,
) -> Response<Body> {
    let endpoint = async { server.register(&whole(request, server.deadlines).await?).await };
    answer(server.deadlines, endpoint).await
}

async fn revoke<S: Store + 'static, L: Login>(
    State(server): Shared<S, L>,
    request: Request,
) -> Response<Body> {
    let endpoint = async { server.revoke(&whole(request, server.deadlines).await?).await };
    answer(server.deadlines, endpoint).await
}

async fn introspect<S: Store + 'static, L: Login>(
    State(server): Shared<S, L>,
    request: Request,
) -> Response<Body> {
    let endpoint = async { server.introspect(&whole(request, server.deadlines).await?).await };
    answer(server.deadlines, endpoint).await
}

async fn authorize<S: Store + 'static, L: Login>(
    State(server): Shared<S, L>,
    request: Request,
) -> Response<Body> {
    let form = ErrorForm::accepted(request.headers());
    let endpoint = async { server.authorize(&whole(request, server.deadlines).await?).await };
    page_answer(server.deadlines, form, endpoint).await
}

async fn consent<S: Store + 'static, L: Login>(
    State(server): Shared<S, L>,
    request: Request,
) -> Response<Body> {
    let form = ErrorForm::accepted(request.headers());
    let endpoint = async { server.consent(&whole(request, server.deadlines).await?).await };
    page_answer(server.deadlines, form, endpoint).await
}
