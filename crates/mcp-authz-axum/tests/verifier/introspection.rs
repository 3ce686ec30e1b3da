//! Tokens of a server that is asked about each: who gets to the handler, and what the server is asked.

mod kinds;
mod search;
mod window;

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use futures::future::join_all;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Request, StatusCode};
use mcp_authz_axum::{Clock, IntrospectionVerifier, ProtectLayer};
use oauth_types::{
    AuthMethod, ClientId, EndpointUrl, FormPairs, ResourceUri, ScopeSet, Secret, UnixTime,
};
use resource_server::Resource;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::foreign::*;

const NOW: u64 = 1_000_000;
const MCP: &str = "https://rs.example/mcp";
const METADATA: &str = "/.well-known/oauth-authorization-server";
const ENDPOINT: &str = "/introspect";

/// A protected server, and the authorization server that it asks.
struct Servers {
    router: Router,
    ran: Arc<AtomicUsize>,
    time: Arc<AtomicU64>,
    foreign: Foreign,
}

struct Reply {
    status: StatusCode,
    challenge: String,
    retries_later: bool,
}

fn metadata(foreign: &Foreign) -> Value {
    json!({"issuer": foreign.issuer(), "introspection_endpoint": foreign.url(ENDPOINT)})
}

/// A good answer with these members instead; `null` takes one away.
fn active(members: &Value) -> Answer {
    let mut body = json!({"active": true, "sub": "alice", "client_id": "c", "aud": MCP,
        "scope": "read", "exp": NOW + 600});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    Answer::json(&body)
}

fn inactive() -> Answer {
    Answer::json(r#"{"active":false}"#)
}

async fn servers_with(
    change: impl FnOnce(IntrospectionVerifier, &Foreign) -> IntrospectionVerifier,
) -> Servers {
    let foreign = Foreign::new().await;
    foreign.answer(METADATA, Answer::json(&metadata(&foreign)));
    foreign.answer(ENDPOINT, active(&json!({})));
    let (client_id, secret) = (ClientId::parse("rs:1").unwrap(), Secret::new("canary &"));
    let verifier = IntrospectionVerifier::new(foreign.issuer(), client_id, secret).unwrap();
    let verifier = change(verifier, &foreign);
    let resource = Resource::new(ResourceUri::parse(MCP).unwrap(), vec![foreign.issuer()]).unwrap();
    let (ran, time) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(NOW)));
    let (counter, clock) = (Arc::clone(&ran), Arc::clone(&time));
    let clock = Clock::new(move || UnixTime::from_secs(clock.load(Ordering::SeqCst)));
    let protect = ProtectLayer::new(resource, verifier, ScopeSet::parse("read").unwrap());
    let handler = async move || {
        counter.fetch_add(1, Ordering::SeqCst);
    };
    let router = Router::new().route("/mcp", any(handler)).layer(protect.with_clock(clock));
    Servers { router, ran, time, foreign }
}

async fn servers() -> Servers {
    servers_with(|verifier, _| verifier).await
}

impl Servers {
    async fn show(&self, token: &str) -> Reply {
        let request = Request::post("/mcp").header(AUTHORIZATION, format!("Bearer {token}"));
        let request = request.body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let challenge = response.headers().get(WWW_AUTHENTICATE);
        Reply {
            status: response.status(),
            challenge: challenge.map_or("", |line| line.to_str().unwrap()).to_owned(),
            retries_later: response.headers().contains_key(RETRY_AFTER),
        }
    }

    fn ran(&self) -> usize {
        self.ran.load(Ordering::SeqCst)
    }

    fn asked(&self) -> usize {
        self.foreign.asked(ENDPOINT)
    }

    fn pass(&self, seconds: u64) {
        self.time.fetch_add(seconds, Ordering::SeqCst);
    }

    /// The token was judged, and found to be no good.
    #[track_caller]
    fn refused(&self, reply: &Reply, why: &str) {
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{why}");
        assert!(reply.challenge.contains("error=\"invalid_token\""), "{why}");
        assert_eq!(self.ran(), 0, "{why}");
    }

    /// The token could not be judged: the client keeps it, and is told nothing that makes it log in again.
    #[track_caller]
    fn undecided(&self, reply: &Reply, why: &str) {
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{why}");
        assert!(reply.challenge.is_empty() && reply.retries_later, "{why}");
        assert_eq!(self.ran(), 0, "{why}");
    }
}

/// SEC-154
#[tokio::test]
async fn a_question_is_authenticated_and_says_nothing_but_the_token() {
    let servers = servers().await;
    assert_eq!(servers.show("a+b/c~d==").await.status, StatusCode::OK);
    assert_eq!((servers.ran(), servers.asked()), (1, 1));
    let heard = servers.foreign.heard(ENDPOINT).pop().unwrap();
    assert_eq!(heard.method, "POST");
    // base64("rs%3A1:canary%20%26")
    assert_eq!(heard.headers[AUTHORIZATION], "Basic cnMlM0ExOmNhbmFyeSUyMCUyNg==");
    assert_eq!(heard.headers[ACCEPT], "application/json");
    assert_eq!(heard.headers[CONTENT_TYPE], "application/x-www-form-urlencoded");
    let form = FormPairs::parse(&heard.body).unwrap();
    let expected = [("token", "a+b/c~d=="), ("token_type_hint", "access_token")];
    assert_eq!(form.iter().collect::<Vec<_>>(), expected);
}

/// SEC-154
#[tokio::test]
async fn the_method_is_the_hosts_or_the_servers() {
    for (listed, chosen, in_form) in [
        (json!(["client_secret_post"]), None, true),
        (json!(["client_secret_basic", "client_secret_post"]), None, false),
        (json!(["client_secret_basic"]), Some(AuthMethod::ClientSecretPost), true),
    ] {
        let servers = servers_with(|verifier, foreign| {
            let mut document = metadata(foreign);
            document["introspection_endpoint_auth_methods_supported"] = listed;
            foreign.answer(METADATA, Answer::json(&document));
            match chosen {
                Some(method) => verifier.with_method(method),
                None => verifier,
            }
        })
        .await;
        assert_eq!(servers.show("t").await.status, StatusCode::OK);
        let heard = servers.foreign.heard(ENDPOINT).pop().unwrap();
        let form = FormPairs::parse(&heard.body).unwrap();
        assert_eq!(form.single("client_secret"), Ok(in_form.then_some("canary &")));
        assert_eq!(heard.headers.contains_key(AUTHORIZATION), !in_form);
    }
}

/// SEC-154
#[tokio::test]
async fn what_is_no_answer_is_neither_yes_nor_no() {
    let other = Foreign::new().await;
    other.answer(ENDPOINT, active(&json!({})));
    let good = active(&json!({}));
    for answer in [
        Answer::json("{}"),
        Answer::json(""),
        Answer::json(r#"{"active":"true"}"#),
        Answer::json(r#"{"active":1}"#),
        Answer::json(r#"{"active":null}"#),
        Answer::json(r#"{"active":false,"active":true}"#),
        Answer::json(&json!([{"active": true}])),
        active(&json!({"scope": "read \"x"})),
        active(&json!({"exp": "soon"})),
        active(&json!({"x": "x".repeat(200 * 1024)})),
        Answer::json(&"x".repeat(10 * 1024 * 1024)),
        Answer { content_type: "text/html", ..Answer::json("<html>Log in</html>") },
        Answer { content_type: "text/html", ..good.clone() },
        Answer { content_type: "application/token-introspection+jwt", ..good.clone() },
        Answer { location: other.url(ENDPOINT), ..Answer::status(302) },
        Answer { location: other.url(ENDPOINT), ..Answer::status(307) },
        Answer { body: good.body.clone(), ..Answer::status(201) },
        Answer { body: good.body.clone(), ..Answer::status(400) },
        Answer { body: good.body.clone(), ..Answer::status(401) },
        Answer { body: good.body.clone(), ..Answer::status(403) },
        Answer { body: good.body.clone(), ..Answer::status(404) },
        Answer { body: good.body.clone(), ..Answer::status(429) },
        Answer { body: good.body.clone(), ..Answer::status(500) },
        Answer { body: good.body.clone(), ..Answer::status(503) },
    ] {
        let servers = servers().await;
        let why = format!("{} {:.60}", answer.status, answer.body);
        servers.foreign.answer(ENDPOINT, answer);
        servers.undecided(&servers.show("t").await, &why);
        assert_eq!(servers.asked(), 1, "asked once, and not again: {why}");
        // It is not believed any longer than it was true; a secret that was refused is not shown again at once.
        servers.foreign.answer(ENDPOINT, good.clone());
        if why.starts_with("401") {
            servers.undecided(&servers.show("t").await, &why);
            servers.pass(4);
            servers.undecided(&servers.show("other").await, &why);
            assert_eq!(servers.asked(), 1, "{why}");
            servers.pass(1);
        }
        assert_eq!(servers.show("t").await.status, StatusCode::OK, "{why}");
    }
    assert_eq!(other.asked(ENDPOINT), 0, "no redirect is followed");
}

/// SEC-154
#[tokio::test]
async fn a_slow_server_is_not_waited_for() {
    let servers = servers().await;
    let slow = Answer { delay: Duration::from_secs(60), ..active(&json!({})) };
    servers.foreign.answer(ENDPOINT, slow);
    let reply = tokio::time::timeout(Duration::from_secs(7), servers.show("t")).await;
    servers.undecided(&reply.unwrap(), "slow");
    assert_eq!(servers.asked(), 1);
}

/// SEC-154, SEC-155
#[tokio::test]
async fn a_server_that_is_down_has_said_no_to_nobody() {
    let mut servers = servers().await;
    servers.foreign.answer(ENDPOINT, active(&json!({"exp": NOW + 15})));
    assert_eq!(servers.show("known").await.status, StatusCode::OK);
    let address = servers.foreign.stop().await;
    servers.foreign = Foreign::new().await;
    servers.ran.store(0, Ordering::SeqCst);
    servers.undecided(&servers.show("other").await, "down");
    // What was said a moment ago holds, and not for longer because nobody can be asked.
    servers.pass(9);
    assert_eq!(servers.show("known").await.status, StatusCode::OK);
    servers.ran.store(0, Ordering::SeqCst);
    servers.pass(1);
    servers.undecided(&servers.show("known").await, "down");
    servers.foreign = Foreign::at(address).await;
    servers.foreign.answer(ENDPOINT, active(&json!({"exp": NOW + 15})));
    assert_eq!(servers.show("known").await.status, StatusCode::OK);
    assert_eq!(servers.asked(), 1);
    // Nor longer than the token lives.
    servers.ran.store(0, Ordering::SeqCst);
    servers.pass(5);
    servers.refused(&servers.show("known").await, "expired");
}

/// SEC-154
#[tokio::test]
async fn a_server_that_cannot_be_asked_at_all_lets_nobody_in() {
    for (document, is_found) in [
        (json!({}), false),
        (json!({"issuer": "https://other.example"}), false),
        (json!({"introspection_endpoint": null}), true),
        (json!({"introspection_endpoint_auth_methods_supported": ["none"]}), true),
        (json!({"introspection_endpoint_auth_methods_supported": ["private_key_jwt"]}), true),
    ] {
        let servers = servers().await;
        let mut whole = metadata(&servers.foreign);
        whole.as_object_mut().unwrap().extend(document.as_object().unwrap().clone());
        let answer = match document == json!({}) {
            true => Answer::status(404),
            false => Answer::json(&whole),
        };
        servers.foreign.answer(METADATA, answer);
        servers.undecided(&servers.show("t").await, &document.to_string());
        servers.undecided(&servers.show("t").await, &document.to_string());
        assert_eq!((servers.asked(), servers.foreign.asked(METADATA)), (0, 1), "{is_found}");
    }
}

/// R-AUTH-1, R-AUTH-3, SEC-143, SEC-146
#[tokio::test]
async fn an_active_token_that_is_no_good_here() {
    const KEY: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    for members in [
        json!({"active": false}),
        json!({"aud": "https://rs.example/other"}),
        json!({"aud": "https://rs.example"}),
        json!({"aud": "https://rs.example/mcp/x"}),
        json!({"aud": "https://as.example"}),
        json!({"aud": ["https://as.example", "https://rs.example/other", "account"]}),
        json!({"aud": []}),
        json!({"aud": null}),
        json!({"iss": "https://other.example"}),
        json!({"exp": null}),
        json!({"exp": NOW}),
        json!({"exp": 0}),
        json!({"nbf": NOW + 3600}),
        json!({"client_id": null}),
        json!({"sub": null}),
        json!({"token_type": "DPoP", "cnf": {"jkt": KEY}}),
        json!({"token_type": "Bearer", "cnf": {"jkt": KEY}}),
        json!({"cnf": {"x5t#S256": KEY}}),
        json!({"token_type": "N_A"}),
    ] {
        let servers = servers().await;
        servers.foreign.answer(ENDPOINT, active(&members));
        servers.refused(&servers.show("t").await, &members.to_string());
        // Nor is it the second time.
        servers.refused(&servers.show("t").await, &members.to_string());
    }
    let servers = servers().await;
    servers.foreign.answer(ENDPOINT, active(&json!({"scope": null})));
    assert_eq!(servers.show("t").await.status, StatusCode::FORBIDDEN);
    assert_eq!(servers.ran(), 0);
    for good in [json!({"aud": ["account", MCP]}), json!({"iss": servers.foreign.issuer()})] {
        servers.pass(10);
        servers.foreign.answer(ENDPOINT, active(&good));
        assert_eq!(servers.show("t").await.status, StatusCode::OK, "{good}");
    }
}
