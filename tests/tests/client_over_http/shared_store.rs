//! Programs that share a store, which fails for one of them: logouts that are written later, and waits for a window.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use client_flow::{ClientConfig, CredentialKey, StoredCredentials};
use futures::future::BoxFuture;
use http::StatusCode;
use mcp_authz_reqwest::{AuthorizedClient, CredentialStore, Error, MemoryCredentials, StoreError};
use oauth_types::ResourceUri;

use crate::servers::*;

/// One program's way to a store, which fails where it is told to.
#[derive(Clone, Default)]
struct Access {
    store: Arc<MemoryCredentials>,
    fails_to_read: Arc<AtomicBool>,
    fails_to_write: Arc<AtomicBool>,
}

impl Access {
    /// Another program's way to the same store.
    fn of_another(&self) -> Self {
        Self { store: Arc::clone(&self.store), ..Self::default() }
    }

    fn breaks(&self, fails_to_read: bool) {
        self.fails_to_read.store(fails_to_read, Ordering::SeqCst);
        self.fails_to_write.store(true, Ordering::SeqCst);
    }

    fn works(&self) {
        self.fails_to_read.store(false, Ordering::SeqCst);
        self.fails_to_write.store(false, Ordering::SeqCst);
    }
}

/// The answer of the store, unless this kind of access fails.
fn unless<'a, T: Send + 'a>(
    fails: &AtomicBool,
    answer: BoxFuture<'a, Result<T, StoreError>>,
) -> BoxFuture<'a, Result<T, StoreError>> {
    match fails.load(Ordering::SeqCst) {
        true => Box::pin(async { Err(StoreError) }),
        false => answer,
    }
}

impl CredentialStore for Access {
    fn load<'a>(
        &'a self,
        key: &'a CredentialKey,
    ) -> BoxFuture<'a, Result<Option<StoredCredentials>, StoreError>> {
        unless(&self.fails_to_read, self.store.load(key))
    }

    fn find<'a>(
        &'a self,
        server: &'a ResourceUri,
    ) -> BoxFuture<'a, Result<Option<StoredCredentials>, StoreError>> {
        unless(&self.fails_to_read, self.store.find(server))
    }

    fn records<'a>(
        &'a self,
        server: &'a ResourceUri,
    ) -> BoxFuture<'a, Result<Vec<StoredCredentials>, StoreError>> {
        unless(&self.fails_to_read, self.store.records(server))
    }

    fn save<'a>(&'a self, record: &'a StoredCredentials) -> BoxFuture<'a, Result<(), StoreError>> {
        match self.fails_to_write.load(Ordering::SeqCst) {
            true => Box::pin(async { Err(StoreError) }),
            false => self.store.save(record),
        }
    }

    fn remove<'a>(&'a self, key: &'a CredentialKey) -> BoxFuture<'a, Result<(), StoreError>> {
        match self.fails_to_write.load(Ordering::SeqCst) {
            true => Box::pin(async { Err(StoreError) }),
            false => self.store.remove(key),
        }
    }
}

/// A program with this way to the store, and how often its user was asked.
fn program(servers: &Servers, access: &Access) -> (AuthorizedClient, Arc<AtomicUsize>) {
    let (user, visits) = User::who("allow");
    let config = ClientConfig::new("Test", user.redirect_uri.clone());
    let builder = AuthorizedClient::builder(&servers.mcp_url, config).user(user);
    (builder.store(access.clone()).build().unwrap(), visits)
}

async fn fails_to_log_out(client: &AuthorizedClient, forgets: bool) {
    let outcome = match forgets {
        true => client.forget().await,
        false => client.log_out().await,
    };
    assert!(matches!(outcome, Err(Error::Store(StoreError))), "{outcome:?}");
}

async fn kept(servers: &Servers, access: &Access) -> Option<StoredCredentials> {
    access.store.find(&ResourceUri::parse(&servers.mcp_url).unwrap()).await.unwrap()
}

/// SEC-245
#[tokio::test]
async fn a_delayed_logout_ends_no_later_login_of_another_program() {
    for (forgets, fails_to_read) in [(false, false), (false, true), (true, false), (true, true)] {
        let (servers, access) = (servers().await, Access::default());
        let (one, _) = program(&servers, &access);
        all_ok([get(&one)]).await;
        access.breaks(fails_to_read);
        fails_to_log_out(&one, forgets).await;
        // The user logs in with the other program.
        let (other, visits) = program(&servers, &access.of_another());
        other.log_in().await.unwrap();
        let login = kept(&servers, &access).await.unwrap().tokens.unwrap().login();
        access.works();
        one.flush().await.unwrap();
        let record = kept(&servers, &access).await.expect("the later login stays");
        assert_eq!(record.tokens.unwrap().login(), login);
        assert_eq!(visits.load(Ordering::SeqCst), 1);
        // It is refreshed, and a third program takes it up.
        servers.clock.fetch_add(700, Ordering::SeqCst);
        all_ok([get(&other)]).await;
        let (third, later) = program(&servers, &access);
        all_ok([get(&third)]).await;
        assert_eq!((visits.load(Ordering::SeqCst), later.load(Ordering::SeqCst)), (1, 0));
    }
}

/// SEC-245
#[tokio::test]
async fn a_delayed_logout_ends_its_login_despite_refreshes() {
    for fails_to_read in [false, true] {
        let (servers, access) = (servers().await, Access::default());
        let (one, _) = program(&servers, &access);
        all_ok([get(&one)]).await;
        let (other, visits) = program(&servers, &access.of_another());
        all_ok([get(&other)]).await;
        access.breaks(fails_to_read);
        fails_to_log_out(&one, false).await;
        let before = kept(&servers, &access).await.unwrap().tokens.unwrap();
        for _ in 0..2 {
            servers.clock.fetch_add(700, Ordering::SeqCst);
            all_ok([get(&other)]).await;
        }
        let refreshed = kept(&servers, &access).await.unwrap().tokens.unwrap();
        assert!(!refreshed.access_token.matches(before.access_token.expose()));
        assert_eq!((refreshed.login(), visits.load(Ordering::SeqCst)), (before.login(), 0));
        access.works();
        one.flush().await.unwrap();
        assert!(kept(&servers, &access).await.is_none());
    }
}

/// SEC-245
#[tokio::test]
async fn a_logout_of_an_unread_store_ends_what_it_holds_first() {
    let (servers, access) = (servers().await, Access::default());
    all_ok([get(&program(&servers, &access).0)]).await;
    let (one, _) = program(&servers, &access);
    access.breaks(true);
    fails_to_log_out(&one, false).await;
    // Readable again, but nothing is written: from here on it is known what was meant.
    access.breaks(false);
    assert!(one.flush().await.is_err());
    let (other, _) = program(&servers, &access.of_another());
    other.log_in().await.unwrap();
    access.works();
    one.flush().await.unwrap();
    assert!(kept(&servers, &access).await.is_some());
    // The same without a later login.
    let (one, _) = program(&servers, &access);
    access.breaks(true);
    fails_to_log_out(&one, false).await;
    access.works();
    one.flush().await.unwrap();
    assert!(kept(&servers, &access).await.is_none());
}

/// SEC-245: the logout still waits for the store.
#[tokio::test]
async fn a_later_login_of_another_program_is_used_despite_a_logout() {
    let (servers, access) = (servers().await, Access::default());
    let (one, visits) = program(&servers, &access);
    all_ok([get(&one)]).await;
    access.breaks(false);
    fails_to_log_out(&one, false).await;
    let (other, _) = program(&servers, &access.of_another());
    other.log_in().await.unwrap();
    let tokens = servers.tokens.load(Ordering::SeqCst);
    all_ok([get(&one)]).await;
    assert_eq!(visits.load(Ordering::SeqCst), 1, "the user has just logged in");
    assert_eq!(servers.tokens.load(Ordering::SeqCst), tokens);
}

#[tokio::test]
async fn a_record_read_late_ends_no_wait_for_a_browser_window() {
    let (servers, access) = (servers().await, Access::default());
    all_ok([get(&program(&servers, &access).0)]).await;
    access.breaks(true);
    let (mut user, visits) = User::who("allow");
    user.waits_for = Some((Arc::default(), 1));
    let config = ClientConfig::new("Test", user.redirect_uri.clone());
    let builder = AuthorizedClient::builder(&servers.mcp_url, config).user(user);
    let one = builder.store(access.clone()).build().unwrap();
    let waits = tokio::spawn(async move { get(&one).await });
    let look = async || {
        later(3).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    while visits.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    look().await;
    // What is there now is from before, and not what another program has brought.
    access.works();
    look().await;
    look().await;
    assert!(!waits.is_finished());
    program(&servers, &access.of_another()).0.log_in().await.unwrap();
    look().await;
    assert_eq!(waits.await.unwrap().unwrap(), StatusCode::OK);
    assert_eq!(visits.load(Ordering::SeqCst), 1);
}
