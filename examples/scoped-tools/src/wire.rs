//! Recorder of HTTP exchanges: requests and responses of each server, with shortened secrets.

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt as _;
use oauth_types::FormPairs;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

/// One request and its response.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) had_token: bool,
    pub(crate) body: Bytes,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Body of the response; empty for pages and event streams.
    pub(crate) answer: Bytes,
}

/// Channel to which exchanges are reported.
pub(crate) type Tap = UnboundedSender<Exchange>;

/// Middleware that reports each exchange when its response begins.
///
/// An event stream is passed on unread.
pub(crate) async fn listen(tap: Tap, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let mut exchange = Exchange {
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        had_token: parts.headers.contains_key(AUTHORIZATION),
        body: body.clone(),
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        answer: Bytes::new(),
    };
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (parts, body) = response.into_parts();
    exchange.status = parts.status;
    exchange.headers = parts.headers.clone();
    let is_json = exchange.header(CONTENT_TYPE).starts_with("application/json");
    let body = if is_json {
        let read = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        exchange.answer = read.clone();
        Body::from(read)
    } else {
        body
    };
    // It fails only after the run, when the receiver is gone.
    let _ = tap.send(exchange);
    Response::from_parts(parts, body)
}

impl Exchange {
    /// Returns a header of the response, or an empty text.
    pub(crate) fn header(&self, name: http::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Returns a parameter of the query.
    pub(crate) fn query_value(&self, name: &'static str) -> Option<String> {
        value_of(&self.query, name)
    }

    /// Returns a parameter of a form body.
    pub(crate) fn form_value(&self, name: &'static str) -> Option<String> {
        value_of(std::str::from_utf8(&self.body).ok()?, name)
    }

    /// Returns a parameter of the redirect in the response.
    pub(crate) fn redirect_value(&self, name: &'static str) -> Option<String> {
        value_of(self.header(LOCATION).split_once('?')?.1, name)
    }

    /// Returns a member of a JSON response.
    pub(crate) fn member(&self, name: &str) -> Option<Value> {
        serde_json::from_slice::<Value>(&self.answer).ok()?.get(name).cloned()
    }

    /// Returns the operation of an MCP request, for example `tools/call list-files`.
    pub(crate) fn operation(&self) -> String {
        let operations = scope_stepup::Operation::of_body(&self.body).unwrap_or_default();
        operations.first().map(ToString::to_string).unwrap_or_default()
    }

    /// Returns readable lines of the request and the response.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("--> {} {}", self.method, self.path)];
        if self.path == "/mcp" {
            let token = if self.had_token { "with a token" } else { "without a token" };
            lines.push(format!("      {} ({token})", self.operation()));
        }
        lines.extend(form_lines(&self.query));
        let body = std::str::from_utf8(&self.body).unwrap_or_default();
        match serde_json::from_str(body) {
            Ok(_) if self.path == "/mcp" => {}
            Ok(json) => lines.extend(json_lines(json)),
            Err(_) => lines.extend(form_lines(body)),
        }
        lines.push(format!("<-- {}", self.status));
        for name in [WWW_AUTHENTICATE, LOCATION] {
            let value = self.header(name.clone());
            let (before, query) = value.split_once('?').unwrap_or((value, ""));
            if name == LOCATION && !before.is_empty() {
                lines.push(format!("      Location: {before}"));
                lines.extend(form_lines(query).into_iter().map(|line| format!("    {line}")));
            } else if !value.is_empty() {
                let name = "WWW-Authenticate";
                lines.push(format!("      {name}: {}", value.replace(", ", ",\n          ")));
            }
        }
        if self.path != "/mcp" {
            lines.extend(serde_json::from_slice(&self.answer).map(json_lines).unwrap_or_default());
        }
        lines
    }
}

fn value_of(form: &str, name: &'static str) -> Option<String> {
    FormPairs::parse(form.as_bytes()).ok()?.value(name).ok()?.map(str::to_owned)
}

/// Parameters and members whose values are shortened.
const SECRET: [&str; 9] = [
    "access_token",
    "client_secret",
    "code",
    "code_challenge",
    "code_verifier",
    "csrf",
    "refresh_token",
    "state",
    "transaction",
];

/// Returns the first characters of a secret: enough to recognize it, too few to use it.
fn shown(name: &str, value: &str) -> String {
    if SECRET.contains(&name) {
        return value.chars().take(6).chain("...".chars()).collect();
    }
    value.to_owned()
}

fn form_lines(form: &str) -> Vec<String> {
    let Ok(pairs) = FormPairs::parse(form.as_bytes()) else { return Vec::new() };
    let line = |(name, value)| format!("      {name} = {}", shown(name, value));
    pairs.iter().map(line).collect()
}

fn json_lines(json: Value) -> Vec<String> {
    let Value::Object(members) = json else { return Vec::new() };
    let line = |(name, value): (&String, &Value)| match value {
        Value::String(text) => format!("      {name}: {}", shown(name, text)),
        other => format!("      {name}: {other}"),
    };
    members.iter().map(line).collect()
}
