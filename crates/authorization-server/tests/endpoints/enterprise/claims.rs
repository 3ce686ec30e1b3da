//! Claims of an identity assertion: for this client, at this server, now.

use http::StatusCode;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::{ES256, ask, claims, enterprise, header, refused, signed, with};
use crate::server::*;

/// A-TOKEN-9
#[test]
fn claims_that_are_not_for_this_client_at_this_server() {
    let server = enterprise();
    let wrong: &[(&str, Value)] = &[
        ("iss", json!("https://idp.example/")),
        ("iss", json!("https://evil.example")),
        ("iss", Value::Null),
        ("aud", json!("https://as.example/")),
        ("aud", json!("https://other.example")),
        ("aud", json!("https://as.example/token")),
        ("aud", json!(["https://as.example", "https://other.example"])),
        ("aud", json!(["https://as.example", "https://as.example"])),
        ("aud", json!([])),
        ("aud", Value::Null),
        ("client_id", json!("App")),
        ("client_id", json!(["app"])),
        ("client_id", Value::Null),
        ("sub", json!("")),
        ("sub", json!("u".repeat(256))),
        ("sub", json!(1)),
        ("sub", Value::Null),
        ("jti", json!("")),
        ("jti", json!("j".repeat(256))),
        ("jti", Value::Null),
        ("iat", Value::Null),
        ("exp", Value::Null),
        ("tenant", json!("acme")),
        // What would narrow the grant is not passed over.
        ("aud_tenant", json!("acme")),
        ("authorization_details", json!([{"type": "file", "actions": ["read"]}])),
        ("cnf", json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"})),
        ("cnf", json!({"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"})),
        ("cnf", json!({})),
        ("scope", json!("files:read \"")),
        ("scope", json!(["files:read"])),
    ];
    for change in wrong {
        let assertion = signed(&with(std::slice::from_ref(change)));
        refused(&server, &assertion, "invalid_grant", &format!("{change:?}"));
    }
    for bad in ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
        let answer = ask(&server, bad, &[]);
        let error = if bad.is_empty() { "invalid_request" } else { "invalid_grant" };
        assert_eq!(answer.error(), error, "{bad}");
    }
}

/// A-TOKEN-9, SEC-197, SEC-199
#[test]
fn it_counts_now_give_or_take_a_minute() {
    let server = enterprise();
    let now = i64::try_from(NOW.as_secs()).unwrap();
    for (number, (name, offset, is_taken)) in [
        ("exp", -59, true),
        ("exp", -60, false),
        ("exp", -61, false),
        ("exp", 3660, true),
        ("exp", 3661, false),
        ("iat", 59, true),
        ("iat", 60, true),
        ("iat", 61, false),
        ("iat", -3660, true),
        ("iat", -3661, false),
        ("nbf", 59, true),
        ("nbf", 61, false),
    ]
    .into_iter()
    .enumerate()
    {
        let changes = [(name, json!(now + offset)), ("jti", json!(format!("j{number}")))];
        let answer = ask(&server, &signed(&with(&changes)), &[]);
        let expected = if is_taken { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        assert_eq!(answer.status, expected, "{name} {offset}");
    }
    for name in ["exp", "iat", "nbf"] {
        for weird in [
            "9223372036854775808",
            "18446744073709551615",
            "-1",
            "1e400",
            "\"1000300\"",
            "true",
            "[]",
            "1e308",
        ] {
            let text = claims().to_string();
            let text = match text.split_once(&format!("\"{name}\":")) {
                Some((before, rest)) => {
                    let end = rest.find([',', '}']).unwrap();
                    format!("{before}\"{name}\":{weird}{}", &rest[end..])
                }
                None => text.replacen('{', &format!("{{\"{name}\":{weird},"), 1),
            };
            refused(&server, &raw(&text), "invalid_grant", &format!("{name} {weird}"));
        }
    }
}

/// A signature over claims that no library would write.
fn raw(claims: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let header = serde_json::to_string(&header(Algorithm::ES256)).unwrap();
    let message = [header.as_str(), claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let key = EncodingKey::from_ec_pem(ES256.as_bytes()).unwrap();
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::ES256).unwrap();
    format!("{message}.{signature}")
}
