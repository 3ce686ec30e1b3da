//! How the lives of clients, users and what they agreed to end.

use core::time::Duration;
use std::sync::Arc;

use authorization_server::{ClientRecord, Lifetimes, MemoryStore, Store as _};
use client_auth::ClientAuthRecord;
use http::StatusCode;
use oauth_types::{ClientId, RedirectUri, SecretDigest, Subject};
use serde_json::{Value, json};

use crate::pages::Login;
use crate::server::*;

const DAY: u64 = 24 * 60 * 60;

/// A server whose clock moves.
struct Living {
    server: Server,
}

impl Living {
    fn new(store: MemoryStore, lifetimes: Lifetimes) -> Self {
        let config = config("https://as.example").with_lifetimes(lifetimes).unwrap();
        let mut server = server_on(&Arc::new(store), config);
        server.login = Login::Everybody("alice");
        Self { server }
    }

    /// The store, which is full, sees this time and then that it lasts.
    fn settle(&self) {
        let refused = self.server.register(metadata());
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        self.server.pass(7200);
    }

    /// A code that this user agreed to.
    fn code(&self, client: &str, user: &str) -> String {
        let page = self.server.get_as(user, &authorize(client, &[]));
        let answer = self.server.answer_as(user, &page, "allow");
        answer.redirect("code").unwrap()
    }

    fn tokens(&self, client: &str, user: &str) -> Value {
        let code = self.code(client, user);
        let answer = self.server.form("/token", &redeem(client, &code));
        assert_eq!(answer.status, StatusCode::OK);
        answer.json()
    }

    /// What the next refresh is answered with.
    fn refresh(&self, client: &str, tokens: &Value) -> Answer {
        let token = tokens["refresh_token"].as_str().unwrap();
        let form = format!("grant_type=refresh_token&client_id={client}&refresh_token={token}");
        self.server.form("/token", &form)
    }

    fn is_active(&self, tokens: &Value) -> bool {
        let digest = SecretDigest::of(tokens["access_token"].as_str().unwrap());
        block_on(self.server.store.access(&digest, self.server.now())).unwrap().is_some()
    }
}

fn living() -> Living {
    Living::new(MemoryStore::default(), Lifetimes::default())
}

fn id(client: &str) -> ClientId {
    ClientId::parse(client).unwrap()
}

/// SEC-177
#[test]
fn a_client_that_is_deleted_leaves_nothing_that_works() {
    let living = living();
    let (gone, other) = (living.server.client(), living.server.client());
    let (tokens, others) = (living.tokens(&gone, "a"), living.tokens(&other, "a"));
    let code = living.code(&gone, "a");
    let page = living.server.get(&authorize(&gone, &[]));

    block_on(living.server.store.delete_client(&id(&gone), living.server.now())).unwrap();
    assert!(!living.is_active(&tokens));
    let refused = living.refresh(&gone, &tokens);
    assert_eq!((refused.status, &*refused.error()), (StatusCode::UNAUTHORIZED, "invalid_client"));
    let refused = living.server.form("/token", &redeem(&gone, &code));
    assert_eq!(refused.error(), "invalid_client");
    let refused = living.server.get(&authorize(&gone, &[]));
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    // A page that was open is nobody's.
    let late = living.server.consent(&page.transaction(), &page.cookie(), "allow");
    assert_eq!(late.status, StatusCode::BAD_REQUEST);

    // Not even when somebody brings the identifier back.
    let back = RedirectUri::parse(REDIRECT).unwrap();
    let public = ClientAuthRecord::public();
    let record = ClientRecord::pre_registered(
        &config("https://as.example"),
        id(&gone),
        public,
        vec![back],
        living.server.now(),
    )
    .unwrap();
    block_on(living.server.store.create_client(record, living.server.now())).unwrap();
    assert_eq!(living.refresh(&gone, &tokens).error(), "invalid_grant");
    let refused = living.server.form("/token", &redeem(&gone, &code));
    assert_eq!(refused.error(), "invalid_grant");

    assert!(living.is_active(&others));
    assert_eq!(living.refresh(&other, &others).status, StatusCode::OK);
}

/// SEC-177
#[test]
fn the_tokens_of_a_disabled_user_end_for_one_client_or_for_all() {
    for only in [None, Some("first")] {
        let living = living();
        let (first, second) = (living.server.client(), living.server.client());
        let [one, two, other] = [
            living.tokens(&first, "alice"),
            living.tokens(&second, "alice"),
            living.tokens(&first, "bob"),
        ];
        let code = living.code(&first, "alice");
        let client = only.map(|_| id(&first));
        let (alice, now) = (Subject::parse("alice").unwrap(), living.server.now());
        let outcome = living.server.store.revoke_subject(&alice, client.as_ref(), now);
        block_on(outcome).unwrap();

        assert!(!living.is_active(&one));
        let refused = living.refresh(&first, &one);
        assert_eq!((refused.status, &*refused.error()), (StatusCode::BAD_REQUEST, "invalid_grant"));
        let refused = living.server.form("/token", &redeem(&first, &code));
        assert_eq!(refused.error(), "invalid_grant", "a code that was on its way");
        // Her other client only if it was hers that ended, and never somebody else's tokens.
        let stays = only.is_some();
        assert_eq!(living.is_active(&two), stays);
        assert_eq!(living.refresh(&second, &two).status == StatusCode::OK, stays);
        assert!(living.is_active(&other));
        assert_eq!(living.refresh(&first, &other).status, StatusCode::OK);
    }
}

/// SEC-108
#[test]
fn a_client_that_never_got_a_token_is_forgotten() {
    let living = living();
    let (used, unused) = (living.server.client(), living.server.client());
    let tokens = living.tokens(&used, "alice");
    let owner = |form: &str, client: &str| format!("{form}&client_id={client}");
    living.server.pass(DAY - 1);
    assert_eq!(living.server.get(&authorize(&unused, &[])).status, StatusCode::OK);
    living.server.pass(1);

    // Before any sweep it is answered as one that never was.
    for client in [&*unused, "nobody"] {
        let page = living.server.get(&authorize(client, &[]));
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        for (path, form) in [
            ("/token", "grant_type=authorization_code&code=x"),
            ("/token", "grant_type=refresh_token&refresh_token=x"),
            ("/revoke", "token=x"),
        ] {
            let answer = living.server.form(path, &owner(form, client));
            assert_eq!(answer.error(), "invalid_client", "{client} {form}");
        }
    }
    let store = &living.server.store;
    assert_eq!(block_on(store.sweep(living.server.now(), 0)).unwrap(), 0);
    assert!(block_on(store.read_client(&id(&unused))).unwrap().is_some());
    for _ in 0..3 {
        block_on(store.sweep(living.server.now(), 100)).unwrap();
        living.server.pass(2 * 3600);
    }
    assert!(block_on(store.read_client(&id(&unused))).unwrap().is_none());

    // A token keeps its client, to the last day of its family and thirty days longer.
    assert_eq!(living.refresh(&used, &tokens).status, StatusCode::OK);
    living.server.set_clock(NOW.as_secs() + 120 * DAY - 1);
    block_on(store.sweep(living.server.now(), 100)).unwrap();
    assert_eq!(living.server.get(&authorize(&used, &[])).status, StatusCode::OK);
    living.server.pass(1);
    assert_eq!(living.server.get(&authorize(&used, &[])).status, StatusCode::BAD_REQUEST);
}

/// The metadata of a client that registers.
fn metadata() -> Value {
    json!({"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"})
}

/// SEC-228
#[test]
fn clients_whose_grants_are_over_leave_their_room_to_others() {
    let living = Living::new(MemoryStore::with_max_clients(8), Lifetimes::default());
    for _ in 0..3 {
        for _ in 0..8 {
            let client = living.server.client();
            living.tokens(&client, "alice");
        }
        let refused = living.server.register(metadata());
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        // The longest that a family lives, and thirty days.
        living.server.pass(120 * DAY);
        living.settle();
    }
    assert_eq!(living.server.register(metadata()).status, StatusCode::CREATED);
}

/// SEC-227
#[test]
fn however_many_register_newcomers_can_and_used_clients_stay() {
    let living = Living::new(MemoryStore::with_max_clients(40), Lifetimes::default());
    let used = living.server.client();
    let tokens = living.tokens(&used, "alice");
    for _ in 0..10 {
        for _ in 0..100 {
            assert_eq!(living.server.register(metadata()).status, StatusCode::CREATED);
        }
        living.server.pass(1);
        // A newcomer has time to log in: half of the room is before its place is given away.
        let newcomer = living.server.client();
        for _ in 0..19 {
            assert_eq!(living.server.register(metadata()).status, StatusCode::CREATED);
            living.server.pass(1);
        }
        living.tokens(&newcomer, "bob");
    }
    assert_eq!(living.refresh(&used, &tokens).status, StatusCode::OK);
}

/// SEC-230: what was answered before or meanwhile stays used.
#[test]
fn logins_go_on_after_the_clock_ran_ahead() {
    for ahead in [3600, 10 * 365 * DAY] {
        let living = living();
        let client = living.server.client();
        living.tokens(&client, "operator");
        let answered = |client: &str| {
            let page = living.server.get(&authorize(client, &[]));
            let (transaction, cookie) = (page.transaction(), page.cookie());
            let answer = living.server.consent(&transaction, &cookie, "allow");
            assert_eq!(answer.status, StatusCode::SEE_OTHER);
            (transaction, cookie)
        };
        let before = answered(&client);
        living.server.pass(ahead);
        let newcomer = living.server.client();
        let mut meanwhile = Vec::new();
        for _ in 0..=6 {
            meanwhile.push(answered(&newcomer));
            living.tokens(&newcomer, "alice");
            while block_on(living.server.store.sweep(living.server.now(), 100)).unwrap() > 0 {}
            living.server.pass(600);
        }
        // Right again, at once by a clock that stood still, or after the hour that has passed.
        for seconds in [1, 3600] {
            living.server.set_clock(NOW.as_secs() + seconds);
            for client in [&client, &newcomer] {
                living.tokens(client, "alice");
            }
            for (transaction, cookie) in meanwhile.iter().chain([&before]) {
                let again = living.server.consent(transaction, cookie, "allow");
                assert_eq!(again.status, StatusCode::BAD_REQUEST, "{ahead} {seconds}");
            }
        }
        // And when time has caught up.
        for (number, (transaction, cookie)) in (0..).zip(&meanwhile) {
            living.server.set_clock(NOW.as_secs() + ahead + number * 600 + 1);
            while block_on(living.server.store.sweep(living.server.now(), 100)).unwrap() > 0 {}
            let again = living.server.consent(transaction, cookie, "allow");
            assert_eq!(again.status, StatusCode::BAD_REQUEST, "{ahead} {number}");
        }
    }
}

/// SEC-108
#[test]
fn what_the_operator_stored_is_not_forgotten() {
    let hour = Duration::from_secs(3600);
    let lifetimes = Lifetimes::default().with_unused_client(hour);
    let living = Living::new(MemoryStore::default(), lifetimes);
    let own = living.server.client();
    let back = vec![RedirectUri::parse(REDIRECT).unwrap()];
    let public = ClientAuthRecord::public();
    let record = ClientRecord::pre_registered(
        &config("https://as.example"),
        id("operators"),
        public,
        back,
        living.server.now(),
    )
    .unwrap();
    block_on(living.server.store.create_client(record, living.server.now())).unwrap();
    living.server.pass(3600);
    block_on(living.server.store.sweep(living.server.now(), 100)).unwrap();
    assert_eq!(living.server.get(&authorize(&own, &[])).status, StatusCode::BAD_REQUEST);
    assert!(living.tokens("operators", "alice")["refresh_token"].is_string());
}

/// SEC-108
#[test]
fn a_full_store_takes_no_more_and_forgets_nobody_who_is_used() {
    let living = Living::new(MemoryStore::with_max_clients(3), Lifetimes::default());
    let mut clients = Vec::new();
    for _ in 0..3 {
        let client = living.server.client();
        living.tokens(&client, "alice");
        clients.push(client);
    }
    let refused = living.server.register(metadata());
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.header(http::header::RETRY_AFTER), "3600");
    for client in &clients {
        assert_eq!(living.server.get(&authorize(client, &[])).status, StatusCode::OK);
    }
    // What is forgotten makes room without waiting for a sweep.
    living.server.pass(60 * DAY);
    living.tokens(&clients[0], "alice");
    living.server.pass(60 * DAY);
    living.settle();
    for _ in 0..3 {
        assert_eq!(living.server.register(metadata()).status, StatusCode::CREATED);
    }
    living.tokens(&clients[0], "alice");
}
