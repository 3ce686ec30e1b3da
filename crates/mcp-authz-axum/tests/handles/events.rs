//! Identifiers of events belong to the principal that got them.

use http_body_util::BodyExt as _;

use crate::server::{LIST, Server, process, server, session};

/// The identifier of the event that the service sends, as the client reads it.
async fn event(server: &Server, token: &str, lines: &[(&str, &str)]) -> String {
    let body = if token.is_empty() { "" } else { LIST };
    let method = if token.is_empty() { "GET" } else { "POST" };
    let response = server.send((method, "event"), token, lines, body).await;
    assert_eq!(response.status(), 200);
    let text = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(text.to_vec()).unwrap();
    let (id, rest) = text.strip_prefix("id: ").unwrap().split_once('\n').unwrap();
    assert_eq!(rest, "data: the answer\n\n");
    id.to_owned()
}

async fn resume(server: &Server, token: &str, lines: &[(&str, &str)]) -> u16 {
    server.send(("GET", "event"), token, lines, "").await.status().as_u16()
}

/// SEC-225
#[tokio::test]
async fn an_event_id_is_good_only_for_the_principal_that_got_it() {
    let server = server();
    let (alice, mallory) = ("alice.c.99999", "mallory.c.99999");
    let own = session(&server.open(mallory).await.1);
    let id = event(&server, alice, &[]).await;
    assert!(id.starts_with("event-0.") && id.len() == 32, "{id}");
    let forged = id.replace("event-0", "event-1");
    let mallorys = event(&server, mallory, &[]).await;
    for lines in
        [vec![], vec![("mcp-session-id", &*own)], vec![("mcp-protocol-version", "2026-07-28")]]
    {
        for bad in [&*id, "event-0", &forged, "x", ".", &id[7..]] {
            let lines = [&lines[..], &[("last-event-id", bad)]].concat();
            assert_eq!(resume(&server, mallory, &lines).await, 404, "{lines:?}");
        }
        let two = [&lines[..], &[("last-event-id", &mallorys), ("last-event-id", &id)]].concat();
        assert_eq!(resume(&server, mallory, &two).await, 404, "{two:?}");
    }
    // Another client of the user, and requests without a token, are others too.
    assert_eq!(resume(&server, "alice.other.99999", &[("last-event-id", &id)]).await, 404);
    assert_eq!(resume(&server, "", &[("last-event-id", &id)]).await, 405);
    let post = server.send(("POST", "event"), mallory, &[("last-event-id", &id)], LIST).await;
    assert_eq!(post.status(), 404);
    assert!(server.service.resumed.lock().unwrap().is_empty(), "nothing reached the service");
    // The service sees its own identifier, from whichever token of the principal.
    for token in [alice, "alice.c.88888"] {
        assert_eq!(resume(&server, token, &[("last-event-id", &id)]).await, 200);
    }
    assert_eq!(resume(&server, alice, &[("last-event-id", "")]).await, 200);
    assert_eq!(*server.service.resumed.lock().unwrap(), ["event-0", "event-0"]);
}

/// SEC-225: the stream had no token. A session ID is no event ID either.
#[tokio::test]
async fn an_event_of_an_open_stream_is_resumed_by_nobody() {
    let server = server();
    let public = session(&server.open("").await.1);
    let id = event(&server, "", &[("mcp-session-id", &public)]).await;
    for (token, status) in [("mallory.c.99999", 404), ("", 405)] {
        assert_eq!(resume(&server, token, &[("last-event-id", &id)]).await, status);
    }
    let own = session(&server.open("mallory.c.99999").await.1);
    assert_eq!(resume(&server, "mallory.c.99999", &[("last-event-id", &own)]).await, 404);
    assert!(server.service.resumed.lock().unwrap().is_empty());
}

/// Also where sessions are not bound.
#[tokio::test]
async fn event_ids_are_bound_unless_the_host_opts_out() {
    let alice = "alice.c.99999";
    let bound = process(Default::default(), |protect| protect.without_session_binding());
    let id = event(&bound, alice, &[]).await;
    assert_eq!(resume(&bound, "mallory.c.99999", &[("last-event-id", &id)]).await, 404);
    let free = process(Default::default(), |protect| protect.without_event_binding());
    assert_eq!(event(&free, alice, &[]).await, "event-0");
    assert_eq!(resume(&free, alice, &[("last-event-id", "event-0")]).await, 200);
}
