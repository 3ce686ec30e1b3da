//! Sessions and event streams of clients without a token.

use super::*;

/// R-AUTH-8, SEC-157
#[tokio::test]
async fn a_session_without_an_owner_goes_over_to_nobody() {
    let router = served(protect(mixed()));
    let search = |token| in_session(post(token, call("search")));
    // Before it is opened it is nobody's.
    assert_eq!(status(&router, search("")).await, 404);
    assert_eq!(status(&router, post("", message("initialize"))).await, 200);
    assert_eq!(status(&router, search("")).await, 200);
    let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {}}).to_string();
    assert_eq!(status(&router, in_session(post("", answer.clone()))).await, 200);
    assert_eq!(status(&router, in_session(post("", call("write")))).await, 401);
    // Its streams and its identifier may be another's, so a user that has logged in begins a new session.
    let write = |token| in_session(post(token, call("write")));
    for token in ["Bearer alice.read+write", "Bearer mallory.read+write"] {
        assert_eq!(status(&router, write(token)).await, 404, "{token}");
        for method in ["GET", "DELETE"] {
            let stream = Asked { method, token, session: true, body: String::new() };
            assert_eq!(status(&router, stream).await, 404, "{method} {token}");
        }
    }
    assert_eq!(status(&router, search("")).await, 200);

    // A session of a user is closed to all others.
    let router = served(protect(mixed()));
    assert_eq!(status(&router, post("Bearer alice.read", message("initialize"))).await, 200);
    assert_eq!(status(&router, write("Bearer alice.read+write")).await, 200);
    for other in ["", "Bearer mallory.read"] {
        assert_eq!(status(&router, search(other)).await, 404, "{other}");
        for method in ["GET", "DELETE"] {
            let stream = Asked { method, token: other, session: true, body: String::new() };
            assert_eq!(status(&router, stream).await, 404, "{method} {other}");
        }
    }
    assert_eq!(status(&router, in_session(post("", answer))).await, 401);
}

/// SEC-157
#[tokio::test]
async fn no_stream_is_replayed_without_a_token() {
    let router = served(protect(mixed()));
    assert_eq!(status(&router, post("", message("initialize"))).await, 200);
    for (method, body, expected) in
        [("GET", String::new(), 405), ("POST", call("search"), 401), ("GET", message("ping"), 401)]
    {
        let request = Request::builder()
            .method(method)
            .uri("/mcp")
            .header("mcp-session-id", router.session())
            .header("last-event-id", "7/0");
        let request = request.body(Body::from(body)).unwrap();
        let response = router.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), expected, "{method}");
    }
}

#[tokio::test]
async fn streams_without_a_token_belong_to_sessions_without_an_owner() {
    for protect in [protect(mixed()), protect(mixed()).without_session_binding()] {
        let router = served(protect);
        for method in ["GET", "DELETE"] {
            let stream = Asked { method, token: "", session: false, body: String::new() };
            let response = send(&router, stream).await;
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
            assert_eq!(response.headers()[ALLOW], "POST");
            let own =
                Asked { method, token: "Bearer alice.read", session: false, body: String::new() };
            assert_eq!(status(&router, own).await, 200, "{method}");
        }
        let other = Asked { method: "PUT", token: "", session: false, body: String::new() };
        assert_eq!(status(&router, other).await, 401);
    }
}
