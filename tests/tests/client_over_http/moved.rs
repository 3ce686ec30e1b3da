//! An MCP endpoint that redirects.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use client_auth::ProofKey;
use client_flow::{BrowserRequest, ClientConfig};
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, LOCATION, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use mcp_authz_reqwest::{AuthorizedClient, Error, UserAgent, VisitError};
use oauth_types::{RedirectUri, Secret};
use serde_json::{Value, json};

use crate::servers::*;

/// What came in: method, URL, token, body.
type Seen = Arc<Mutex<Vec<(Method, String, String, String)>>>;

/// A server whose `/mcp` answers with this redirect, and whose other paths answer 200.
async fn server(status: u16, to: fn(&str) -> String) -> (String, Seen) {
    async fn answer(
        State((seen, status, to)): State<(Seen, u16, String)>,
        request: Request,
    ) -> Response {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1024).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        let token = parts.headers.get(AUTHORIZATION).map_or("", |value| value.to_str().unwrap());
        let came = (parts.method, parts.uri.to_string(), token.to_owned(), body);
        seen.lock().unwrap().push(came);
        match parts.uri.path() {
            "/mcp" => (StatusCode::from_u16(status).unwrap(), [(LOCATION, to)]).into_response(),
            _ => StatusCode::OK.into_response(),
        }
    }
    let (listener, origin) = bind().await;
    let seen = Seen::default();
    let state = (Arc::clone(&seen), status, to(&origin));
    serve(listener, Router::new().fallback(answer).with_state(state));
    (origin, seen)
}

/// SEC-135
#[tokio::test]
async fn the_token_goes_along_to_the_slash_form_and_nowhere_else() {
    let (origin, seen) = server(307, |origin| format!("{origin}/mcp/?a=b")).await;
    let url = format!("{origin}/mcp?a=b");
    let client = AuthorizedClient::with_token(&url, &Secret::new("t-1")).unwrap();
    let response = client.send(client.post(&url).body("{}")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let came = |url: &str| (Method::POST, url.to_owned(), "Bearer t-1".to_owned(), "{}".to_owned());
    assert_eq!(*seen.lock().unwrap(), [came("/mcp?a=b"), came("/mcp/?a=b")]);

    let elsewhere: [fn(&str) -> String; 4] = [
        |_| "https://evil.example/mcp/?key=canary".to_owned(),
        |origin| format!("{origin}/other?key=canary"),
        |origin| origin.replace("127.0.0.1", "localhost") + "/mcp/",
        |origin| format!("{origin}/mcp"),
    ];
    for to in elsewhere {
        let (origin, seen) = server(308, to).await;
        let url = format!("{origin}/mcp");
        let client = AuthorizedClient::with_token(&url, &Secret::new("t-1")).unwrap();
        let error = client.send(client.post(&url).body("{}")).await.unwrap_err();
        assert!(matches!(error, Error::EndpointMoved(_)), "{error:?}");
        let target = to(&origin);
        assert!(error.to_string().contains(target.split('?').next().unwrap()), "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
        assert_eq!(seen.lock().unwrap().len(), 1);
        // Other URLs of the origin answer as they like.
        let file = client.send(client.get(&format!("{origin}/file"))).await.unwrap();
        assert_eq!(file.status(), StatusCode::OK);
    }
}

/// A user who agrees without a page.
struct AtOnce(RedirectUri);

impl UserAgent for AtOnce {
    fn redirect_uri(&self) -> &RedirectUri {
        &self.0
    }

    fn visit<'a>(&'a self, visit: &'a BrowserRequest) -> BoxFuture<'a, Result<String, VisitError>> {
        let state = visit.url().split("state=").nth(1).unwrap().split('&').next().unwrap();
        let callback = format!("{}?code=c&state={state}", self.0);
        Box::pin(async move { Ok(callback) })
    }
}

/// Path, `Authorization` header and claims of the proof.
type Proved = (String, String, [String; 3]);

/// Reads the claims of a proof (RFC 9449 §4.2): method, URL, and identifier.
fn proof_claims(proof: &str) -> [String; 3] {
    let claims = URL_SAFE_NO_PAD.decode(proof.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    ["htm", "htu", "jti"].map(|claim| claims[claim].as_str().unwrap().to_owned())
}

/// C-EXT-3
#[tokio::test]
async fn the_proof_for_the_slash_form_names_the_slash_form() {
    let (listener, origin) = bind().await;
    let seen: Arc<Mutex<Vec<Proved>>> = Arc::default();
    let log = Arc::clone(&seen);
    let mcp = async move |request: Request| {
        let text = |name: &str| request.headers().get(name).map(|it| it.to_str().unwrap());
        let (Some(token), Some(proof)) = (text("authorization"), text("dpop")) else {
            return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "DPoP")]).into_response();
        };
        let path = request.uri().path();
        log.lock().unwrap().push((path.to_owned(), token.to_owned(), proof_claims(proof)));
        match path {
            // A relative reference, as some frameworks write it.
            "/mcp" => (StatusCode::PERMANENT_REDIRECT, [(LOCATION, "mcp/")]).into_response(),
            _ => StatusCode::OK.into_response(),
        }
    };
    let resource = json!({"resource": format!("{origin}/mcp"), "authorization_servers": [origin]});
    let server = json!({
        "issuer": origin,
        "authorization_endpoint": format!("{origin}/authorize"),
        "token_endpoint": format!("{origin}/token"),
        "registration_endpoint": format!("{origin}/register"),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "dpop_signing_alg_values_supported": ["ES256"],
    });
    let client = json!({"client_id": "c1", "redirect_uris": ["http://127.0.0.1/cb"]});
    let tokens = json!({"access_token": "t-1", "token_type": "DPoP"});
    let router = Router::new()
        .route("/.well-known/oauth-protected-resource/mcp", get(async move || resource.to_string()))
        .route("/.well-known/oauth-authorization-server", get(async move || server.to_string()))
        .route(
            "/register",
            axum::routing::post(async move || (StatusCode::CREATED, client.to_string())),
        )
        .route("/token", axum::routing::post(async move || tokens.to_string()))
        .fallback(mcp);
    serve(listener, router);

    let url = format!("{origin}/mcp");
    let key = ProofKey::from_pem(include_str!("../../../crates/client-auth/tests/keys/es256.pem"));
    let user = AtOnce(RedirectUri::parse("http://127.0.0.1/cb").unwrap());
    let config = ClientConfig::new("Test", user.0.clone());
    let builder = AuthorizedClient::builder(&url, config.with_proof_key(key.unwrap()));
    let client = builder.user(user).build().unwrap();
    let response = client.send(client.post(&url).body("{}")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let seen = seen.lock().unwrap();
    let came: Vec<_> =
        seen.iter().map(|(path, token, [htm, htu, _])| [path, token, htm, htu]).collect();
    let slash_form = format!("{url}/");
    assert_eq!(
        came,
        [["/mcp", "DPoP t-1", "POST", &url], ["/mcp/", "DPoP t-1", "POST", &slash_form]]
    );
    let [.., first] = &seen[0].2;
    assert_ne!(first, &seen[1].2[2], "each proof is used once");
}
