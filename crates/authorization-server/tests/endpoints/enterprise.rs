//! Users by the word of an enterprise's identity provider (ID-JAG).

mod claims;

use authorization_server::{ClientRecord, Config, IdentityProvider, InvalidConfig, Store as _};
use client_auth::{ClientAuthRecord, VerifyingKeys};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use oauth_types::{
    AuthMethod, ClientId, FormWriter, Issuer, ResourceUri, ScopeSet, Secret, SecretDigest,
};
use serde_json::{Value, json};

use crate::server::*;

const IDP: &str = "https://idp.example";
const ES256: &str = include_str!("../../../client-auth/tests/keys/es256.pem");
const ES384: &str = include_str!("../../../client-auth/tests/keys/es384.pem");
const RS256: &str = include_str!("../../../client-auth/tests/keys/rs256.pem");
const PUBLIC: &str = include_str!("../../../client-auth/tests/keys/public.json");
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// A provider with one of the keys, which a file of them all is cut down to.
fn provider(issuer: &str, kids: &[&str]) -> IdentityProvider {
    let mut jwks: Value = serde_json::from_str(PUBLIC).unwrap();
    let keys = jwks["keys"].as_array_mut().unwrap();
    keys.retain(|key| kids.iter().any(|kid| key["kid"] == *kid));
    let keys = VerifyingKeys::from_jwks(&jwks, None).unwrap();
    IdentityProvider::new(Issuer::parse(issuer).unwrap(), keys)
}

fn put(server: &Server, id: &str, authentication: ClientAuthRecord, scopes: &str) {
    let id = ClientId::parse(id).unwrap();
    let scopes = ScopeSet::parse(scopes).unwrap();
    let record = ClientRecord::id_jag(id, authentication, scopes, NOW);
    block_on(server.store.create_client(record, NOW)).unwrap();
}

fn secret() -> ClientAuthRecord {
    ClientAuthRecord::new(AuthMethod::ClientSecretPost).with_secret(Secret::new("secret").digest())
}

fn server_with(config: Config) -> Server {
    let server = server_of(config);
    put(&server, "app", secret(), "files:read files:write");
    server
}

fn enterprise() -> Server {
    let config = config("https://as.example").with_identity_provider(provider(IDP, &["es256"]));
    server_with(config.unwrap())
}

fn claims() -> Value {
    json!({
        "iss": IDP, "sub": "U1", "aud": "https://as.example", "client_id": "app",
        "jti": "j1", "iat": NOW.as_secs(), "exp": NOW.as_secs() + 300,
        "resource": "https://rs.example/mcp", "scope": "files:read files:write",
    })
}

fn with(changes: &[(&str, Value)]) -> Value {
    let mut claims = claims();
    for (name, value) in changes {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(*name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn header(algorithm: Algorithm) -> Header {
    let mut header = Header::new(algorithm);
    header.typ = Some("oauth-id-jag+jwt".to_owned());
    header.kid = Some("es256".to_owned());
    header
}

fn encode(header: &Header, claims: &Value) -> String {
    let key = match header.alg {
        Algorithm::ES384 => EncodingKey::from_ec_pem(ES384.as_bytes()),
        Algorithm::RS256 => EncodingKey::from_rsa_pem(RS256.as_bytes()),
        // What a server that takes the header's word would check a MAC with.
        Algorithm::HS256 => Ok(EncodingKey::from_secret(PUBLIC.as_bytes())),
        _ => EncodingKey::from_ec_pem(ES256.as_bytes()),
    };
    jsonwebtoken::encode(header, claims, &key.unwrap()).unwrap()
}

fn signed(claims: &Value) -> String {
    encode(&header(Algorithm::ES256), claims)
}

fn body(assertion: &str, more: &[(&str, &str)]) -> String {
    let mut form = FormWriter::new();
    form.append("grant_type", GRANT)
        .append("client_id", "app")
        .append("client_secret", "secret")
        .append("assertion", assertion);
    for (name, value) in more {
        form.append(name, value);
    }
    form.finish()
}

fn ask(server: &Server, assertion: &str, more: &[(&str, &str)]) -> Answer {
    server.form("/token", &body(assertion, more))
}

fn refused(server: &Server, assertion: &str, error: &str, why: &str) {
    let answer = ask(server, assertion, &[]);
    assert_eq!((answer.status, &*answer.error()), (StatusCode::BAD_REQUEST, error), "{why}");
    assert_eq!(answer.header(CACHE_CONTROL), "no-store");
    assert!(!String::from_utf8_lossy(&answer.body).contains("U1"));
}

/// A-TOKEN-9
#[test]
fn an_id_jag_gives_its_user_one_token_and_nothing_to_refresh() {
    let server = enterprise();
    let assertion = signed(&claims());
    let answer = ask(&server, &assertion, &[]);
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    assert_eq!(answer.header(CACHE_CONTROL), "no-store");
    let tokens = answer.json();
    assert!(tokens.get("refresh_token").is_none());
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(600)));
    assert_eq!(tokens["scope"], "files:read files:write");
    let digest = SecretDigest::of(tokens["access_token"].as_str().unwrap());
    let record = block_on(server.store.access(&digest, NOW)).unwrap().unwrap();
    assert_eq!(
        (record.client_id.as_str(), record.subject.as_str()),
        ("app", "https://idp.example#U1")
    );
    assert_eq!(record.resource.as_str(), "https://rs.example/mcp");
    // The same assertion, and the same identifier in another one: once is once.
    refused(&server, &assertion, "invalid_grant", "replay");
    refused(&server, &signed(&with(&[("sub", json!("U2"))])), "invalid_grant", "its jti");
    let next = signed(&with(&[("jti", json!("j2"))]));
    assert_eq!(ask(&server, &next, &[]).status, StatusCode::OK);
}

/// A-TOKEN-9
#[test]
fn nobody_but_its_own_client_can_use_an_assertion() {
    let server = enterprise();
    put(&server, "other", secret(), "files:read");
    put(&server, "public", ClientAuthRecord::public(), "files:read");
    let assertion = signed(&claims());
    let grant = format!("grant_type={GRANT}&assertion={assertion}");
    for (client, error) in [
        ("client_id=other&client_secret=secret", "invalid_grant"),
        ("client_id=public", "unauthorized_client"),
        ("client_id=app&client_secret=wrong", "invalid_client"),
        ("client_id=app", "invalid_client"),
    ] {
        let answer = server.form("/token", &format!("{grant}&{client}"));
        assert_eq!(answer.error(), error, "{client}");
    }
    // A client without credentials gets nothing by an assertion of its own either.
    let own = signed(&with(&[("client_id", json!("public")), ("jti", json!("j2"))]));
    let own = format!("grant_type={GRANT}&assertion={own}&client_id=public");
    assert_eq!(server.form("/token", &own).error(), "unauthorized_client");
    // Nor does one that registered for users in a browser, or for itself.
    let registered = json!({
        "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "client_secret_post",
        "grant_types": ["authorization_code", GRANT],
    });
    let registered = server.register(registered).json();
    assert_eq!(registered["grant_types"], json!(["authorization_code"]));
    let (id, secret_of) = (registered["client_id"].as_str(), registered["client_secret"].as_str());
    let itself = [("client_id", json!(id)), ("jti", json!("j3"))];
    let form = format!(
        "grant_type={GRANT}&assertion={}&client_id={}&client_secret={}",
        signed(&with(&itself)),
        id.unwrap(),
        secret_of.unwrap(),
    );
    assert_eq!(server.form("/token", &form).error(), "unauthorized_client");
    let id = ClientId::parse("machine").unwrap();
    let scopes = ScopeSet::parse("files:read").unwrap();
    let machine = ClientRecord::client_credentials(id, secret(), scopes, NOW);
    block_on(server.store.create_client(machine, NOW)).unwrap();
    let machine = format!("{grant}&client_id=machine&client_secret=secret");
    assert_eq!(server.form("/token", &machine).error(), "unauthorized_client");
    let nothing = format!("grant_type={GRANT}&client_id=app&client_secret=secret");
    assert_eq!(server.form("/token", &nothing).error(), "invalid_request");
    // Nothing of all this used it up.
    assert_eq!(ask(&server, &assertion, &[]).status, StatusCode::OK);
}

/// A-TOKEN-9
#[test]
fn the_key_and_its_algorithm_are_the_configurations() {
    let server = enterprise();
    let changed = |change: &dyn Fn(&mut Header)| {
        let mut header = header(Algorithm::ES256);
        change(&mut header);
        encode(&header, &claims())
    };
    let typ = |typ: Option<&str>| changed(&|header| header.typ = typ.map(str::to_owned));
    for (assertion, why) in [
        (typ(None), "no type"),
        (typ(Some("JWT")), "an ID token or client assertion"),
        (typ(Some("at+jwt")), "an access token"),
        (typ(Some("client-authentication+jwt")), "a client assertion"),
        (changed(&|header| header.kid = Some("unknown".to_owned())), "unknown kid"),
        (changed(&|header| header.crit = Some(vec!["x".to_owned()])), "critical"),
        (encode(&header(Algorithm::HS256), &claims()), "a MAC with what is public"),
        (encode(&header(Algorithm::ES384), &claims()), "a key that is not the provider's"),
        (encode(&header(Algorithm::RS256), &claims()), "another algorithm"),
    ] {
        refused(&server, &assertion, "invalid_grant", why);
    }
    let genuine = signed(&claims());
    let (message, signature) = genuine.rsplit_once('.').unwrap();
    let mut other: Vec<&str> = message.split('.').collect();
    let forged = signed(&with(&[("sub", json!("admin"))]));
    other[1] = forged.split('.').nth(1).unwrap();
    refused(&server, &format!("{}.{signature}", other.join(".")), "invalid_grant", "forged");
    refused(&server, &format!("{message}."), "invalid_grant", "no signature");
    // Where the header points to leads nowhere: the key is still the configuration's.
    let pointing = changed(&|header| {
        header.jku = Some("https://evil.example/jwks".to_owned());
        header.kid = None;
    });
    assert_eq!(ask(&server, &pointing, &[]).status, StatusCode::OK);
}

/// A-TOKEN-9
#[test]
fn two_providers_never_name_the_same_user() {
    let config = config("https://as.example")
        .with_identity_provider(provider(IDP, &["es256", "es384"]))
        .unwrap()
        .with_identity_provider(provider("https://two.example", &["rs256"]))
        .unwrap();
    let server = server_with(config);
    let subject = |assertion: &str| {
        let tokens = ask(&server, assertion, &[]).json();
        let digest = SecretDigest::of(tokens["access_token"].as_str().unwrap());
        block_on(server.store.access(&digest, NOW)).unwrap().unwrap().subject.to_string()
    };
    let two = with(&[("iss", json!("https://two.example"))]);
    let mut rs256 = header(Algorithm::RS256);
    rs256.kid = None;
    // Both at once, under one identifier: whose it is counts too.
    assert_eq!(subject(&signed(&claims())), "https://idp.example#U1");
    assert_eq!(subject(&encode(&rs256, &two)), "https://two.example#U1");
    // While a provider changes its key, both work.
    let mut es384 = header(Algorithm::ES384);
    es384.kid = Some("es384".to_owned());
    let rotated = encode(&es384, &with(&[("jti", json!("j2"))]));
    assert_eq!(subject(&rotated), "https://idp.example#U1");
    // One provider's key signs nothing of the other's.
    let crossed = signed(&with(&[("iss", json!("https://two.example")), ("jti", json!("j3"))]));
    refused(&server, &crossed, "invalid_grant", "the other's key");
}

/// A-TOKEN-8, A-TOKEN-9
#[test]
fn resource_and_scope_are_within_assertion_and_request() {
    let second = ResourceUri::parse("https://rs.example/second").unwrap();
    let both = vec![ResourceUri::parse("https://rs.example/mcp").unwrap(), second];
    let keys = {
        use authorization_server::{ServerKey, ServerKeys};
        ServerKeys::new(ServerKey::new(1, oauth_types::Entropy::new([7; 32])))
    };
    let scopes = ScopeSet::parse("files:read files:write admin").unwrap();
    let config = Config::new(Issuer::parse("https://as.example").unwrap(), both, scopes, keys);
    let config = config.unwrap().with_identity_provider(provider(IDP, &["es256"])).unwrap();
    let server = server_with(config);
    let mcp = "https://rs.example/mcp";
    let second = "https://rs.example/second";
    let foreign = "https://evil.example/mcp";
    let (read, all) = ("files:read", "files:read files:write");
    type Case<'a> = (&'a str, Value, &'a str, &'a str, Result<&'a str, &'a str>);
    let cases: &[Case<'_>] = &[
        // What the assertion says: claim, value; what the request says: resource, scope.
        ("resource", json!(mcp), "", "", Ok(all)),
        ("resource", json!([mcp]), mcp, read, Ok(read)),
        ("resource", json!([mcp, second]), second, "", Ok(all)),
        ("resource", json!([mcp, foreign]), "", "", Ok(all)),
        ("resource", json!("HTTPS://RS.example/mcp"), mcp, "", Ok(all)),
        ("resource", Value::Null, mcp, "", Ok(all)),
        ("resource", Value::Null, "", "", Err("invalid_target")),
        ("resource", json!([mcp, second]), "", "", Err("invalid_target")),
        ("resource", json!(mcp), second, "", Err("invalid_target")),
        ("resource", json!(mcp), foreign, "", Err("invalid_target")),
        ("resource", json!(foreign), foreign, "", Err("invalid_target")),
        ("resource", json!("https://rs.example"), mcp, "", Err("invalid_target")),
        ("resource", json!("https://rs.example/mcp/below"), "", "", Err("invalid_target")),
        ("resource", json!([]), "", "", Err("invalid_target")),
        ("resource", json!("not a URI"), "", "", Err("invalid_target")),
        ("scope", json!(read), "", "", Ok(read)),
        ("scope", json!(read), "", all, Ok(read)),
        ("scope", json!(all), "", read, Ok(read)),
        // The provider may grant more than the client is registered for; it does not get it.
        ("scope", json!("files:read admin"), "", "", Ok(read)),
        ("scope", json!("admin"), "", "", Err("invalid_scope")),
        ("scope", json!("files:read unknown"), "", "", Err("invalid_scope")),
        ("scope", json!(""), "", "", Err("invalid_scope")),
        ("scope", Value::Null, "", read, Err("invalid_scope")),
        ("scope", json!(read), "", "files:write", Err("invalid_scope")),
        ("scope", json!(read), "", "\"", Err("invalid_scope")),
    ];
    for (number, (name, value, resource, scope, expected)) in cases.iter().enumerate() {
        let jti = ("jti", json!(format!("j{number}")));
        let assertion = signed(&with(&[(name, value.clone()), jti]));
        let mut more = Vec::new();
        more.extend((!resource.is_empty()).then_some(("resource", *resource)));
        more.extend((!scope.is_empty()).then_some(("scope", *scope)));
        let answer = ask(&server, &assertion, &more);
        let why = format!("{name} {value} {more:?}");
        match expected {
            Ok(scopes) => assert_eq!(answer.json()["scope"], *scopes, "{why}"),
            Err(error) => {
                let got = (answer.status, answer.error());
                assert_eq!(got, (StatusCode::BAD_REQUEST, (*error).to_owned()), "{why}");
            }
        }
    }
}

/// A-META-4
#[test]
fn the_grant_is_listed_where_a_provider_is_configured() {
    let metadata = |server: Server| server.get("/.well-known/oauth-authorization-server").json();
    let profiles = "authorization_grant_profiles_supported";
    let with = metadata(enterprise());
    assert!(with["grant_types_supported"].as_array().unwrap().contains(&json!(GRANT)));
    assert_eq!(with[profiles], json!(["urn:ietf:params:oauth:grant-profile:id-jag"]));
    let without = metadata(server());
    assert!(!without["grant_types_supported"].as_array().unwrap().contains(&json!(GRANT)));
    assert!(without.get(profiles).is_none());
    let bare = server_with(config("https://as.example"));
    let answer = ask(&bare, &signed(&claims()), &[]);
    assert_eq!(answer.error(), "unsupported_grant_type");
}

#[test]
fn a_server_does_not_believe_itself_or_one_provider_twice() {
    let config = config("https://as.example");
    let itself = config.clone().with_identity_provider(provider("https://as.example", &["es256"]));
    assert_eq!(itself.unwrap_err(), InvalidConfig::IdentityProvider);
    let once = config.with_identity_provider(provider(IDP, &["es256"])).unwrap();
    let twice = once.with_identity_provider(provider(IDP, &["rs256"]));
    assert_eq!(twice.unwrap_err(), InvalidConfig::IdentityProvider);
}
