//! How the lives of clients, users and what they agreed to end.

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use authorization_server::{ClientRecord, Lifetimes, MemoryStore, Store as _};
use client_auth::Registered;
use http::header::COOKIE;
use http::{HeaderMap, Request, StatusCode};
use mcp_authz_axum::{AuthorizationServer, Browser, Clock, Login, User};
use oauth_types::{ClientId, RedirectUri, SecretDigest, UnixTime};
use serde_json::{Value, json};

use crate::server::*;

const DAY: u64 = 24 * 60 * 60;

/// Takes every browser for the user that a cookie of the test names.
struct Named;

impl Login for Named {
    async fn browser(&self, headers: &HeaderMap, _: &str) -> Browser {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
        let mut cookies = cookies.flat_map(|cookies| cookies.split("; "));
        let name = cookies.find_map(|cookie| cookie.strip_prefix("user="));
        let name = name.unwrap_or("alice").to_owned();
        Browser::User(User { subject: name.clone(), name })
    }
}

/// A server with a clock that the test moves.
struct Living {
    server: Server,
    seconds: Arc<AtomicU64>,
}

impl Living {
    fn new(store: MemoryStore, lifetimes: Lifetimes) -> Self {
        let (store, seconds) = (Arc::new(store), Arc::new(AtomicU64::new(NOW.as_secs())));
        let clock = Arc::clone(&seconds);
        let config = config("https://as.example").with_lifetimes(lifetimes).unwrap();
        let router = AuthorizationServer::new(config, Arc::clone(&store), Named)
            .with_clock(Clock::new(move || UnixTime::from_secs(clock.load(Ordering::SeqCst))))
            .router();
        Self { server: Server { router, store }, seconds }
    }

    fn now(&self) -> UnixTime {
        UnixTime::from_secs(self.seconds.load(Ordering::SeqCst))
    }

    fn pass(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    /// The store, which is full, sees this time and then that it lasts.
    async fn settle(&self) {
        let refused = self.server.register(metadata()).await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        self.pass(7200);
    }

    /// A code that this user agreed to.
    async fn code(&self, client: &str, user: &str) -> String {
        let request = Request::get(authorize(client, &[])).header(COOKIE, format!("user={user}"));
        let page = self.server.send(request.body("".into()).unwrap()).await;
        let cookies = format!("user={user}; {}", page.cookie());
        let answer = self.server.consent(&page.transaction(), &cookies, "allow").await;
        answer.redirect("code").unwrap()
    }

    async fn tokens(&self, client: &str, user: &str) -> Value {
        let code = self.code(client, user).await;
        let answer = self.server.form("/token", &redeem(client, &code)).await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.json()
    }

    /// What the next refresh is answered with.
    async fn refresh(&self, client: &str, tokens: &Value) -> Answer {
        let token = tokens["refresh_token"].as_str().unwrap();
        let form = format!("grant_type=refresh_token&client_id={client}&refresh_token={token}");
        self.server.form("/token", &form).await
    }

    async fn is_active(&self, tokens: &Value) -> bool {
        let digest = SecretDigest::of(tokens["access_token"].as_str().unwrap());
        self.server.store.access(&digest, self.now()).await.unwrap().is_some()
    }
}

fn living() -> Living {
    Living::new(MemoryStore::default(), Lifetimes::default())
}

fn id(client: &str) -> ClientId {
    ClientId::parse(client).unwrap()
}

#[tokio::test]
async fn sec_177_a_client_that_is_deleted_leaves_nothing_that_works() {
    let living = living();
    let (gone, other) = (living.server.client().await, living.server.client().await);
    let (tokens, others) = (living.tokens(&gone, "a").await, living.tokens(&other, "a").await);
    let code = living.code(&gone, "a").await;
    let page = living.server.get(&authorize(&gone, &[])).await;

    living.server.store.delete_client(&id(&gone), living.now()).await.unwrap();
    assert!(!living.is_active(&tokens).await);
    let refused = living.refresh(&gone, &tokens).await;
    assert_eq!((refused.status, &*refused.error()), (StatusCode::UNAUTHORIZED, "invalid_client"));
    let refused = living.server.form("/token", &redeem(&gone, &code)).await;
    assert_eq!(refused.error(), "invalid_client");
    let refused = living.server.get(&authorize(&gone, &[])).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    // A page that was open is nobody's.
    let late = living.server.consent(&page.transaction(), &page.cookie(), "allow").await;
    assert_eq!(late.status, StatusCode::BAD_REQUEST);

    // Not even when somebody brings the identifier back.
    let back = RedirectUri::parse(REDIRECT).unwrap();
    let public = Registered::public();
    let record = ClientRecord::preregistered(
        &config("https://as.example"),
        id(&gone),
        public,
        vec![back],
        living.now(),
    )
    .unwrap();
    living.server.store.create_client(record, living.now()).await.unwrap();
    assert_eq!(living.refresh(&gone, &tokens).await.error(), "invalid_grant");
    let refused = living.server.form("/token", &redeem(&gone, &code)).await;
    assert_eq!(refused.error(), "invalid_grant");

    assert!(living.is_active(&others).await);
    assert_eq!(living.refresh(&other, &others).await.status, StatusCode::OK);
}

#[tokio::test]
async fn sec_177_a_user_who_is_disabled_and_a_client_that_is_not_trusted_any_more() {
    for only in [None, Some("first")] {
        let living = living();
        let (first, second) = (living.server.client().await, living.server.client().await);
        let [one, two, other] = [
            living.tokens(&first, "alice").await,
            living.tokens(&second, "alice").await,
            living.tokens(&first, "bob").await,
        ];
        let code = living.code(&first, "alice").await;
        let client = only.map(|_| id(&first));
        let outcome = living.server.store.revoke_subject("alice", client.as_ref(), living.now());
        outcome.await.unwrap();

        assert!(!living.is_active(&one).await);
        let refused = living.refresh(&first, &one).await;
        assert_eq!((refused.status, &*refused.error()), (StatusCode::BAD_REQUEST, "invalid_grant"));
        let refused = living.server.form("/token", &redeem(&first, &code)).await;
        assert_eq!(refused.error(), "invalid_grant", "a code that was on its way");
        // Her other client only if it was hers that ended, and never somebody else's tokens.
        let stays = only.is_some();
        assert_eq!(living.is_active(&two).await, stays);
        assert_eq!(living.refresh(&second, &two).await.status == StatusCode::OK, stays);
        assert!(living.is_active(&other).await);
        assert_eq!(living.refresh(&first, &other).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn sec_108_a_client_that_never_got_a_token_is_forgotten() {
    let living = living();
    let (used, unused) = (living.server.client().await, living.server.client().await);
    let tokens = living.tokens(&used, "alice").await;
    let owner = |form: &str, client: &str| format!("{form}&client_id={client}");
    living.pass(DAY - 1);
    assert_eq!(living.server.get(&authorize(&unused, &[])).await.status, StatusCode::OK);
    living.pass(1);

    // Before any sweep it is answered as one that never was.
    for client in [&*unused, "nobody"] {
        let page = living.server.get(&authorize(client, &[])).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        for (path, form) in [
            ("/token", "grant_type=authorization_code&code=x"),
            ("/token", "grant_type=refresh_token&refresh_token=x"),
            ("/revoke", "token=x"),
        ] {
            let answer = living.server.form(path, &owner(form, client)).await;
            assert_eq!(answer.error(), "invalid_client", "{client} {form}");
        }
    }
    let store = &living.server.store;
    assert_eq!(store.sweep(living.now(), 0).await.unwrap(), 0);
    assert!(store.read_client(&id(&unused)).await.unwrap().is_some());
    for _ in 0..3 {
        store.sweep(living.now(), 100).await.unwrap();
        living.pass(2 * 3600);
    }
    assert!(store.read_client(&id(&unused)).await.unwrap().is_none());

    // A token keeps its client, to the last day of its family and thirty days longer.
    assert_eq!(living.refresh(&used, &tokens).await.status, StatusCode::OK);
    living.seconds.store(NOW.as_secs() + 120 * DAY - 1, Ordering::SeqCst);
    store.sweep(living.now(), 100).await.unwrap();
    assert_eq!(living.server.get(&authorize(&used, &[])).await.status, StatusCode::OK);
    living.pass(1);
    assert_eq!(living.server.get(&authorize(&used, &[])).await.status, StatusCode::BAD_REQUEST);
}

/// The metadata of a client that registers.
fn metadata() -> Value {
    json!({"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"})
}

#[tokio::test]
async fn sec_228_clients_whose_grants_are_over_leave_their_room_to_others() {
    let living = Living::new(MemoryStore::with_max_clients(8), Lifetimes::default());
    for _ in 0..3 {
        for _ in 0..8 {
            let client = living.server.client().await;
            living.tokens(&client, "alice").await;
        }
        let refused = living.server.register(metadata()).await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        // The longest that a family lives, and thirty days.
        living.pass(120 * DAY);
        living.settle().await;
    }
    assert_eq!(living.server.register(metadata()).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn sec_227_however_many_register_newcomers_can_and_used_clients_stay() {
    let living = Living::new(MemoryStore::with_max_clients(40), Lifetimes::default());
    let used = living.server.client().await;
    let tokens = living.tokens(&used, "alice").await;
    for _ in 0..10 {
        for _ in 0..100 {
            assert_eq!(living.server.register(metadata()).await.status, StatusCode::CREATED);
        }
        living.pass(1);
        // A newcomer has time to log in: half of the room is before its place is given away.
        let newcomer = living.server.client().await;
        for _ in 0..19 {
            assert_eq!(living.server.register(metadata()).await.status, StatusCode::CREATED);
            living.pass(1);
        }
        living.tokens(&newcomer, "bob").await;
    }
    assert_eq!(living.refresh(&used, &tokens).await.status, StatusCode::OK);
}

#[tokio::test]
async fn sec_230_after_a_clock_that_ran_ahead_logins_go_on_and_used_answers_stay_used() {
    for ahead in [3600, 10 * 365 * DAY] {
        let living = living();
        let client = living.server.client().await;
        living.tokens(&client, "operator").await;
        let answered = async |client: &str| {
            let page = living.server.get(&authorize(client, &[])).await;
            let (transaction, cookie) = (page.transaction(), page.cookie());
            let answer = living.server.consent(&transaction, &cookie, "allow").await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER);
            (transaction, cookie)
        };
        let before = answered(&client).await;
        living.pass(ahead);
        let newcomer = living.server.client().await;
        let mut meanwhile = Vec::new();
        for _ in 0..=6 {
            meanwhile.push(answered(&newcomer).await);
            living.tokens(&newcomer, "alice").await;
            while living.server.store.sweep(living.now(), 100).await.unwrap() > 0 {}
            living.pass(600);
        }
        // Right again, at once by a clock that stood still, or after the hour that has passed.
        for seconds in [1, 3600] {
            living.seconds.store(NOW.as_secs() + seconds, Ordering::SeqCst);
            for client in [&client, &newcomer] {
                living.tokens(client, "alice").await;
            }
            for (transaction, cookie) in meanwhile.iter().chain([&before]) {
                let again = living.server.consent(transaction, cookie, "allow").await;
                assert_eq!(again.status, StatusCode::BAD_REQUEST, "{ahead} {seconds}");
            }
        }
        // And when time has caught up.
        for (number, (transaction, cookie)) in (0..).zip(&meanwhile) {
            living.seconds.store(NOW.as_secs() + ahead + number * 600 + 1, Ordering::SeqCst);
            while living.server.store.sweep(living.now(), 100).await.unwrap() > 0 {}
            let again = living.server.consent(transaction, cookie, "allow").await;
            assert_eq!(again.status, StatusCode::BAD_REQUEST, "{ahead} {number}");
        }
    }
}

#[tokio::test]
async fn sec_108_what_the_operator_stored_is_not_forgotten() {
    let hour = Duration::from_secs(3600);
    let lifetimes = Lifetimes { unused_client: hour, ..Lifetimes::default() };
    let living = Living::new(MemoryStore::default(), lifetimes);
    let own = living.server.client().await;
    let back = vec![RedirectUri::parse(REDIRECT).unwrap()];
    let public = Registered::public();
    let record = ClientRecord::preregistered(
        &config("https://as.example"),
        id("operators"),
        public,
        back,
        living.now(),
    )
    .unwrap();
    living.server.store.create_client(record, living.now()).await.unwrap();
    living.pass(3600);
    living.server.store.sweep(living.now(), 100).await.unwrap();
    assert_eq!(living.server.get(&authorize(&own, &[])).await.status, StatusCode::BAD_REQUEST);
    assert!(living.tokens("operators", "alice").await["refresh_token"].is_string());
}

#[tokio::test]
async fn sec_108_a_full_store_takes_no_more_and_forgets_nobody_who_is_used() {
    let living = Living::new(MemoryStore::with_max_clients(3), Lifetimes::default());
    let mut clients = Vec::new();
    for _ in 0..3 {
        let client = living.server.client().await;
        living.tokens(&client, "alice").await;
        clients.push(client);
    }
    let refused = living.server.register(metadata()).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.header(http::header::RETRY_AFTER), "3600");
    for client in &clients {
        assert_eq!(living.server.get(&authorize(client, &[])).await.status, StatusCode::OK);
    }
    // What is forgotten makes room without waiting for a sweep.
    living.pass(60 * DAY);
    living.tokens(&clients[0], "alice").await;
    living.pass(60 * DAY);
    living.settle().await;
    for _ in 0..3 {
        assert_eq!(living.server.register(metadata()).await.status, StatusCode::CREATED);
    }
    living.tokens(&clients[0], "alice").await;
}
