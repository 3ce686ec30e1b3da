//! A client in plain synchronous code; `send` and `browse` are whatever the program has.

use bytes::Bytes;
use client_flow::{ClientConfig, FlowError, Session, Step, TransportError, login};
use http::{Request, Response};
use iss_validate::Callback;
use oauth_types::{Entropy, RedirectUri, UnixTime};

/// Logs in at an MCP server, and returns what authorizes requests to it.
pub fn log_in(
    (server, redirect_uri): (&str, RedirectUri),
    send: impl Fn(&Request<Bytes>) -> Result<Response<Bytes>, TransportError>,
    browse: impl Fn(&str) -> String,
    (random, now): (impl Fn() -> Entropy<32>, UnixTime),
) -> Result<Session, FlowError> {
    let mut step = login(ClientConfig::new("Plain client", redirect_uri), server, None, None)?;
    loop {
        step = match step {
            Step::SendRequest(exchange) => {
                let outcome = send(exchange.request());
                exchange.resume(outcome, now)?
            }
            Step::LoadCredentials(recall) => recall.resume(None, now)?,
            Step::ChooseServer(choose) => choose.choose(0)?,
            Step::GenerateRandom(draw) => draw.resume(random(), random(), now)?,
            Step::GetAssertion(_) => {
                unreachable!("only grants without a user begin with an identity")
            }
            Step::OpenBrowser(visit) => {
                let callback = browse(visit.url());
                visit.resume(Callback::from_url(&callback), now)?
            }
            Step::SaveCredentials(save) => save.failed()?, // this program keeps nothing
            Step::Ready(session) => return Ok(*session),
        }
    }
}

#[test]
fn a_login_without_a_socket() -> Result<(), Box<dyn std::error::Error>> {
    let send = |request: &Request<Bytes>| {
        let body = match request.uri().path() {
            "/.well-known/oauth-protected-resource/mcp" => include_str!("answers/resource.json"),
            "/.well-known/oauth-authorization-server" => include_str!("answers/server.json"),
            "/register" => include_str!("answers/client.json"),
            "/token" if request.body().starts_with(b"grant_type=authorization_code&code=abc&") => {
                include_str!("answers/token.json")
            }
            path => panic!("{path} is not asked for"),
        };
        let answer = Response::builder().header("content-type", "application/json");
        Ok(answer.body(Bytes::from_static(body.as_bytes())).unwrap())
    };
    let browse = |url: &str| {
        let state = url.split(['?', '&']).find(|pair| pair.starts_with("state=")).unwrap();
        format!("http://127.0.0.1:7000/cb?code=abc&{state}&iss=https%3A%2F%2Fas.example")
    };
    let client = ("https://mcp.example/mcp", RedirectUri::parse("http://127.0.0.1:7000/cb")?);
    let session = log_in(client, send, browse, (|| Entropy::new([7; 32]), UnixTime::from_secs(0)))?;
    assert_eq!(session.authorization("https://mcp.example/mcp").ok_or("no token")?, "Bearer t1");
    assert!(session.authorization("https://evil.example/mcp").is_none());
    Ok(())
}
