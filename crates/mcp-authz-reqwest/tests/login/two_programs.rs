//! Two programs with one user and a common folder of credentials.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use client_flow::{BrowserRequest, ClientConfig};
use futures::future::BoxFuture;
use mcp_authz_reqwest::{AuthorizedClient, FileCredentials, UserAgent, VisitError};
use oauth_types::RedirectUri;
use serde_json::json;

use crate::fakes::*;

/// User agent whose user ignores the window.
struct Ignored(RedirectUri, Arc<AtomicUsize>);

impl UserAgent for Ignored {
    fn redirect_uri(&self) -> &RedirectUri {
        &self.0
    }

    fn visit<'a>(&'a self, _: &'a BrowserRequest) -> BoxFuture<'a, Result<String, VisitError>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Box::pin(core::future::pending())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_of_another_program_ends_the_wait_for_ones_own_window() {
    let server = Fake::start(|origin, asked| match asked.what() {
        "GET /.well-known/oauth-protected-resource/mcp" => json(200, &resource(origin)),
        "GET /.well-known/oauth-authorization-server" => json(200, &metadata(origin)),
        "POST /register" => json(201, &json!({"client_id": "c1", "redirect_uris": [REDIRECT]})),
        "GET /authorize" => {
            let state = asked.parameter("state").unwrap();
            redirect(&format!("{REDIRECT}?code=c&state={state}"))
        }
        "POST /token" => json(200, &json!({"access_token": "at-1", "token_type": "Bearer"})),
        "GET /mcp" if asked.token.as_deref() == Some("at-1") => json(200, &json!({})),
        "GET /mcp" => json(401, &json!({})),
        _ => json(404, &json!({})),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("credentials");
    let config = ClientConfig::new("Test", RedirectUri::parse(REDIRECT).unwrap());
    let builder = || {
        let builder = AuthorizedClient::builder(&format!("{}/mcp", server.origin), config.clone());
        builder.store(FileCredentials::open(&home).unwrap())
    };
    let windows = Arc::new(AtomicUsize::new(0));
    let ignored = Ignored(RedirectUri::parse(REDIRECT).unwrap(), Arc::clone(&windows));
    let first = builder().user(ignored).build().unwrap();
    let waits = async {
        while windows.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(core::time::Duration::from_millis(5)).await;
        }
        // The first program has read the store by then.
        tokio::time::sleep(core::time::Duration::from_millis(300)).await;
        let second = builder().user(Follows::new()).build().unwrap();
        get(&second).await.unwrap()
    };
    let (first, second) = tokio::join!(get(&first), waits);
    assert_eq!((first.unwrap(), second), (200, 200));
    assert_eq!(windows.load(Ordering::SeqCst), 1);
    assert_eq!(server.count("POST /token"), 1, "one login for both");
}
