//! Clients and resource servers whose secrets are stored as password hashes.

use core::future::poll_fn;
use core::mem::{replace, take};
use core::task::Poll;
use std::sync::Mutex;

use authorization_server::{ClientRecord, Refusal, ResourceServer, Store as _};
use bytes::Bytes;
use client_auth::{ClientAuthRecord, InvalidSecretHash, Presented, SecretCheck, SecretVerifier};
use futures::FutureExt as _;
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{Request, StatusCode};
use oauth_types::{AuthMethod, ClientId, RedirectUri, ResourceUri, ScopeSet, Secret};

use crate::server::*;

/// Verifier of a made-up hash, `plain$` and the secret, that counts its verifications.
#[derive(Default)]
pub(crate) struct Hashes {
    seen: Mutex<Vec<String>>,
    is_overloaded: bool,
}

impl Hashes {
    pub(crate) async fn run(&self, check: SecretCheck) -> Result<Presented, Refusal> {
        // The verification may be given up here, with nothing changed.
        let mut is_ready = false;
        poll_fn(|context| {
            context.waker().wake_by_ref();
            if replace(&mut is_ready, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        if self.is_overloaded { Err(Refusal::late()) } else { Ok(check.run(self)) }
    }

    fn seen(&self) -> Vec<String> {
        take(&mut *self.seen.lock().unwrap())
    }
}

impl SecretVerifier for Hashes {
    fn verify(&self, hash: &str, secret: &Secret) -> Result<bool, InvalidSecretHash> {
        self.seen.lock().unwrap().push(hash.to_owned());
        Ok(secret.matches(hash.strip_prefix("plain$").ok_or(InvalidSecretHash)?))
    }

    fn decoy(&self) -> &str {
        "plain$decoy"
    }
}

const HASH: &str = "plain$right";
const DECOY: &str = "plain$decoy";

fn secret(hash: &str) -> ClientAuthRecord {
    ClientAuthRecord::new(AuthMethod::ClientSecretPost).with_secret_hash(hash)
}

/// A server with these clients of the operator: `machine`, `digest` and `broken` for client credentials, `web` for
/// codes; and the resource server `rs`.
fn hashed(hashes: Option<Hashes>) -> Server {
    let resource = ResourceUri::parse("https://rs.example/mcp").unwrap();
    let asker = ResourceServer::new(ClientId::parse("rs").unwrap(), secret(HASH), resource);
    let mut server = server_of(config("https://as.example").with_resource_server(asker).unwrap());
    server.hashes = hashes;
    let back = vec![RedirectUri::parse(REDIRECT).unwrap()];
    let web = ClientId::parse("web").unwrap();
    let web = ClientRecord::pre_registered(&server.config, web, secret(HASH), back, NOW).unwrap();
    let digest = ClientAuthRecord::new(AuthMethod::ClientSecretPost)
        .with_secret(Secret::new("right").digest());
    let machines = [("machine", secret(HASH)), ("digest", digest), ("broken", secret("$argon2id"))];
    let machines = machines.map(|(id, authentication)| {
        let scopes = ScopeSet::parse("files:read").unwrap();
        ClientRecord::client_credentials(ClientId::parse(id).unwrap(), authentication, scopes, NOW)
    });
    for client in [web].into_iter().chain(machines) {
        block_on(server.store.create_client(client, NOW)).unwrap();
    }
    server
}

fn machine(id: &str, secret: &str) -> String {
    format!("grant_type=client_credentials&client_id={id}&client_secret={secret}")
}

/// The path and the form of each endpoint that authenticates a client, with this secret.
fn requests(secret: &str) -> [(&'static str, String); 3] {
    [
        ("/token", machine("machine", secret)),
        ("/revoke", format!("client_id=machine&client_secret={secret}&token=x")),
        ("/introspect", format!("client_id=rs&client_secret={secret}&token=x")),
    ]
}

/// A-AUTHN-5, SEC-254: each endpoint verifies the hash once, and the decoy for clients that it does not know.
#[test]
fn each_endpoint_verifies_one_hash_of_a_refused_secret() {
    let server = hashed(Some(Hashes::default()));
    let seen = || server.hashes.as_ref().unwrap().seen();
    for (path, form) in requests("right") {
        assert_eq!(server.form(path, &form).status, StatusCode::OK, "{path}");
        assert_eq!(seen(), [HASH], "{path}");
    }
    for (path, form) in requests("wrong") {
        let wrong = server.form(path, &form);
        assert_eq!((wrong.status, &*wrong.error()), (StatusCode::UNAUTHORIZED, "invalid_client"));
        assert_eq!(seen(), [HASH], "{path}");
        for secret in ["wrong", "decoy"] {
            let form = form.replace("=machine", "=nobody").replace("=rs", "=nobody");
            let unknown = server.form(path, &form.replace("wrong", secret));
            assert_eq!(unknown.json(), wrong.json(), "{path}");
            assert_eq!(seen(), [DECOY], "{path}");
        }
    }
    // A digest is compared first: what it accepts costs nothing, what it refuses one decoy.
    assert_eq!(server.form("/token", &machine("digest", "right")).status, StatusCode::OK);
    assert!(seen().is_empty());
    for secret in ["wrong", "decoy"] {
        let answer = server.form("/token", &machine("digest", secret));
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(seen(), [DECOY]);
    }
}

/// SEC-255, SEC-258: neither an empty secret nor an attempt that the host refuses costs a verification.
#[test]
fn a_refused_attempt_costs_no_verification() {
    let server = hashed(Some(Hashes::default()));
    let seen = || server.hashes.as_ref().unwrap().seen();
    for (path, form) in requests("") {
        assert_eq!(server.form(path, &form).status, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert!(seen().is_empty());
    // The host hears of an attempt before it verifies, and of the failure afterwards.
    for (path, form) in requests("wrong") {
        server.limits.take();
        server.form(path, &form);
        let client = if path == "/introspect" { "-" } else { "machine" };
        let note = |kind| format!("{kind} {client} with credentials");
        assert_eq!(server.limits.take(), ["attempt", "verification", "failure"].map(note));
    }
    seen();
    server.limits.refuse("attempt");
    for (path, form) in requests("right") {
        assert_eq!(server.form(path, &form).status, StatusCode::TOO_MANY_REQUESTS, "{path}");
    }
    let unknown = server.form("/token", &machine("nobody", "x"));
    assert_eq!(unknown.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(seen().is_empty());
}

/// SEC-257: a malformed hash, or a hash without a verifier, is 500 and no failure of the peer.
#[test]
fn a_fault_of_the_host_is_answered_as_one() {
    let without = hashed(None);
    let broken = hashed(Some(Hashes::default()));
    for (server, id) in [(&without, "machine"), (&broken, "broken")] {
        let answer = server.form("/token", &machine(id, "right"));
        let is = (answer.status, &*answer.error());
        assert_eq!(is, (StatusCode::INTERNAL_SERVER_ERROR, "server_error"), "{id}");
        assert!(!answer.headers.contains_key(WWW_AUTHENTICATE));
        let seen = server.limits.take();
        assert!(!seen.iter().any(|seen| seen.starts_with("failure")), "{seen:?}");
    }
    // Without a verifier, all other clients are served as before.
    assert_eq!(without.form("/token", &machine("digest", "right")).status, StatusCode::OK);
    let unknown = without.form("/token", &machine("nobody", "x"));
    assert_eq!(unknown.status, StatusCode::UNAUTHORIZED);
}

/// SEC-258: a request that is given up during the verification, or cannot have one, changes nothing.
#[test]
fn a_request_without_its_verification_leaves_the_code_unused() {
    let mut server = hashed(Some(Hashes::default()));
    let code = server.code("web");
    let form = redeem("web", &code) + "&client_secret=right";
    let request = Request::post("https://as.example/token")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Bytes::from(form.clone()))
        .unwrap();
    assert!(server.answer(&request).now_or_never().is_none(), "given up at the first wait");
    server.hashes = Some(Hashes { is_overloaded: true, ..Hashes::default() });
    let overloaded = server.form("/token", &form);
    assert_eq!(overloaded.status, StatusCode::SERVICE_UNAVAILABLE);
    server.hashes = Some(Hashes::default());
    assert_eq!(server.form("/token", &form).status, StatusCode::OK);
}
