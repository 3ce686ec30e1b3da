//! Servers that echo the request, and servers that are silent.

use core::time::Duration;
use std::collections::HashMap;

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use client_flow::ClientConfig;
use futures::StreamExt as _;
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use mcp_authz_reqwest::{AuthorizedClient, Error, McpTransport};
use oauth_types::{RedirectUri, Secret};
use rmcp::model::{ClientJsonRpcMessage, JsonRpcMessage};
use rmcp::transport::streamable_http_client::{
    StreamableHttpClient as _, StreamableHttpPostResponse as Reply,
};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::servers::*;

const TOKEN: &str = "CANARY-eyJhbGciOiJFUzI1NiJ9.c29tZXRoaW5n";

fn call() -> ClientJsonRpcMessage {
    let params = json!({"name": "t", "arguments": {}});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    serde_json::from_value(call).unwrap()
}

/// Answers with what came in, in the form that the path names.
async fn echo(request: Request) -> Response {
    let shown = |headers: &HeaderMap| {
        headers
            .iter()
            .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()))
            .collect()
    };
    let all: String = shown(request.headers());
    let token = request.headers()[AUTHORIZATION].to_str().unwrap();
    let error = json!({"jsonrpc": "2.0", "id": 1,
        "error": {"code": -32000, "message": all, "data": {"headers": [all], token: 1}}});
    let json = [(CONTENT_TYPE, "application/json")];
    match request.uri().path() {
        "/400/mcp" => (StatusCode::BAD_REQUEST, format!("bad request: {all}")).into_response(),
        "/401/mcp" => (StatusCode::UNAUTHORIZED, all).into_response(),
        // The token stands where the quotation ends.
        "/403/mcp" => {
            (StatusCode::FORBIDDEN, format!("{}{token}", "x".repeat(240))).into_response()
        }
        "/scope/mcp" => {
            let secret = token.trim_start_matches("Bearer ");
            let challenge = format!(
                "Bearer error=\"insufficient_scope\", scope=\"more {secret}\", \
                 error_description=\"{token}\", \
                 resource_metadata=\"https://rs.example/{secret}\""
            );
            (StatusCode::FORBIDDEN, [(WWW_AUTHENTICATE, challenge)]).into_response()
        }
        "/refused/mcp" => (StatusCode::BAD_REQUEST, json, error.to_string()).into_response(),
        "/json/mcp" => (json, error.to_string()).into_response(),
        "/malformed/mcp" => {
            (json, json!({"jsonrpc": "2.0", "id": 1, token: all}).to_string()).into_response()
        }
        "/type/mcp" => ([(CONTENT_TYPE, format!("text/x; t={token}"))], "").into_response(),
        "/type-itself/mcp" => ([(CONTENT_TYPE, token.replace(' ', "/"))], "").into_response(),
        "/later/mcp" => (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, token)]).into_response(),
        path => {
            let error = error.to_string();
            let error = if path == "/escaped/mcp" {
                error.replace("\"error\"", "\"\\u0065rror\"")
            } else {
                error
            };
            let event = format!("data: {error}\n\n");
            ([(CONTENT_TYPE, "text/event-stream")], event).into_response()
        }
    }
}

/// SEC-247
#[tokio::test]
async fn no_error_of_the_transport_repeats_the_token_that_it_sent() {
    let (listener, origin) = bind().await;
    serve(listener, Router::new().fallback(echo));
    for form in [
        "400",
        "401",
        "403",
        "scope",
        "refused",
        "json",
        "malformed",
        "type",
        "type-itself",
        "later",
        "stream",
        "escaped",
    ] {
        let url = format!("{origin}/{form}/mcp");
        let client = AuthorizedClient::with_token(&url, &Secret::new(TOKEN)).unwrap();
        let transport = McpTransport::new(client);
        let answer = transport.post_message(url.into(), call(), None, None, HashMap::new()).await;
        let shown = match answer {
            Err(error) => format!("{error} {error:?} {error:#?}"),
            Ok(Reply::Json(message, _)) => format!("{message:?}"),
            Ok(Reply::Sse(mut events, _)) => format!("{:?}", events.next().await),
            Ok(other) => panic!("{form}: {other:?}"),
        };
        assert!(!shown.contains("CANARY") && !shown.contains("c29tZXRoaW5n"), "{form}: {shown}");
        let is_quoted = ["401", "scope", "type"].contains(&form) || shown.contains("[secret]");
        assert!(is_quoted, "{form}: {shown}");
    }
}

/// SEC-247
#[tokio::test]
async fn a_token_equal_to_a_json_rpc_word_is_struck_out_too() {
    let (listener, origin) = bind().await;
    serve(listener, Router::new().fallback(echo));
    // As names of JSON-RPC and as texts of the error.
    for token in ["jsonrpc", "error", "message", "data", "code"] {
        for form in ["refused", "json", "stream"] {
            let url = format!("{origin}/{form}/mcp");
            let client = AuthorizedClient::with_token(&url, &Secret::new(token)).unwrap();
            let transport = McpTransport::new(client);
            let sent = transport.post_message(url.into(), call(), None, None, HashMap::new());
            let answer = sent.await;
            let error = match answer {
                Ok(Reply::Json(JsonRpcMessage::Error(error), _)) => error,
                Ok(Reply::Sse(mut events, _)) => {
                    let event = events.next().await.unwrap().unwrap();
                    serde_json::from_str(&event.data.unwrap()).unwrap()
                }
                other => panic!("{form}: {other:?}"),
            };
            let shown = format!("{} {}", error.error.message, error.error.data.unwrap());
            assert!(shown.contains("[secret]") && !shown.contains(token), "{form}: {shown}");
        }
    }
}

/// SEC-247
#[tokio::test]
async fn debug_of_the_client_shows_no_query_and_no_userinfo() {
    let config =
        || ClientConfig::new("Test", RedirectUri::parse("http://127.0.0.1/callback").unwrap());
    for url in [
        "https://rs.example/mcp?api_key=CANARY",
        "https://me:CANARY@rs.example/mcp",
        "https://CANARY@rs.example/mcp?api_key=CANARY#CANARY",
    ] {
        let builder = AuthorizedClient::builder(url, config());
        assert!(!format!("{builder:?} {builder:#?}").contains("CANARY"), "{url}");
        let Ok(client) = builder.build() else { continue };
        assert!(!format!("{client:?} {client:#?}").contains("CANARY"), "{url}");
        let transport = McpTransport::new(client);
        assert!(!format!("{transport:?} {transport:#?}").contains("CANARY"), "{url}");
    }
}

/// A server that reads a request and goes on with these bytes, again and again.
async fn raw(first: &'static str, next: &'static str) -> String {
    let (listener, origin) = bind().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let mut sent = stream.write_all(first.as_bytes()).await;
                while sent.is_ok() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    sent = stream.write_all(next.as_bytes()).await;
                }
            });
        }
    });
    origin
}

fn client(url: &str, deadline: Duration) -> AuthorizedClient {
    let redirect_uri = RedirectUri::parse("http://127.0.0.1/callback").unwrap();
    let config = ClientConfig::new("Test", redirect_uri);
    AuthorizedClient::builder(url, config).response_deadline(deadline).build().unwrap()
}

/// SEC-249
#[tokio::test]
async fn a_server_that_sends_no_head_is_given_up_at_the_deadline() {
    assert_eq!(AuthorizedClient::RESPONSE_DEADLINE, Duration::from_secs(60));
    let deadline = Duration::from_millis(300);
    for (first, next) in [
        ("", ""),
        ("", "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"),
        ("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 102 Processing\r\n\r\n"),
        ("HTTP/1.1 2", ""),
        ("HTTP/1.1 200 OK\r\n", "x: y\r\n"),
    ] {
        let url = format!("{}/mcp", raw(first, next).await);
        let client = client(&url, deadline);
        let sent = client.send(client.post(&url).body("{}"));
        let error = tokio::time::timeout(Duration::from_secs(10), sent).await.unwrap().unwrap_err();
        assert!(matches!(error, Error::NoResponse { within } if within == deadline), "{error:?}");
        assert!(error.to_string().contains("response_deadline"), "{error}");
    }
}

/// SEC-249: any other GET has the deadline.
#[tokio::test]
async fn only_a_get_for_an_event_stream_may_wait_for_its_head() {
    let deadline = Duration::from_millis(300);
    let (listener, origin) = bind().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                // Servers that have nothing to say send the head with the first event.
                tokio::time::sleep(deadline * 4).await;
                let event =
                    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {}\n\n";
                let _ = stream.write_all(event.as_bytes()).await;
            });
        }
    });
    let url = format!("{origin}/mcp");
    let client = client(&url, deadline);
    let get = client.get(&url).header("accept", "text/event-stream");
    let answer = tokio::time::timeout(Duration::from_secs(10), client.send(get)).await.unwrap();
    assert_eq!(answer.unwrap().status(), 200);
    for accept in ["application/json", "application/json, text/html"] {
        let get = client.get(&url).header("accept", accept);
        let answer = tokio::time::timeout(deadline * 3, client.send(get)).await.unwrap();
        assert!(matches!(answer, Err(Error::NoResponse { .. })), "{answer:?}");
    }
}

/// SEC-249: the deadline ends with the head of the response.
#[tokio::test]
async fn a_stream_has_no_deadline_but_no_other_body_may_stall() {
    let deadline = Duration::from_millis(300);
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let url = format!("{}/mcp", raw(head, "8\r\n: ping\n\n\r\n").await);
    let transport = McpTransport::new(client(&url, deadline));
    let answer = transport.post_message(url.into(), call(), None, None, HashMap::new()).await;
    let Ok(Reply::Sse(mut events, _)) = answer else { panic!("{answer:?}") };
    let waited = tokio::time::timeout(deadline * 4, events.next()).await;
    assert!(waited.is_err(), "the stream ended: {waited:?}");

    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    let url = format!("{}/mcp", raw(head, "").await);
    let transport = McpTransport::new(client(&url, deadline));
    let sent = transport.post_message(url.into(), call(), None, None, HashMap::new());
    let error = tokio::time::timeout(Duration::from_secs(10), sent).await.unwrap().unwrap_err();
    let error = mcp_authz_reqwest::find_error(&error).unwrap();
    assert!(matches!(error, Error::NoResponse { .. }), "{error:?}");
}
