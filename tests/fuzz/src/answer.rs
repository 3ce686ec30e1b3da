//! Responses of a server: the right document, one with changed members, or arbitrary bytes.

use arbitrary::Arbitrary;
use bytes::Bytes;
use client_flow::{FlowStage};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use crate::{MARK, RESOURCE};

/// The members that the documents of a flow have.
const MEMBERS: &[&str] = &[
    "resource",
    "authorization_servers",
    "scopes_supported",
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "registration_endpoint",
    "code_challenge_methods_supported",
    "token_endpoint_auth_methods_supported",
    "authorization_response_iss_parameter_supported",
    "client_id_metadata_document_supported",
    "dpop_signing_alg_values_supported",
    "client_id",
    "client_secret",
    "client_secret_expires_at",
    "token_endpoint_auth_method",
    "access_token",
    "token_type",
    "expires_in",
    "refresh_token",
    "scope",
    "error",
    "error_description",
];

/// Values that mean something in one of them.
const WORDS: &[&str] = &[
    "https://as.example",
    "https://as.example/",
    "https://as.example/tenant",
    "https://as.example/token",
    "https://as.example:8443/register",
    "https://rs.example",
    "https://rs.example/",
    "https://rs.example/mcp/deeper",
    "https://evil.example/token",
    "http://as.example/token",
    "http://127.0.0.1/token",
    "https://localhost./token",
    "https://10.0.0.1",
    "https://169.254.169.254/latest",
    "https://[::1]/token",
    "https://[::ffff:10.0.0.1]/token",
    "https://[fd00::1]/token",
    "https://user@as.example/token",
    "https://as.example\\@evil.example/token",
    "javascript:alert(1)",
    "none",
    "client_secret_basic",
    "client_secret_post",
    "private_key_jwt",
    "S256",
    "plain",
    "ES256",
    "DPoP",
    "Bearer",
    "use_dpop_nonce",
    "invalid_grant",
    "invalid_client",
    "offline_access mcp:read",
];

/// A value of a member.
#[derive(Arbitrary, Debug)]
pub enum Json<'a> {
    Absent,
    Null,
    Bool(bool),
    Number(i64),
    Word(u8),
    Text(&'a str),
    Words(Vec<u8>),
    Object(&'a str),
}

impl Json<'_> {
    fn value(&self) -> Option<Value> {
        Some(match self {
            Self::Absent => return None,
            Self::Null => Value::Null,
            Self::Bool(own) => json!(own),
            Self::Number(own) => json!(own),
            Self::Word(at) => json!(word(*at)),
            // Whoever repeats a secret elsewhere has to have it first.
            Self::Text(own) if own.contains(MARK) => Value::Null,
            Self::Text(own) => json!(own),
            Self::Words(own) => own.iter().map(|at| word(*at)).collect(),
            Self::Object(own) => json!({ own.replace(MARK, ""): {} }),
        })
    }
}

fn word(at: u8) -> &'static str {
    WORDS[usize::from(at) % WORDS.len()]
}

/// Response of a server.
#[derive(Arbitrary, Debug, Default)]
pub enum Answer<'a> {
    #[default]
    Right,
    /// The right status and document, but for these members.
    Changed { changes: Vec<(u8, Json<'a>)>, status: Option<u16>, nonce: Option<&'a [u8]> },
    /// Anything.
    Raw { status: u16, body: &'a [u8], nonce: Option<&'a [u8]> },
    /// Nothing here.
    Absent,
    /// The right document up to there, and then something else.
    Cut { at: u8, tail: &'a [u8] },
    /// The error that asks for a nonce, with one.
    Nonce,
}

impl Answer<'_> {
    pub fn response(&self, purpose: FlowStage) -> Response<Bytes> {
        let (right_status, mut document) = right(purpose);
        let (status, body, nonce) = match self {
            Self::Right => (Some(right_status), document.to_string().into(), None),
            Self::Changed { changes, status, nonce } => {
                for (at, value) in changes {
                    let member = MEMBERS[usize::from(*at) % MEMBERS.len()];
                    match value.value() {
                        Some(value) => document[member] = value,
                        None => drop(document.as_object_mut().map(|own| own.remove(member))),
                    }
                }
                (status.or(Some(right_status)), document.to_string().into(), *nonce)
            }
            Self::Raw { status, body, nonce } => {
                (Some(*status), Bytes::copy_from_slice(without_mark(body)), *nonce)
            }
            Self::Absent => (Some(404), Bytes::new(), None),
            Self::Cut { at, tail } => {
                let text = document.to_string();
                let body = &text.as_bytes()[..text.len().min(usize::from(*at))];
                (Some(right_status), [body, without_mark(tail)].concat().into(), None)
            }
            Self::Nonce => {
                (Some(400), json!({"error": "use_dpop_nonce"}).to_string().into(), Some(&b"n"[..]))
            }
        };
        let mut response = Response::new(body);
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        *response.status_mut() = status.unwrap_or(StatusCode::OK);
        if let Some(nonce) = nonce.and_then(|nonce| HeaderValue::from_bytes(nonce).ok()) {
            response.headers_mut().insert("dpop-nonce", nonce);
        }
        response
    }
}

fn without_mark(text: &[u8]) -> &[u8] {
    let has_mark = text.windows(MARK.len()).any(|own| own == MARK.as_bytes());
    if has_mark { &[] } else { text }
}

/// The answer that goes on.
fn right(purpose: FlowStage) -> (u16, Value) {
    match purpose {
        FlowStage::ResourceMetadata => {
            (200, json!({"resource": RESOURCE, "authorization_servers": ["https://as.example"]}))
        }
        FlowStage::ServerMetadata => (
            200,
            json!({
                "issuer": "https://as.example",
                "authorization_endpoint": "https://as.example/authorize",
                "token_endpoint": "https://as.example/token",
                "registration_endpoint": "https://as.example/register",
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported":
                    ["client_secret_basic", "client_secret_post", "none"],
                "authorization_response_iss_parameter_supported": true,
                "dpop_signing_alg_values_supported": ["ES256"],
            }),
        ),
        FlowStage::Registration => {
            (201, json!({"client_id": "c1", "client_secret": "secret-5ec237-of-the-client"}))
        }
        _ => (
            200,
            json!({
                "access_token": "access-5ec237-token",
                "refresh_token": "refresh-5ec237-token",
                "token_type": "bearer",
                "expires_in": 600,
            }),
        ),
    }
}
