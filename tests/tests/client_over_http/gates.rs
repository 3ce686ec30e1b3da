//! Waiting times between renewals, and the budget of browser windows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::response::IntoResponse as _;
use client_flow::{BrowserRequest, ClientConfig, FlowErrorKind};
use futures::future::BoxFuture;
use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use mcp_authz_reqwest::{
    AuthorizedClient, CredentialStore as _, Error, MemoryCredentials, UserAgent, VisitError,
};
use oauth_types::{RedirectUri, ResourceUri};
use scope_stepup::{Policy, WindowLimit};

use crate::servers::*;

/// Requests one after another, which all meet the same refusal of the token endpoint.
async fn refused_by(client: &AuthorizedClient, status: u16, requests: usize) {
    for _ in 0..requests {
        match get(client).await {
            Err(Error::Flow(flow)) => {
                let status = StatusCode::from_u16(status).unwrap();
                assert_eq!(*flow.kind(), FlowErrorKind::Status(status));
            }
            other => panic!("{other:?}"),
        }
    }
}

/// SEC-243
#[tokio::test]
async fn a_token_endpoint_in_trouble_is_asked_once_whoever_comes() {
    for status in [429, 503, 500] {
        let servers = servers().await;
        let (client, visits) = client(&servers, "allow");
        all_ok([get(&client)]).await;
        servers.clock.fetch_add(700, Ordering::SeqCst);
        servers.breaks.store(status, Ordering::SeqCst);
        let asked = || servers.tokens.load(Ordering::SeqCst) - 1;
        refused_by(&client, status, 50).await;
        assert_eq!(asked(), 1, "{status}");
        // Twice as long each time.
        for (wait, tries) in [(1, 2), (1, 2), (1, 3), (3, 3), (1, 4)] {
            later(wait).await;
            refused_by(&client, status, 10).await;
            assert_eq!(asked(), tries, "{status}");
        }
        // The server says how long.
        servers.retry_after.store(120, Ordering::SeqCst);
        later(8).await;
        refused_by(&client, status, 10).await;
        later(115).await;
        refused_by(&client, status, 10).await;
        assert_eq!(asked(), 5, "{status}");
        servers.breaks.store(0, Ordering::SeqCst);
        later(5).await;
        all_ok([get(&client)]).await;
        assert_eq!((asked(), visits.load(Ordering::SeqCst)), (6, 1));
    }
}

/// SEC-243
#[tokio::test]
async fn a_wait_until_a_date_of_the_server_is_kept_within_bounds() {
    for (asked, waits) in [(120, 120), (86_400, 3600)] {
        let servers = servers().await;
        let (client, _) = client(&servers, "allow");
        all_ok([get(&client)]).await;
        servers.clock.fetch_add(700, Ordering::SeqCst);
        servers.breaks.store(503, Ordering::SeqCst);
        servers.retry_after.store(AS_A_DATE + asked, Ordering::SeqCst);
        let asked = || servers.tokens.load(Ordering::SeqCst) - 1;
        refused_by(&client, 503, 5).await;
        later(waits - 5).await;
        refused_by(&client, 503, 5).await;
        assert_eq!(asked(), 1);
        later(6).await;
        refused_by(&client, 503, 1).await;
        assert_eq!(asked(), 2);
    }
}

/// SEC-243
#[tokio::test]
async fn a_login_that_failed_in_passing_is_not_retried_each_request() {
    let servers = servers().await;
    let (client, visits) = client(&servers, "allow");
    servers.breaks.store(503, Ordering::SeqCst);
    refused_by(&client, 503, 50).await;
    assert_eq!((visits.load(Ordering::SeqCst), servers.tokens.load(Ordering::SeqCst)), (1, 1));
    servers.breaks.store(0, Ordering::SeqCst);
    refused_by(&client, 503, 1).await;
    // The user does not wait.
    client.log_in().await.unwrap();
    all_ok([get(&client)]).await;
    assert_eq!(visits.load(Ordering::SeqCst), 2);
}

fn too_many(outcome: &Result<StatusCode, Error>) -> bool {
    matches!(outcome, Err(Error::TooManyWindows(_)))
}

/// SEC-244
#[tokio::test]
async fn a_server_that_takes_no_token_gets_three_windows() {
    let servers = servers_that(|_| StatusCode::UNAUTHORIZED.into_response()).await;
    let (client, visits) = client(&servers, "allow");
    let mut spent = Vec::new();
    for _ in 0..10 {
        assert!(get(&client).await.is_err());
    }
    assert_eq!(visits.load(Ordering::SeqCst), 1, "the next one comes too early");
    for _ in 0..40 {
        later(10).await;
        if let Err(Error::TooManyWindows(error)) = get(&client).await {
            spent.push(error);
        }
    }
    let tokens = servers.tokens.load(Ordering::SeqCst);
    let windows = visits.load(Ordering::SeqCst);
    assert_eq!(windows, 3, "{tokens} token requests, {spent:?}");
    assert!(tokens < 20, "{tokens} token requests");
    // The error says until when.
    let error = spent.first().unwrap();
    assert_eq!(error.limit, WindowLimit::default());
    assert!(error.until.as_secs() > 1_700_000_000);
    assert!(error.to_string().contains("3 were opened for this server within 600 s"), "{error}");
}

/// SEC-244
#[tokio::test]
async fn thirty_tools_that_each_step_up_open_three_windows() {
    let servers = servers_that(|_| {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        let call = CALLS.fetch_add(1, Ordering::SeqCst);
        let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"read s{call}\"");
        (StatusCode::FORBIDDEN, [(WWW_AUTHENTICATE, challenge)]).into_response()
    })
    .await;
    let (user, _) = User::who("allow");
    let windows = Arc::new(AtomicUsize::new(0));
    let user = FickleUser { inner: user, windows: Arc::clone(&windows) };
    let client = AuthorizedClient::new(&servers.mcp_url, "Test", user).unwrap();
    let calls = (0..30).map(|tool| {
        let client = client.clone();
        async move { call(&client, &format!("tool-{tool}")).await }
    });
    let mut spent = 0;
    for call in calls {
        spent += usize::from(too_many(&call.await));
    }
    // A login and two step-ups, which the user declines.
    assert_eq!((windows.load(Ordering::SeqCst), spent), (3, 28));
}

/// A machine without a user: the window opens, and nobody comes back.
struct Nobody(RedirectUri, Arc<AtomicUsize>);

impl UserAgent for Nobody {
    fn redirect_uri(&self) -> &RedirectUri {
        &self.0
    }

    fn visit<'a>(&'a self, _: &'a BrowserRequest) -> BoxFuture<'a, Result<String, VisitError>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Err(VisitError::Timeout) })
    }
}

/// SEC-244
#[tokio::test]
async fn without_a_user_only_three_windows_open_in_ten_minutes() {
    let servers = servers().await;
    let windows = Arc::new(AtomicUsize::new(0));
    let agent = Nobody(User::who("allow").0.redirect_uri, Arc::clone(&windows));
    let client = AuthorizedClient::new(&servers.mcp_url, "Test", agent).unwrap();
    for _ in 0..25 {
        assert!(matches!(get(&client).await, Err(Error::Visit(VisitError::Timeout))));
    }
    assert_eq!(windows.load(Ordering::SeqCst), 1, "the next request comes too early");
    for _ in 0..19 {
        later(30).await;
        assert!(get(&client).await.is_err());
    }
    assert_eq!(windows.load(Ordering::SeqCst), 3);
    // What the user asks for opens, and is counted.
    assert!(matches!(client.log_in().await, Err(Error::Visit(VisitError::Timeout))));
    assert_eq!(windows.load(Ordering::SeqCst), 4);
}

/// SEC-244
#[tokio::test]
async fn a_host_may_allow_no_window_or_more() {
    let servers = servers().await;
    for (limit, opened) in [(0, 0), (1, 1), (5, 5)] {
        let windows = Arc::new(AtomicUsize::new(0));
        let agent = Nobody(User::who("allow").0.redirect_uri, Arc::clone(&windows));
        let config = ClientConfig::new("Test", agent.0.clone());
        let limit = WindowLimit::new(limit, Duration::from_secs(100_000));
        let policy = Policy::default().with_window_limit(limit);
        let builder = AuthorizedClient::builder(&servers.mcp_url, config).user(agent);
        let client = builder.policy(policy).build().unwrap();
        for _ in 0..10 {
            assert!(get(&client).await.is_err());
            later(600).await;
        }
        assert_eq!(windows.load(Ordering::SeqCst), opened);
        assert!(too_many(&get(&client).await));
    }
}

/// SEC-244: it is not counted.
#[tokio::test]
async fn a_login_without_a_window_left_costs_no_registration() {
    let servers = servers().await;
    let server = ResourceUri::parse(&servers.mcp_url).unwrap();
    for limit in [0, 1] {
        let store = Arc::new(MemoryCredentials::default());
        let agent = Nobody(User::who("allow").0.redirect_uri, Arc::default());
        let config = ClientConfig::new("Test", agent.0.clone());
        let limit = WindowLimit::new(limit, Duration::from_secs(100_000));
        let policy = Policy::default().with_window_limit(limit);
        let builder = AuthorizedClient::builder(&servers.mcp_url, config).user(agent);
        let client = builder.policy(policy).store(Arc::clone(&store)).build().unwrap();
        for _ in 0..limit.windows() {
            assert!(matches!(get(&client).await, Err(Error::Visit(VisitError::Timeout))));
            later(600).await;
        }
        assert!(too_many(&get(&client).await));
        let kept = store.records(&server).await.unwrap();
        assert_eq!(kept.len(), usize::from(limit.windows()), "a registration for each window");
        // The record of the one window's login: it was the first of its registration, which is not counted.
        assert!(kept.iter().all(|record| record.account.unfinished_logins == 0), "{kept:?}");
    }
}

/// C-REG-1
#[tokio::test]
async fn a_client_that_has_no_user_to_send_registers_nowhere() {
    let servers = servers().await;
    let server = ResourceUri::parse(&servers.mcp_url).unwrap();
    let store = Arc::new(MemoryCredentials::default());
    let config = ClientConfig::new("Test", User::who("allow").0.redirect_uri);
    let builder = AuthorizedClient::builder(&servers.mcp_url, config).store(Arc::clone(&store));
    let client = builder.build().unwrap();
    assert!(matches!(get(&client).await, Err(Error::Visit(VisitError::NoBrowser))));
    assert!(store.records(&server).await.unwrap().is_empty());
}

/// SEC-246
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_slow_filter_delays_no_request_with_a_good_token() {
    let servers = servers().await;
    let (user, _) = User::who("allow");
    let config = ClientConfig::new("Test", user.redirect_uri.clone());
    let asked = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&asked);
    #[expect(clippy::disallowed_methods, reason = "a host that asks its user in between")]
    let policy = Policy::default().with_filter(move |_, scope| {
        seen.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_secs(3));
        Some(scope.clone())
    });
    let builder = AuthorizedClient::builder(&servers.mcp_url, config).user(user).policy(policy);
    let client = builder.build().unwrap();
    all_ok([get(&client)]).await;
    let stepping = client.clone();
    let step_up = tokio::spawn(async move { call(&stepping, "write").await });
    while asked.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    #[expect(clippy::disallowed_methods, reason = "real time is measured")]
    let begun = Instant::now();
    all_ok((0..8).map(|_| get(&client))).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(!step_up.is_finished());
    assert_eq!(step_up.await.unwrap().unwrap(), StatusCode::OK);
}
