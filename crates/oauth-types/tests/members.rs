//! Every member of every document in every wrong form: refused, read, or passed over, as its class says.

#![cfg(test)]

use std::collections::BTreeSet;

use oauth_types::{
    AuthorizationServerMetadata, ClientInformation, ClientMetadata, DocumentError, ErrorResponse,
    IntrospectionResponse, JwkSet, ProtectedResourceMetadata, TokenErrorCode,
    TokenExchangeResponse, TokenResponse,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

type Read = Result<(Value, Vec<&'static str>), DocumentError>;

/// Reads a document, and checks that it is read strictly once it is written.
macro_rules! reader {
    ($document:ty) => {
        |json: &[u8]| -> Read {
            let read = <$document>::from_json(json)?;
            let written = read.to_json();
            let again = <$document>::from_json(&written).expect("what is written can be read");
            assert_eq!(again.to_json(), written);
            assert!(<$document>::passed_over(&written).is_empty());
            let value = serde_json::from_slice(&written).expect("JSON");
            Ok((value, <$document>::passed_over(json)))
        }
    };
}

/// The forms that every member is given.
fn forms() -> [Value; 9] {
    let url = "http://internal.example/x";
    [
        json!(null),
        json!(""),
        json!(7),
        json!(-1),
        json!("7"),
        json!({"x": 1}),
        json!([7]),
        json!(url),
        json!("True"),
    ]
}

/// What becomes of each form, in their order. `R`: the document is refused. `a`: the member is absent. `p`: it is
/// passed over, and absent. `t`: it is passed over, and counts as `true`. `v`: it is read.
type Outcomes = &'static str;

const REQUIRED: Outcomes = "RRRRRRRRR";
const REQUIRED_TEXT: Outcomes = "RRRRvRRvv";
const STRICT_URL: Outcomes = "aaRRRRRRR";
const STRICT_TEXT: Outcomes = "aaRRvRRvv";
const EXACT_TEXT: Outcomes = "avRRvRRvv";
const EXACT_TIME: Outcomes = "aRvRvRRRR";
const URL: Outcomes = "aappppppp";
const TEXT: Outcomes = "aappvppvv";
const NAMES: Outcomes = TEXT;
const TIME: Outcomes = "aavpvpppp";
const SCOPE: Outcomes = "avppvppvv";
const NARROWS: Outcomes = "aattttttv";
const WIDENS: Outcomes = "aappppppv";

type Document = (&'static str, fn(&[u8]) -> Read, Value, &'static [(&'static str, Outcomes)]);

const CLIENT: &[(&str, Outcomes)] = &[
    ("redirect_uris", "aRRRRRRRR"),
    ("token_endpoint_auth_method", STRICT_TEXT),
    ("token_endpoint_auth_methods_supported", STRICT_TEXT),
    ("grant_types", NAMES),
    ("response_types", NAMES),
    ("client_name", TEXT),
    ("scope", SCOPE),
    ("application_type", TEXT),
    ("token_endpoint_auth_signing_alg", STRICT_TEXT),
    ("jwks", "aavvvvvvv"),
    ("jwks_uri", TEXT),
    ("dpop_bound_access_tokens", NARROWS),
];

#[expect(clippy::too_many_lines, reason = "a table of documents and their members")]
fn documents() -> Vec<Document> {
    vec![
        (
            "authorization server metadata",
            reader!(AuthorizationServerMetadata),
            json!({"issuer": "https://as.example"}),
            &[
                ("issuer", REQUIRED),
                ("authorization_endpoint", STRICT_URL),
                ("token_endpoint", STRICT_URL),
                ("registration_endpoint", STRICT_URL),
                ("revocation_endpoint", URL),
                ("introspection_endpoint", URL),
                ("jwks_uri", URL),
                ("scopes_supported", NAMES),
                ("response_types_supported", NAMES),
                ("grant_types_supported", NAMES),
                ("authorization_grant_profiles_supported", NAMES),
                ("token_endpoint_auth_methods_supported", NAMES),
                ("token_endpoint_auth_signing_alg_values_supported", NAMES),
                ("revocation_endpoint_auth_methods_supported", NAMES),
                ("revocation_endpoint_auth_signing_alg_values_supported", NAMES),
                ("introspection_endpoint_auth_methods_supported", NAMES),
                ("dpop_signing_alg_values_supported", NAMES),
                ("code_challenge_methods_supported", NAMES),
                ("authorization_response_iss_parameter_supported", NARROWS),
                ("client_id_metadata_document_supported", WIDENS),
            ],
        ),
        (
            "protected resource metadata",
            reader!(ProtectedResourceMetadata),
            json!({"resource": "https://rs.example/mcp"}),
            &[
                ("resource", REQUIRED),
                ("authorization_servers", STRICT_URL),
                ("scopes_supported", NAMES),
                ("bearer_methods_supported", NAMES),
                ("dpop_signing_alg_values_supported", NAMES),
                ("dpop_bound_access_tokens_required", NARROWS),
                ("resource_name", TEXT),
            ],
        ),
        ("client metadata", reader!(ClientMetadata), json!({}), CLIENT),
        (
            "registration response",
            reader!(ClientInformation),
            json!({"client_id": "c"}),
            &[
                ("client_id", REQUIRED_TEXT),
                ("client_secret", STRICT_TEXT),
                ("client_secret_expires_at", TIME),
                ("client_id_issued_at", TIME),
            ],
        ),
        (
            "client metadata in a registration response",
            reader!(ClientInformation),
            json!({"client_id": "c"}),
            CLIENT,
        ),
        (
            "token response",
            reader!(TokenResponse),
            json!({"access_token": "at", "token_type": "Bearer"}),
            &[
                ("access_token", REQUIRED_TEXT),
                ("token_type", REQUIRED),
                ("expires_in", TIME),
                ("refresh_token", TEXT),
                ("scope", SCOPE),
            ],
        ),
        (
            "token exchange response",
            reader!(TokenExchangeResponse),
            json!({"access_token": "at", "issued_token_type": "x"}),
            &[("access_token", REQUIRED_TEXT), ("issued_token_type", "RvRRvRRvv")],
        ),
        (
            "error response",
            reader!(ErrorResponse<TokenErrorCode>),
            json!({"error": "invalid_grant"}),
            &[("error", REQUIRED_TEXT), ("error_description", TEXT), ("error_uri", URL)],
        ),
        (
            "introspection response",
            reader!(IntrospectionResponse),
            json!({"active": true}),
            &[
                ("active", REQUIRED),
                ("scope", EXACT_TEXT),
                ("client_id", "aRRRvRRvv"),
                ("username", EXACT_TEXT),
                ("token_type", EXACT_TEXT),
                ("exp", EXACT_TIME),
                ("iat", TIME),
                ("nbf", EXACT_TIME),
                ("sub", EXACT_TEXT),
                ("aud", EXACT_TEXT),
                ("iss", "aRRRRRRRR"),
                ("jti", TEXT),
            ],
        ),
        ("key set", reader!(JwkSet), json!({"keys": []}), &[("keys", "RRRRRRvRR")]),
    ]
}

/// Returns the letter that stands for what became of a member.
fn outcome(read: Read, member: &str) -> char {
    let (document, passed_over) = match read {
        Ok(read) => read,
        Err(DocumentError::Member { member: named, .. }) if named == member => return 'R',
        Err(other) => panic!("{member}: {other}"),
    };
    assert!(passed_over.iter().all(|named| *named == member), "{member}: {passed_over:?}");
    let value = document.get(member).filter(|value| **value != json!([]));
    match (value, passed_over.is_empty()) {
        (None, true) => 'a',
        (None, false) => 'p',
        (Some(Value::Bool(true)), false) => 't',
        (Some(_), true) => 'v',
        (Some(value), false) => panic!("{member}: {value} was passed over"),
    }
}

/// SEC-105, SEC-128, SEC-134
#[test]
fn every_member_in_every_form_is_as_its_class_says() {
    for (name, read, base, members) in documents() {
        for (member, outcomes) in members {
            for (form, expected) in forms().iter().zip(outcomes.chars()) {
                let mut document = base.clone();
                document[member] = form.clone();
                let read = read(document.to_string().as_bytes());
                let found = outcome(read, member);
                assert_eq!(found, expected, "{name}: {member} as {form}");
            }
        }
    }
}

#[test]
fn a_form_with_one_reading_is_read_as_that() {
    let server = json!({"issuer": "https://as.example"});
    let tokens = json!({"access_token": "at", "token_type": "Bearer"});
    let active = json!({"active": true});
    let all = documents();
    let read = |name: &str, base: &Value, member: &str, form: Value| {
        let (_, read, ..) = all.iter().find(|(own, ..)| *own == name).unwrap();
        let mut document = base.clone();
        document[member] = form;
        let (document, passed_over) = read(document.to_string().as_bytes()).unwrap();
        (document.get(member).cloned().unwrap_or_default(), passed_over.len())
    };
    let metadata = "authorization server metadata";
    for (name, base, member, form, expected, passed_over) in [
        ("token response", &tokens, "expires_in", json!("5250"), json!(5250), 0),
        ("token response", &tokens, "expires_in", json!(3599.5), json!(3599), 0),
        ("token response", &tokens, "expires_in", json!("never"), json!(null), 1),
        ("token response", &tokens, "expires_in", json!("+5"), json!(null), 1),
        ("token response", &tokens, "scope", json!(["a", "b"]), json!("a b"), 0),
        ("token response", &tokens, "scope", json!(["a", 1]), json!(null), 1),
        ("token response", &tokens, "scope", json!(["a", "b c"]), json!(null), 1),
        ("introspection response", &active, "scope", json!(["a", "b"]), json!("a b"), 0),
        ("introspection response", &active, "exp", json!("1000600"), json!(1_000_600), 0),
        ("introspection response", &active, "iat", json!("2026-11-30"), json!(null), 1),
        (metadata, &server, "code_challenge_methods_supported", json!("S256"), json!(["S256"]), 0),
        (metadata, &server, "code_challenge_methods_supported", json!(7), json!([]), 1),
        (metadata, &server, "code_challenge_methods_supported", json!([["plain"]]), json!([]), 1),
        (metadata, &server, "code_challenge_methods_supported", json!(null), json!(null), 0),
        (metadata, &server, "grant_types_supported", json!(["a", 1, null]), json!(["a"]), 1),
        (
            metadata,
            &server,
            "authorization_response_iss_parameter_supported",
            json!("false"),
            json!(null),
            0,
        ),
    ] {
        let (value, noted) = read(name, base, member, form.clone());
        assert_eq!((value, noted), (expected, passed_over), "{member} as {form}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
        prop_oneof!["true", "[0-9]{1,21}", "https?://[a-z]{1,3}(\\.example)?(/[a-z?#]{0,4})?"]
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{1,4}", inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_read_leniently_reads_strictly_as_the_same(
        which in 0..10_usize,
        values in proptest::collection::vec(any_json(), 20),
        kept in any::<u32>(),
    ) {
        let (_, read, base, members) = documents().swap_remove(which);
        let mut document: Map<String, Value> = base.as_object().unwrap().clone();
        for (number, ((member, _), value)) in members.iter().zip(values).enumerate() {
            // Most documents would be refused for what is required; those members change in one document of two.
            if kept >> number & 1 == 1 && (!document.contains_key(*member) || kept >> 31 == 1) {
                document.insert((*member).to_owned(), value);
            }
        }
        let json = Value::from(document).to_string();
        // The reader checks that what it read is written and read again as the same.
        if let Ok((_, passed_over)) = read(json.as_bytes()) {
            let known: BTreeSet<_> = members.iter().map(|(member, _)| *member).collect();
            prop_assert!(passed_over.iter().all(|member| known.contains(member)));
        }
    }
}
