//! Step-up, and clients that may not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::response::IntoResponse as _;
use client_flow::{BrowserRequest, ClientConfig, CredentialKey, FlowErrorKind, StoredCredentials};
use futures::future::BoxFuture;
use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use mcp_authz_reqwest::{
    AuthorizedClient, CredentialStore, Error, StoreError, UserAgent, VisitError,
};
use oauth_types::{RedirectUri, ScopeSet, Secret};
use scope_stepup::{InsufficientScope, InsufficientScopeKind, Limit, Policy, StepUpMode};

use crate::servers::*;

/// SEC-165
#[tokio::test]
async fn a_declined_step_up_is_remembered_for_its_operation() {
    let servers = servers().await;
    let (user, visits) = User::who("allow");
    let user = FickleUser { inner: user, windows: Arc::default() };
    let client = AuthorizedClient::new(&servers.mcp_url, "Test", user).unwrap();
    all_ok([get(&client)]).await;
    assert!(matches!(call(&client, "write").await, Err(Error::Visit(VisitError::Declined))));
    match call(&client, "write").await {
        Err(Error::InsufficientScope(error)) => {
            assert_eq!((error.reason, error.attempts), (InsufficientScopeKind::Declined, 1));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(visits.load(Ordering::SeqCst), 1);
}

/// Agrees a number of times; then the authorization server sends the user back with this error.
struct Refused {
    inner: User,
    agrees: usize,
    code: &'static str,
    windows: Arc<AtomicUsize>,
}

impl UserAgent for Refused {
    fn redirect_uri(&self) -> &RedirectUri {
        self.inner.redirect_uri()
    }

    fn visit<'a>(&'a self, visit: &'a BrowserRequest) -> BoxFuture<'a, Result<String, VisitError>> {
        if self.windows.fetch_add(1, Ordering::SeqCst) < self.agrees {
            return self.inner.visit(visit);
        }
        let (_, query) = visit.url().split_once('?').unwrap();
        let state = query.split('&').find(|pair| pair.starts_with("state=")).unwrap();
        let iss = oauth_types::encode_component(visit.issuer().as_str());
        let callback =
            format!("{}?error={}&{state}&iss={iss}", self.redirect_uri().as_str(), self.code);
        Box::pin(async move { Ok(callback) })
    }
}

/// SEC-165, SEC-244
#[tokio::test]
async fn only_access_denied_is_a_user_who_said_no() {
    for (code, said_no) in [
        ("access_denied", true),
        ("server_error", false),
        ("invalid_scope", false),
        ("invalid_request", false),
        ("login_required", false),
    ] {
        let servers = servers().await;
        let client = |agrees| {
            let windows = Arc::new(AtomicUsize::new(0));
            let (inner, code) = (User::who("allow").0, code);
            let user = Refused { inner, agrees, code, windows: Arc::clone(&windows) };
            (AuthorizedClient::new(&servers.mcp_url, "Test", user).unwrap(), windows)
        };
        // A login: the user who said no is left alone, and another one is asked again once.
        let (own, windows) = client(0);
        for _ in 0..2 {
            let outcome = get(&own).await;
            let Err(Error::Flow(flow)) = &outcome else { panic!("{outcome:?}") };
            assert!(matches!(flow.kind(), FlowErrorKind::Denied(_)), "{outcome:?}");
        }
        assert_eq!(windows.load(Ordering::SeqCst), if said_no { 1 } else { 2 }, "{code}");
        // A step-up: what nobody declined is no decision of the user.
        let (own, windows) = client(1);
        all_ok([get(&own)]).await;
        let outcome = call(&own, "write").await;
        let Err(Error::Flow(flow)) = &outcome else { panic!("{outcome:?}") };
        assert!(matches!(flow.kind(), FlowErrorKind::Denied(_)), "{outcome:?}");
        let reason = if said_no {
            InsufficientScopeKind::Declined
        } else {
            InsufficientScopeKind::LimitReached
        };
        assert_eq!(insufficient(call(&own, "write").await).reason, reason, "{code}");
        assert_eq!(windows.load(Ordering::SeqCst), 2, "{code}");
    }
}

/// C-TOKEN-9
#[tokio::test]
async fn another_origin_gets_no_request() {
    let servers = servers().await;
    let (client, visits) = client(&servers, "allow");
    let request = client.get("http://127.0.0.1:1/mcp");
    assert!(matches!(client.send(request).await, Err(Error::ForeignOrigin)));
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

fn insufficient(outcome: Result<StatusCode, Error>) -> InsufficientScope {
    match outcome {
        Err(Error::InsufficientScope(error)) => *error,
        other => panic!("{other:?}"),
    }
}

fn client_with(servers: &Servers, policy: Policy) -> (AuthorizedClient, Arc<AtomicUsize>) {
    let (user, visits) = User::who("allow");
    let config = ClientConfig::new("Test", user.redirect_uri.clone());
    let builder = AuthorizedClient::builder(&servers.mcp_url, config).user(user).policy(policy);
    (builder.build().unwrap(), visits)
}

/// SEC-158, SEC-160
#[tokio::test]
async fn a_server_that_is_never_content_ends_in_one_typed_error() {
    let servers = servers_that(|_| wants_write()).await;
    for limit in [Limit::default(), Limit::MAX] {
        let (client, visits) = client_with(&servers, Policy::default().with_limit(limit));
        let error = insufficient(get(&client).await);
        // Once it holds what is asked for, no browser opens any more.
        assert_eq!((error.reason, error.attempts), (InsufficientScopeKind::AlreadyHeld, 1));
        assert_eq!(error.required, ScopeSet::parse("read write").ok());
        assert_eq!(visits.load(Ordering::SeqCst), 2, "a login and a step-up");
        insufficient(get(&client).await);
        assert_eq!(visits.load(Ordering::SeqCst), 2);
    }
}

/// C-SCOPE-8, SEC-159
#[tokio::test]
async fn a_limit_of_zero_and_surface_mode_open_no_browser_over_http() {
    let servers = servers().await;
    for (policy, reason) in [
        (Policy::default().with_limit(Limit::new(0)), InsufficientScopeKind::LimitReached),
        (Policy::default().with_mode(StepUpMode::Manual), InsufficientScopeKind::Surfaced),
        (Policy::default().with_filter(|_, _| None), InsufficientScopeKind::NotAllowed),
    ] {
        let (client, visits) = client_with(&servers, policy);
        all_ok([get(&client)]).await;
        let error = insufficient(call(&client, "write").await);
        assert_eq!((error.reason, error.attempts), (reason, 0));
        assert_eq!(error.required, ScopeSet::parse("read write").ok());
        assert_eq!(error.operation.name(), Some("write"));
        assert!(error.resource_metadata.is_some());
        assert_eq!(visits.load(Ordering::SeqCst), 1, "the login");
    }
}

/// C-SCOPE-10
#[tokio::test]
async fn opening_a_stream_steps_up_like_a_call() {
    let servers = servers_that(|granted| {
        if granted.scopes().contains("write") {
            StatusCode::OK.into_response()
        } else {
            wants_write()
        }
    })
    .await;
    // 401, then 403, both for one GET.
    let (client, visits) = client(&servers, "allow");
    all_ok([get(&client)]).await;
    assert_eq!(visits.load(Ordering::SeqCst), 2);
}

/// Keeps the last record where the test can see it.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Option<StoredCredentials>>>);

impl CredentialStore for Kept {
    fn load<'a>(
        &'a self,
        _: &'a CredentialKey,
    ) -> BoxFuture<'a, Result<Option<StoredCredentials>, StoreError>> {
        Box::pin(async { Ok(None) })
    }

    fn save<'a>(&'a self, record: &'a StoredCredentials) -> BoxFuture<'a, Result<(), StoreError>> {
        *self.0.lock().unwrap() = Some(record.clone());
        Box::pin(async { Ok(()) })
    }
}

/// C-SCOPE-8
#[tokio::test]
async fn a_fixed_token_gets_the_typed_error() {
    let servers = servers().await;
    let unknown = AuthorizedClient::with_token(&servers.mcp_url, &Secret::new("x")).unwrap();
    assert!(matches!(get(&unknown).await, Err(Error::Unauthorized)));
    assert!(matches!(
        AuthorizedClient::with_token(&servers.mcp_url, &Secret::new("a\r\nb")),
        Err(Error::UnusableToken)
    ));
    // Somebody else logged in; this client only has the token.
    let kept = Kept::default();
    let (user, _) = User::who("allow");
    let config = ClientConfig::new("Test", user.redirect_uri.clone());
    let builder = AuthorizedClient::builder(&servers.mcp_url, config).user(user);
    let session = builder.store(kept.clone()).build().unwrap();
    all_ok([get(&session)]).await;
    let token = kept.0.lock().unwrap().clone().unwrap().tokens.unwrap().access_token;
    let client = AuthorizedClient::with_token(&servers.mcp_url, &token).unwrap();
    all_ok([get(&client), get(&client)]).await;
    let error = insufficient(call(&client, "write").await);
    assert_eq!((error.reason, error.attempts), (InsufficientScopeKind::NobodyToAsk, 0));
    assert_eq!(error.required, ScopeSet::parse("read write").ok());
    assert_eq!(servers.tokens.load(Ordering::SeqCst), 1);
}

/// C-SCOPE-6
#[tokio::test]
async fn a_broken_answer_is_no_success_and_gives_no_attempt_back() {
    static ANSWERS: AtomicUsize = AtomicUsize::new(0);
    let servers = servers_that(|granted| match ANSWERS.fetch_add(1, Ordering::SeqCst) {
        _ if !granted.scopes().contains("write") => wants_write(),
        1 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => {
            let challenge = "Bearer error=\"insufficient_scope\", scope=\"more\"";
            (StatusCode::FORBIDDEN, [(WWW_AUTHENTICATE, challenge)]).into_response()
        }
    })
    .await;
    let (client, visits) = client(&servers, "allow");
    // A login, a step-up, and then the server breaks.
    assert_eq!(get(&client).await.unwrap(), StatusCode::INTERNAL_SERVER_ERROR);
    let error = insufficient(get(&client).await);
    assert_eq!((error.reason, error.attempts), (InsufficientScopeKind::LimitReached, 1));
    assert_eq!(visits.load(Ordering::SeqCst), 2);
}
