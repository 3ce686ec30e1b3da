//! What the SDKs make of our challenges. rmcp's parser reads them here; those of the others read what this test
//! leaves in the target folder, when `cargo xtask interop` gives it to `tests/peers`.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use http::header::{HOST, WWW_AUTHENTICATE};
use http::{HeaderMap, Request, StatusCode};
use mcp_authz_axum::{Clock, ProtectLayer, TokenVerifier, VerifierUnavailable};
use oauth_types::{
    BearerChallenge, ClientId, Issuer, ResourceUri, ScopeSet, Secret, Subject, Thumbprint, UnixTime,
};
use reqwest::Url;
use resource_server::{AccessTokenInfo, OperationScopes, Resource};
use rmcp::transport::auth::WWWAuthenticateParams;
use serde_json::{Value, json};
use tower::ServiceExt as _;

const ISSUER: &str = "https://as.example";
const NOW: UnixTime = UnixTime::from_secs(1000);

/// Tokens say what is wrong with them.
struct Spoken(ResourceUri);

impl TokenVerifier for Spoken {
    async fn verify(
        &self,
        token: &Secret,
        now: UnixTime,
    ) -> Result<Option<Arc<AccessTokenInfo>>, VerifierUnavailable> {
        let is = |what| token.expose() == what;
        if is("down") {
            return Err(VerifierUnavailable::new());
        }
        let key = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
        let issuer = if is("foreign") { "https://other.example" } else { ISSUER };
        let facts = AccessTokenInfo::new(
            Subject::parse("alice").unwrap(),
            ClientId::parse("c").unwrap(),
            Issuer::parse(issuer).unwrap(),
        )
        .with_audience(if is("sibling") { vec![] } else { vec![self.0.clone()] })
        .with_expires_at(
            (!is("endless")).then(|| if is("dead") { now } else { now.saturating_add(HOUR) }),
        )
        .with_jkt(is("bound").then(|| Thumbprint::parse(key).unwrap()));
        Ok((!is("unknown")).then(|| Arc::new(facts)))
    }
}

const HOUR: core::time::Duration = core::time::Duration::from_secs(3600);

/// Servers, and where their metadata is.
const SERVERS: [(&str, &str); 5] = [
    ("https://rs.example", "https://rs.example/.well-known/oauth-protected-resource"),
    ("https://rs.example/mcp", "https://rs.example/.well-known/oauth-protected-resource/mcp"),
    (
        "https://rs.example:8443/a%20b/mcp?tenant=x,y&v=%22",
        "https://rs.example:8443/.well-known/oauth-protected-resource/a%20b/mcp?tenant=x,y&v=%22",
    ),
    ("http://127.0.0.1:8000/mcp", "http://127.0.0.1:8000/.well-known/oauth-protected-resource/mcp"),
    ("http://[::1]:8000/mcp", "http://[::1]:8000/.well-known/oauth-protected-resource/mcp"),
];

/// What every request needs, what a call needs beyond it, and what is asked for before a call and for one.
fn scopes() -> Vec<[String; 4]> {
    // What a host makes of a request's text, after its client was talked into that text.
    let made = "path:x,error=none,resource_metadata=https://evil.example/prm,scope=root";
    let all_characters = "!#$%&'()*+,-./:;<=>?@[]^_`{|}~";
    let many: Vec<_> = (1..=100).map(|at| format!("files:folder-{at}")).collect();
    [
        ["", "admin", "", "admin"],
        ["read", "write", "read", "read write"],
        ["a:b/c?d=e", "https://x/y", "a:b/c?d=e", "a:b/c?d=e https://x/y"],
        ["v=1,2;", all_characters, "v=1,2;", &format!("v=1,2; {all_characters}")],
        ["read offline_access", "write", "read", "read write"],
        ["read", made, "read", &format!("read {made}")],
        ["read", &many.join(" "), "read", &format!("read {}", many.join(" "))],
    ]
    .map(|row| row.map(str::to_owned))
    .to_vec()
}

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}"#;

/// Header lines and a body; the status, the error and which of the two asked-for scopes the answer has to say.
type Case = (&'static [(&'static str, &'static str)], &'static str, u16, &'static str, usize);

/// No scope is named.
const NONE: usize = 4;

#[rustfmt::skip]
const CASES: [Case; 13] = [
    (&[], LIST, 401, "", 2),
    (&[("authorization", "Basic YTpi")], LIST, 401, "", 2),
    (&[("authorization", "Bearer unknown")], LIST, 401, "invalid_token", 2),
    (&[("authorization", "Bearer foreign")], LIST, 401, "invalid_token", 2),
    (&[("authorization", "Bearer bound")], LIST, 401, "invalid_token", 2),
    (&[("authorization", "Bearer dead")], CALL, 401, "invalid_token", 2),
    (&[("authorization", "Bearer endless")], LIST, 401, "invalid_token", 2),
    (&[("authorization", "Bearer sibling")], LIST, 401, "invalid_token", 2),
    (&[("authorization", "Bearer a b")], LIST, 400, "invalid_request", NONE),
    (&[("authorization", "Bearer a"), ("authorization", "Bearer a")], LIST, 400, "invalid_request", NONE),
    (&[("authorization", "Bearer poor")], CALL, 403, "insufficient_scope", 3),
    // Without a challenge.
    (&[("authorization", "Bearer down")], LIST, 503, "", NONE),
    (&[("origin", "https://evil.example")], LIST, 403, "", NONE),
];

type Made = fn(Resource) -> Resource;

/// A server that takes bearer tokens alone, and one that takes those that are bound to a key too: how each is made, and
/// what it answers to who shows such a token, without a proof. Otherwise the latter speaks of Bearer first.
#[rustfmt::skip]
const SCHEMES: [(Made, &[Case]); 2] = [
    (|resource| resource, &[(&[("authorization", "DPoP bound")], LIST, 401, "", 2)]),
    (Resource::with_dpop, &[
        (&[("authorization", "DPoP bound")], LIST, 401, "invalid_dpop_proof", 2),
        (&[("authorization", "DPoP a b")], LIST, 400, "invalid_request", NONE),
    ]),
];

/// The layer in front of a handler that nobody reaches.
fn protected(server: &str, [base, call, ..]: &[String; 4], made: Made) -> Router {
    let uri = ResourceUri::parse(server).unwrap();
    let issuer = Issuer::parse(ISSUER).unwrap();
    let host = Url::parse(server).unwrap().host_str().unwrap().to_owned();
    let resource = Resource::new(uri.clone(), vec![issuer]).unwrap();
    let resource = made(resource.with_host(&host).unwrap());
    let table = if base.is_empty() {
        OperationScopes::for_any_token()
    } else {
        OperationScopes::new(base).unwrap()
    };
    let scopes = table.tool("t", call).unwrap();
    let protect = ProtectLayer::new(resource, Spoken(uri), scopes).with_clock(Clock::new(|| NOW));
    let reached = any(async || -> StatusCode { panic!("the request was let in") });
    Router::new().fallback_service(reached).layer(protect)
}

/// What a client has to take from the answers; `www_authenticate` are the header lines that it sees.
async fn refusals() -> Vec<Value> {
    let mut refusals = Vec::new();
    for (server, metadata) in SERVERS {
        let each = scopes();
        let each = each.iter().flat_map(|scopes| SCHEMES.map(|schemes| (scopes, schemes)));
        for (scopes, (made, bound)) in each {
            let router = protected(server, scopes, made);
            for (at, case) in CASES.iter().chain(bound).enumerate() {
                let (lines, body, status, error, scope) = case;
                let authority = server.split('/').nth(2).unwrap();
                let mut request = Request::post("/").header(HOST, authority);
                for (name, value) in *lines {
                    request = request.header(*name, *value);
                }
                let request = request.body(Body::from(*body)).unwrap();
                let response = router.clone().oneshot(request).await.unwrap();
                assert_eq!(response.status().as_u16(), *status, "case {at} of {server}");
                let seen = response.headers().get_all(WWW_AUTHENTICATE).iter();
                let seen: Vec<_> = seen.map(|line| line.to_str().unwrap()).collect();
                let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
                refusals.push(json!({
                    "server": server,
                    "status": status,
                    "www_authenticate": seen,
                    "resource_metadata": Some(metadata).filter(|_| !seen.is_empty()),
                    "scope": scopes.get(*scope).and_then(|scope| said(scope)),
                    "error": said(error),
                }));
            }
        }
    }
    refusals
}

/// R-AUTH-1, R-AUTH-4, SEC-142, SEC-151
#[tokio::test]
async fn every_challenge_says_to_rmcp_and_to_us_what_is_meant() {
    let refusals = refusals().await;
    for refusal in &refusals {
        let meant = ["resource_metadata", "scope", "error"].map(|name| refusal[name].as_str());
        let lines = refusal["www_authenticate"].as_array().unwrap();
        let lines: Vec<_> = lines.iter().map(|line| line.as_str().unwrap()).collect();
        assert_eq!(lines.is_empty(), meant == [None; 3], "{refusal}");

        let headers = lines.iter().map(|line| (WWW_AUTHENTICATE, line.parse().unwrap()));
        let headers = headers.collect::<HeaderMap>();
        let ours = BearerChallenge::from_headers(&headers)
            .or_else(|| BearerChallenge::from_dpop_headers(&headers));
        let ours = ours.unwrap_or_default();
        let read = [
            ours.resource_metadata.as_ref().map(oauth_types::EndpointUrl::as_str),
            ours.scope.as_ref().map(ScopeSet::as_str),
            ours.error.as_ref().map(oauth_types::BearerErrorCode::as_str),
        ];
        assert_eq!(read, meant, "we read {lines:?}");

        // It sees one line only.
        let Some(line) = lines.first() else { continue };
        let server = Url::parse(refusal["server"].as_str().unwrap()).unwrap();
        let theirs = WWWAuthenticateParams::parse(line, &server);
        let read = [
            theirs.resource_metadata_url.as_ref().map(Url::as_str),
            theirs.scope.as_deref(),
            theirs.error.as_deref(),
        ];
        assert_eq!(read, meant, "rmcp reads {line}");
    }
    // For the parsers of the other SDKs.
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop");
    std::fs::create_dir_all(&out).unwrap();
    std::fs::write(out.join("challenges.json"), serde_json::to_vec_pretty(&refusals).unwrap())
        .unwrap();
}
