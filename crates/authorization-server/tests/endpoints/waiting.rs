//! Questions that wait for their answer: at two processes of one issuer, for a while, and once.

use std::sync::Arc;
use std::thread;

use authorization_server::{Config, MemoryStore, ServerKey, ServerKeys, Store as _};
use http::StatusCode;
use http::header::LOCATION;
use oauth_types::{ClientId, Entropy, GrantType, Issuer, ResourceUri, ScopeSet};

use crate::consent::serve;
use crate::pages::Login;
use crate::server::*;

/// A process of an issuer, on a store that it shares.
fn process(config: Config, store: &Arc<MemoryStore>, login: Login) -> Server {
    let mut server = server_on(store, config);
    server.login = login;
    server
}

fn two(login: Login) -> [Server; 2] {
    let store = Arc::new(MemoryStore::default());
    [(); 2].map(|()| process(config("https://as.example"), &store, login))
}

/// SEC-188
#[test]
fn a_page_of_one_process_is_answered_once_at_any() {
    let [one, other] = two(Login::Cookies);
    let client = one.client();
    for decision in ["allow", "deny"] {
        let page = one.get_as("alice", &authorize(&client, &[]));
        assert_eq!(other.answer_as("bob", &page, "allow").status, StatusCode::FORBIDDEN);
        let answer = other.answer_as("alice", &page, decision);
        assert_eq!(answer.redirect("state").as_deref(), Some("st/ate"));
        assert_eq!(answer.redirect("code").is_some(), decision == "allow");
        for server in [&one, &other] {
            let again = server.answer_as("alice", &page, "allow");
            assert_eq!(again.status, StatusCode::BAD_REQUEST);
        }
    }
    // A second tab keeps the browser's value, whoever shows it.
    let page = one.get_as("alice", &authorize(&client, &[]));
    let tab = other.get_with(&format!("user=alice; {}", page.cookie()), &authorize(&client, &[]));
    assert_eq!(tab.cookie(), page.cookie());
    for page in [&tab, &page] {
        assert!(one.answer_as("alice", page, "allow").redirect("code").is_some());
    }
}

/// SEC-188
#[test]
fn of_64_answers_at_two_processes_one_counts() {
    let servers = two(Login::Cookies);
    let client = servers[0].client();
    let page = servers[0].get_as("alice", &authorize(&client, &[]));
    let answers: Vec<_> = thread::scope(|scope| {
        let answer = |number: usize| servers[number % 2].answer_as("alice", &page, "allow");
        let all: Vec<_> = (0..64).map(|number| scope.spawn(move || answer(number))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let codes = answers.iter().filter(|answer| answer.headers.contains_key(LOCATION));
    assert_eq!(codes.count(), 1);
    let refused = answers.iter().filter(|answer| answer.status == StatusCode::BAD_REQUEST);
    assert_eq!(refused.count(), 63);
}

/// SEC-190
#[test]
fn a_login_elsewhere_comes_back_to_any_process() {
    let [one, other] = two(Login::Upstream);
    let client = one.client();
    let page = one.get(&authorize(&client, &[]));
    let answer = other.consent(&page.transaction(), &page.cookie(), "allow");
    let back = answer.header(LOCATION).strip_prefix("/login?to=").unwrap().to_owned();
    let come_back = |server: &Server, cookies: String| server.get_with(&cookies, &back);
    let stranger = one.get(&authorize(&client, &[])).cookie();
    let refused = come_back(&one, format!("{stranger}; user=eve"));
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let cookies = format!("{}; user=alice", page.cookie());
    assert!(come_back(&one, cookies.clone()).redirect("code").is_some());
    assert_eq!(come_back(&other, cookies).status, StatusCode::BAD_REQUEST);
}

/// SEC-187
#[test]
fn a_question_that_others_wrote_or_changed_is_nobodys() {
    let server = serve(config("https://as.example"));
    let client = server.client();
    let page = server.get_as("alice", &authorize(&client, &[]));
    let (transaction, cookies) = (page.transaction(), format!("user=alice; {}", page.cookie()));
    for at in (0..transaction.len()).step_by(7) {
        let mut forged = transaction.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        let answer = server.consent(&forged, &cookies, "allow");
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "byte {at}");
    }
    // Of a server with other keys: the same request, the same user.
    let issuer = Issuer::parse("https://as.example").unwrap();
    let resource = ResourceUri::parse("https://rs.example/mcp").unwrap();
    let scopes = ScopeSet::parse("files:read files:write").unwrap();
    let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([8; 32])));
    let config = Config::new(issuer, vec![resource], scopes, keys).unwrap();
    let other = process(config, &server.store, Login::Cookies);
    let foreign = other.get_as("alice", &authorize(&client, &[]));
    let refused = server.answer_as("alice", &foreign, "allow");
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let refused = server.consent(&transaction, "user=alice", "allow");
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(server.answer_as("alice", &page, "allow").redirect("code").is_some());
}

/// SEC-187: the scope or the resource of the page is not on offer any more.
#[test]
fn a_page_of_another_issuer_or_offer_is_refused() {
    let store = Arc::new(MemoryStore::default());
    let at = |issuer: &str, scopes: &str, resource: &str| {
        let resources = vec![ResourceUri::parse(resource).unwrap()];
        let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
        let scopes = ScopeSet::parse(scopes).unwrap();
        let config = Config::new(Issuer::parse(issuer).unwrap(), resources, scopes, keys);
        process(config.unwrap(), &store, Login::Cookies)
    };
    const SCOPES: &str = "files:read files:write";
    let shown = at("https://as.example", SCOPES, "https://rs.example/mcp");
    let client = shown.client();
    let url = authorize(&client, &[("scope", SCOPES)]);
    for (other, status) in [
        (at("https://as.example", SCOPES, "https://rs.example/mcp"), StatusCode::SEE_OTHER),
        (at("https://as2.example", SCOPES, "https://rs.example/mcp"), StatusCode::BAD_REQUEST),
        (at("https://as.example", "files:read", "https://rs.example/mcp"), StatusCode::BAD_REQUEST),
        (at("https://as.example", SCOPES, "https://rs.example/v2"), StatusCode::BAD_REQUEST),
    ] {
        let page = shown.get_as("alice", &url);
        assert_eq!(other.answer_as("alice", &page, "allow").status, status);
    }
    // A client that may not ask for codes any more.
    let page = shown.get_as("alice", &url);
    let id = ClientId::parse(&client).unwrap();
    let mut record = block_on(store.read_client(&id)).unwrap().unwrap();
    block_on(store.delete_client(&id, NOW)).unwrap();
    record.metadata.grant_types = Some(vec![GrantType::ClientCredentials]);
    block_on(store.create_client(record, NOW)).unwrap();
    let refused = shown.answer_as("alice", &page, "allow");
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}

/// SEC-188
#[test]
fn a_question_waits_ten_minutes_and_for_an_unchanged_client() {
    let server = serve(config("https://as.example"));
    let client = server.client();
    for (after, status) in [(599, StatusCode::SEE_OTHER), (600, StatusCode::BAD_REQUEST)] {
        server.set_clock(NOW.as_secs());
        let page = server.get_as("alice", &authorize(&client, &[]));
        server.pass(after);
        assert_eq!(server.answer_as("alice", &page, "allow").status, status, "{after}");
    }
    server.set_clock(NOW.as_secs());
    let page = server.get_as("alice", &authorize(&client, &[]));
    // What the user read about it is no longer what it says.
    let id = ClientId::parse(&client).unwrap();
    let mut record = block_on(server.store.read_client(&id)).unwrap().unwrap();
    block_on(server.store.delete_client(&id, NOW)).unwrap();
    record.metadata.client_name = Some("Another".into());
    block_on(server.store.create_client(record, NOW)).unwrap();
    let refused = server.answer_as("alice", &page, "allow");
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}

/// SEC-188
#[test]
fn nobody_pushes_out_a_page_and_none_is_too_long_to_be_answered() {
    let server = serve(config("https://as.example"));
    let client = server.client();
    let url = authorize(&client, &[]);
    let first = server.get_as("alice", &url);
    for _ in 0..1_000 {
        let _ = server.get_as("alice", &url);
    }
    assert_eq!(server.answer_as("alice", &first, "allow").status, StatusCode::SEE_OTHER);
    let mut is_refused = false;
    for length in [4_000, 5_000, 6_000, 7_000, 8_000] {
        let page = server.get_as("alice", &authorize(&client, &[("state", &"s".repeat(length))]));
        if page.status == StatusCode::OK {
            let answer = server.answer_as("alice", &page, "allow");
            assert_eq!(answer.redirect("state").unwrap().len(), length);
        } else {
            assert_eq!(page.status, StatusCode::BAD_REQUEST);
            is_refused = true;
        }
    }
    assert!(is_refused);
}
