//! A public URL with a path in front of the server: a proxy keeps the prefix, or takes it away.

use std::sync::Arc;

use authorization_server::{InvalidConfig, MemoryStore};
use http::StatusCode;
use mcp_authz_axum::{AuthorizationServer, Clock, DemoLogin};

use crate::server::*;

const ISSUER: &str = "https://host.example/tools/auth";

fn stripped(prefix: &str) -> Result<Server, InvalidConfig> {
    let store = Arc::new(MemoryStore::default());
    let server = AuthorizationServer::new(config(ISSUER), Arc::clone(&store), DemoLogin)
        .with_clock(Clock::new(|| NOW))
        .with_stripped_prefix(prefix)?;
    Ok(Server { router: server.router(), store })
}

#[tokio::test]
async fn a_login_works_if_the_proxy_keeps_or_strips_the_prefix() {
    let kept = || Ok(server_of(config(ISSUER)));
    for (server, base) in
        [(kept(), "/tools/auth"), (stripped("/tools"), "/auth"), (stripped("/tools/auth"), "")]
    {
        let server = server.unwrap();
        // Documents are at the root, and speak of the public URL.
        let metadata =
            server.get("/.well-known/oauth-authorization-server/tools/auth").await.json();
        assert_eq!(metadata["issuer"], ISSUER);
        assert_eq!(metadata["token_endpoint"], format!("{ISSUER}/token"));
        let body =
            format!(r#"{{"redirect_uris":["{REDIRECT}"],"token_endpoint_auth_method":"none"}}"#);
        let registered = server.post(&format!("{base}/register"), "application/json", body).await;
        let client = registered.json()["client_id"].as_str().unwrap().to_owned();
        let page = server.get(&format!("{base}{}", authorize(&client, &[]))).await;
        // The browser posts to the public path.
        assert!(
            page.html().contains("action=\"/tools/auth/authorize/consent\""),
            "{}",
            page.html()
        );
        let consent = format!("{base}/authorize/consent");
        let answer = server.decide(&consent, &page.transaction(), &page.cookie(), "allow").await;
        let code = answer.redirect("code").unwrap();
        assert_eq!(answer.redirect("iss").as_deref(), Some(ISSUER));
        let tokens = server.form(&format!("{base}/token"), &redeem(&client, &code)).await;
        assert_eq!(tokens.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_path_where_nothing_is_names_the_endpoints() {
    for (server, path) in [
        (server_of(config(ISSUER)), "/token"),
        (server_of(config(ISSUER)), "/tools/auth/tokens?code=secret"),
        (stripped("/tools").unwrap(), "/tools/auth/token"),
        (server(), "/oauth/token"),
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(answer.html().contains("/token  token endpoint"), "{}", answer.html());
        assert!(answer.html().contains("/.well-known/oauth-authorization-server"));
        assert!(!answer.html().contains("secret"), "nothing of the request is repeated");
    }
}

#[test]
fn a_prefix_is_a_beginning_of_the_issuers_path() {
    for prefix in
        ["", "/", "tools", "/too", "/tools/", "/other", "/tools/auth/token", "/tools/auth/x"]
    {
        assert_eq!(stripped(prefix).err(), Some(InvalidConfig::PathPrefix), "{prefix}");
    }
}

/// SEC-236: an issuer's path is a text, whatever a router would make of it.
#[tokio::test]
async fn an_issuer_whose_path_looks_like_a_pattern_is_served_as_it_is() {
    for path in ["/:tenant", "/*", "/*all/x", "/a/:b", "/%7Btenant%7D", "/a:b*c"] {
        let issuer = format!("https://host.example{path}");
        let own = server_of(config(&issuer));
        // Merged into a router of the host's, too, which has axum's checks.
        let merged = axum::Router::new()
            .route("/host/{anything}", axum::routing::any(async || "host"))
            .merge(own.router.clone());
        for router in [own.router.clone(), merged] {
            let server = Server { router, store: Arc::clone(&own.store) };
            let document = format!("/.well-known/oauth-authorization-server{path}");
            assert_eq!(server.get(&document).await.json()["issuer"], issuer);
            let tokens = server.form(&format!("{path}/token"), "grant_type=x").await;
            assert_eq!(tokens.error(), "invalid_client", "{path}");
            let page = server.get(&format!("{path}/authorize")).await;
            assert_eq!(page.status, StatusCode::BAD_REQUEST, "{path}");
            let other = server.form("/other/token", "grant_type=x").await;
            assert_eq!(other.status, StatusCode::NOT_FOUND, "{path} is no pattern");
        }
    }
}
