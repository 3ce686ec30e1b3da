//! An authorization server in one file: what it was told before a restart, it knows after it.

use std::path::Path;
use std::sync::Arc;

use authorization_server::Config;
use axum::Router;
use mcp_authz_axum::{AuthorizationServer, DemoLogin};
use mcp_authz_sqlite::{Settings, SqliteStore};
use oauth_types::{Issuer, ResourceUri, ScopeSet};

/// Opens the database and the keys in `folder`, which are made when they are not there.
pub fn server(folder: &Path) -> Result<Router, Box<dyn std::error::Error>> {
    let store = SqliteStore::open(folder.join("oauth.db"), &Settings::default())?;
    let keys = store.server_keys(folder.join("oauth.keys"))?;
    let issuer = Issuer::parse("http://127.0.0.1:8001")?;
    let mcp = ResourceUri::parse("http://127.0.0.1:8000/mcp")?;
    let config = Config::new(issuer, vec![mcp], ScopeSet::parse("files:read")?, keys)?;
    Ok(AuthorizationServer::new(config, Arc::new(store), DemoLogin).router())
}

#[cfg(test)]
#[tokio::test]
async fn a_client_outlives_a_restart() -> Result<(), Box<dyn std::error::Error>> {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt as _;

    let send = async |router: Router, request: axum::http::request::Builder, body: &'static str| {
        let request = request.header("host", "127.0.0.1:8001").body(Body::from(body)).unwrap();
        let answer = router.oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let text = to_bytes(answer.into_body(), 1 << 16).await.unwrap();
        (status, String::from_utf8(text.to_vec()).unwrap())
    };
    let folder = tempfile::tempdir()?;
    let request = Request::post("/register").header("content-type", "application/json");
    let metadata =
        r#"{"client_name": "Editor", "redirect_uris": ["http://127.0.0.1:7000/callback"]}"#;
    let (status, client) = send(server(folder.path())?, request, metadata).await;
    assert_eq!(status, 201, "{client}");
    let id = client
        .split_once(r#""client_id":""#)
        .ok_or("no client_id")?
        .1
        .split('"')
        .next()
        .ok_or("no end")?;

    let query = "&redirect_uri=http%3A%2F%2F127.0.0.1%3A7000%2Fcallback&response_type=code&state=s1\
        &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256\
        &resource=http%3A%2F%2F127.0.0.1%3A8000%2Fmcp&scope=files%3Aread";
    let url = |id: &str| format!("/authorize?client_id={id}{query}");
    let (status, page) = send(server(folder.path())?, Request::get(url(id)), "").await;
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("Editor"));
    let (status, _) = send(server(folder.path())?, Request::get(url("somebody-else")), "").await;
    assert_eq!(status, 400);
    Ok(())
}
