//! Scripted servers on loopback, and a user agent that follows the first redirect.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use client_flow::BrowserRequest;
use futures::future::BoxFuture;
use mcp_authz_reqwest::{AuthorizedClient, Error, UserAgent, VisitError};
use oauth_types::RedirectUri;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const REDIRECT: &str = "http://127.0.0.1:3118/callback";

/// Request: its line, its token and its body.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) token: Option<String>,
    pub(crate) body: String,
}

impl Asked {
    /// Returns the method and the path, without the query.
    pub(crate) fn what(&self) -> &str {
        self.line.split(['?']).next().unwrap_or_default().trim_end_matches(" HTTP/1.1")
    }

    /// Returns a parameter of the query or form, still encoded.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let query = self.line.split_once('?').map_or("", |(_, query)| query);
        let query = query.split(' ').next().unwrap_or_default();
        let mut pairs = query.split('&').chain(self.body.split('&'));
        pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }
}

/// Response: status, header lines and body.
pub(crate) type Answer = (u16, String, String);

pub(crate) fn json(status: u16, body: &Value) -> Answer {
    (status, "content-type: application/json\r\n".to_owned(), body.to_string())
}

pub(crate) fn redirect(to: &str) -> Answer {
    (302, format!("location: {to}\r\n"), String::new())
}

/// Server with the requests that it has received.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) origin: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    /// Starts a server whose responses `answer` makes from its origin and a request.
    pub(crate) async fn start(
        answer: impl Fn(&str, &Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let fake = Self { origin: origin.clone(), asked: Arc::default() };
        let (log, answer) = (Arc::clone(&fake.asked), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, answer, origin) = (Arc::clone(&log), Arc::clone(&answer), origin.clone());
                tokio::spawn(async move {
                    connection(stream, |asked| {
                        log.lock().unwrap().push(asked.clone());
                        answer(&origin, asked)
                    })
                    .await
                });
            }
        });
        fake
    }

    /// Returns the number of requests of this kind, such as `POST /token`.
    pub(crate) fn count(&self, what: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| asked.what() == what).count()
    }

    /// Returns all requests.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn connection(mut stream: TcpStream, answer: impl Fn(&Asked) -> Answer) -> Option<()> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let header = |name: &str| {
                head.lines().find_map(|line| {
                    let (own, value) = line.split_once(':')?;
                    own.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
                })
            };
            let length = header("content-length").map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                let line = head.lines().next().unwrap_or_default().to_owned();
                let token = header("authorization").map(|value| value.replace("Bearer ", ""));
                let (status, headers, text) = answer(&Asked { line, token, body: body.to_owned() });
                let reply = format!(
                    "HTTP/1.1 {status} x\r\n{headers}connection: close\r\ncontent-length: {}\r\n\r\n{text}",
                    text.len()
                );
                stream.write_all(reply.as_bytes()).await.ok()?;
                return stream.shutdown().await.ok();
            }
        }
        let count = stream.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&chunk[..count]);
    }
}

/// Returns authorization server metadata with all endpoints at one origin.
pub(crate) fn metadata(origin: &str) -> Value {
    serde_json::json!({
        "issuer": origin,
        "authorization_endpoint": format!("{origin}/authorize"),
        "token_endpoint": format!("{origin}/token"),
        "registration_endpoint": format!("{origin}/register"),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
    })
}

/// Returns the protected resource metadata of `/mcp` (RFC 9728).
pub(crate) fn resource(origin: &str) -> Value {
    serde_json::json!({"resource": format!("{origin}/mcp"), "authorization_servers": [origin]})
}

/// User agent that requests the authorization page and follows its redirect.
///
/// An error page has none, so that the visit times out.
pub(crate) struct Follows {
    redirect_uri: RedirectUri,
    pub(crate) windows: Arc<Mutex<Vec<String>>>,
}

impl Follows {
    pub(crate) fn new() -> Self {
        let redirect_uri = RedirectUri::parse(REDIRECT).unwrap();
        Self { redirect_uri, windows: Arc::default() }
    }
}

impl UserAgent for Follows {
    fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    fn visit<'a>(&'a self, visit: &'a BrowserRequest) -> BoxFuture<'a, Result<String, VisitError>> {
        Box::pin(async move {
            self.windows.lock().unwrap().push(visit.client_id().as_str().to_owned());
            let none = reqwest::redirect::Policy::none();
            let http = reqwest::Client::builder().redirect(none).no_proxy().build().unwrap();
            let page = http.get(visit.url()).send().await.unwrap();
            let location = page.headers().get("location");
            // The user sees the error page and waits until the time is over.
            let location = location.ok_or(VisitError::Timeout)?;
            Ok(location.to_str().unwrap().to_owned())
        })
    }
}

/// Sends a request to the MCP server; returns the status, or the error.
pub(crate) async fn get(client: &AuthorizedClient) -> Result<u16, Error> {
    let request = client.send(client.get(client.server_url()));
    let outcome = tokio::time::timeout(Duration::from_secs(20), request).await.unwrap();
    outcome.map(|response| response.status().as_u16())
}
