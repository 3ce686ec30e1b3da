//! An MCP server and an authorization server that answer what a file says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::script::{Failed, headers, known, text};

const ROUTE: [&str; 12] = [
    "at",
    "method",
    "path",
    "when",
    "bearer",
    "body_has",
    "accept_has",
    "times",
    "status",
    "headers",
    "json",
    "text",
];

/// One request as it came, and what it was answered.
#[derive(Clone)]
pub(crate) struct Exchange {
    pub(crate) request: String,
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Both servers: the file with its origins filled in, and what was asked.
pub(crate) struct Fakes {
    pub(crate) rs: String,
    pub(crate) file: Value,
    seen: Arc<Mutex<Vec<Exchange>>>,
}

#[derive(Clone)]
struct Side {
    at: &'static str,
    file: Arc<Value>,
    uses: Arc<Mutex<HashMap<usize, u64>>>,
    seen: Arc<Mutex<Vec<Exchange>>>,
}

impl Fakes {
    /// Starts the servers that this file describes.
    pub(crate) async fn start(file: &str) -> Result<Self, Failed> {
        let (rs_listener, rs) = bind().await;
        let (as_listener, mut own) = bind().await;
        let one = serde_json::from_str::<Value>(file).map_err(|error| error.to_string())?;
        let is_one = one["one_origin"] == true;
        if is_one {
            own.clone_from(&rs);
        }
        let file = file.replace("{rs}", &rs).replace("{as}", &own);
        let file: Value = serde_json::from_str(&file).map_err(|error| error.to_string())?;
        for route in file["routes"].as_array().into_iter().flatten() {
            known(route, "a route", &ROUTE)?;
        }
        let (uses, seen) = (Arc::default(), Arc::default());
        let shared = Arc::new(file.clone());
        let side = |at| Side {
            at,
            file: Arc::clone(&shared),
            uses: Arc::clone(&uses),
            seen: Arc::clone(&seen),
        };
        serve(rs_listener, Router::new().fallback(answer).with_state(side("rs")));
        if !is_one {
            serve(as_listener, Router::new().fallback(answer).with_state(side("as")));
        }
        Ok(Self { rs, file, seen })
    }

    /// The address that the client is given.
    pub(crate) fn server_url(&self) -> String {
        format!("{}{}", self.rs, text(&self.file, "server").unwrap_or("/mcp"))
    }

    /// Everything that was asked, in order.
    pub(crate) fn seen(&self) -> Vec<Exchange> {
        self.seen.lock().unwrap().clone()
    }
}

pub(crate) async fn bind() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    (listener, origin)
}

pub(crate) fn serve(listener: TcpListener, router: Router) {
    tokio::spawn(async move { axum::serve(listener, router).await });
}

async fn answer(State(side): State<Side>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let body = to_bytes(body, 1 << 20).await.unwrap_or_default();
    let body = String::from_utf8_lossy(&body).into_owned();
    let route = side.route(parts.method.as_str(), target, &parts.headers, &body);
    let (status, headers, text) = route.unwrap_or_else(|| side.otherwise(target, &parts.headers));
    let mut request = format!("{} {target}\n", parts.method);
    for (name, value) in &parts.headers {
        request.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
    }
    request.push_str(&format!("\n{body}"));
    side.seen.lock().unwrap().push(Exchange { request, status, body: text.clone() });
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Body::from(text)).unwrap()
}

type Answer = (u16, Vec<(String, String)>, String);

impl Side {
    /// The answer of the first route that is for this request.
    fn route(&self, method: &str, target: &str, headers: &HeaderMap, body: &str) -> Option<Answer> {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let shown = header(AUTHORIZATION);
        let is_one = self.file["one_origin"] == true;
        let routes = self.file["routes"].as_array().into_iter().flatten().enumerate();
        for (number, route) in routes {
            let is_for = (is_one || text(route, "at").unwrap_or("as") == self.at)
                && text(route, "method").unwrap_or("GET") == method
                && text(route, "path") == Some(target)
                && text(route, "when").is_none_or(|_| shown.is_none())
                && text(route, "bearer")
                    .is_none_or(|token| shown == Some(&*format!("Bearer {token}")))
                && text(route, "body_has").is_none_or(|part| body.contains(part))
                && text(route, "accept_has")
                    .is_none_or(|part| header(ACCEPT).is_some_and(|accept| accept.contains(part)));
            if !is_for {
                continue;
            }
            let mut uses = self.uses.lock().unwrap();
            let used = uses.entry(number).or_default();
            if route["times"].as_u64().is_some_and(|times| *used >= times) {
                continue;
            }
            *used += 1;
            return Some(written(route, 200));
        }
        None
    }

    fn otherwise(&self, target: &str, headers: &HeaderMap) -> Answer {
        let server = text(&self.file, "server").unwrap_or("/mcp");
        let path = |target: &str| target.split('?').next().unwrap_or_default().to_owned();
        if self.at == "rs" && path(target) == path(server) {
            if headers.contains_key(AUTHORIZATION) {
                let result = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
                return (200, vec![json_type()], result.into());
            }
            let challenge = text(&self.file, "challenge").unwrap_or("Bearer");
            let challenge = (WWW_AUTHENTICATE.to_string(), challenge.to_owned());
            return (StatusCode::UNAUTHORIZED.as_u16(), vec![challenge], String::new());
        }
        let otherwise = &self.file["otherwise"];
        match &otherwise[self.at] {
            Value::Null if otherwise["as"].is_null() && otherwise["rs"].is_null() => {
                written(otherwise, 404)
            }
            side => written(side, 404),
        }
    }
}

fn json_type() -> (String, String) {
    (CONTENT_TYPE.to_string(), "application/json".to_owned())
}

/// An answer as a file writes it.
fn written(value: &Value, status: u16) -> Answer {
    let said = value["status"].as_u64().and_then(|status| u16::try_from(status).ok());
    let mut headers = headers(value);
    let body = match &value["json"] {
        Value::Null => text(value, "text").unwrap_or_default().to_owned(),
        json => {
            if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                headers.push(json_type());
            }
            json.to_string()
        }
    };
    (said.unwrap_or(status), headers, body)
}
