//! What is granted to a client that names no scope, that is registered for some, or whose grant is older than the
//! configuration.

use std::sync::Arc;

use authorization_server::{
    ClientRecord, Config, InvalidConfig, MemoryStore, ServerKey, ServerKeys, Store as _,
};
use client_auth::ClientAuthRecord;
use http::StatusCode;
use http::header::LOCATION;
use oauth_types::{
    AuthMethod, ClientId, Entropy, Issuer, RedirectUri, ResourceUri, ScopeSet, Secret,
};
use serde_json::{Value, json};

use crate::server::*;

const MCP: &str = "https://rs.example/mcp";
const OTHER: &str = "https://other.example/mcp";

fn scopes(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

/// A configuration of the same issuer, with these resources and scopes.
fn with(resources: &[&str], names: &str) -> Config {
    let resources = resources.iter().map(|uri| ResourceUri::parse(uri).unwrap()).collect();
    let keys = ServerKeys::new(ServerKey::new(1, Entropy::new([7; 32])));
    let issuer = Issuer::parse("https://as.example").unwrap();
    Config::new(issuer, resources, scopes(names), keys).unwrap()
}

/// The code of a user who agrees to what the page shows.
fn agree(server: &Server, page: &Answer) -> String {
    let answer = server.consent(&page.transaction(), &page.cookie(), "allow");
    answer.redirect("code").unwrap()
}

fn log_in(server: &Server, client: &str, scope: &str) -> Value {
    let page = server.get(&authorize(client, &[("scope", scope)]));
    let code = agree(server, &page);
    let answer = server.form("/token", &redeem(client, &code));
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    answer.json()
}

fn refresh(client: &str, tokens: &Value, more: &str) -> String {
    let token = tokens["refresh_token"].as_str().unwrap();
    format!("grant_type=refresh_token&client_id={client}&refresh_token={token}{more}")
}

/// SEC-221
#[test]
fn a_client_that_names_no_scope_is_shown_and_gets_the_default() {
    let base = |config: Config, text| config.with_default_scope(scopes(text));
    let named = || with(&[MCP], "mcp:base files:read files:write");
    for (config, granted) in [
        // The first scope of the configuration, where nothing is said.
        (named(), "mcp:base"),
        (base(named(), "files:read").unwrap(), "files:read"),
        (base(named(), "mcp:base files:read").unwrap(), "mcp:base files:read"),
    ] {
        let server = server_of(config);
        let client = server.client();
        for asked in ["", "offline_access", " "] {
            let url = authorize(&client, &[("scope", "")]);
            let asked = oauth_types::encode_component(asked).to_string();
            let url = if asked.is_empty() { url } else { format!("{url}&scope={asked}") };
            let page = server.get(&url);
            assert_eq!(page.asked().scopes, scopes(granted), "{asked:?}");
            let code = agree(&server, &page);
            let tokens = server.form("/token", &redeem(&client, &code)).json();
            assert_eq!(tokens["scope"], granted, "{asked:?}");
        }
        // What is named is what is asked for.
        assert_eq!(log_in(&server, &client, "files:write")["scope"], "files:write");
    }
    for bad in ["", "admin", "files:read admin"] {
        assert_eq!(base(named(), bad).unwrap_err(), InvalidConfig::DefaultScope, "{bad}");
    }
}

/// SEC-233
#[test]
fn what_left_the_configuration_is_never_issued_again() {
    let before = server_of(with(&[MCP, OTHER], "files:read files:write"));
    let client = before.client();
    let both = log_in(&before, &client, "files:read files:write");
    let write = log_in(&before, &client, "files:write");
    let mut codes = Vec::new();
    for scope in ["files:read files:write", "files:write", "files:read"] {
        let page = before.get(&authorize(&client, &[("scope", scope)]));
        codes.push(agree(&before, &page));
    }
    let waiting = before.get(&authorize(&client, &[("scope", "files:read files:write")]));

    // `files:write` is gone.
    let after = server_on(&before.store, with(&[MCP, OTHER], "files:read"));
    let answer = after.consent(&waiting.transaction(), &waiting.cookie(), "allow");
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "the page showed something else");
    assert!(!answer.headers.contains_key(LOCATION));
    let tokens = after.form("/token", &redeem(&client, &codes[0])).json();
    assert_eq!(tokens["scope"], "files:read");
    let answer = after.form("/token", &redeem(&client, &codes[1]));
    assert_eq!((answer.status, &*answer.error()), (StatusCode::BAD_REQUEST, "invalid_grant"));
    let tokens = after.form("/token", &refresh(&client, &both, "")).json();
    assert_eq!(tokens["scope"], "files:read");
    // Clients repeat what they were granted once.
    let again = refresh(&client, &tokens, "&scope=files:read+files:write");
    let tokens = after.form("/token", &again).json();
    assert_eq!(tokens["scope"], "files:read");
    let gone = refresh(&client, &tokens, "&scope=files:write");
    assert_eq!(after.form("/token", &gone).error(), "invalid_scope");
    let answer = after.form("/token", &refresh(&client, &write, ""));
    assert_eq!(answer.error(), "invalid_grant");

    // So is the resource. Another one is no reason to issue anything for this one.
    let after = server_on(&before.store, with(&[OTHER], "files:read files:write"));
    for more in ["", "&resource=https://rs.example/mcp"] {
        let answer = after.form("/token", &refresh(&client, &tokens, more));
        assert_eq!((answer.status, &*answer.error()), (StatusCode::BAD_REQUEST, "invalid_grant"));
        let code = redeem(&client, &codes[2]) + more;
        assert_eq!(after.form("/token", &code).error(), "invalid_grant");
    }
    // Nothing of that used them up: what comes back is what the user agreed to.
    let after = server_on(&before.store, with(&[MCP], "files:read files:write"));
    let tokens = after.form("/token", &refresh(&client, &tokens, "")).json();
    assert_eq!(tokens["scope"], "files:read files:write");
    assert_eq!(after.form("/token", &redeem(&client, &codes[2])).json()["scope"], "files:read");
}

/// SEC-235
#[test]
fn a_registered_scope_bounds_every_grant_or_is_not_kept() {
    // What a client says about itself is not kept, and not repeated as if it were.
    let server = server();
    let metadata = json!({
        "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": "files:read",
    });
    let registered = server.register(metadata).json();
    assert!(registered.get("scope").is_none(), "{registered}");
    let client = registered["client_id"].as_str().unwrap();
    let id = ClientId::parse(client).unwrap();
    let record = block_on(server.store.read_client(&id)).unwrap().unwrap();
    assert_eq!(record.metadata.scope, None);
    // Clients step up without registering anew.
    assert_eq!(log_in(&server, client, "files:write")["scope"], "files:write");

    // What the operator says bounds whatever is asked for and agreed to.
    let back = vec![RedirectUri::parse(REDIRECT).unwrap()];
    let config = config("https://as.example");
    let id = ClientId::parse("reader").unwrap();
    let reader = ClientRecord::pre_registered(&config, id, ClientAuthRecord::public(), back, NOW);
    let mut reader = reader.unwrap();
    reader.metadata.scope = Some(scopes("files:read"));
    block_on(server.store.create_client(reader, NOW)).unwrap();
    for asked in ["files:read files:write", "files:read", ""] {
        let tokens = log_in(&server, "reader", asked);
        assert_eq!(tokens["scope"], "files:read", "{asked}");
        let tokens = server.form("/token", &refresh("reader", &tokens, "")).json();
        assert_eq!(tokens["scope"], "files:read", "{asked}");
    }
    let answer = server.get(&authorize("reader", &[("scope", "files:write")]));
    assert_eq!(answer.redirect("error").as_deref(), Some("invalid_scope"));

    // A grant that is older than the bound obeys it.
    let all = server.client();
    let tokens = log_in(&server, &all, "files:read files:write");
    let page = server.get(&authorize(&all, &[("scope", "files:write")]));
    let code = agree(&server, &page);
    let id = ClientId::parse(&all).unwrap();
    let mut record = block_on(server.store.read_client(&id)).unwrap().unwrap();
    (record.metadata.scope, record.of_operator) = (Some(scopes("files:read")), true);
    let narrower = MemoryStore::default();
    block_on(narrower.create_client(record, NOW)).unwrap();
    let digest = oauth_types::SecretDigest::of(&code);
    let kept = block_on(server.store.read_code(&digest)).unwrap().unwrap();
    block_on(narrower.insert_code(kept)).unwrap();
    let narrower = server_on(&Arc::new(narrower), config);
    let answer = narrower.form("/token", &redeem(&all, &code));
    assert_eq!(answer.error(), "invalid_grant");
    assert_eq!(tokens["scope"], "files:read files:write");
}

/// SEC-217, SEC-235
#[test]
fn a_lasting_client_of_an_older_store_is_not_the_operators() {
    // As stores kept a client that had registered itself, once it had a token: without an end, and with what it said.
    let server = server();
    let back = vec![RedirectUri::parse(REDIRECT).unwrap()];
    let config = config("https://as.example");
    let id = ClientId::parse("AAAAAAAAAAAAAAAAAAAB-Q").unwrap();
    let record =
        ClientRecord::pre_registered(&config, id, ClientAuthRecord::public(), back, NOW).unwrap();
    let mut json = serde_json::to_value(record).unwrap();
    json.as_object_mut().unwrap().remove("of_operator").unwrap();
    let mut older: ClientRecord = serde_json::from_value(json).unwrap();
    older.metadata.scope = Some(scopes("files:read"));
    assert!(older.unused_until.is_none() && !older.of_operator);
    let client = older.client_id.as_str().to_owned();
    block_on(server.store.create_client(older, NOW)).unwrap();
    // Its scope is no bound, and its redirect URI is nobody's word.
    assert_eq!(log_in(&server, &client, "files:write")["scope"], "files:write");
    let wrong = authorize(&client, &[("scope", "admin")]);
    let answer = server.get_as("mallory", &wrong);
    assert_eq!(answer.link("error").as_deref(), Some("invalid_scope"));

    // A record that names a grant which no registration gives keeps its bound, whatever else it does not say.
    let id = ClientId::parse("robot").unwrap();
    let secret = ClientAuthRecord::new(AuthMethod::ClientSecretPost)
        .with_secret(Secret::new("s".repeat(43)).digest());
    let mut robot = ClientRecord::client_credentials(id, secret, scopes("files:read"), NOW);
    robot.of_operator = false;
    block_on(server.store.create_client(robot, NOW)).unwrap();
    let form = format!(
        "grant_type=client_credentials&client_id=robot&client_secret={}&resource={MCP}&scope=files:write",
        "s".repeat(43)
    );
    assert_eq!(server.form("/token", &form).error(), "invalid_scope");
}
