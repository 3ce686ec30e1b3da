//! What many requests at once cost, and who waits for whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::response::IntoResponse as _;
use client_flow::{ClientConfig, FlowErrorKind};
use futures::future::join_all;
use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use mcp_authz_reqwest::{AuthorizedClient, Error, UserAgent as _};
use oauth_types::RedirectUri;
use scope_stepup::{Policy, WindowLimit};

use crate::servers::*;

/// C-TOKEN-8, SEC-181
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_requests_share_one_login_one_refresh_and_one_step_up() {
    let servers = servers().await;
    let (client, visits) = client(&servers, "allow");
    all_ok((0..64).map(|_| get(&client))).await;
    assert_eq!((visits.load(Ordering::SeqCst), servers.tokens.load(Ordering::SeqCst)), (1, 1));
    // The server's clock runs ahead: every request meets the dead token at once.
    servers.clock.fetch_add(700, Ordering::SeqCst);
    all_ok((0..64).map(|_| get(&client))).await;
    assert_eq!((visits.load(Ordering::SeqCst), servers.tokens.load(Ordering::SeqCst)), (1, 2));
    all_ok((0..64).map(|_| call(&client, "write"))).await;
    assert_eq!((visits.load(Ordering::SeqCst), servers.tokens.load(Ordering::SeqCst)), (2, 3));
    // A warm call asks nobody.
    all_ok([get(&client)]).await;
    assert_eq!(servers.tokens.load(Ordering::SeqCst), 3);
}

/// C-SCOPE-6
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn waiting_for_the_step_up_of_another_call_is_no_attempt() {
    for _ in 0..8 {
        let servers = servers().await;
        let (client, visits) = client(&servers, "allow");
        all_ok([get(&client)]).await;
        let (write, erase) = futures::join!(call(&client, "write"), call(&client, "erase"));
        assert_eq!((write.unwrap(), erase.unwrap()), (StatusCode::OK, StatusCode::OK));
        assert_eq!(visits.load(Ordering::SeqCst), 3, "a login, and a step-up for each");
    }
}

/// SEC-165
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_user_who_says_no_is_asked_once() {
    let servers = servers().await;
    let (mut user, visits) = User::who("deny");
    user.waits_for = Some((Arc::clone(&servers.calls), 16));
    let client = AuthorizedClient::new(&servers.mcp_url, "Test", user).unwrap();
    let outcomes = join_all((0..16).map(|_| get(&client))).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(Error::Flow(_)))));
    assert_eq!(visits.load(Ordering::SeqCst), 1);
}

/// C-TOKEN-8
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_tasks_meet_an_expired_token_and_send_one_refresh() {
    let servers = servers().await;
    let (client, visits) = client(&servers, "allow");
    all_ok([get(&client)]).await;
    servers.clock.fetch_add(700, Ordering::SeqCst);
    let before = servers.calls.load(Ordering::SeqCst);
    let tasks = (0..1000).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { get(&client).await })
    });
    for outcome in join_all(tasks).await {
        assert_eq!(outcome.unwrap().unwrap(), StatusCode::OK);
    }
    assert_eq!(servers.tokens.load(Ordering::SeqCst), 2, "the login and one refresh");
    assert_eq!(visits.load(Ordering::SeqCst), 1);
    let calls = servers.calls.load(Ordering::SeqCst) - before;
    assert!(
        (1001..=2000).contains(&calls),
        "each once, and again where it met the old token: {calls}"
    );
}

/// C-TOKEN-8
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_but_its_own_operation_waits_for_an_open_browser() {
    let servers = servers().await;
    let (mut user, visits) = User::who("allow");
    let open = Arc::new(AtomicUsize::new(1));
    user.waits_for = Some((Arc::clone(&open), 1));
    let client = AuthorizedClient::new(&servers.mcp_url, "Test", user).unwrap();
    all_ok([get(&client)]).await;
    // A step-up, whose user takes a while.
    open.store(0, Ordering::SeqCst);
    let stepping = client.clone();
    let step_up = tokio::spawn(async move { call(&stepping, "write").await });
    while visits.load(Ordering::SeqCst) < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    all_ok((0..8).map(|_| get(&client))).await;
    // Not even a dead token has to wait for the user: it is refreshed.
    servers.clock.fetch_add(700, Ordering::SeqCst);
    all_ok((0..8).map(|_| get(&client))).await;
    assert_eq!(servers.tokens.load(Ordering::SeqCst), 2);
    assert!(!step_up.is_finished());
    open.store(1, Ordering::SeqCst);
    assert_eq!(step_up.await.unwrap().unwrap(), StatusCode::OK);
    // What the step-up brought is what stays.
    all_ok([call(&client, "write"), call(&client, "write")]).await;
    assert_eq!((visits.load(Ordering::SeqCst), servers.tokens.load(Ordering::SeqCst)), (2, 3));
}

/// C-TOKEN-8
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_login_goes_on_when_who_began_it_gives_up() {
    let servers = servers().await;
    let (mut user, visits) = User::who("allow");
    let open = Arc::new(AtomicUsize::new(0));
    user.waits_for = Some((Arc::clone(&open), 1));
    let client = AuthorizedClient::new(&servers.mcp_url, "Test", user).unwrap();
    let impatient = tokio::time::timeout(Duration::from_millis(300), get(&client)).await;
    assert!(impatient.is_err());
    assert_eq!(visits.load(Ordering::SeqCst), 1);
    let patient = client.clone();
    let patient = tokio::spawn(async move { get(&patient).await });
    open.store(1, Ordering::SeqCst);
    assert_eq!(patient.await.unwrap().unwrap(), StatusCode::OK);
    assert_eq!((visits.load(Ordering::SeqCst), servers.tokens.load(Ordering::SeqCst)), (1, 1));
}

/// SEC-182
#[tokio::test]
async fn a_refresh_that_fails_in_passing_costs_nobody_their_login() {
    let servers = servers().await;
    let (client, visits) = client(&servers, "allow");
    all_ok([get(&client)]).await;
    servers.clock.fetch_add(700, Ordering::SeqCst);
    for status in [503, 500, 429] {
        servers.breaks.store(status, Ordering::SeqCst);
        match get(&client).await {
            Err(Error::Flow(flow)) => {
                let status = StatusCode::from_u16(status).unwrap();
                assert_eq!(*flow.kind(), FlowErrorKind::Status(status));
            }
            other => panic!("{other:?}"),
        }
        later(5).await;
    }
    servers.breaks.store(0, Ordering::SeqCst);
    all_ok([get(&client), get(&client)]).await;
    assert_eq!(visits.load(Ordering::SeqCst), 1);
    assert_eq!(servers.tokens.load(Ordering::SeqCst), 5);
}

/// C-TOKEN-7, SEC-183
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_dead_refresh_token_is_tried_once_then_the_user_logs_in() {
    let servers = servers().await;
    let (mut user, visits) = User::who("allow");
    let open = Arc::new(AtomicUsize::new(1));
    user.waits_for = Some((Arc::clone(&open), 1));
    let client = AuthorizedClient::new(&servers.mcp_url, "Test", user).unwrap();
    all_ok([call(&client, "write")]).await;
    servers.clock.fetch_add(700, Ordering::SeqCst);
    servers.breaks.store(400, Ordering::SeqCst);
    open.store(0, Ordering::SeqCst);
    let (visits_before, tokens_before) =
        (visits.load(Ordering::SeqCst), servers.tokens.load(Ordering::SeqCst));
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { call(&client, "write").await })
        })
        .collect();
    while visits.load(Ordering::SeqCst) == visits_before {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(servers.tokens.load(Ordering::SeqCst) - tokens_before, 1, "the refresh");
    servers.breaks.store(0, Ordering::SeqCst);
    open.store(1, Ordering::SeqCst);
    for task in tasks {
        // For all that was held: no step-up follows.
        assert_eq!(task.await.unwrap().unwrap(), StatusCode::OK);
    }
    assert_eq!(visits.load(Ordering::SeqCst) - visits_before, 1);
    assert_eq!(servers.tokens.load(Ordering::SeqCst) - tokens_before, 2);
}

/// C-TOKEN-1, SEC-104
#[tokio::test]
async fn no_redirect_is_followed_whatever_the_http_client_says() {
    let servers = servers().await;
    for status in [301, 302, 303, 307, 308] {
        let (user, _) = User::who("allow");
        let config = ClientConfig::new("Test", user.redirect_uri.clone());
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::limited(10));
        let builder = AuthorizedClient::builder(&servers.mcp_url, config).user(user).http(http);
        let client = builder.build().unwrap();
        servers.breaks.store(status, Ordering::SeqCst);
        match get(&client).await {
            Err(Error::Flow(flow)) => {
                let status = StatusCode::from_u16(status).unwrap();
                assert_eq!(*flow.kind(), FlowErrorKind::Status(status));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(servers.followed.load(Ordering::SeqCst), 0);
}

/// SEC-165
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_operation_that_is_declined_opens_one_window() {
    let servers = servers_that(|_| {
        let challenge = "Bearer error=\"insufficient_scope\", scope=\"read write\"";
        (StatusCode::FORBIDDEN, [(WWW_AUTHENTICATE, challenge)]).into_response()
    })
    .await;
    let (user, _) = User::who("allow");
    let windows = Arc::new(AtomicUsize::new(0));
    let user = FickleUser { inner: user, windows: Arc::clone(&windows) };
    let config = ClientConfig::new("Test", user.redirect_uri().clone());
    let many = WindowLimit::new(100, Duration::from_secs(600));
    let policy = Policy::default().with_window_limit(many);
    let builder = AuthorizedClient::builder(&servers.mcp_url, config).user(user).policy(policy);
    let client = builder.build().unwrap();
    // A login; then nobody agrees to anything, however many ask at once.
    assert!(call(&client, "first").await.is_err());
    assert_eq!(windows.load(Ordering::SeqCst), 2);
    let tools: Vec<String> = (0..8).map(|at| format!("tool-{at}")).collect();
    let calls = tools.iter().flat_map(|tool| [call(&client, tool), call(&client, tool)]);
    let outcomes = join_all(calls).await;
    assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
    assert_eq!(windows.load(Ordering::SeqCst), 2 + 8);
}

/// SEC-165
#[tokio::test]
async fn a_user_who_just_declined_is_not_asked_by_the_next_request() {
    let servers = servers().await;
    let (client, visits) = client(&servers, "deny");
    for _ in 0..5 {
        let Err(Error::Flow(flow)) = get(&client).await else { panic!("no error of a flow") };
        assert!(matches!(flow.kind(), FlowErrorKind::Denied(_)), "{flow:?}");
    }
    assert_eq!(visits.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_on_this_machine_is_asked_through_no_proxy() {
    let servers = servers().await;
    let (user, _) = User::who("allow");
    let config = ClientConfig::new("Test", user.redirect_uri.clone());
    let proxy = reqwest::Proxy::all("http://127.0.0.1:1").unwrap();
    let http = reqwest::Client::builder().proxy(proxy);
    let builder = AuthorizedClient::builder(&servers.mcp_url, config).user(user).http(http);
    all_ok([get(&builder.build().unwrap())]).await;
}

#[tokio::test]
async fn a_login_with_a_wrong_redirect_is_refused_before_the_browser() {
    let servers = servers().await;
    let (user, _) = User::who("allow");
    let elsewhere = RedirectUri::parse("http://127.0.0.1:9/elsewhere").unwrap();
    let config = ClientConfig::new("Test", elsewhere);
    let refused = AuthorizedClient::builder(&servers.mcp_url, config).user(user).build();
    assert!(matches!(refused, Err(Error::RedirectUri)));
}
