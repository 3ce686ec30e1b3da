//! Registration that the server has forgotten, as only a page in the browser tells.

use std::path::Path;
use std::sync::{Arc, Mutex};

use client_flow::ClientConfig;
use mcp_authz_reqwest::{AuthorizedClient, Error, FileCredentials, UserAgent as _, VisitError};
use serde_json::json;

use crate::fakes::*;

/// State of the authorization server, which a restart clears.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// Number of registrations in all.
    registered: usize,
    clients: Vec<String>,
    tokens: Vec<String>,
}

impl Memory {
    /// Clears the state, as a restart of a development server does.
    fn forget(&self) {
        let mut known = self.0.lock().unwrap();
        known.clients.clear();
        known.tokens.clear();
    }
}

/// Starts an MCP server that is its own authorization server.
///
/// It issues no refresh tokens, and shows an unknown client a page (RFC 6749 §4.1.2.1).
async fn server(memory: &Memory) -> Fake {
    let memory = Arc::clone(&memory.0);
    Fake::start(move |origin, asked| {
        let mut known = memory.lock().unwrap();
        match asked.what() {
            "GET /.well-known/oauth-protected-resource/mcp" => json(200, &resource(origin)),
            "GET /.well-known/oauth-authorization-server" => json(200, &metadata(origin)),
            "POST /register" => {
                known.registered += 1;
                let id = format!("client-{}", known.registered);
                known.clients.push(id.clone());
                json(201, &json!({"client_id": id, "redirect_uris": [REDIRECT]}))
            }
            "GET /authorize" => {
                let client = asked.parameter("client_id").unwrap();
                if !known.clients.iter().any(|own| own == client) {
                    return (400, String::new(), "<h1>This client is not known</h1>".to_owned());
                }
                let state = asked.parameter("state").unwrap();
                redirect(&format!("{REDIRECT}?code=c&state={state}"))
            }
            "POST /token" => {
                let token = format!("at-{}", known.tokens.len() + 1);
                known.tokens.push(token.clone());
                json(200, &json!({"access_token": token, "token_type": "Bearer"}))
            }
            "GET /mcp" => {
                match asked.token.as_ref().is_some_and(|own| known.tokens.contains(own)) {
                    true => json(200, &json!({})),
                    false => json(401, &json!({})),
                }
            }
            _ => json(404, &json!({})),
        }
    })
    .await
}

/// Program with credentials in a folder, and the client IDs that its user has seen.
fn program(server: &Fake, home: &Path) -> (AuthorizedClient, Arc<Mutex<Vec<String>>>) {
    let user = Follows::new();
    let windows = Arc::clone(&user.windows);
    let config = ClientConfig::new("Test", user.redirect_uri().clone());
    let builder = AuthorizedClient::builder(&format!("{}/mcp", server.origin), config);
    let store = FileCredentials::open(home).unwrap();
    (builder.user(user).store(store).build().unwrap(), windows)
}

/// Event between the login that shows the page and the next one.
#[derive(Clone, Copy, Debug)]
enum Between {
    Nothing,
    LogOut,
    Restart,
}

/// SEC-240
#[tokio::test]
async fn a_forgotten_registration_is_replaced_at_the_second_login() {
    for between in [Between::Nothing, Between::LogOut, Between::Restart] {
        let (memory, folder) = (Memory::default(), tempfile::tempdir().unwrap());
        let (server, home) = (server(&memory).await, folder.path().join("credentials"));
        let (first, windows) = program(&server, &home);
        assert_eq!(get(&first).await.unwrap(), 200, "{between:?}");
        memory.forget();
        let error = get(&first).await.unwrap_err();
        assert!(matches!(error, Error::Visit(VisitError::Timeout)), "{between:?} {error:?}");
        let shown = windows.lock().unwrap().clone();
        assert_eq!(shown, ["client-1", "client-1"]);
        let (next, windows) = match between {
            Between::Nothing => (first, windows),
            Between::LogOut => {
                first.log_out().await.unwrap();
                (first, windows)
            }
            Between::Restart => {
                drop(first);
                program(&server, &home)
            }
        };
        // Requests would wait here, but a login that the user asks for does not.
        next.log_in().await.unwrap();
        assert_eq!(get(&next).await.unwrap(), 200, "{between:?}");
        assert_eq!(windows.lock().unwrap().last().unwrap(), "client-2", "{between:?}");
        assert_eq!(server.count("POST /register"), 2, "{between:?}");
        // The new registration is stored, so another program needs no login.
        let (later, windows) = program(&server, &home);
        assert_eq!(get(&later).await.unwrap(), 200);
        assert!(windows.lock().unwrap().is_empty());
    }
}
