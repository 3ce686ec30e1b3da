//! The introspection endpoint.

use authorization_server::{InvalidConfig, ResourceServer};
use bytes::Bytes;
use client_auth::ClientAuthRecord;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use oauth_types::{AuthMethod, ClientId, ResourceUri, Secret};
use serde_json::{Value, json};

use crate::server::*;

/// base64("rs:secret") and base64("rs:wrong")
const RIGHT: &str = "Basic cnM6c2VjcmV0";
const WRONG: &str = "Basic cnM6d3Jvbmc=";

fn asker(id: &str, resource: &str) -> ResourceServer {
    let method = AuthMethod::ClientSecretBasic;
    ResourceServer::new(
        ClientId::parse(id).unwrap(),
        ClientAuthRecord::new(method).with_secret(Secret::new("secret").digest()),
        ResourceUri::parse(resource).unwrap(),
    )
}

fn asked() -> Server {
    let config = config("https://as.example")
        .with_resource_server(asker("rs", "https://rs.example/mcp"))
        .unwrap()
        .with_resource_server(asker("other", "https://other.example/mcp"))
        .unwrap()
        .with_resource_server(asker("wide", "https://rs.example"))
        .unwrap()
        .with_resource_server(asker("narrow", "https://rs.example/mcp/tools"))
        .unwrap();
    server_of(config)
}

/// A-INT-1
#[test]
fn who_could_be_anybody_or_somebody_else_asks_nothing() {
    let with = |server| config("https://as.example").with_resource_server(server);
    let mut public = asker("rs", "https://rs.example/mcp");
    public.authentication = ClientAuthRecord::public();
    assert_eq!(with(public).unwrap_err(), InvalidConfig::ResourceServer);
    let twice = with(asker("rs", "https://rs.example/mcp"))
        .unwrap()
        .with_resource_server(asker("rs", "https://rs.example/mcp"));
    assert_eq!(twice.unwrap_err(), InvalidConfig::ResourceServer);
}

fn ask(server: &Server, authorization: &str, token: &str) -> Answer {
    let request = Request::post("/introspect")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(AUTHORIZATION, authorization)
        .body(Bytes::from(format!("token={token}&token_type_hint=refresh_token")));
    server.send(request.unwrap())
}

fn tokens(server: &Server) -> Value {
    let client = server.client();
    let code = server.code(&client);
    server.form("/token", &redeem(&client, &code)).json()
}

/// A-INT-1
#[test]
fn a_resource_server_learns_what_its_tokens_grant() {
    let server = asked();
    let tokens = tokens(&server);
    let answer = ask(&server, RIGHT, tokens["access_token"].as_str().unwrap());
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header(CACHE_CONTROL), "no-store");
    let json = answer.json();
    assert_eq!(json["active"], true);
    assert_eq!(json["aud"], "https://rs.example/mcp");
    assert_eq!((&json["iss"], &json["sub"]), (&json!("https://as.example"), &json!("demo")));
    assert_eq!((&json["scope"], &json["token_type"]), (&json!("files:read"), &json!("Bearer")));
    assert_eq!(json["exp"], NOW.as_secs() + 600);
    let metadata = server.get("/.well-known/oauth-authorization-server").json();
    assert_eq!(metadata["introspection_endpoint"], "https://as.example/introspect");
}

/// A-INT-1
#[test]
fn whatever_else_it_asks_about_reads_the_same() {
    let server = asked();
    let tokens = tokens(&server);
    let (access, refresh) =
        (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
    // Another's token, also where one resource lies within the other; a refresh token, none at all, and one that
    // was revoked.
    let mut answers = vec![ask(&server, RIGHT, refresh)];
    // base64("other:secret"), base64("wide:secret") and base64("narrow:secret")
    for other in ["b3RoZXI6c2VjcmV0", "d2lkZTpzZWNyZXQ=", "bmFycm93OnNlY3JldA=="] {
        answers.push(ask(&server, &format!("Basic {other}"), access));
    }
    answers.push(ask(&server, RIGHT, "nothing"));
    let code = tokens["refresh_token"].as_str().unwrap();
    let client = ask(&server, RIGHT, access).json()["client_id"].as_str().unwrap().to_owned();
    server.form("/revoke", &format!("client_id={client}&token={code}"));
    answers.push(ask(&server, RIGHT, access));
    for answer in answers {
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(&answer.body[..], br#"{"active":false}"#);
    }
}

/// A-INT-1
#[test]
fn nobody_else_may_ask() {
    let server = asked();
    let tokens = tokens(&server);
    let access = tokens["access_token"].as_str().unwrap();
    // A confidential client that registered itself is nobody here.
    let registered = server.register(json!({"redirect_uris": [REDIRECT]})).json();
    let (id, secret) =
        (registered["client_id"].as_str().unwrap(), registered["client_secret"].as_str().unwrap());
    let form = |more: &str| format!("token={access}{more}");
    for (authorization, body) in [
        (WRONG, form("")),
        ("", form("&client_id=rs")),
        ("", form("&client_id=rs&client_secret=secret")),
        ("", form(&format!("&client_id={id}&client_secret={secret}"))),
        ("", form(&format!("&client_id={id}"))),
    ] {
        let mut request =
            Request::post("/introspect").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if !authorization.is_empty() {
            request = request.header(AUTHORIZATION, authorization);
        }
        let answer = server.send(request.body(Bytes::from(body.clone())).unwrap());
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{body}");
        assert_eq!(answer.error(), "invalid_client", "{body}");
    }
    assert_eq!(server.method(Method::GET, "/introspect").status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(ask(&server, RIGHT, "").error(), "invalid_request");
    // And where nobody is named, there is no such place.
    let closed = crate::server::server();
    assert_eq!(ask(&closed, RIGHT, access).status, StatusCode::NOT_FOUND);
    let metadata = closed.get("/.well-known/oauth-authorization-server").json();
    assert!(metadata.get("introspection_endpoint").is_none());
}
