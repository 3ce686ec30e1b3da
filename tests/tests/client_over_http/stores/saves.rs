//! Saves that fail: no grant is lost, and the user is asked at most once more.

use super::*;

/// Fails to save where it is told to: the n-th save, from 0, as if the disk was full.
#[derive(Clone)]
struct Failing {
    store: Arc<FileCredentials>,
    saves: Arc<AtomicUsize>,
    fails: fn(usize) -> bool,
}

impl Failing {
    fn new(home: &Path, fails: fn(usize) -> bool) -> Self {
        let store = Arc::new(FileCredentials::open(home).unwrap());
        Self { store, saves: Arc::default(), fails }
    }
}

impl CredentialStore for Failing {
    fn load<'a>(
        &'a self,
        key: &'a CredentialKey,
    ) -> BoxFuture<'a, Result<Option<StoredCredentials>, StoreError>> {
        self.store.load(key)
    }

    fn find<'a>(
        &'a self,
        server: &'a ResourceUri,
    ) -> BoxFuture<'a, Result<Option<StoredCredentials>, StoreError>> {
        self.store.find(server)
    }

    fn records<'a>(
        &'a self,
        server: &'a ResourceUri,
    ) -> BoxFuture<'a, Result<Vec<StoredCredentials>, StoreError>> {
        self.store.records(server)
    }

    fn save<'a>(&'a self, record: &'a StoredCredentials) -> BoxFuture<'a, Result<(), StoreError>> {
        if (self.fails)(self.saves.fetch_add(1, Ordering::SeqCst)) {
            return Box::pin(async { Err(StoreError) });
        }
        self.store.save(record)
    }
}

/// SEC-184
#[tokio::test]
async fn tokens_that_were_never_saved_are_asked_for_again() {
    let (servers, _folder, home) = at_home().await;
    // Two saves make a login: the registration and the tokens.
    let (client, _) = program(&servers, Failing::new(&home, |save| save >= 2));
    all_ok([get(&client)]).await;
    servers.clock.fetch_add(700, Ordering::SeqCst);
    // The server has rotated, and only the memory keeps what it gave. The program is killed there.
    all_ok([get(&client)]).await;
    drop(client);
    let (client, visits) = started(&servers, &home);
    all_ok([get(&client)]).await;
    assert_eq!(servers.tokens.load(Ordering::SeqCst), 3, "the old token, inside its grace");
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

fn kept_token(home: &Path) -> serde_json::Value {
    let [record] = &records(home)[..] else { panic!("one record") };
    let json: serde_json::Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
    json["tokens"]["refresh_token"].clone()
}

/// SEC-241
#[tokio::test]
async fn a_save_that_fails_loses_no_grant_and_is_made_up_for() {
    let (servers, _folder, home) = at_home().await;
    // Both saves of the first refresh fail, the next one works.
    let failing = |save| matches!(save, 2 | 3);
    let (client, visits) = program(&servers, Failing::new(&home, failing));
    all_ok([get(&client)]).await;
    let first = kept_token(&home);
    servers.clock.fetch_add(700, Ordering::SeqCst);
    all_ok([get(&client), get(&client)]).await;
    assert_eq!(kept_token(&home), first, "a spent one");
    // Beyond every grace, where the spent one would end the grant.
    servers.clock.fetch_add(700, Ordering::SeqCst);
    all_ok([get(&client), get(&client)]).await;
    assert_ne!(kept_token(&home), first);
    client.flush().await.unwrap();
    servers.clock.fetch_add(700, Ordering::SeqCst);
    let (restarted, later) = started(&servers, &home);
    all_ok([get(&restarted)]).await;
    assert_eq!(servers.tokens.load(Ordering::SeqCst), 4, "a login and three refreshes");
    assert_eq!((visits.load(Ordering::SeqCst), later.load(Ordering::SeqCst)), (1, 0));
}

/// SEC-241
#[tokio::test]
async fn a_program_saves_at_its_end_or_says_that_it_cannot() {
    let (servers, _folder, home) = at_home().await;
    let failing = |save| matches!(save, 2..=5);
    let (client, _) = program(&servers, Failing::new(&home, failing));
    all_ok([get(&client)]).await;
    let first = kept_token(&home);
    servers.clock.fetch_add(700, Ordering::SeqCst);
    all_ok([get(&client)]).await;
    assert!(matches!(client.flush().await, Err(Error::Store(StoreError))));
    assert_eq!(kept_token(&home), first);
    client.flush().await.unwrap();
    assert_ne!(kept_token(&home), first);
    // Nothing is left to do.
    client.flush().await.unwrap();
}

/// SEC-241
#[tokio::test]
async fn a_program_saves_nothing_at_its_end_after_another_logged_out() {
    let (servers, _folder, home) = at_home().await;
    // Both saves of the first refresh fail.
    let (client, _) = program(&servers, Failing::new(&home, |save| matches!(save, 2 | 3)));
    all_ok([get(&client)]).await;
    servers.clock.fetch_add(700, Ordering::SeqCst);
    all_ok([get(&client)]).await;
    started(&servers, &home).0.log_out().await.unwrap();
    client.flush().await.unwrap();
    assert!(kept_token(&home).is_null(), "the logout stands");
}

/// SEC-241
#[tokio::test]
async fn a_store_that_never_saves_costs_one_login_and_no_grant() {
    let (servers, _folder, home) = at_home().await;
    let (client, visits) = program(&servers, Failing::new(&home, |_| true));
    for _ in 0..4 {
        all_ok([get(&client), get(&client)]).await;
        servers.clock.fetch_add(700, Ordering::SeqCst);
    }
    assert_eq!(servers.tokens.load(Ordering::SeqCst), 4, "a login and three refreshes");
    assert_eq!(visits.load(Ordering::SeqCst), 1);
}

/// SEC-245
#[tokio::test]
async fn a_logout_that_the_store_refuses_logs_nobody_in_again() {
    let (servers, _folder, home) = at_home().await;
    // Those of the logout fail, and those that are to make up for it.
    let failing = |save| matches!(save, 2..=5);
    let (client, visits) = program(&servers, Failing::new(&home, failing));
    all_ok([get(&client)]).await;
    assert!(matches!(client.log_out().await, Err(Error::Store(StoreError))));
    assert!(!kept_token(&home).is_null(), "the store still has them");
    // The user is asked, and what the store kept is replaced.
    let tokens = servers.tokens.load(Ordering::SeqCst);
    all_ok([get(&client)]).await;
    assert_eq!(visits.load(Ordering::SeqCst), 2);
    assert_eq!(servers.tokens.load(Ordering::SeqCst) - tokens, 1, "the code");
    // Where nobody logs in again, the end of the program makes up for it.
    let failing = |save| matches!(save, 0 | 1);
    let (client, _) = program(&servers, Failing::new(&home, failing));
    assert!(client.log_out().await.is_err());
    assert!(!kept_token(&home).is_null());
    client.flush().await.unwrap();
    assert!(kept_token(&home).is_null());
}
