//! Plain http on a named private host. In a process of its own: what is named counts for all of it.

#![cfg(test)]

use bytes::Bytes;
use client_flow::{ClientConfig, FlowError, Session, Step, StoredCredentials, login};
use http::{Request, Response, StatusCode};
use iss_validate::Callback;
use oauth_types::{
    EndpointUrl, Entropy, Issuer, Origin, RedirectUri, ResourceUri, UnixTime,
    allow_http_for_development, http_origins_for_development,
};
use serde_json::{Value, json};

const MCP: &str = "http://127.0.0.1:3000/mcp";
const REALM: &str = "http://keycloak:8080/realms/mcp";
const NOW: UnixTime = UnixTime::from_secs(1_000_000);

/// An MCP server on this machine, and Keycloak by the name that a Compose file gives it.
fn answer(request: &Request<Bytes>, token_endpoint: &str) -> Response<Bytes> {
    let (status, body) = match request.uri().to_string().as_str() {
        "http://127.0.0.1:3000/.well-known/oauth-protected-resource/mcp" => {
            (200, json!({"resource": MCP, "authorization_servers": [REALM]}))
        }
        "http://keycloak:8080/realms/mcp/.well-known/openid-configuration" => (
            200,
            json!({
                "issuer": REALM,
                "authorization_endpoint": format!("{REALM}/auth"),
                "token_endpoint": token_endpoint,
                "registration_endpoint": format!("{REALM}/register"),
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none"],
            }),
        ),
        "http://keycloak:8080/realms/mcp/register" => {
            (201, json!({"client_id": "c1", "redirect_uris": ["http://127.0.0.1/cb"]}))
        }
        "http://keycloak:8080/realms/mcp/token" => {
            (200, json!({"access_token": "at", "token_type": "bearer", "refresh_token": "rt"}))
        }
        _ => (404, Value::Null),
    };
    let mut response = Response::new(body.to_string().into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

fn drive(token_endpoint: &str) -> Result<Session, FlowError> {
    let redirect_uri = RedirectUri::parse("http://127.0.0.1/cb").unwrap();
    let mut step = login(ClientConfig::new("Test", redirect_uri), MCP, None, None)?;
    loop {
        step = match step {
            Step::SendRequest(exchange) => {
                let response = answer(exchange.request(), token_endpoint);
                exchange.resume(Ok(response), NOW)?
            }
            Step::LoadCredentials(recall) => recall.resume(None, NOW)?,
            Step::GenerateRandom(draw) => {
                draw.resume(Entropy::new([1; 32]), Entropy::new([2; 32]), NOW)?
            }
            Step::OpenBrowser(visit) => {
                assert!(visit.url().starts_with("http://keycloak:8080/realms/mcp/auth?"));
                let state = visit.url().split("state=").nth(1).unwrap().split('&').next().unwrap();
                let callback = format!("http://127.0.0.1/cb?code=c&state={state}");
                visit.resume(Callback::from_url(&callback), NOW)?
            }
            Step::SaveCredentials(save) => save.saved()?,
            Step::Ready(session) => return Ok(*session),
            step => panic!("{step:?}"),
        };
    }
}

/// SEC-128, SEC-134
#[test]
fn http_is_for_the_named_origin_and_for_no_other() {
    let token_endpoint = format!("{REALM}/token");
    // Nothing is named: everything is as strict as ever.
    assert!(drive(&token_endpoint).is_err());
    assert!(Issuer::parse(REALM).is_err() && EndpointUrl::parse(&token_endpoint).is_err());
    allow_http_for_development("http://keycloak:8080").unwrap();
    allow_http_for_development("http://KEYCLOAK:8080").unwrap();
    assert_eq!(http_origins_for_development(), ["http://keycloak:8080"]);

    let session = drive(&token_endpoint).unwrap();
    assert_eq!(session.account().server.issuer.as_str(), REALM);
    // A record survives the store.
    let record = serde_json::to_string(&session.to_record()).unwrap();
    let record: StoredCredentials = serde_json::from_str(&record).unwrap();
    assert_eq!(record.account.server.token_endpoint.as_str(), token_endpoint);
    let origin = record.account.server.token_endpoint.origin();
    assert_eq!(origin, Origin::of("http://keycloak:8080/x").unwrap());
    assert_ne!(origin, Origin::of("https://keycloak:8080").unwrap());
    assert!(origin.contains("http://Keycloak:8080/y") && !origin.contains("http://keycloak/y"));

    // The tokens still go nowhere else.
    for elsewhere in [
        "http://evil:8080/token",
        "http://keycloak:8081/token",
        "http://keycloak/token",
        "http://keycloak.evil.example:8080/token",
        "http://as.example/token",
    ] {
        assert!(drive(elsewhere).is_err(), "{elsewhere}");
    }
    for other in ["http://keycloak", "http://keycloak:8081", "http://evil:8080", "http://x.test"] {
        assert!(Issuer::parse(other).is_err(), "{other}");
        assert!(ResourceUri::parse(other).is_err(), "{other}");
    }
    // Nor does a browser come back there.
    assert!(RedirectUri::parse("http://keycloak:8080/cb").is_err());
    assert!(allow_http_for_development("http://as.example.com").is_err());
}
