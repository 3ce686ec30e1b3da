//! An MCP endpoint that redirects.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::header::{AUTHORIZATION, LOCATION};
use http::{Method, StatusCode};
use mcp_oauth_reqwest::{AuthorizedClient, Error};
use oauth_types::Secret;

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

#[tokio::test]
async fn sec_135_the_token_goes_along_to_the_slash_form_and_nowhere_else() {
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
