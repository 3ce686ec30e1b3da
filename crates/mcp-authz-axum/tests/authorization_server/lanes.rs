//! Slow and silent hosts of documents: clients that are known go on, and honest new ones are fetched.

use core::future::pending;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use authorization_server::DocumentRefused;
use axum::body::Body;
use axum::extract::ConnectInfo;
use bytes::Bytes;
use futures::future::{BoxFuture, join_all};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{Request, Response, StatusCode};
use mcp_authz_axum::ClientDocuments;
use oauth_types::ClientMetadataUrl;
use tokio::time::{Instant, sleep, timeout};

use crate::server::*;
use crate::site::*;

const KNOWN: &str = "https://known.example/c";
const GRANTS: &str = r#","grant_types":["authorization_code","refresh_token"]"#;
const ATTACKER: &str = "198.51.100.1";
const USER: &str = "203.0.113.";

/// Hosts that answer after a quarter of a second, but for those whose names begin with `tar`, and those that went
/// silent.
#[derive(Clone, Default)]
struct Hosts {
    silent: Arc<Mutex<BTreeSet<String>>>,
    gone: Arc<Mutex<BTreeSet<String>>>,
    asked: Arc<Mutex<Vec<String>>>,
    /// `Cache-Control` of every document.
    cached: &'static str,
}

impl Hosts {
    fn new(cached: &'static str) -> Self {
        Self { cached, ..Self::default() }
    }

    fn set(&self, of: &Mutex<BTreeSet<String>>, host: &str, is_so: bool) {
        let mut of = of.lock().unwrap();
        if is_so {
            of.insert(host.to_owned())
        } else {
            of.remove(host)
        };
    }

    fn set_silent(&self, host: &str, is_silent: bool) {
        self.set(&self.silent, host, is_silent);
    }

    fn asked(&self, url: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|own| *own == url).count()
    }
}

impl ClientDocuments for Hosts {
    fn fetch<'a>(
        &'a self,
        url: &'a ClientMetadataUrl,
    ) -> BoxFuture<'a, Result<Response<Bytes>, DocumentRefused>> {
        let host = url.as_url().origin().host().to_owned();
        self.asked.lock().unwrap().push(url.as_url().as_str().to_owned());
        let is_silent = host.starts_with("tar") || self.silent.lock().unwrap().contains(&host);
        let status = if self.gone.lock().unwrap().contains(&host) { 404 } else { 200 };
        Box::pin(async move {
            if is_silent {
                pending::<()>().await;
            }
            sleep(Duration::from_millis(250)).await;
            let answer = Response::builder().status(status).header(CACHE_CONTROL, self.cached);
            let answer = answer.header(CONTENT_TYPE, "application/json");
            Ok(answer.body(Bytes::from(document(url.as_url().as_str(), GRANTS))).unwrap())
        })
    }
}

fn from(peer: &str, request: http::request::Builder, body: String) -> Request<Body> {
    let peer = SocketAddr::new(peer.parse::<IpAddr>().unwrap(), 1);
    request.extension(ConnectInfo(peer)).body(Body::from(body)).unwrap()
}

/// A browser that is sent to log in with this client.
async fn visit(server: &Server, peer: &str, client: &str) -> StatusCode {
    let request = from(peer, Request::get(authorize(client, &[])), String::new());
    server.send(request).await.status
}

/// What the token endpoint answers to a refresh token, and the next one.
async fn refresh(server: &Server, peer: &str, token: &mut String) -> StatusCode {
    let form = format!("grant_type=refresh_token&client_id={KNOWN}&refresh_token={token}");
    let request = Request::post("/token").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = server.send(from(peer, request, form)).await;
    if answer.status == StatusCode::OK {
        *token = answer.json()["refresh_token"].as_str().unwrap().to_owned();
    }
    answer.status
}

/// A login of the client whose document is known from then on.
async fn log_in(server: &Server) -> String {
    let code = server.code(KNOWN).await;
    let tokens = server.form("/token", &redeem(KNOWN, &code)).await;
    tokens.json()["refresh_token"].as_str().unwrap().to_owned()
}

/// Asks for logins with clients that were made up, 300 a second, and waits for no answer.
fn attack(server: &Server, networks: usize) -> tokio::task::JoinHandle<()> {
    let router = server.router.clone();
    let server = Server { router, store: Arc::clone(&server.store) };
    let server = Arc::new(server);
    tokio::spawn(async move {
        for n in 0.. {
            let server = Arc::clone(&server);
            let peer = match networks {
                1 => ATTACKER.to_owned(),
                _ => format!("192.0.{}.{}", 2 + n % networks / 200, 1 + n % networks % 200),
            };
            tokio::spawn(async move {
                visit(&server, &peer, &format!("https://tar{n}.example/c")).await;
            });
            sleep(Duration::from_micros(3_333)).await;
        }
    })
}

fn later(time: &AtomicU64, seconds: u64) {
    time.fetch_add(seconds, Ordering::Relaxed);
}

/// SEC-229: known clients log in, and so do new ones.
#[tokio::test(start_paused = true)]
async fn silent_hosts_keep_no_honest_client_from_its_login() {
    let hosts = Hosts::new("max-age=60");
    let (server, time) = reader_of(hosts.clone());
    let mut token = log_in(&server).await;
    let attack = attack(&server, 1);
    sleep(Duration::from_secs(4)).await;
    for round in 0..8 {
        // The document is out of date each time.
        later(&time, 61);
        let start = Instant::now();
        assert_eq!(refresh(&server, &format!("{USER}1"), &mut token).await, StatusCode::OK);
        assert!(start.elapsed() < Duration::from_secs(1), "round {round}: {:?}", start.elapsed());
        let client = format!("https://new{round}.example/c");
        let start = Instant::now();
        assert_eq!(visit(&server, &format!("{USER}{round}"), &client).await, StatusCode::OK);
        assert!(start.elapsed() < Duration::from_secs(1), "round {round}: {:?}", start.elapsed());
        sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(hosts.asked(KNOWN), 9, "fetched anew each time");
    attack.abort();
}

/// SEC-229
#[tokio::test(start_paused = true)]
async fn what_was_good_has_turns_of_its_own_however_many_networks_ask() {
    let hosts = Hosts::new("max-age=0, must-revalidate");
    let (server, time) = reader_of(hosts.clone());
    let mut token = log_in(&server).await;
    let attack = attack(&server, 1_000);
    sleep(Duration::from_secs(4)).await;
    for _ in 0..8 {
        later(&time, 61);
        assert_eq!(refresh(&server, &format!("{USER}1"), &mut token).await, StatusCode::OK);
    }
    assert_eq!(hosts.asked(KNOWN), 9);
    attack.abort();
}

/// SEC-229
#[tokio::test(start_paused = true)]
async fn what_was_good_is_used_while_its_host_is_silent_for_an_hour() {
    let hosts = Hosts::new("max-age=60");
    let (server, time) = reader_of(hosts.clone());
    let mut token = log_in(&server).await;
    let user = format!("{USER}1");
    hosts.set_silent("known.example", true);
    later(&time, 61);
    let start = Instant::now();
    assert_eq!(refresh(&server, &user, &mut token).await, StatusCode::OK);
    assert!(start.elapsed() <= Duration::from_secs(1), "{:?}", start.elapsed());
    sleep(Duration::from_secs(5)).await;
    // Not asked again for a moment, and nobody waits.
    let start = Instant::now();
    assert_eq!(refresh(&server, &user, &mut token).await, StatusCode::OK);
    assert_eq!((hosts.asked(KNOWN), start.elapsed()), (2, Duration::ZERO));
    later(&time, 31);
    assert_eq!(refresh(&server, &user, &mut token).await, StatusCode::OK);
    assert_eq!(hosts.asked(KNOWN), 3);
    sleep(Duration::from_secs(5)).await;
    // Within the hour a document that is there again counts at once.
    hosts.set_silent("known.example", false);
    later(&time, 31);
    assert_eq!(refresh(&server, &user, &mut token).await, StatusCode::OK);
    assert_eq!(hosts.asked(KNOWN), 4);
    // And after it what was good is no more.
    hosts.set_silent("known.example", true);
    later(&time, 60 + 3_600);
    assert_eq!(refresh(&server, &user, &mut token).await, StatusCode::SERVICE_UNAVAILABLE);
}

/// SEC-229: what it says about stale documents counts (RFC 9111).
#[tokio::test(start_paused = true)]
async fn a_document_that_the_host_takes_back_is_used_no_longer() {
    let user = format!("{USER}1");
    // The host answers that there is no such document.
    let hosts = Hosts::new("max-age=60");
    let (server, time) = reader_of(hosts.clone());
    let mut token = log_in(&server).await;
    hosts.set(&hosts.gone, "known.example", true);
    later(&time, 61);
    assert_eq!(refresh(&server, &user, &mut token).await, StatusCode::UNAUTHORIZED);
    // What is gone does not come back when the host is silent.
    hosts.set_silent("known.example", true);
    assert_eq!(refresh(&server, &user, &mut token).await, StatusCode::SERVICE_UNAVAILABLE);

    // It forbids what is out of date (RFC 9111 §4.2.4).
    for cached in ["max-age=60, must-revalidate", "No-Cache", "max-age=9, s-maxage=60"] {
        let hosts = Hosts::new(cached);
        let (server, time) = reader_of(hosts.clone());
        let mut token = log_in(&server).await;
        hosts.set_silent("known.example", true);
        later(&time, 61);
        let answer = refresh(&server, &user, &mut token).await;
        assert_eq!(answer, StatusCode::SERVICE_UNAVAILABLE, "{cached}");
    }
}

/// SEC-229
#[tokio::test(start_paused = true)]
async fn a_good_document_that_nobody_logged_in_with_is_new_each_time() {
    let hosts = Hosts::new("max-age=60, must-revalidate");
    let (server, time) = reader_of(hosts.clone());
    let (server, urls) = (&server, |n: usize| format!("https://c{n}.example/c"));
    let asked = |hosts: &Hosts| hosts.asked.lock().unwrap().len();
    join_all((0..20).map(|n| async move { visit(server, "192.0.2.1", &urls(n)).await })).await;
    join_all((20..40).map(|n| async move { visit(server, "192.0.2.2", &urls(n)).await })).await;
    assert_eq!(asked(&hosts), 40);
    later(&time, 61);
    join_all((0..40).map(|n| async move { visit(server, "192.0.2.3", &urls(n)).await })).await;
    assert_eq!(asked(&hosts), 60, "one network has turns for twenty");
}

/// SEC-229
#[tokio::test(start_paused = true)]
async fn one_network_begins_twenty_fetches_and_then_one_a_second() {
    let hosts = Hosts::new("max-age=60");
    let (server, _) = reader_of(hosts.clone());
    let asked = |hosts: &Hosts| hosts.asked.lock().unwrap().len();
    let (server, urls) = (&server, |n: usize| format!("https://c{n}.example/c"));
    // A network of IPv6 is one, whichever of its addresses asks.
    let visits =
        (0..100).map(|n| async move { visit(server, &format!("2001:db8::{n:x}"), &urls(n)).await });
    join_all(visits).await;
    assert_eq!(asked(&hosts), 20);
    sleep(Duration::from_secs(3)).await;
    let visits = (100..200)
        .map(|n| async move { visit(server, &format!("2001:db8::{n:x}"), &urls(n)).await });
    join_all(visits).await;
    assert!((23..=24).contains(&asked(&hosts)), "{}", asked(&hosts));
    // What is known, or on its way, costs nothing.
    let again = timeout(Duration::ZERO, visit(server, "2001:db8::1", &urls(0))).await;
    assert_eq!(again, Ok(StatusCode::OK));
}

/// SEC-229: their documents are good.
#[tokio::test(start_paused = true)]
async fn made_up_clients_displace_no_client_that_got_a_token() {
    let hosts = Hosts::new("max-age=600");
    let (server, _) = reader_of(hosts.clone());
    let mut token = log_in(&server).await;
    let server_ref = &server;
    let visits = (0..1_100_u32).map(|n| async move {
        let peer = format!("10.0.{}.{}", n / 200, 1 + n % 200);
        // A few at once, and each host and network on its own.
        sleep(Duration::from_millis(10) * n).await;
        visit(server_ref, &peer, &format!("https://c{n}.example/c")).await
    });
    assert!(join_all(visits).await.iter().all(|status| *status == StatusCode::OK));
    hosts.set_silent("known.example", true);
    assert_eq!(refresh(&server, &format!("{USER}1"), &mut token).await, StatusCode::OK);
    assert_eq!(hosts.asked(KNOWN), 1);
    // Of those that were only named, the oldest went.
    visit(&server, &format!("{USER}1"), "https://c0.example/c").await;
    assert_eq!(hosts.asked("https://c0.example/c"), 2);
}

/// SEC-229
#[tokio::test(start_paused = true)]
async fn the_wait_for_a_turn_has_a_deadline_of_its_own() {
    let hosts = Hosts::new("max-age=60");
    let (server, _) = reader_of(hosts.clone());
    // As many as there are turns, each of another network, hold them for as long as a fetch may take.
    let server = &server;
    let held = (0..32).map(|n| async move {
        visit(server, &format!("192.0.2.{n}"), &format!("https://tar{n}.example/c")).await
    });
    let waiting = async {
        sleep(Duration::from_millis(100)).await;
        let start = Instant::now();
        let status = visit(server, &format!("{USER}1"), "https://new.example/c").await;
        (status, start.elapsed())
    };
    let (_, (status, waited)) = futures::future::join(join_all(held), waiting).await;
    // 2.4 seconds of waiting leave the fetch its own time.
    assert_eq!(status, StatusCode::OK);
    assert_eq!(waited.as_millis(), 2_650);
}
