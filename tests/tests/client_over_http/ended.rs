//! Logins that the user ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use client_flow::{BrowserRequest, ClientConfig};
use futures::future::BoxFuture;
use http::StatusCode;
use mcp_authz_reqwest::{
    AuthorizedClient, CredentialStore, Error, MemoryCredentials, UserAgent, VisitError,
};
use oauth_types::{RedirectUri, ResourceUri};

use crate::servers::*;

/// A client whose user comes back when the counter says so, and its store.
struct Waiting {
    client: AuthorizedClient,
    visits: Arc<AtomicUsize>,
    comes_back: Arc<AtomicUsize>,
    store: Arc<MemoryCredentials>,
}

impl Waiting {
    fn new(servers: &Servers) -> Self {
        let (mut user, visits) = User::who("allow");
        let comes_back = Arc::new(AtomicUsize::new(1));
        user.waits_for = Some((Arc::clone(&comes_back), 1));
        let store = Arc::new(MemoryCredentials::default());
        let config = ClientConfig::new("Test", user.redirect_uri.clone());
        let builder = AuthorizedClient::builder(&servers.mcp_url, config).user(user);
        let client = builder.store(Arc::clone(&store)).build().unwrap();
        Self { client, visits, comes_back, store }
    }

    async fn shows(&self, visits: usize) {
        while self.visits.load(Ordering::SeqCst) < visits {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn has_tokens(&self, servers: &Servers) -> bool {
        let server = ResourceUri::parse(&servers.mcp_url).unwrap();
        self.store.find(&server).await.unwrap().is_some()
    }
}

/// SEC-245
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_login_that_is_open_while_the_user_logs_out_ends_unused() {
    for forgets in [false, true] {
        let servers = servers().await;
        let waiting = Waiting::new(&servers);
        waiting.comes_back.store(0, Ordering::SeqCst);
        let client = waiting.client.clone();
        let request = tokio::spawn(async move { get(&client).await });
        waiting.shows(1).await;
        match forgets {
            false => waiting.client.log_out().await.unwrap(),
            true => waiting.client.forget().await.unwrap(),
        }
        assert!(matches!(request.await.unwrap(), Err(Error::LoginEnded)));
        // The user finishes the page all the same.
        waiting.comes_back.store(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(servers.tokens.load(Ordering::SeqCst), 0, "no code is redeemed");
        assert!(!waiting.has_tokens(&servers).await);
        // The next request has a window of its own.
        all_ok([get(&waiting.client)]).await;
        assert_eq!(waiting.visits.load(Ordering::SeqCst), 2);
    }
}

/// SEC-245
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_step_up_that_is_open_while_the_user_logs_out_ends_unused() {
    let servers = servers().await;
    let waiting = Waiting::new(&servers);
    all_ok([get(&waiting.client)]).await;
    waiting.comes_back.store(0, Ordering::SeqCst);
    let client = waiting.client.clone();
    let request = tokio::spawn(async move { call(&client, "write").await });
    waiting.shows(2).await;
    waiting.client.log_out().await.unwrap();
    waiting.comes_back.store(1, Ordering::SeqCst);
    assert!(matches!(request.await.unwrap(), Err(Error::LoginEnded)));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(servers.tokens.load(Ordering::SeqCst), 1, "the login's");
    assert!(!waiting.has_tokens(&servers).await);
    assert_eq!(get(&waiting.client).await.unwrap(), StatusCode::OK);
    assert_eq!(waiting.visits.load(Ordering::SeqCst), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_login_that_is_cancelled_ends_and_the_session_stays() {
    let servers = servers().await;
    let waiting = Waiting::new(&servers);
    all_ok([get(&waiting.client)]).await;
    waiting.comes_back.store(0, Ordering::SeqCst);
    let client = waiting.client.clone();
    let request = tokio::spawn(async move { client.log_in().await });
    waiting.shows(2).await;
    waiting.client.cancel_login();
    assert!(matches!(request.await.unwrap(), Err(Error::LoginEnded)));
    all_ok([get(&waiting.client)]).await;
    assert_eq!(waiting.visits.load(Ordering::SeqCst), 2);
    // Begun again, it is another window.
    waiting.comes_back.store(1, Ordering::SeqCst);
    waiting.client.log_in().await.unwrap();
    assert_eq!(waiting.visits.load(Ordering::SeqCst), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_login_begun_again_after_a_cancelled_one_is_a_new_one() {
    let servers = servers().await;
    let waiting = Waiting::new(&servers);
    waiting.comes_back.store(0, Ordering::SeqCst);
    let client = waiting.client.clone();
    let request = tokio::spawn(async move { get(&client).await });
    waiting.shows(1).await;
    waiting.comes_back.store(1, Ordering::SeqCst);
    waiting.client.cancel_login();
    waiting.client.log_in().await.unwrap();
    assert!(matches!(request.await.unwrap(), Err(Error::LoginEnded)));
    all_ok([get(&waiting.client)]).await;
}

/// The host's own code, broken.
struct Panicking(RedirectUri);

impl UserAgent for Panicking {
    fn redirect_uri(&self) -> &RedirectUri {
        &self.0
    }

    fn visit<'a>(&'a self, _: &'a BrowserRequest) -> BoxFuture<'a, Result<String, VisitError>> {
        Box::pin(async { panic!("no window on this machine") })
    }
}

#[tokio::test]
async fn a_user_agent_that_panics_is_named_as_the_cause() {
    let servers = servers().await;
    let agent = Panicking(User::who("allow").0.redirect_uri);
    let client = AuthorizedClient::new(&servers.mcp_url, "Test", agent).unwrap();
    assert!(matches!(get(&client).await, Err(Error::Panicked)));
    assert!(matches!(client.log_in().await, Err(Error::Panicked)));
}
