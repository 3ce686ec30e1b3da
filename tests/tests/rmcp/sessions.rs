//! Sessions and replayed streams of a real rmcp server behind the layer: with an event store that finds a stream by an
//! identifier that anybody can guess, as rmcp's own sample has it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use http::{Method, StatusCode};
use mcp_authz_axum::ProtectLayer;
use oauth_types::{Entropy, ScopeSet};
use resource_server::{OperationScopes, Requirement, SessionKey};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::session::{
    EventStore, EventStoreError, EventStream, ServerSseMessage,
};
use rmcp::{tool, tool_router};
use tower::ServiceExt as _;

use crate::service::{LEGACY, MCP, MODERN, Mcp, Spoken, call, initialize, legacy_call, request};

/// The event store of rmcp's own test: `event-0`, `event-1` and so on.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<(String, ServerSseMessage)>>>);

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, EventStoreError>> + Send + 'a>>;

impl EventStore for Events {
    fn store_event<'a, 'b, 'c, 'd>(
        &'a self,
        stream: &'b str,
        event: &'c ServerSseMessage,
    ) -> Answer<'d, String>
    where
        'a: 'd,
        'b: 'd,
        'c: 'd,
        Self: 'd,
    {
        let mut events = self.0.lock().unwrap();
        let id = format!("event-{}", events.len());
        let mut event = event.clone();
        event.event_id = Some(id.clone());
        events.push((stream.to_owned(), event));
        Box::pin(async move { Ok(id) })
    }

    fn replay_events_after<'a, 'b, 'c>(&'a self, last: &'b str) -> Answer<'c, EventStream>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        let events = self.0.lock().unwrap().clone();
        let at = events.iter().position(|(_, event)| event.event_id.as_deref() == Some(last));
        Box::pin(async move {
            let at = at.ok_or("no such event")?;
            let stream = events[at].0.clone();
            let later = events.into_iter().skip(at + 1).filter(move |(own, _)| *own == stream);
            let later: Vec<_> = later.map(|(_, event)| event).collect();
            Ok(Box::pin(futures::stream::iter(later)) as EventStream)
        })
    }
}

#[derive(Clone)]
struct Tools;

#[tool_router(server_handler)]
impl Tools {
    #[tool(name = "admin", description = "Says what only an administrator may know")]
    fn admin(&self) -> String {
        "the secret of alice".to_owned()
    }
}

struct Server {
    mcp: Mcp,
    sessions: Arc<LocalSessionManager>,
}

/// A process with its own sessions.
fn process(
    events: &Events,
    change: impl FnOnce(ProtectLayer<Spoken>) -> ProtectLayer<Spoken>,
) -> Server {
    let sessions = LocalSessionManager::default().with_event_store(Arc::new(events.clone()));
    behind(Arc::new(sessions), table(), change)
}

fn table() -> OperationScopes {
    OperationScopes::new("base").and_then(|scopes| scopes.tool("admin", "base admin")).unwrap()
}

fn behind(
    sessions: Arc<LocalSessionManager>,
    required: impl Into<Requirement>,
    change: impl FnOnce(ProtectLayer<Spoken>) -> ProtectLayer<Spoken>,
) -> Server {
    let mcp = Mcp::new(MCP, Tools, Arc::clone(&sessions), |resource, spoken| {
        change(ProtectLayer::new(resource, spoken, required))
    });
    Server { mcp, sessions }
}

impl Server {
    async fn resume(&self, token: &str, lines: &[(&str, &str)], id: &str) -> (StatusCode, String) {
        let lines = [lines, &[("Last-Event-ID", id)]].concat();
        let (status, _, text) = self.mcp.send(Method::GET, token, &lines, "").await;
        (status, text)
    }

    async fn count(&self) -> usize {
        self.sessions.sessions.read().await.len()
    }

    /// The count when the sessions that are one too many have been ended, which no answer waits for.
    async fn count_in_the_end(&self, expected: usize) -> usize {
        for _ in 0..200 {
            if self.count().await == expected {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.count().await
    }
}

/// The identifiers of the events of a stream.
fn ids(stream: &str) -> Vec<String> {
    let ids = stream.lines().filter_map(|line| line.strip_prefix("id:"));
    ids.map(|id| id.trim().to_owned()).collect()
}

/// SEC-225: this holds with a session, without one, and since 2026-07-28.
#[tokio::test]
async fn no_user_replays_the_events_of_another() {
    let events = Events::default();
    let server = process(&events, |protect| protect);
    let alice = server.mcp.session("alice.base+admin").await;
    let lines = [("Mcp-Session-Id", &*alice), LEGACY];
    let (status, _, legacy) =
        server.mcp.post("alice.base+admin", &lines, &legacy_call("admin")).await;
    assert!(status == StatusCode::OK && legacy.contains("the secret of alice"), "{legacy}");
    let lines = [MODERN, ("Mcp-Method", "tools/call"), ("Mcp-Name", "admin")];
    let (status, _, modern) = server.mcp.post("alice.base+admin", &lines, &call("admin")).await;
    assert!(status == StatusCode::OK && modern.contains("the secret of alice"), "{modern}");
    let sealed: Vec<String> = [ids(&legacy), ids(&modern)].concat();
    assert!(!sealed.is_empty() && sealed.iter().all(|id| id.starts_with("event-")), "{sealed:?}");

    let own = server.mcp.session("mallory.base").await;
    let count = events.0.lock().unwrap().len();
    let guessed = (0..count).map(|at| format!("event-{at}"));
    for id in guessed.chain(sealed.clone()) {
        for lines in [
            vec![("Mcp-Session-Id", &*own), LEGACY],
            vec![("Mcp-Session-Id", &*own)],
            vec![("Mcp-Session-Id", &*own), MODERN],
            vec![LEGACY],
            vec![],
            vec![MODERN],
        ] {
            let (status, text) = server.resume("mallory.base", &lines, &id).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{lines:?} {id}");
            assert!(!text.contains("alice"), "{lines:?} {id}: {text}");
        }
    }
    // Alice goes on where she was, in her session and without one.
    let first = &ids(&legacy)[0];
    let lines = [("Mcp-Session-Id", &*alice), LEGACY];
    assert_eq!(server.resume("alice.base+admin", &lines, first).await.0, StatusCode::OK);
}

/// SEC-225
#[tokio::test]
async fn an_owner_resumes_a_stream_at_a_process_with_the_same_key() {
    let events = Events::default();
    let keyed = |byte: u8| {
        let key = SessionKey::new(Entropy::new([byte; 32]));
        process(&events, |protect| protect.with_session_key(&key))
    };
    let (one, other, stranger) = (keyed(1), keyed(1), keyed(2));
    let lines = [MODERN, ("Mcp-Method", "tools/call"), ("Mcp-Name", "admin")];
    let (_, _, stream) = one.mcp.post("alice.base+admin", &lines, &call("admin")).await;
    let id = ids(&stream).pop().unwrap();
    // What came after the event that alice saw last.
    let (name, event) = events.0.lock().unwrap().last().unwrap().clone();
    let mut missed = event;
    missed.event_id = Some("event-99".to_owned());
    events.0.lock().unwrap().push((name, missed));
    let (status, text) = other.resume("alice.base+admin", &[MODERN], &id).await;
    assert!(status == StatusCode::OK && text.contains("the secret of alice"), "{status} {text}");
    assert!(ids(&text)[0].starts_with("event-99."), "{text}");
    for (server, token) in [(&other, "mallory.base+admin"), (&stranger, "alice.base+admin")] {
        assert_eq!(server.resume(token, &[MODERN], &id).await.0, StatusCode::NOT_FOUND);
    }
}

/// SEC-215
#[tokio::test]
async fn a_session_of_rmcp_is_its_owners_at_every_process() {
    let sessions = Arc::new(LocalSessionManager::default());
    let key = SessionKey::new(Entropy::new([7; 32]));
    let [one, other] = [0, 1]
        .map(|_| behind(Arc::clone(&sessions), table(), |protect| protect.with_session_key(&key)));
    let session = one.mcp.session("alice.base+admin").await;
    let lines = [("Mcp-Session-Id", &*session), LEGACY];
    for server in [&one, &other] {
        for method in [Method::POST, Method::GET, Method::DELETE] {
            let (status, ..) = server
                .mcp
                .send(method, "mallory.base+admin", &lines, &legacy_call("admin").to_string())
                .await;
            assert_eq!(status, StatusCode::NOT_FOUND);
        }
        let call = server.mcp.post("alice.base+admin", &lines, &legacy_call("admin")).await;
        assert!(call.0 == StatusCode::OK && call.2.contains("the secret of alice"), "{call:?}");
    }
    let ended = other.mcp.send(Method::DELETE, "alice.base+admin", &lines, "").await;
    assert_eq!((ended.0, one.count().await), (StatusCode::ACCEPTED, 0));
}

/// SEC-232: its owner can end each of them.
#[tokio::test]
async fn rmcp_opens_no_session_beyond_the_share() {
    // Where bodies are not read, the session that was opened is ended behind the answer.
    let base = Requirement::from(ScopeSet::parse("base").unwrap());
    for required in [table().into(), base] {
        let server = behind(Arc::default(), required, |protect| protect.with_max_sessions(50));
        let mut own = Vec::new();
        for _ in 0..20 {
            match server.mcp.open("mallory.base").await {
                (StatusCode::OK, session) => own.push(session.unwrap()),
                (status, session) => {
                    assert_eq!((status, session), (StatusCode::TOO_MANY_REQUESTS, None));
                }
            }
        }
        assert_eq!((own.len(), server.count_in_the_end(5).await), (5, 5));
        assert_eq!(server.mcp.open("alice.base").await.0, StatusCode::OK);
        for session in own {
            let lines = [("Mcp-Session-Id", &*session), LEGACY];
            let (status, ..) = server.mcp.send(Method::DELETE, "mallory.base", &lines, "").await;
            assert_eq!(status, StatusCode::ACCEPTED);
        }
        assert_eq!(server.count().await, 1);
    }
}

/// SEC-232
#[tokio::test]
async fn an_rmcp_session_whose_client_left_before_the_answer_ends() {
    let base = Requirement::from(ScopeSet::parse("base").unwrap());
    for required in [table().into(), base] {
        let server = behind(Arc::default(), required, |protect| protect);
        let (mut left, mut answered) = (0, 0);
        // The client goes away after so many steps of the answer.
        for steps in 1..40 {
            let request = request(Method::POST, "mallory.base", &[], &initialize().to_string());
            let mut answer = Box::pin(server.mcp.router.clone().oneshot(request));
            let mut is_ready = false;
            for _ in 0..steps {
                is_ready = poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx).is_ready())).await;
                if is_ready {
                    break;
                }
                tokio::task::yield_now().await;
            }
            answered += usize::from(is_ready);
            left += usize::from(!is_ready);
        }
        assert!(left > 0 && answered > 0, "{left} {answered}");
        assert_eq!(server.count_in_the_end(answered).await, answered);
    }
}
