//! Scripted MCP server and authorization server.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use http::header::AUTHORIZATION;
use http::{Method, Request, Response, StatusCode};
use mcp_authz_http::GuardedClient;
use oauth_types::FormPairs;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::world::{Busy, World};
use crate::http_client::{HttpClient, Script};

pub(super) const SERVER: &str = "https://rs.example/mcp";
pub(super) const ISSUER: &str = "https://as.example";

/// Creates the HTTP client of a process.
pub(super) fn http_client(world: &Arc<World>, process: usize, inner: &GuardedClient) -> HttpClient {
    let (world, broken) = (Arc::clone(world), inner.clone());
    let script: Script = Arc::new(move |request: reqwest::Request| {
        let (world, broken) = (Arc::clone(&world), broken.clone());
        let request: Request<reqwest::Body> = request.try_into().unwrap();
        let (parts, body) = request.into_parts();
        let body = Bytes::copy_from_slice(body.as_bytes().unwrap_or_default());
        // The server acts on the request at once; only its response is delayed.
        let answer = answer(world, process, &Request::from_parts(parts, body));
        async move {
            match answer.await {
                Some(response) => Ok(response.into()),
                // Any error of the HTTP library will do.
                None => Err(broken.request(Method::GET, "").build().unwrap_err().into()),
            }
        }
        .boxed()
    });
    HttpClient::scripted(inner.clone(), script)
}

/// Returns the response; `None` if the network fails.
fn answer(
    world: Arc<World>,
    process: usize,
    request: &Request<Bytes>,
) -> BoxFuture<'static, Option<Response<Bytes>>> {
    let busy = Busy::new(&world);
    match request.uri().path() {
        "/mcp" => {
            let response = world.call(process, request);
            async move {
                world.delay().await;
                drop(busy);
                response
            }
            .boxed()
        }
        "/token" => {
            let (sent, given, response) = world.token(process, request);
            async move {
                world.delay().await;
                if response.is_some() {
                    world.lock().arrived(process, sent, given);
                }
                drop(busy);
                response
            }
            .boxed()
        }
        path => {
            let response = world.document(process, path, request);
            async move {
                world.delay().await;
                drop(busy);
                response
            }
            .boxed()
        }
    }
}

fn reply(status: u16, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(body.to_string().into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

fn challenge(status: u16, challenge: &str) -> Response<Bytes> {
    let metadata = "https://rs.example/.well-known/oauth-protected-resource/mcp";
    let mut response = reply(status, &Value::Null);
    let value = format!("Bearer {challenge}, resource_metadata=\"{metadata}\"");
    response.headers_mut().insert("www-authenticate", value.parse().unwrap());
    response
}

/// Returns the number of a token, which follows its prefix.
pub(super) fn number(token: &str) -> usize {
    token.rsplit_once('-').unwrap().1.parse().unwrap()
}

impl World {
    /// Answers as the MCP server: the tool `x` needs the scopes `read` and `x`.
    fn call(&self, process: usize, request: &Request<Bytes>) -> Option<Response<Bytes>> {
        let mut own = self.lock();
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        let tool = body["params"]["name"].as_str().unwrap().to_owned();
        let token =
            request.headers().get(AUTHORIZATION).map(|value| number(value.to_str().unwrap()));
        own.note(process, &format!("calls {tool} with {token:?}"));
        if let Some(token) = token {
            own.carried(process, token);
        }
        if own.settings.servers_fail && own.random.once_in(20) {
            return own.random.once_in(2).then(|| reply(503, &Value::Null));
        }
        let good = token
            .map(|token| own.issued[token].clone())
            .filter(|token| Instant::now() < token.until && !own.grants[token.grant].has_ended);
        Some(match good {
            None => challenge(401, "scope=\"read\""),
            Some(token) if !token.scope.split(' ').any(|scope| scope == tool) => {
                own.count.step_ups += 1;
                let needed = format!("error=\"insufficient_scope\", scope=\"read {tool}\"");
                challenge(403, &needed)
            }
            Some(_) => reply(200, &json!({"result": {}})),
        })
    }

    /// Answers as the token endpoint.
    ///
    /// Returns the number of the refresh token that was sent, that of the tokens issued, and the response.
    fn token(
        &self,
        process: usize,
        request: &Request<Bytes>,
    ) -> (Option<usize>, Option<usize>, Option<Response<Bytes>>) {
        let mut own = self.lock();
        let form = FormPairs::parse(request.body()).unwrap();
        let value = |name| form.value(name).unwrap().map(number);
        let (code, sent) = (value("code"), value("refresh_token"));
        if let Some(code) = code {
            own.sends_code(process, code);
        }
        let fails = own.settings.servers_fail && own.random.once_in(4);
        // Failures before the server processes the request.
        if fails && own.random.once_in(2) {
            if let Some(sent) = sent {
                own.refresh_fails(process, sent);
            }
            if own.random.once_in(2) {
                return (None, None, None);
            }
            let mut response = reply(503, &Value::Null);
            if own.random.once_in(2) {
                response.headers_mut().insert("retry-after", 30.into());
            }
            return (None, None, Some(response));
        }
        let mut given = match (code, sent) {
            (Some(code), _) => Some(own.redeem(process, code)),
            (_, sent) => own.refresh(process, sent.unwrap()),
        };
        if own.settings.grants_end && own.random.once_in(6) {
            let grant = given.or(sent).map(|number| own.issued[number].grant);
            if let Some(grant) = grant {
                own.grants[grant].has_ended = true;
            }
            given = None;
        }
        let Some(number) = given else {
            return (sent, None, Some(reply(400, &json!({"error": "invalid_grant"}))));
        };
        if fails {
            // The response is lost, and the client cannot know that its token was replaced.
            let grant = own.issued[number].grant;
            own.grants[grant].is_excused = true;
            return (None, None, None);
        }
        let body = json!({
            "access_token": format!("at-{number}"), "refresh_token": format!("rt-{number}"),
            "token_type": "bearer", "expires_in": own.settings.lifetime,
            "scope": own.issued[number].scope,
        });
        (sent, given, Some(reply(200, &body)))
    }

    /// Answers requests for metadata and registrations.
    fn document(
        &self,
        process: usize,
        path: &str,
        request: &Request<Bytes>,
    ) -> Option<Response<Bytes>> {
        let mut own = self.lock();
        own.note(process, &format!("asks for {path}"));
        if own.settings.servers_fail && own.random.once_in(20) {
            return own.random.once_in(2).then(|| reply(503, &Value::Null));
        }
        Some(match path {
            "/.well-known/oauth-protected-resource/mcp" => reply(
                200,
                &json!({
                    "resource": SERVER, "authorization_servers": [ISSUER],
                    "scopes_supported": ["read", "write", "erase"],
                }),
            ),
            "/.well-known/oauth-authorization-server" => reply(
                200,
                &json!({
                    "issuer": ISSUER,
                    "authorization_endpoint": format!("{ISSUER}/authorize"),
                    "token_endpoint": format!("{ISSUER}/token"),
                    "registration_endpoint": format!("{ISSUER}/register"),
                    "token_endpoint_auth_methods_supported": ["none"],
                    "code_challenge_methods_supported": ["S256"],
                    "authorization_response_iss_parameter_supported": true,
                }),
            ),
            "/register" => {
                own.clients += 1;
                let mut client: Value = serde_json::from_slice(request.body()).unwrap();
                client["client_id"] = format!("client-{}", own.clients).into();
                client["token_endpoint_auth_method"] = "none".into();
                reply(201, &client)
            }
            _ => reply(404, &Value::Null),
        })
    }
}
