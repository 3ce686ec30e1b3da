//! Who is let in, and what the others hear.

use axum::body::Body;
use http::{HeaderValue, Method, Request, StatusCode};
use oauth_types::{EndpointUrl, Entropy, ProtectedResourceMetadata, UnixTime};

use crate::server::*;

#[tokio::test]
async fn a_bound_token_with_its_proof_and_a_bearer_token_are_let_in() {
    let server = server();
    for scheme in ["DPoP", "dpop", "DPOP"] {
        let lines = [shown(scheme, "alice.bound"), (DPOP, prove("alice.bound"))];
        let answer = server.send(request(&lines)).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, key().thumbprint()));
    }
    let answer = server.send(request(&[shown("Bearer", "alice.bare")])).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, ""));
    // A proof beside a bearer token proves nothing that anybody asked for, and is taken out all the same.
    let lines = [shown("Bearer", "alice.bare"), (DPOP, HeaderValue::from_static("x"))];
    assert_eq!(server.send(request(&lines)).await.status, StatusCode::OK);
}

/// R-AUTH-1
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of attempts")]
async fn a_thief_of_token_and_proofs_gets_nowhere() {
    let server = server();
    let token = "alice.bound";
    let used = prove(token);
    assert_eq!(server.send(bound(token, used.clone())).await.status, StatusCode::OK);
    let at = |method: &Method, url: &str| prove_with(&key(), method, url, token, NOW);
    let aged = |now| prove_with(&key(), &Method::POST, MCP, token, now);
    let unshown = {
        let now = UnixTime::from_secs(NOW);
        key().prove(&Method::POST, MCP, None, None, now, Entropy::new([7; 16])).unwrap()
    };
    let thiefs = prove_with(&other_key(), &Method::POST, MCP, token, NOW);
    let dpop = |value: &'static str| HeaderValue::from_static(value);
    let mut cut = used.to_str().unwrap().to_owned();
    cut.pop();
    let unsigned = format!("{}.", cut.rsplit_once('.').unwrap().0);
    for (proof, error, why) in [
        (used.clone(), "invalid_dpop_proof", "used before"),
        (at(&Method::GET, MCP), "invalid_dpop_proof", "another method"),
        (at(&Method::POST, "https://rs.example/mcp/"), "invalid_dpop_proof", "another path"),
        (at(&Method::POST, "https://rs.example"), "invalid_dpop_proof", "no path"),
        (at(&Method::POST, "https://evil.example/mcp"), "invalid_dpop_proof", "another host"),
        (at(&Method::POST, "http://rs.example/mcp"), "invalid_dpop_proof", "another scheme"),
        (at(&Method::POST, "https://rs.example:444/mcp"), "invalid_dpop_proof", "another port"),
        (prove("alice.others"), "invalid_dpop_proof", "another token"),
        (unshown, "invalid_dpop_proof", "no token, as at a token endpoint"),
        (aged(NOW - 301), "invalid_dpop_proof", "too old"),
        (aged(NOW + 301), "invalid_dpop_proof", "from the future"),
        (thiefs.clone(), "invalid_token", "the thief's own key"),
        (dpop(""), "invalid_dpop_proof", "empty"),
        (dpop("x.y.z"), "invalid_dpop_proof", "no JWT"),
        (cut.parse().unwrap(), "invalid_dpop_proof", "a signature that was cut"),
        (unsigned.parse().unwrap(), "invalid_dpop_proof", "no signature"),
    ] {
        let answer = server.send(bound(token, proof)).await;
        assert_eq!((answer.status, answer.error()), (StatusCode::UNAUTHORIZED, error), "{why}");
        assert!(answer.lines[0].contains("scope=\"read\"") && answer.nonce.is_none(), "{why}");
    }
    // A proof of the thief's own for a token of the thief's own, beside the token of somebody else.
    let others = server.send(bound(token, prove("mallory.bound"))).await;
    assert_eq!(others.error(), "invalid_dpop_proof");
    for (lines, error, why) in [
        (vec![shown("DPoP", token)], "invalid_dpop_proof", "no proof"),
        (
            vec![shown("DPoP", token), (DPOP, prove(token)), (DPOP, prove(token))],
            "invalid_dpop_proof",
            "two proofs",
        ),
        (
            vec![shown("DPoP", token), (DPOP, used), (DPOP, prove(token))],
            "invalid_dpop_proof",
            "a used one, and another",
        ),
        (vec![shown("DPoP", "x"), (DPOP, prove("x"))], "invalid_token", "unknown"),
        (
            vec![shown("DPoP", "alice.bare"), (DPOP, prove("alice.bare"))],
            "invalid_token",
            "a token that is bound to no key",
        ),
        (
            vec![shown("DPoP", "alice.expired"), (DPOP, prove("alice.expired"))],
            "invalid_token",
            "expired",
        ),
        (
            vec![shown("DPoP", "alice.sibling"), (DPOP, prove("alice.sibling"))],
            "invalid_token",
            "for another resource",
        ),
    ] {
        let answer = server.send(request(&lines)).await;
        assert_eq!((answer.status, answer.error()), (StatusCode::UNAUTHORIZED, error), "{why}");
    }
    assert_eq!(server.ran(), 1);
    // Nothing of that used anything up.
    assert_eq!(server.send(bound(token, prove(token))).await.status, StatusCode::OK);
}

/// R-AUTH-1
#[tokio::test]
async fn a_bound_token_is_no_bearer_token_whatever_comes_with_it() {
    let server = server();
    let token = shown("Bearer", "alice.bound");
    for lines in [vec![token.clone()], vec![token, (DPOP, prove("alice.bound"))]] {
        let answer = server.send(request(&lines)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        let [bearer, dpop] = &answer.lines[..] else { panic!("two lines") };
        assert!(bearer.starts_with("Bearer error=\"invalid_token\""), "{bearer}");
        assert_eq!(*dpop, format!("DPoP {METADATA}, {ALGORITHMS}, scope=\"read\""));
    }
    assert_eq!(server.ran(), 0);
}

/// R-AUTH-1, SEC-142
#[tokio::test]
async fn without_a_token_both_schemes_are_named_bearer_first() {
    let server = server();
    let alone = (DPOP, prove("alice.bound"));
    for lines in [vec![], vec![alone], vec![shown("Basic", "YTpi")]] {
        let answer = server.send(request(&lines)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        let [bearer, dpop] = &answer.lines[..] else { panic!("two lines") };
        assert_eq!(*bearer, format!("Bearer {METADATA}, scope=\"read\""));
        assert_eq!(*dpop, format!("DPoP {METADATA}, {ALGORITHMS}, scope=\"read\""));
    }
    let answer = server.send(Request::get(metadata_path()).body(Body::empty()).unwrap()).await;
    let metadata = ProtectedResourceMetadata::from_json(answer.body.as_bytes()).unwrap();
    assert_eq!(metadata.dpop_signing_alg_values_supported.unwrap().len(), 5);
    assert!(!answer.body.contains("dpop_bound_access_tokens_required"));
}

fn metadata_path() -> &'static str {
    "/.well-known/oauth-protected-resource/mcp"
}

/// R-AUTH-7, SEC-147
#[tokio::test]
async fn two_tokens_are_none() {
    let server = server();
    let (dpop, bearer) = (shown("DPoP", "alice.bound"), shown("Bearer", "alice.bare"));
    let proof = (DPOP, prove("alice.bound"));
    for lines in [
        vec![dpop.clone(), dpop.clone(), proof.clone()],
        vec![dpop.clone(), bearer.clone(), proof.clone()],
        vec![shown("DPoP", "a b"), proof.clone()],
        vec![shown("DPoP", ""), proof.clone()],
    ] {
        let answer = server.send(request(&lines)).await;
        let got = (answer.status, answer.error());
        assert_eq!(got, (StatusCode::BAD_REQUEST, "invalid_request"), "{lines:?}");
    }
    let answer = server.send(request(&[bearer, dpop.clone(), proof.clone()])).await;
    assert_eq!((answer.status, answer.lines.len()), (StatusCode::BAD_REQUEST, 1));
    assert!(answer.lines[0].starts_with("Bearer error=\"invalid_request\""));
    let mut in_query = request(&[dpop, proof]);
    *in_query.uri_mut() = "/mcp?access_token=alice.bound".parse().unwrap();
    assert_eq!(server.send(in_query).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(server.ran(), 0);
}

/// R-AUTH-4, SEC-151
#[tokio::test]
async fn too_little_scope_is_said_in_the_scheme_that_was_used() {
    let server = server();
    let ask = async |mut request: Request<Body>| {
        *request.body_mut() = Body::from(ADMIN);
        server.send(request).await
    };
    let answer = ask(bound("alice.bound", prove("alice.bound"))).await;
    let got = (answer.status, answer.error());
    assert_eq!(got, (StatusCode::FORBIDDEN, "insufficient_scope"));
    assert!(answer.lines[0].contains("scope=\"read admin\""));
    let answer = ask(request(&[shown("Bearer", "alice.bare")])).await;
    assert_eq!((answer.status, answer.lines.len()), (StatusCode::FORBIDDEN, 1));
    assert!(answer.lines[0].starts_with("Bearer error=\"insufficient_scope\""));
}

#[tokio::test]
async fn where_bound_tokens_are_required_nobody_is_asked_for_another() {
    let server = server_that(&resource().with_dpop_required(), |protect| protect);
    for (lines, error) in [
        (vec![], ""),
        (vec![shown("Bearer", "alice.bare")], "invalid_token"),
        (vec![shown("Bearer", "alice.bound")], "invalid_token"),
        (vec![shown("Bearer", "unknown")], "invalid_token"),
    ] {
        let answer = server.send(request(&lines)).await;
        assert_eq!((answer.status, answer.error()), (StatusCode::UNAUTHORIZED, error), "{lines:?}");
    }
    let answer = server.send(request(&[shown("Bearer", "a b")])).await;
    assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, "invalid_request"));
    let answer = server.send(bound("alice.bound", prove("alice.bound"))).await;
    assert_eq!(answer.status, StatusCode::OK);
    let answer = server.send(Request::get(metadata_path()).body(Body::empty()).unwrap()).await;
    let metadata = ProtectedResourceMetadata::from_json(answer.body.as_bytes()).unwrap();
    assert!(metadata.dpop_bound_access_tokens_required);
}

#[tokio::test]
async fn where_nobody_switched_it_on_no_proof_is_read() {
    let server = server_that(&resource(), |protect| protect);
    let answer = server.send(bound("alice.bound", prove("alice.bound"))).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.lines, [format!("Bearer {METADATA}, scope=\"read\"")]);
    let answer = server.send(request(&[shown("Bearer", "alice.bound")])).await;
    assert_eq!((answer.status, answer.lines.len()), (StatusCode::UNAUTHORIZED, 1));
    let answer = server.send(Request::get(metadata_path()).body(Body::empty()).unwrap()).await;
    assert!(!answer.body.contains("dpop"), "{}", answer.body);
}

/// SEC-156
#[tokio::test]
async fn a_proof_is_for_the_configured_origin_and_requested_path() {
    let server = server();
    let token = "alice.bound";
    let ask = async |url: &str, path: &str, server: &Server| {
        let mut request = bound(token, prove_with(&key(), &Method::POST, url, token, NOW));
        *request.uri_mut() = path.parse().unwrap();
        for name in ["host", "x-forwarded-host", "x-forwarded-prefix", "x-original-url"] {
            request.headers_mut().insert(name, HeaderValue::from_static("evil.example"));
        }
        server.send(request).await.status
    };
    let (yes, no) = (StatusCode::OK, StatusCode::UNAUTHORIZED);
    for (url, path, status) in [
        (MCP, "/mcp", yes),
        (MCP, "/mcp?x=1", yes),
        ("https://rs.example/mcp?y=2", "/mcp", yes),
        ("https://RS.example:443/mcp", "/mcp", yes),
        (MCP, "https://evil.example/mcp", yes),
        ("https://evil.example/mcp", "https://evil.example/mcp", no),
        ("https://evil.example/mcp", "/mcp", no),
        // A router that nests others takes their prefix off: the client never left it out.
        ("https://rs.example/outer/mcp", "/outer/mcp", yes),
        (MCP, "/outer/mcp", no),
        ("https://rs.example/outer/mcp", "/mcp", no),
    ] {
        assert_eq!(ask(url, path, &server).await, status, "{url} at {path}");
    }
    let public = "https://rs.example/tenant/mcp";
    let own = resource().with_dpop().with_dpop_endpoint(EndpointUrl::parse(public).unwrap());
    let behind = server_that(&own, |protect| protect);
    assert_eq!(ask(public, "/mcp", &behind).await, yes);
    assert_eq!(ask(MCP, "/mcp", &behind).await, no);
}
