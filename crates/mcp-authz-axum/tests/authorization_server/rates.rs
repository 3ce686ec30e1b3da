//! What one address may do, and that it is nobody else's loss.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use authorization_server::{ClientRecord, MemoryStore, Store as _};
use axum::body::Body;
use axum::extract::ConnectInfo;
use client_auth::ClientAuthRecord;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{Request, StatusCode};
use mcp_authz_axum::{AuthorizationServer, Clock, DemoLogin, RateLimits};
use oauth_types::{AuthMethod, ClientId, ScopeSet, Secret};
use serde_json::json;
use tokio::time::advance;

use crate::server::*;

const METADATA: &str = r#"{"redirect_uris": ["https://app.example/cb"]}"#;

/// Where a request comes from: who is connected, and what `X-Forwarded-For` says.
pub(crate) type From<'a> = (&'a str, Option<&'a str>);

pub(crate) const HERE: From<'static> = ("192.0.2.1", None);
pub(crate) const ELSEWHERE: From<'static> = ("192.0.2.2", None);

pub(crate) fn limited(change: impl FnOnce(Built) -> Built) -> Server {
    let store = Arc::new(MemoryStore::default());
    let config = config("https://as.example");
    let server = AuthorizationServer::new(config, Arc::clone(&store), DemoLogin);
    let router = change(server.with_clock(Clock::new(|| NOW))).router();
    Server { router, store }
}

pub(crate) type Built = AuthorizationServer<Arc<MemoryStore>, DemoLogin>;

async fn post(
    server: &Server,
    path: &str,
    content_type: &str,
    body: &str,
    from: From<'_>,
) -> Answer {
    let address = SocketAddr::new(from.0.parse::<IpAddr>().unwrap(), 4711);
    let mut request =
        Request::post(path).header(CONTENT_TYPE, content_type).extension(ConnectInfo(address));
    if let Some(forwarded) = from.1 {
        request = request.header("x-forwarded-for", forwarded);
    }
    server.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

pub(crate) async fn register(server: &Server, from: From<'_>) -> Answer {
    post(server, "/register", "application/json", METADATA, from).await
}

pub(crate) async fn with_secret(
    server: &Server,
    client: &str,
    secret: &str,
    from: From<'_>,
) -> Answer {
    let form = format!("grant_type=client_credentials&client_id={client}&client_secret={secret}");
    post(server, "/token", "application/x-www-form-urlencoded", &form, from).await
}

async fn put_machines(server: &Server) {
    for name in ["first", "second"] {
        let method = AuthMethod::ClientSecretPost;
        let secret = ClientAuthRecord::new(method).with_secret(Secret::new("right").digest());
        let (id, scopes) = (ClientId::parse(name).unwrap(), ScopeSet::parse("files:read").unwrap());
        let record = ClientRecord::client_credentials(id, secret, scopes, NOW);
        server.store.create_client(record, NOW).await.unwrap();
    }
}

/// How many of so many are answered with this status; the others are all told to come later.
pub(crate) async fn count(
    attempts: usize,
    status: StatusCode,
    mut attempt: impl AsyncFnMut(usize) -> Answer,
) -> usize {
    let mut count = 0;
    for number in 0..attempts {
        let answer = attempt(number).await;
        if answer.status == status {
            count += 1;
            continue;
        }
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.error(), "temporarily_unavailable");
        let wait: u64 = answer.header(RETRY_AFTER).parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
    }
    count
}

/// SEC-088
#[tokio::test(start_paused = true)]
async fn who_guesses_a_secret_is_stopped_and_shuts_out_nobody_else() {
    let server = limited(|server| server);
    put_machines(&server).await;
    let guess = async |_| with_secret(&server, "first", "wrong", HERE).await;
    assert_eq!(count(1_000, StatusCode::UNAUTHORIZED, guess).await, 10);

    // The right guess helps them as little; others do not notice.
    let status = async |client, from| with_secret(&server, client, "right", from).await.status;
    assert_eq!(status("first", HERE).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(status("first", ELSEWHERE).await, StatusCode::OK);
    assert_eq!(status("second", HERE).await, StatusCode::OK);

    // One more every 6 seconds.
    advance(Duration::from_secs(6)).await;
    let guess = async |_| with_secret(&server, "first", "wrong", HERE).await;
    assert_eq!(count(1_000, StatusCode::UNAUTHORIZED, guess).await, 1);
    advance(Duration::from_secs(6)).await;
    assert_eq!(status("first", HERE).await, StatusCode::OK);
}

/// SEC-088
#[tokio::test(start_paused = true)]
async fn one_secret_tried_on_many_clients_at_every_endpoint() {
    let server = limited(|server| server);
    put_machines(&server).await;
    let guess = async |number: usize| {
        let path = if number.is_multiple_of(2) { "/token" } else { "/revoke" };
        let form =
            format!("token=x&grant_type=client_credentials&client_id=c{number}&client_secret=x");
        post(&server, path, "application/x-www-form-urlencoded", &form, HERE).await
    };
    assert_eq!(count(1_000, StatusCode::UNAUTHORIZED, guess).await, 100);
    let status = with_secret(&server, "first", "right", ELSEWHERE).await.status;
    assert_eq!(status, StatusCode::OK);
    // Whoever knows the secret is not counted, however often they come.
    for _ in 0..1_000 {
        let status = with_secret(&server, "first", "right", ELSEWHERE).await.status;
        assert_eq!(status, StatusCode::OK);
    }
}

/// SEC-108: 10,000 registrations.
#[tokio::test(start_paused = true)]
async fn registrations_from_one_address_are_limited() {
    let server = limited(|server| server);
    let client = server.client().await;
    assert_eq!(
        count(10_000, StatusCode::CREATED, async |_| register(&server, HERE).await).await,
        60
    );
    assert_eq!(register(&server, ELSEWHERE).await.status, StatusCode::CREATED);
    let code = server.code(&client).await;
    let form = redeem(&client, &code);
    let form_type = "application/x-www-form-urlencoded";
    assert_eq!(post(&server, "/token", form_type, &form, HERE).await.status, StatusCode::OK);
    advance(Duration::from_secs(60)).await;
    assert_eq!(count(100, StatusCode::CREATED, async |_| register(&server, HERE).await).await, 1);
}

/// SEC-108
#[tokio::test(start_paused = true)]
async fn an_address_is_who_is_connected_and_what_a_trusted_proxy_saw() {
    // Of IPv6, a /64 network is one; of IPv4 inside IPv6, the address itself.
    let server = limited(|server| server);
    let mut many = ["2001:db8::1", "2001:db8::ffff:0:0:2", "2001:db8:0:0:1::"].iter().cycle();
    let attempt = async |_| register(&server, (many.next().unwrap(), None)).await;
    assert_eq!(count(300, StatusCode::CREATED, attempt).await, 60);
    assert_eq!(register(&server, ("2001:db8:0:1::1", None)).await.status, StatusCode::CREATED);
    let mut same = ["::ffff:192.0.2.1", "192.0.2.1"].iter().cycle();
    let attempt = async |_| register(&server, (same.next().unwrap(), None)).await;
    assert_eq!(count(300, StatusCode::CREATED, attempt).await, 60);
    assert_eq!(register(&server, ("::ffff:192.0.2.2", None)).await.status, StatusCode::CREATED);

    // Anybody can say to be somebody else: that counts for a trusted proxy only, and only what it appended.
    let names = ["10.9.9.1", "10.9.9.2, 192.0.2.9", "nonsense"];
    let mut said = names.iter().cycle();
    let server = limited(|server| server);
    let attempt = async |_| register(&server, ("192.0.2.1", said.next().copied())).await;
    assert_eq!(count(300, StatusCode::CREATED, attempt).await, 60);
    let proxied = limited(|server| {
        server.with_trusted_proxies(|address| address == IpAddr::from([10, 0, 0, 1]))
    });
    // Not even bytes that are no text hide it.
    let said = ["192.0.2.7", "evil, 192.0.2.7", "é, 192.0.2.7", "192.0.2.8, 192.0.2.7, 10.0.0.1"];
    let mut said = said.iter().cycle();
    let attempt = async |_| register(&proxied, ("10.0.0.1", said.next().copied())).await;
    assert_eq!(count(300, StatusCode::CREATED, attempt).await, 60);
    let other = ("10.0.0.1", Some("192.0.2.7, 192.0.2.8"));
    assert_eq!(register(&proxied, other).await.status, StatusCode::CREATED);
}

/// SEC-108, SEC-222
#[tokio::test(start_paused = true)]
async fn what_a_trusted_proxy_does_not_say_counts_as_the_proxy() {
    // All the world is behind this proxy, which does not say who is who.
    let proxied = limited(|server| server.with_trusted_proxies(|_| true));
    let attempt = async |_| register(&proxied, HERE).await;
    assert_eq!(count(100, StatusCode::CREATED, attempt).await, 60);
    let off = limited(|server| server.with_rate_limits(RateLimits::OFF));
    let nameless = limited(|server| server);
    for _ in 0..100 {
        assert_eq!(register(&off, HERE).await.status, StatusCode::CREATED);
        // The server does not know who is connected.
        let answer = nameless.register(json!({"redirect_uris": [REDIRECT]})).await;
        assert_eq!(answer.status, StatusCode::CREATED);
    }
}

fn behind_a_proxy() -> Server {
    limited(|server| server.with_trusted_proxies(|at| at == IpAddr::from([10, 0, 0, 1])))
}

/// SEC-222
#[tokio::test(start_paused = true)]
async fn entries_with_a_port_or_brackets_are_read() {
    for (same, other) in [
        (&["198.51.100.67:4711", "198.51.100.67", "x, 198.51.100.67:1"][..], "198.51.100.68:1"),
        (&["[2001:db8::1]:4711", "2001:db8::2", "[2001:db8::3]"][..], "[2001:db8:1::1]:4711"),
    ] {
        let server = behind_a_proxy();
        let mut said = same.iter().cycle();
        let attempt = async |_| register(&server, ("10.0.0.1", said.next().copied())).await;
        assert_eq!(count(300, StatusCode::CREATED, attempt).await, 60, "{same:?}");
        let other = register(&server, ("10.0.0.1", Some(other))).await;
        assert_eq!(other.status, StatusCode::CREATED);
    }
}

/// SEC-222
#[tokio::test(start_paused = true)]
async fn an_entry_that_cannot_be_read_counts_as_the_proxy() {
    let server = behind_a_proxy();
    let said = ["unknown", "_hidden", "", "203.0.113.9, unknown", "198.51.100.67:x", "é", "a b"];
    let mut said = said.iter().cycle();
    let attempt = async |_| register(&server, ("10.0.0.1", said.next().copied())).await;
    assert_eq!(count(300, StatusCode::CREATED, attempt).await, 60);
    let known = register(&server, ("10.0.0.1", Some("203.0.113.9"))).await;
    assert_eq!(known.status, StatusCode::CREATED);
}

/// SEC-222
#[tokio::test(start_paused = true)]
async fn public_clients_are_not_shut_out_by_the_failures_of_others() {
    let server = limited(|server| server);
    put_machines(&server).await;
    let public = server.client().await;
    let guess = async |number: usize| {
        with_secret(&server, &format!("c{}", number % 50), "wrong", HERE).await
    };
    assert_eq!(count(1_000, StatusCode::UNAUTHORIZED, guess).await, 100);
    let known = with_secret(&server, "first", "right", HERE).await;
    assert_eq!(known.status, StatusCode::TOO_MANY_REQUESTS);

    let form_type = "application/x-www-form-urlencoded";
    let code = server.code(&public).await;
    let tokens = post(&server, "/token", form_type, &redeem(&public, &code), HERE).await;
    assert_eq!(tokens.status, StatusCode::OK);
    let refresh = tokens.json()["refresh_token"].as_str().unwrap().to_owned();
    let form = format!("grant_type=refresh_token&client_id={public}&refresh_token={refresh}");
    let refreshed = post(&server, "/token", form_type, &form, HERE).await;
    assert_eq!(refreshed.status, StatusCode::OK);
    let form = format!("client_id={public}&token=x");
    let revoked = post(&server, "/revoke", form_type, &form, HERE).await;
    assert_eq!(revoked.status, StatusCode::OK);
}

/// SEC-238: a good proof of possession is no way around that, and is remembered for none of them.
#[cfg(feature = "dpop")]
#[tokio::test(start_paused = true)]
async fn made_up_codes_with_good_proofs_count_for_their_network() {
    let server = limited(|server| server);
    let public = server.client().await;
    let key = include_str!("../../../client-auth/tests/keys/es256.pem");
    let key = client_auth::ProofKey::from_pem(key).unwrap();
    let send = async |form: String, from: From<'_>, number: usize| {
        let mut draw = [0; 16];
        draw[..8].copy_from_slice(&number.to_be_bytes());
        let url = "https://as.example/token";
        let draw = oauth_types::Entropy::new(draw);
        let proof = key.prove(&http::Method::POST, url, None, None, NOW, draw).unwrap();
        let address = SocketAddr::new(from.0.parse::<IpAddr>().unwrap(), 4711);
        let request = Request::post("/token")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("dpop", proof)
            .extension(ConnectInfo(address));
        server.send(request.body(Body::from(form)).unwrap()).await
    };
    let made_up = async |number: usize| {
        send(redeem(&public, &format!("made-up-{number}")), HERE, number).await
    };
    assert_eq!(count(2_000, StatusCode::BAD_REQUEST, made_up).await, 100);
    // The same proofs are new: nothing was written.
    for number in [0, 99, 100, 1_999] {
        let code = server.code(&public).await;
        let answer = send(redeem(&public, &code), HERE, number).await;
        assert_eq!((answer.status, &answer.json()["token_type"]), (StatusCode::OK, &json!("DPoP")));
    }
    let answer = send(redeem(&public, "made-up"), ELSEWHERE, 3_000).await;
    assert_eq!(answer.error(), "invalid_grant");
}

/// SEC-222: nothing is guessed without a bound, and no good grant pays for it.
#[tokio::test(start_paused = true)]
async fn made_up_grants_are_bounded_and_good_ones_go_on() {
    let server = limited(|server| server);
    let public = server.client().await;
    let form_type = "application/x-www-form-urlencoded";
    let made_up = async |number: usize| {
        let form = redeem(&public, &format!("made-up-{number}"));
        post(&server, "/token", form_type, &form, HERE).await
    };
    assert_eq!(count(1_000, StatusCode::BAD_REQUEST, made_up).await, 100);
    let code = server.code(&public).await;
    let tokens = post(&server, "/token", form_type, &redeem(&public, &code), HERE).await;
    assert_eq!(tokens.status, StatusCode::OK);
    let elsewhere = post(&server, "/token", form_type, &redeem(&public, "x"), ELSEWHERE).await;
    assert_eq!(elsewhere.error(), "invalid_grant");
}

/// SEC-227: 10,000 registrations.
#[tokio::test(start_paused = true)]
async fn registrations_from_one_home_network_are_limited() {
    let server = limited(|server| server);
    // A /56, which comes with one line: each request from another /64 of it.
    let home = async |number: usize| {
        let from = format!("2001:db8:0:{:x}::{number:x}", number % 256);
        register(&server, (&from, None)).await
    };
    assert_eq!(count(10_000, StatusCode::CREATED, home).await, 120);
    // The /48 of a site: 256 such networks.
    let site = async |number: usize| {
        let from = format!("2001:db8:0:{:x}::1", (number % 0xff00) + 0x100);
        register(&server, (&from, None)).await
    };
    assert_eq!(count(10_000, StatusCode::CREATED, site).await, 120, "240 with those before");
    for other in ["2001:db8:1::1", "2001:db9::1", "192.0.2.1"] {
        assert_eq!(register(&server, (other, None)).await.status, StatusCode::CREATED, "{other}");
    }
    // One minute later: one of each /64, two of each /56, four of the /48.
    advance(Duration::from_secs(60)).await;
    let home = async |number: usize| {
        let from = format!("2001:db8:0:{:x}::{number:x}", number % 256);
        register(&server, (&from, None)).await
    };
    assert_eq!(count(1_000, StatusCode::CREATED, home).await, 2);
}

/// SEC-227
#[tokio::test(start_paused = true)]
async fn failures_are_counted_by_wider_networks_too() {
    let server = limited(|server| server);
    put_machines(&server).await;
    let guess = async |number: usize| {
        let from = format!("2001:db8:0:{:x}::1", number % 256);
        with_secret(&server, "first", "wrong", (&from, None)).await
    };
    assert_eq!(count(1_000, StatusCode::UNAUTHORIZED, guess).await, 20);
    let status = with_secret(&server, "first", "right", ("2001:db8:0:100::1", None)).await.status;
    assert_eq!(status, StatusCode::OK);
}
