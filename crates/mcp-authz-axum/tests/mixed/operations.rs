//! Operations that need no token, beside those that need one.

use super::*;

#[tokio::test]
async fn a_client_without_a_token_connects_and_uses_what_is_public() {
    let router = served(protect(mixed()));
    let response = send(&router, post("", message("initialize"))).await;
    let session = response.headers()["mcp-session-id"].to_str().unwrap();
    assert!(session.starts_with("the-session."), "{session}");
    for method in ["notifications/initialized", "ping", "tools/list", "server/discover"] {
        assert_eq!(status(&router, in_session(post("", message(method)))).await, 200, "{method}");
    }
    for tool in ["search", "recommend"] {
        let response = send(&router, in_session(post("", call(tool)))).await;
        assert_eq!(text(response).await, "Some(None)", "{tool}");
    }
    for method in ["GET", "DELETE"] {
        let stream = Asked { method, token: "", session: true, body: String::new() };
        assert_eq!(status(&router, stream).await, 200, "{method}");
    }
}

/// SEC-142, SEC-213
#[tokio::test]
async fn a_call_that_is_not_public_is_challenged_with_its_scopes() {
    let router = served(protect(mixed()));
    let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {}}).to_string();
    let both = format!("[{},{}]", call("search"), call("write"));
    for (body, scope) in [
        (call("write"), "read write"),
        (both, "read write"),
        (call("unknown"), "read"),
        (message("tools/call"), "read"),
        (message("tasks/list"), "read"),
        (message("subscriptions/listen"), "read"),
        (message("resources/read"), "read"),
        (message("resources/list"), "read"),
        (message("resources/templates/list"), "read"),
        (message("prompts/list"), "read"),
        (message("logging/setLevel"), "read"),
        (answer, "read"),
    ] {
        let response = send(&router, post("", body.clone())).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{body}");
        let challenge = response.headers()[WWW_AUTHENTICATE].to_str().unwrap();
        assert!(challenge.ends_with(&format!("scope=\"{scope}\"")), "{body}: {challenge}");
        assert!(!challenge.contains("error"), "{challenge}");
    }
    // A public batch is public, and what is no message is none.
    let public = format!("[{},{}]", message("ping"), call("search"));
    assert_eq!(status(&router, post("", public)).await, 200);
    assert_eq!(status(&router, post("", "x")).await, 400);
    assert_eq!(status(&router, post("", "")).await, 400);
}

/// R-AUTH-1
#[tokio::test]
async fn a_token_that_is_presented_is_always_judged() {
    let router = served(protect(mixed()));
    for bad in ["Bearer unknown", "Basic YTpi", "Bearer", "Bearer a b"] {
        for body in [call("search"), call("recommend"), message("initialize")] {
            let found = status(&router, post(bad, body)).await;
            assert!(matches!(found, 400 | 401), "{bad}: {found}");
        }
    }
    let in_query = Request::post("/mcp?access_token=a.read").body(Body::from(call("search")));
    let response = router.router.clone().oneshot(in_query.unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    for (token, tool, expected) in [
        // No scope for what is public, though the token has none of the base.
        ("Bearer alice.other", "search", 200),
        // With a token, the optional tool needs what it says.
        ("Bearer alice.read", "recommend", 403),
        ("Bearer alice.read+history", "recommend", 200),
        ("Bearer alice.read", "write", 403),
        ("Bearer alice.read+write", "write", 200),
    ] {
        assert_eq!(status(&router, post(token, call(tool))).await, expected, "{token} {tool}");
    }
    let seen = send(&router, post("Bearer alice.other", call("search"))).await;
    assert_eq!(text(seen).await, "Some(Some(\"alice\"))");
    let batch = format!("[{},{}]", call("search"), message("tools/list"));
    assert_eq!(status(&router, post("Bearer alice.other", batch)).await, 200);
    let batch = format!("[{},{}]", call("search"), call("write"));
    assert_eq!(status(&router, post("Bearer alice.read", batch)).await, 403);
}

/// SEC-213
#[tokio::test]
async fn a_body_makes_no_other_method_public() {
    for protect in [protect(mixed()), protect(mixed()).without_session_binding()] {
        let router = served(protect);
        let asked = |method, token, session, body| Asked { method, token, session, body };
        assert_eq!(status(&router, post("", message("initialize"))).await, 200);
        for method in ["GET", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"] {
            for body in [message("ping"), call("search"), "[]".to_owned(), "x".to_owned()] {
                for session in [false, true] {
                    let request = asked(method, "", session, body.clone());
                    let found = status(&router, request).await;
                    assert_eq!(found, 401, "{method} {session} {body}");
                }
            }
            // A token needs the base there, and what the body says.
            for (token, tool, expected) in [
                ("Bearer alice.other", "search", 403),
                ("Bearer alice.read", "search", 200),
                ("Bearer alice.read", "write", 403),
                ("Bearer alice.read+write", "write", 200),
            ] {
                let found = status(&router, asked(method, token, false, call(tool))).await;
                assert_eq!(found, expected, "{method} {token} {tool}");
            }
        }
    }
}

/// A public tool opens the list of tools, and an own row closes it.
#[tokio::test]
async fn an_own_row_closes_an_operation_and_any_can_be_opened() {
    let list = Operation::new("tools/list", None);
    let closed = mixed().operation(list, "read").unwrap();
    let router = served(protect(closed));
    assert_eq!(status(&router, post("", message("initialize"))).await, 200);
    assert_eq!(status(&router, post("", message("tools/list"))).await, 401);

    let scopes = OperationScopes::new("read").unwrap();
    let router = served(protect(scopes.clone()));
    assert_eq!(status(&router, post("", message("initialize"))).await, 401);
    let seen = send(&router, post("Bearer alice.read", message("ping"))).await;
    assert_eq!(text(seen).await, "None");
    let open = scopes.public_operation(Operation::new("resources/read", Some("doc://terms")));
    let open = open.public_operation(Operation::new("resources/list", None));
    let router = served(protect(open));
    let read = |uri: &str| {
        json!({"id": 1, "method": "resources/read", "params": {"uri": uri}}).to_string()
    };
    assert_eq!(status(&router, post("", read("doc://terms"))).await, 200);
    assert_eq!(status(&router, post("", read("doc://other"))).await, 401);
    assert_eq!(status(&router, post("", message("resources/list"))).await, 200);
    assert_eq!(status(&router, post("", message("prompts/list"))).await, 401);
}
