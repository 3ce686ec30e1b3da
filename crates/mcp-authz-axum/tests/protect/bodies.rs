//! Request bodies: the operation that they ask for decides, whatever their form.

use super::*;

/// SEC-216
#[tokio::test]
async fn unknown_operations_batches_and_bodies_that_are_none() {
    let server = server();
    let unknown = r#"{"method":"tools/call","params":{"name":"forgotten"}}"#;
    let batch = format!("[{LIST},{ADMIN}]");
    for (body, status) in [
        (unknown, StatusCode::FORBIDDEN),
        (batch.as_str(), StatusCode::FORBIDDEN),
        ("not json", StatusCode::BAD_REQUEST),
        ("", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(server.send(post("a.read.own.2000", body)).await.0, status, "{body}");
    }
    let huge = format!("\"{}\"", "x".repeat(5 * 1024 * 1024));
    let status = server.send(post("a.read.own.2000", &huge)).await.0;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(server.ran(), 0);
}

/// SEC-213
#[tokio::test]
async fn what_a_body_asks_for_is_decided_whatever_the_method() {
    let server = server();
    for method in
        ["POST", "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "post", "POSTX"]
    {
        let ask = |token: &str| {
            let mut request = post(token, ADMIN);
            *request.method_mut() = method.parse().unwrap();
            request
        };
        assert_eq!(server.send(ask("a.read.own.2000")).await.0, StatusCode::FORBIDDEN, "{method}");
        let ran = server.ran();
        server.send(ask("a.read+admin.own.2000")).await;
        assert_eq!(server.ran(), ran + 1, "{method}");
    }
    let empty = Request::get("/mcp").header(AUTHORIZATION, "Bearer a.read.own.2000");
    let (status, _) = server.send(empty.body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::OK);
}

/// SEC-213
#[tokio::test]
async fn a_body_in_pieces_is_decided_about_and_handed_on_as_a_whole() {
    let scopes = OperationScopes::new("read").and_then(|scopes| scopes.tool("admin", "admin"));
    let protect = ProtectLayer::new(resource_at(MCP), Spoken, scopes.unwrap())
        .with_clock(Clock::new(|| UnixTime::from_secs(1000)))
        .with_max_body(ADMIN.len());
    let echo = any(async |body: String| body);
    let router = Router::new().route("/mcp", echo).layer(protect);
    let (start, end) = ADMIN.split_at(20);
    for (token, pieces, status) in [
        ("a.read.own.2000", ["", start, "", end], 403),
        ("a.read+admin.own.2000", ["", start, "", end], 200),
        ("a.read+admin.own.2000", [ADMIN, "", "", ""], 200),
        ("a.read+admin.own.2000", [start, end, "", " "], 413),
    ] {
        let pieces = futures::stream::iter(pieces.map(Ok::<_, std::io::Error>));
        let mut request = post(token, "");
        *request.body_mut() = Body::from_stream(pieces);
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(status != 200 || body == ADMIN, "{body:?}");
    }
}

#[tokio::test]
async fn a_body_is_read_up_to_what_the_host_says() {
    let scopes = OperationScopes::new("read").unwrap();
    let protect = ProtectLayer::new(resource_at(MCP), Spoken, scopes)
        .with_clock(Clock::new(|| UnixTime::from_secs(1000)))
        .with_max_body(LIST.len());
    let router = Router::new().route("/mcp", any(async || "in")).layer(protect);
    for (body, status) in [(LIST, 200), (&format!("{LIST} "), 413)] {
        let response = router.clone().oneshot(post("a.read.own.2000", body)).await.unwrap();
        assert_eq!(response.status().as_u16(), status);
    }
}
