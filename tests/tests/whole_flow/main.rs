//! Whole protocols in memory: the main job, and every wrong input met on the way.

#![cfg(test)]

mod authorization;
mod code;
mod refresh;
mod returning;
mod transcript;

use authorization_server::Store as _;
use bytes::Bytes;
use client_flow::{Session, Step, login};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use oauth_types::{FormPairs, FormWriter, TokenResponse};
use serde_json::Value;
use tests::world::{Client, MCP, World, client_config, now_or_never};

fn world() -> World {
    World::new().unwrap()
}

fn query(url: &str, name: &'static str) -> Option<String> {
    let form = FormPairs::parse(url.split_once('?')?.1.as_bytes()).unwrap();
    form.value(name).unwrap().map(str::to_owned)
}

/// A POST of a form to the token endpoint.
fn post(world: &World, pairs: &[(&str, &str)]) -> Response<Bytes> {
    let mut form = FormWriter::new();
    for (name, value) in pairs {
        form.append(name, value);
    }
    let mut request = Request::new(Bytes::from(form.finish()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = "https://as.example/token".parse().unwrap();
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert(CONTENT_TYPE, form);
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    world.answer(&request)
}

fn error(response: &Response<Bytes>) -> String {
    let json: Value = serde_json::from_slice(response.body()).unwrap();
    json["error"].as_str().unwrap_or_default().to_owned()
}

/// A login up to the callback: its authorization URL, and the token request that would follow.
fn login_until_token(world: &World) -> (String, Request<Bytes>) {
    let mut step = login(client_config(), MCP, None, None).unwrap();
    let mut url = String::new();
    loop {
        step = match step {
            Step::SendRequest(exchange) if exchange.request().uri().path() == "/token" => {
                return (url, exchange.request().clone());
            }
            Step::OpenBrowser(visit) => {
                visit.url().clone_into(&mut url);
                let callback = world.authorize(&url).unwrap();
                visit.resume(iss_validate::Callback::from_url(&callback), world.now()).unwrap()
            }
            Step::SendRequest(exchange) => {
                let response = world.answer(exchange.request());
                exchange.resume(Ok(response), world.now()).unwrap()
            }
            Step::LoadCredentials(recall) => recall.resume(None, world.now()).unwrap(),
            Step::GenerateRandom(draw) => {
                draw.resume(world.entropy(), world.entropy(), world.now()).unwrap()
            }
            Step::GetAssertion(_) => panic!("a user stands behind this client"),
            Step::SaveCredentials(save) => save.saved().unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

fn is_active(world: &World, token: &str) -> bool {
    let digest = oauth_types::SecretDigest::of(token);
    now_or_never(world.store.access(&digest, world.now())).unwrap().is_some()
}

#[test]
fn the_main_job_runs_in_memory_with_the_fewest_requests() {
    let (world, mut client) = (world(), Client::default());
    assert_eq!(world.call(&mut client, "list-files").unwrap(), StatusCode::OK);
    assert_eq!(World::granted(&client), Some("files:read"));
    assert_eq!(
        world.log(),
        [
            "POST /mcp",
            "GET /.well-known/oauth-protected-resource/mcp",
            "GET /.well-known/oauth-authorization-server",
            "POST /register",
            "POST /token",
            "POST /mcp",
        ]
    );
    assert_eq!(world.call(&mut client, "write-file").unwrap(), StatusCode::OK);
    assert_eq!(World::granted(&client), Some("files:read files:write"));
    // One refusal, one token request, one success; a warm call after that adds nothing.
    assert_eq!(world.log()[6..], ["POST /mcp", "POST /token", "POST /mcp"]);
    assert_eq!(world.call(&mut client, "list-files").unwrap(), StatusCode::OK);
    assert_eq!(world.log().len(), 10);
}

/// C-TOKEN-7, SEC-183: the family of the refresh token is dead.
#[test]
fn an_expired_token_is_refreshed_and_a_dead_one_needs_login() {
    let (world, mut client) = (world(), Client::default());
    world.call(&mut client, "list-files").unwrap();
    world.advance(601);
    assert_eq!(world.call(&mut client, "list-files").unwrap(), StatusCode::OK);
    assert_eq!(world.count("/token"), 2);
    assert_eq!(world.count("/register"), 1);
    // A refresh token that the server refuses is tried once; then the user is asked, for all that was held.
    world.advance(200 * 24 * 60 * 60);
    assert_eq!(world.call(&mut client, "list-files").unwrap(), StatusCode::OK);
    assert_eq!(world.count("/token"), 4);
    assert_eq!(World::granted(&client), Some("files:read"));
}

#[test]
fn an_unknown_tool_needs_everything() {
    let (world, mut client) = (world(), Client::default());
    assert_eq!(world.call(&mut client, "unknown-tool").unwrap(), StatusCode::OK);
    assert_eq!(World::granted(&client), Some("files:read files:write"));
}

/// A session with a refresh token.
fn logged_in(world: &World) -> (Session, String) {
    let mut client = Client::default();
    world.call(&mut client, "list-files").unwrap();
    let session = client.session.unwrap();
    let token = session.tokens().refresh_token.as_ref().unwrap().expose().to_owned();
    (session, token)
}

fn refresh_token(response: &Response<Bytes>) -> String {
    let tokens = TokenResponse::from_json(response.body()).unwrap();
    tokens.refresh_token.unwrap().expose().to_owned()
}
