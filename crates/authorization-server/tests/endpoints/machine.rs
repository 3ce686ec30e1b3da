//! Clients that act for themselves.

use authorization_server::{ClientRecord, Store as _};
use client_auth::ClientAuthRecord;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use oauth_types::{AuthMethod, ClientId, ScopeSet, Secret, SecretDigest};
use serde_json::json;

use crate::server::*;

const SECRET: &str = "client_id=machine&client_secret=secret";

fn put(server: &Server, id: &str, authentication: ClientAuthRecord, scopes: &str) {
    let scopes = ScopeSet::parse(scopes).unwrap();
    let record =
        ClientRecord::client_credentials(ClientId::parse(id).unwrap(), authentication, scopes, NOW);
    block_on(server.store.create_client(record, NOW)).unwrap();
}

fn machine_server() -> Server {
    let server = server();
    let method = AuthMethod::ClientSecretPost;
    let authentication = ClientAuthRecord::new(method).with_secret(Secret::new("secret").digest());
    put(&server, "machine", authentication, "files:read files:write");
    server
}

fn ask(server: &Server, more: &str) -> Answer {
    server.form("/token", &format!("grant_type=client_credentials&{SECRET}{more}"))
}

#[test]
fn a_client_without_users_gets_a_token_and_nothing_to_refresh() {
    let server = machine_server();
    for (more, scopes) in [
        ("", "files:read files:write"),
        ("&scope=files%3Aread", "files:read"),
        ("&scope=files%3Aread&resource=https%3A%2F%2Frs.example%2Fmcp", "files:read"),
    ] {
        let answer = ask(&server, more);
        assert_eq!(answer.status, StatusCode::OK, "{more}");
        assert_eq!(answer.header(CACHE_CONTROL), "no-store");
        let tokens = answer.json();
        assert!(tokens.get("refresh_token").is_none());
        assert_eq!(tokens["scope"], scopes);
        let digest = SecretDigest::of(tokens["access_token"].as_str().unwrap());
        let record = block_on(server.store.access(&digest, NOW)).unwrap().unwrap();
        // Nobody else agreed to it, and it is for the resource.
        assert_eq!((record.client_id.as_str(), record.subject.as_str()), ("machine", "machine"));
        assert_eq!(record.resource.as_str(), "https://rs.example/mcp");
    }
    let metadata = server.get("/.well-known/oauth-authorization-server").json();
    let grants = metadata["grant_types_supported"].as_array().unwrap();
    assert!(grants.contains(&json!("client_credentials")));
}

#[test]
fn what_it_is_not_registered_for_it_does_not_get() {
    let server = machine_server();
    for (more, error) in [
        ("&scope=admin", "invalid_scope"),
        ("&scope=files%3Aread%20admin", "invalid_scope"),
        ("&scope=%22", "invalid_scope"),
        ("&resource=https%3A%2F%2Fevil.example", "invalid_target"),
        (
            "&resource=https%3A%2F%2Frs.example%2Fmcp&resource=https%3A%2F%2Frs.example%2Fmcp",
            "invalid_target",
        ),
    ] {
        let answer = ask(&server, more);
        assert_eq!((answer.status, &*answer.error()), (StatusCode::BAD_REQUEST, error), "{more}");
    }
    let wrong = "grant_type=client_credentials&client_id=machine&client_secret=wrong";
    assert_eq!(server.form("/token", wrong).error(), "invalid_client");
    // Nor does it get codes.
    let code = format!("grant_type=authorization_code&code=x&{SECRET}");
    assert_eq!(server.form("/token", &code).error(), "unauthorized_client");
    // Without a secret it is nobody, whatever the record says.
    put(&server, "nobody", ClientAuthRecord::public(), "files:read");
    let public = "grant_type=client_credentials&client_id=nobody";
    assert_eq!(server.form("/token", public).error(), "unauthorized_client");
}

#[test]
fn its_scopes_are_both_its_registrations_and_the_servers() {
    let server = server();
    let narrow = ("narrow", "files:read");
    let wide = ("wide", "files:read elsewhere");
    for (id, scopes) in [narrow, wide, ("bare", "")] {
        let method = AuthMethod::ClientSecretPost;
        let authentication =
            ClientAuthRecord::new(method).with_secret(Secret::new("secret").digest());
        put(&server, id, authentication, scopes);
    }
    let ask = |id: &str, more: &str| {
        let body =
            format!("grant_type=client_credentials&client_id={id}&client_secret=secret{more}");
        server.form("/token", &body)
    };
    for (id, more) in [
        ("narrow", "&scope=files%3Awrite"),
        ("wide", "&scope=elsewhere"),
        ("wide", ""),
        ("bare", ""),
        ("bare", "&scope=files%3Aread"),
    ] {
        let answer = ask(id, more);
        assert_eq!(answer.error(), "invalid_scope", "{id} {more}");
    }
    for id in ["narrow", "wide"] {
        let answer = ask(id, "&scope=files%3Aread");
        assert_eq!(answer.json()["scope"], "files:read", "{id}");
    }
}

#[test]
fn who_registers_by_itself_gets_nothing_without_a_user() {
    let server = server();
    let asked = json!({"redirect_uris": [REDIRECT], "grant_types": ["client_credentials"]});
    assert_eq!(server.register(asked).error(), "invalid_client_metadata");
    let registered = server.register(json!({"redirect_uris": [REDIRECT]})).json();
    let (id, secret) =
        (registered["client_id"].as_str().unwrap(), registered["client_secret"].as_str().unwrap());
    let body = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    assert_eq!(server.form("/token", &body).error(), "invalid_client", "its method is Basic");
    // The grant is left out, and the scopes that it asks for allow nothing.
    let post = json!({
        "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "client_secret_post",
        "grant_types": ["authorization_code", "client_credentials"],
        "scope": "files:read",
    });
    let registered = server.register(post).json();
    assert_eq!(registered["grant_types"], json!(["authorization_code"]));
    let (id, secret) =
        (registered["client_id"].as_str().unwrap(), registered["client_secret"].as_str().unwrap());
    let body = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    assert_eq!(server.form("/token", &body).error(), "unauthorized_client");
}
