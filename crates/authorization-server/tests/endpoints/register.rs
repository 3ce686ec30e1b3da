//! Dynamic registration (RFC 7591).

use authorization_server::{InvalidConfig, Store as _};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use oauth_types::ClientId;
use serde_json::{Value, json};

use crate::server::*;

const PUBLIC: &str = include_str!("../../../client-auth/tests/keys/public.json");

/// A-REG-1, SEC-051, SEC-057, SEC-058, SEC-015, SEC-113
#[test]
fn redirect_uris_that_are_refused() {
    let server = server();
    for bad in [
        json!(["javascript:alert(1)"]),
        json!(["http://app.example/cb"]),
        json!(["https://app.example/cb#f"]),
        json!(["https://u@app.example/cb"]),
        json!(["https://app.example/cb?iss=https://evil.example"]),
        json!(["data:x", "http://app.example/cb", "cursor://callback"]),
        json!(["com.example.app:/cb"]),
        json!([]),
        json!([null]),
        json!("https://app.example/cb"),
        json!(null),
    ] {
        let answer = server.register(json!({"redirect_uris": bad}));
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}");
        assert_eq!(answer.error(), "invalid_redirect_uri", "{bad}");
    }
    assert_eq!(server.register(json!({})).error(), "invalid_redirect_uri");
}

/// SEC-057
#[test]
fn private_use_schemes_are_for_a_server_that_asks_for_them() {
    let server = server_of(config("https://as.example").with_private_use_redirects());
    let answer = server.register(json!({"redirect_uris": ["com.example.app:/cb"]}));
    assert_eq!(answer.status, StatusCode::CREATED);
    for bad in ["javascript:alert(1)", "cursor://callback", "file:///etc/passwd"] {
        let answer = server.register(json!({"redirect_uris": [bad]}));
        assert_eq!(answer.error(), "invalid_redirect_uri", "{bad}");
    }
}

/// A-REG-1, SEC-058
#[test]
fn what_is_not_accepted_is_left_out_and_the_answer_says_so() {
    let server = server();
    let none = json!({});
    for (sent, registered, left_out) in [
        (
            json!({"redirect_uris": ["cursor://cb", "data:x", "http://evil.example/cb", REDIRECT]}),
            json!({"redirect_uris": [REDIRECT]}),
            none.clone(),
        ),
        (
            json!({"grant_types": ["implicit", "authorization_code", "password"]}),
            json!({"grant_types": ["authorization_code"]}),
            none.clone(),
        ),
        (
            json!({"response_types": ["code id_token", "code", "token"]}),
            json!({"response_types": ["code"]}),
            none.clone(),
        ),
        (json!({"scope": "openid files:read offline_access"}), none.clone(), json!("scope")),
        (json!({"scope": "openid admin"}), none.clone(), json!("scope")),
        (json!({"scope": ""}), none.clone(), json!("scope")),
        // What authenticates nobody and has another form is passed over.
        (json!({"client_name": 7}), none, json!("client_name")),
        (
            json!({"token_endpoint_auth_method": "tls_client_auth",
                "token_endpoint_auth_methods_supported": ["client_secret_jwt", "none", "client_secret_post"]}),
            json!({"token_endpoint_auth_method": "client_secret_post"}),
            json!("token_endpoint_auth_methods_supported"),
        ),
        (
            json!({"token_endpoint_auth_method": "none",
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"]}),
            json!({"token_endpoint_auth_method": "none"}),
            json!("token_endpoint_auth_methods_supported"),
        ),
        (
            json!({"token_endpoint_auth_methods_supported": ["none"]}),
            json!({"token_endpoint_auth_method": "none"}),
            json!("client_secret"),
        ),
    ] {
        let mut metadata = json!({"redirect_uris": [REDIRECT]});
        metadata.as_object_mut().unwrap().extend(sent.as_object().unwrap().clone());
        let answer = server.register(metadata);
        assert_eq!(answer.status, StatusCode::CREATED, "{sent}");
        let answer = answer.json();
        for (name, value) in registered.as_object().unwrap() {
            assert_eq!(&answer[name], value, "{sent}");
        }
        assert!(left_out.as_str().is_none_or(|name| answer.get(name).is_none()), "{sent}");
    }
}

/// A-REG-3, SEC-109
#[test]
fn a_list_of_which_nothing_remains_is_not_an_absent_one() {
    let server = server();
    for (sent, member) in [
        (json!({"redirect_uris": ["data:x"]}), "redirect_uris[0]"),
        (json!({"redirect_uris": ["cursor://cb", "data:x"]}), "redirect_uris[0]"),
        (json!({"grant_types": []}), "grant_types"),
        (json!({"grant_types": ["implicit", "client_credentials"]}), "grant_types"),
        (json!({"grant_types": ["refresh_token"]}), "grant_types"),
        (json!({"response_types": ["token", "code id_token"]}), "response_types"),
        (json!({"token_endpoint_auth_method": "tls_client_auth"}), "token_endpoint_auth_method"),
        (
            json!({"token_endpoint_auth_methods_supported": ["tls_client_auth", "x"]}),
            "token_endpoint_auth_method",
        ),
    ] {
        let mut metadata = json!({"redirect_uris": [REDIRECT]});
        metadata.as_object_mut().unwrap().extend(sent.as_object().unwrap().clone());
        let answer = server.register(metadata);
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{sent}");
        let why = answer.json()["error_description"].as_str().unwrap().to_owned();
        assert!(why.contains(member), "{sent}: {why}");
    }
    // A server without public clients makes none of one that lists another method too.
    let config = config("https://as.example");
    let methods = vec![oauth_types::AuthMethod::ClientSecretBasic];
    let server = server_of(config.with_auth_methods(methods).unwrap());
    let methods = json!(["none", "client_secret_basic"]);
    let sent = json!({"redirect_uris": [REDIRECT], "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_method": "none"});
    let answer = server.register(sent).json();
    assert_eq!(answer["token_endpoint_auth_method"], "client_secret_basic");
    assert!(answer["client_secret"].is_string());
}

/// SEC-057
#[test]
fn listed_schemes_are_taken_with_a_warning_and_no_others() {
    let listed = config("https://as.example").with_private_use_schemes(["cursor", "vscode"]);
    let server = server_of(listed.unwrap());
    const CURSOR: &str = "cursor://anysphere.cursor-mcp/oauth/callback";
    let sent = json!({"token_endpoint_auth_method": "none",
        "redirect_uris": [CURSOR, "zed://cb", "com.example.app:/cb", "javascript://x/%0aalert(1)"]});
    let answer = server.register(sent).json();
    assert_eq!(answer["redirect_uris"], json!([CURSOR]));
    let client = answer["client_id"].as_str().unwrap();
    let page = server.get(&authorize(client, &[("redirect_uri", CURSOR)]));
    assert!(page.asked().is_native, "any program of the computer may have asked");
    let answer = server.consent(&page.transaction(), &page.cookie(), "allow");
    // A page that opens the application and stays, instead of a redirect.
    let link = answer.html().split("href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert!(link.starts_with(&format!("{CURSOR}?code=")), "{link}");
    let code = link.split("code=").nth(1).unwrap().split('&').next().unwrap();
    assert_eq!(server.form("/token", &redeem(client, code)).status, StatusCode::OK);
    for bad in ["javascript", "data", "file", "https", "http", "blob", "about", "Cursor", "", "a b"]
    {
        let config = config("https://as.example").with_private_use_schemes([bad]);
        assert_eq!(config.unwrap_err(), InvalidConfig::PrivateUseScheme, "{bad}");
    }
}

/// SEC-057
#[test]
fn a_scheme_taken_off_the_list_ends_for_stored_clients_too() {
    const CURSOR: &str = "cursor://anysphere.cursor-mcp/oauth/callback";
    let unlisted = config("https://as.example");
    let listed = server_of(unlisted.clone().with_private_use_schemes(["cursor"]).unwrap());
    let sent = json!({"token_endpoint_auth_method": "none", "redirect_uris": [CURSOR, REDIRECT]});
    let answer = listed.register(sent).json();
    let client = answer["client_id"].as_str().unwrap();
    let url = authorize(client, &[("redirect_uri", CURSOR)]);
    let page = listed.get(&url);
    assert_eq!(page.status, StatusCode::OK);
    let unlisted = server_on(&listed.store, unlisted);
    assert_eq!(unlisted.get(&url).status, StatusCode::BAD_REQUEST);
    // A consent page that the user still has open is no way around.
    let answer = unlisted.consent(&page.transaction(), &page.cookie(), "allow");
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    // The client's other redirect URI is as good as before.
    assert!(!unlisted.code(client).is_empty());
}

/// A-REG-2, SEC-114, SEC-115
#[test]
fn the_answer_says_what_was_accepted() {
    let server = server();
    let sent = json!({"redirect_uris": [REDIRECT], "client_id": "mine", "client_secret": "mine"});
    let answer = server.register(sent);
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.header(CACHE_CONTROL), "no-store");
    let json = answer.json();
    assert_eq!(json["token_endpoint_auth_method"], "client_secret_basic");
    assert_eq!(json["client_secret_expires_at"], 0);
    assert_eq!(json["client_id_issued_at"], 1_000_000);
    assert_eq!(json["redirect_uris"], json!([REDIRECT]));
    assert!(json["client_secret"].as_str().unwrap().len() == 43);
    let client_id = json["client_id"].as_str().unwrap();
    assert!(client_id != "mine" && !client_id.starts_with("https://"));
    // Each grant once, however often it was said: what is kept has a size.
    let grants = ["refresh_token", "authorization_code"].repeat(1_000);
    let json = server.register(json!({"redirect_uris": [REDIRECT], "grant_types": grants}));
    assert_eq!(json.json()["grant_types"], json!(["authorization_code", "refresh_token"]));
    let public = json!({"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"});
    let json = server.register(public).json();
    assert!(json.get("client_secret").is_none() && json.get("client_secret_expires_at").is_none());
}

/// A-REG-3, SEC-115
#[test]
fn a_name_that_nobody_sees_is_none_and_an_empty_url_is_none() {
    let server = server();
    for name in ["", " ", "\u{200b}\u{3164}", "\u{2800}\u{fe0f}\u{e0100}"] {
        let sent = json!({"redirect_uris": [REDIRECT], "client_name": name, "logo_uri": ""});
        let answer = server.register(sent);
        assert_eq!(answer.status, StatusCode::CREATED, "{name:?}");
        assert!(answer.json().get("client_name").is_none(), "{name:?}");
    }
    for uri in ["https://10.0.0.1/x", "https://[fd00::1]/", "https://localhost/"] {
        let sent = json!({"redirect_uris": [REDIRECT], "client_uri": uri});
        assert_eq!(server.register(sent).error(), "invalid_client_metadata", "{uri}");
    }
}

/// A-REG-3, SEC-109, SEC-110, SEC-111, SEC-112
#[test]
fn metadata_that_is_refused() {
    let server = server();
    for (name, bad) in [
        ("token_endpoint_auth_method", json!("private_key_jwt")),
        ("token_endpoint_auth_method", json!("unknown")),
        ("grant_types", json!(["password"])),
        ("grant_types", json!(["refresh_token"])),
        ("response_types", json!(["token"])),
        ("logo_uri", json!("http://169.254.169.254/")),
        ("jwks_uri", json!("http://localhost:6379")),
        ("client_uri", json!("file:///etc/passwd")),
        ("jwks", json!({"keys": [{"kty": "EC", "d": "secret"}]})),
    ] {
        let mut metadata = json!({"redirect_uris": [REDIRECT]});
        metadata[name] = bad.clone();
        let answer = server.register(metadata);
        assert_eq!(answer.error(), "invalid_client_metadata", "{name} {bad}");
    }
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(1000), "]".repeat(1000));
    let answer = server.post("/register", "application/json", deep);
    assert_eq!(answer.error(), "invalid_client_metadata");
}

/// SEC-237: nothing of it is kept twice.
#[test]
#[expect(clippy::too_many_lines, reason = "a table of registrations")]
fn what_the_store_keeps_of_a_registration_is_bounded() {
    let server = server();
    let uris = |count: usize, bytes: usize| {
        let uri = |number| format!("{:x<bytes$}", format!("https://app.example/{number}/"));
        (0..count).map(uri).collect::<Vec<_>>()
    };
    for (uris, is_taken) in [
        (uris(16, 512), true),
        (uris(4, 2048), true),
        (uris(16, 2000), false),
        (uris(4, 2049), false),
        (uris(16, 513), false),
        // What would be left out counts too.
        ([uris(15, 512), vec![format!("data:{:x<600}", "")]].concat(), false),
    ] {
        let sent = json!({"redirect_uris": uris, "token_endpoint_auth_method": "none"});
        let answer = server.register(sent);
        if !is_taken {
            assert_eq!(
                (answer.status, &*answer.error()),
                (StatusCode::BAD_REQUEST, "invalid_redirect_uri")
            );
            let why = answer.json()["error_description"].to_string();
            assert!(why.contains("8192 bytes"), "{why}");
            continue;
        }
        assert_eq!(answer.status, StatusCode::CREATED);
        assert_eq!(answer.json()["redirect_uris"], json!(uris));
        let id = ClientId::parse(answer.json()["client_id"].as_str().unwrap()).unwrap();
        let record = block_on(server.store.read_client(&id)).unwrap().unwrap();
        let row = serde_json::to_string(&record).unwrap();
        assert_eq!(row.matches("https://app.example/0/").count(), 1, "{row}");
        assert!(row.len() < 10 * 1024, "{}", row.len());
    }
    if !cfg!(feature = "jwt") {
        return;
    }
    // Nothing else of a registration is kept at any length.
    let keys: Value = serde_json::from_str(PUBLIC).unwrap();
    let long = "x".repeat(30_000);
    let mut padded = keys.clone();
    padded["keys"][0]["kid"] = json!(long);
    let signs = |keys: &Value| json!({"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "private_key_jwt", "jwks": keys});
    let answer = server.register(signs(&padded));
    assert_eq!(
        (answer.status, &*answer.error()),
        (StatusCode::BAD_REQUEST, "invalid_client_metadata")
    );
    for (name, value) in [
        ("application_type", json!(long)),
        ("client_name", json!(long)),
        ("scope", json!("files:read ".repeat(2_000))),
        ("software_statement", json!(long)),
        ("grant_types", json!(["authorization_code", long])),
        ("token_endpoint_auth_signing_alg", json!("ES256")),
    ] {
        let mut sent = signs(&keys);
        sent[name] = value;
        let answer = server.register(sent);
        assert_eq!(answer.status, StatusCode::CREATED, "{name}");
        assert_eq!(answer.json()["jwks"], keys, "{name}");
        let id = ClientId::parse(answer.json()["client_id"].as_str().unwrap()).unwrap();
        let record = block_on(server.store.read_client(&id)).unwrap().unwrap();
        let row = serde_json::to_string(&record).unwrap();
        assert!(row.len() < 8 * 1024, "{name}: {}", row.len());
        assert_eq!(row.matches("m_tNCpTfpzyCQZ9DG0G10J7UNYLgDiwwrRV7eN8uFD4").count(), 1, "{row}");
    }
}
