//! Tokens and challenges: which requests the layer lets in, and what the others are told.

use super::*;

/// R-AUTH-1, SEC-142
#[tokio::test]
async fn without_a_token_the_challenge_has_no_error() {
    let server = server();
    for request in [
        Request::post("/mcp").body(Body::from(LIST)).unwrap(),
        Request::get("/mcp").body(Body::empty()).unwrap(),
        Request::delete("/mcp").body(Body::empty()).unwrap(),
        Request::post("/mcp").header(AUTHORIZATION, "Basic YTpi").body(Body::from(LIST)).unwrap(),
    ] {
        let (status, challenge) = server.send(request).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(challenge, format!("Bearer {METADATA}, scope=\"read\""));
    }
    assert_eq!(server.ran(), 0);
}

/// R-AUTH-1, R-AUTH-3, SEC-143, SEC-144, SEC-145, SEC-146
#[tokio::test]
async fn a_token_that_is_no_good_here() {
    let server = server();
    for token in [
        "unknown",
        "a.read.sibling.2000",
        "a.read.root.2000",
        "a.read.child.2000",
        "a.read.as.2000",
        "a.read.several.2000",
        "a.read.none.2000",
        "a.read.own-of-another.2000",
        "a.read.own-bound.2000",
        "a.read.own.1000",
        "a.other.own.999",
        "a.read.own.never",
    ] {
        let (status, challenge) = server.send(post(token, LIST)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{token}");
        assert!(challenge.starts_with("Bearer error=\"invalid_token\""), "{challenge}");
        assert!(challenge.contains(METADATA) && challenge.contains("scope=\"read\""));
    }
    assert_eq!(server.ran(), 0);
    assert_eq!(server.send(post("a.read.own.1001", LIST)).await.0, StatusCode::OK);
}

/// R-AUTH-2, R-AUTH-7, SEC-147
#[tokio::test]
async fn one_header_one_token_and_no_other_place() {
    let server = server();
    let good = "a.read.own.2000";
    let in_query =
        Request::post(format!("/mcp?access_token={good}")).body(Body::from(LIST)).unwrap();
    assert_eq!(server.send(in_query).await.0, StatusCode::UNAUTHORIZED);
    let two = Request::post("/mcp")
        .header(AUTHORIZATION, format!("Bearer {good}"))
        .header(AUTHORIZATION, format!("Bearer {good}"))
        .body(Body::from(LIST))
        .unwrap();
    let malformed = |value: &str| {
        Request::post("/mcp").header(AUTHORIZATION, value).body(Body::from(LIST)).unwrap()
    };
    for query in
        ["x=1&access_token=other", "access%5Ftoken=x", "%61ccess_token", "x=1;access_token=x"]
    {
        let elsewhere_too = Request::post(format!("/mcp?{query}"))
            .header(AUTHORIZATION, format!("Bearer {good}"))
            .body(Body::from(LIST))
            .unwrap();
        assert_eq!(server.send(elsewhere_too).await.0, StatusCode::BAD_REQUEST, "{query}");
    }
    for request in [
        two,
        malformed("Bearer"),
        malformed("Bearer "),
        malformed("Bearer a b"),
        malformed("Bearer a,b"),
        malformed("Bearer =="),
    ] {
        let (status, challenge) = server.send(request).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(challenge.contains("error=\"invalid_request\""), "{challenge}");
    }
    assert_eq!(server.ran(), 0);
    assert_eq!(server.send(malformed(&format!("bEARER   {good}"))).await.0, StatusCode::OK);
}

/// R-AUTH-4, SEC-151, SEC-213
#[tokio::test]
async fn the_body_decides_and_the_challenge_names_everything() {
    let server = server();
    let (status, challenge) = server.send(post("a.read.own.2000", ADMIN)).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(challenge.starts_with("Bearer error=\"insufficient_scope\""));
    assert!(challenge.contains("scope=\"read admin\"") && challenge.contains(METADATA));
    // A header that says something harmless changes nothing.
    for name in ["harmless", "=?base64?aGFybWxlc3M=?="] {
        let mut request = post("a.read.own.2000", ADMIN);
        request.headers_mut().insert("mcp-name", name.parse().unwrap());
        request.headers_mut().insert("mcp-method", "tools/list".parse().unwrap());
        assert_eq!(server.send(request).await.0, StatusCode::FORBIDDEN);
    }
    assert_eq!(server.ran(), 0);
    assert_eq!(server.send(post("a.read+admin.own.2000", ADMIN)).await.0, StatusCode::OK);
}

/// R-AUTH-1, R-AUTH-4
#[tokio::test]
async fn a_token_that_is_expired_and_lacks_scope_is_expired() {
    let server = server();
    for expiry in ["1000", "999", "never"] {
        let (status, challenge) = server.send(post(&format!("a.read.own.{expiry}"), ADMIN)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{expiry}");
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    }
}

/// R-AUTH-4, R-AUTH-6, SEC-149, SEC-151
#[tokio::test]
async fn a_challenge_is_one_line_without_offline_access() {
    let server = server();
    let body = r#"{"method":"tools/call","params":{"name":"lasting\r\nX: y\", scope=\"root"}}"#;
    for body in [body, &body.replace(r#"\r\nX: y\", scope=\"root"#, "")] {
        let (status, challenge) = server.send(post("a.read.own.2000", body)).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(
            !challenge.contains("offline_access") && !challenge.contains("root"),
            "{challenge}"
        );
        assert!(challenge.contains("lasting\"") && challenge.contains(METADATA), "{challenge}");
        assert_eq!(challenge.matches("scope=").count(), 1, "{challenge}");
    }
    assert_eq!(server.ran(), 0);
}

/// R-AUTH-5, SEC-152
#[tokio::test]
async fn a_broader_scope_is_enough() {
    let server = server();
    assert_eq!(server.send(post("a.root.own.2000", ADMIN)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_verifier_that_is_down_is_neither_yes_nor_no() {
    let server = server();
    let (status, challenge) = server.send(post("down", LIST)).await;
    assert_eq!((status, challenge.as_str()), (StatusCode::SERVICE_UNAVAILABLE, ""));
}

/// SEC-153
#[tokio::test]
async fn a_panic_of_the_hosts_code_is_an_answer_and_lets_nobody_in() {
    struct Panics;
    impl scope_stepup::ScopeHierarchy for Panics {
        fn implies(&self, _: &str, _: &str) -> bool {
            panic!("a bug of the host")
        }
    }
    let protect =
        |scope: &str| ProtectLayer::new(resource_at(MCP), Spoken, ScopeSet::parse(scope).unwrap());
    let now = Clock::new(|| UnixTime::from_secs(1000));
    for protect in [
        protect("admin").with_clock(now).with_hierarchy(Panics),
        protect("read").with_clock(Clock::new(|| panic!("a bug of the host"))),
    ] {
        let router = Router::new().route("/mcp", any(async || "in")).layer(protect);
        let response = router.oneshot(post("a.read.own.2000", LIST)).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(&body[..], br#"{"error":"server_error"}"#);
    }
}

/// R-AUTH-2, SEC-147
#[tokio::test]
async fn a_token_in_a_form_is_none() {
    let protect = ProtectLayer::new(resource_at(MCP), Spoken, ScopeSet::parse("read").unwrap());
    let router = Router::new().route("/mcp", any(async || "in")).layer(protect);
    let form = Request::post("/mcp")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("access_token=a.read.own.2000"))
        .unwrap();
    assert_eq!(router.oneshot(form).await.unwrap().status(), StatusCode::UNAUTHORIZED);
}
