//! Pages that call a protected service from a browser: which origins may, and what they may read.

#![cfg(test)]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, HOST, ORIGIN, VARY,
};
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use mcp_authz_axum::{Clock, ProtectLayer, TokenVerifier, VerifierUnavailable, metadata_routes};
use oauth_types::{ClientId, Issuer, ResourceUri, ScopeSet, Secret, Subject, UnixTime};
use resource_server::{AccessTokenInfo, BrowserOrigins, Resource};
use tower::ServiceExt as _;

const MCP: &str = "https://rs.example/mcp";
const LOCAL: &str = "http://127.0.0.1:8000/mcp";
const APP: &str = "https://app.example";
const INSPECTOR: &str = "http://localhost:6274";
const ASKED: &str = "authorization,content-type,last-event-id,mcp-protocol-version,mcp-session-id,\
                     mcp-method,mcp-name,mcp-param-region,dpop";

/// Knows two tokens for its resource, each with the scope that it names.
struct Spoken(ResourceUri);

impl TokenVerifier for Spoken {
    async fn verify(
        &self,
        token: &Secret,
        _: UnixTime,
    ) -> Result<Option<Arc<AccessTokenInfo>>, VerifierUnavailable> {
        Ok((token.matches("read") || token.matches("other")).then(|| {
            Arc::new(
                AccessTokenInfo::new(
                    Subject::parse("alice").unwrap(),
                    ClientId::parse("c").unwrap(),
                    Issuer::parse("https://as.example").unwrap(),
                )
                .with_scopes(ScopeSet::parse(token.expose()).unwrap())
                .with_audience([self.0.clone()])
                .with_expires_at(UnixTime::from_secs(2000)),
            )
        }))
    }
}

fn server(uri: &str, origins: Option<BrowserOrigins>) -> Router {
    let issuer = Issuer::parse("https://as.example").unwrap();
    let resource = Resource::new(ResourceUri::parse(uri).unwrap(), vec![issuer]).unwrap();
    let protect = ProtectLayer::new(
        resource.clone(),
        Spoken(resource.uri().clone()),
        ScopeSet::parse("read").unwrap(),
    )
    .with_clock(Clock::new(|| UnixTime::from_secs(1000)));
    let protect = match origins {
        Some(origins) => protect.with_cors(origins),
        None => protect,
    };
    let handler = any(async || ([("mcp-session-id", "s")], "tools"));
    Router::new().route("/mcp", handler).layer(protect).merge(metadata_routes(&resource))
}

fn listed(origins: &[&str]) -> Option<BrowserOrigins> {
    Some(BrowserOrigins::listed(origins).unwrap())
}

async fn preflight(server: &Router, path: &str, origin: &str) -> Response<Body> {
    let request = Request::options(path)
        .header(ORIGIN, origin)
        .header(ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .header(ACCESS_CONTROL_REQUEST_HEADERS, ASKED);
    server.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn post(server: &Router, origin: &str, token: &str) -> Response<Body> {
    let request = Request::post("/mcp").header(ORIGIN, origin).header(HOST, "localhost");
    let request = match token {
        "" => request,
        token => request.header(AUTHORIZATION, format!("Bearer {token}")),
    };
    server.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

fn header<B>(response: &Response<B>, name: HeaderName) -> &str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn allowed<B>(response: &Response<B>) -> &str {
    assert!(!response.headers().contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
    header(response, ACCESS_CONTROL_ALLOW_ORIGIN)
}

#[tokio::test]
async fn a_preflight_carries_no_token_and_needs_none() {
    for (uri, origins, origin) in [
        (MCP, None, INSPECTOR),
        (LOCAL, None, INSPECTOR),
        (MCP, listed(&[APP]), APP),
        (LOCAL, listed(&["https://other.example", APP]), APP),
        (MCP, Some(BrowserOrigins::any()), APP),
    ] {
        let server = server(uri, origins);
        let answer = preflight(&server, "/mcp", origin).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(allowed(&answer), origin);
        assert!(header(&answer, VARY).contains("origin"));
        assert_eq!(header(&answer, ACCESS_CONTROL_ALLOW_METHODS), "GET,POST,DELETE");
        let names = header(&answer, ACCESS_CONTROL_ALLOW_HEADERS).to_owned();
        for name in ASKED.split(',') {
            assert!(names.split(',').any(|own| own == name), "{name}: {names}");
        }
        assert!(answer.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
}

#[tokio::test]
async fn every_answer_can_be_read_refusals_too() {
    let server = server(MCP, listed(&[APP]));
    for (token, status) in [
        ("read", StatusCode::OK),
        ("", StatusCode::UNAUTHORIZED),
        ("wrong", StatusCode::UNAUTHORIZED),
        ("other", StatusCode::FORBIDDEN),
    ] {
        let answer = post(&server, APP, token).await;
        assert_eq!((answer.status(), allowed(&answer)), (status, APP));
        let exposed = header(&answer, ACCESS_CONTROL_EXPOSE_HEADERS);
        for name in ["www-authenticate", "mcp-session-id", "dpop-nonce"] {
            assert!(exposed.contains(name), "{exposed}");
        }
    }
    // A page that is not listed is answered as any client is, and cannot read it.
    let answer = post(&server, "https://evil.example", "read").await;
    assert_eq!((answer.status(), allowed(&answer)), (StatusCode::OK, ""));
}

#[tokio::test]
async fn no_other_origin_is_ever_named() {
    let evil = [
        "https://evil.example",
        "https://app.example.evil.example",
        "http://app.example",
        "https://app.example:444",
        "https://APP.example",
        "null",
        "*",
        "",
        "http://localhost.evil.example",
    ];
    for (uri, origins) in [
        (MCP, None),
        (LOCAL, None),
        (MCP, listed(&[APP])),
        (LOCAL, listed(&[APP])),
        (LOCAL, Some(BrowserOrigins::none())),
    ] {
        let server = server(uri, origins);
        for origin in evil {
            let answer = preflight(&server, "/mcp", origin).await;
            assert_eq!(allowed(&answer), "", "{uri} {origin}");
            assert!(answer.into_body().collect().await.unwrap().to_bytes().is_empty());
            assert_eq!(allowed(&post(&server, origin, "read").await), "", "{uri} {origin}");
        }
    }
    let open = server(LOCAL, Some(BrowserOrigins::any()));
    assert_eq!(allowed(&preflight(&open, "/mcp", "null").await), "");
    assert_eq!(post(&open, "null", "read").await.status(), StatusCode::FORBIDDEN);
    let closed = server(LOCAL, Some(BrowserOrigins::none()));
    assert_eq!(allowed(&preflight(&closed, "/mcp", INSPECTOR).await), "");
}

#[tokio::test]
async fn the_list_is_one_with_the_check_that_keeps_out_rebound_names() {
    let local = server(LOCAL, listed(&[APP]));
    assert_eq!(post(&local, APP, "read").await.status(), StatusCode::OK);
    assert_eq!(post(&local, "https://evil.example", "read").await.status(), StatusCode::FORBIDDEN);
    // A page that rebinds its name is refused by it, whoever may call.
    for origins in [listed(&[APP]), Some(BrowserOrigins::any()), None] {
        let request = Request::post("/mcp")
            .header(HOST, "evil.example")
            .header(ORIGIN, "http://evil.example")
            .header(AUTHORIZATION, "Bearer read");
        let server = server(LOCAL, origins);
        let answer = server.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn only_a_preflight_passes_without_a_token() {
    let server = server(MCP, listed(&[APP]));
    let plain = Request::options("/mcp").header(ORIGIN, APP).body(Body::empty()).unwrap();
    let answer = server.clone().oneshot(plain).await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let no_page = Request::options("/mcp")
        .header(ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .body(Body::empty())
        .unwrap();
    assert_eq!(server.oneshot(no_page).await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

/// SEC-196
#[tokio::test]
async fn the_metadata_is_any_pages_to_read() {
    let server = server(MCP, Some(BrowserOrigins::none()));
    for path in
        ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"]
    {
        let answer = preflight(&server, path, INSPECTOR).await;
        assert_eq!((answer.status(), allowed(&answer)), (StatusCode::OK, "*"));
        assert!(header(&answer, ACCESS_CONTROL_ALLOW_HEADERS).contains("mcp-protocol-version"));
        let request = Request::get(path).header(ORIGIN, INSPECTOR).body(Body::empty()).unwrap();
        let answer = server.clone().oneshot(request).await.unwrap();
        let origins = answer.headers().get_all(ACCESS_CONTROL_ALLOW_ORIGIN).iter();
        assert_eq!(origins.collect::<Vec<_>>(), ["*"]);
    }
}
