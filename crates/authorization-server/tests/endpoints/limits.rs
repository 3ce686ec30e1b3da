//! Limits for the peer of a request: what the endpoints ask about and count, and how a request too many is answered.

use core::time::Duration;
use std::sync::Mutex;

use authorization_server::{Attempt, ClientRecord, Failure, ResourceServer, Store as _};
use client_auth::ClientAuthRecord;
use http::StatusCode;
use http::header::{CACHE_CONTROL, RETRY_AFTER};
use oauth_types::{AuthMethod, ClientId, ResourceUri, ScopeSet, Secret, SecretDigest};
use serde_json::json;

use crate::server::*;

/// What the host was asked and told, and the question that it answers with "later".
#[derive(Default)]
pub(crate) struct Limits {
    refused: Mutex<&'static str>,
    seen: Mutex<Vec<String>>,
}

impl Limits {
    fn record(&self, kind: &str, rest: &str) -> Result<(), Duration> {
        self.seen.lock().unwrap().push(format!("{kind}{rest}"));
        let is_refused = *self.refused.lock().unwrap() == kind;
        if is_refused { Err(Duration::from_secs(7)) } else { Ok(()) }
    }

    pub(crate) fn admit(&self, attempt: &Attempt<'_>) -> Result<(), Duration> {
        self.record("attempt", &text(attempt))
    }

    pub(crate) fn registration(&self) -> Result<(), Duration> {
        self.record("registration", "")
    }

    pub(crate) fn failure(&self, attempt: &Attempt<'_>, failure: Failure) -> Result<(), Duration> {
        let kind = match failure {
            Failure::Authentication => "failure",
            _ => "unknown grant",
        };
        self.record(kind, &text(attempt))
    }

    pub(crate) fn verifies(&self, attempt: &Attempt<'_>) {
        let _ = self.record("verification", &text(attempt));
    }

    pub(crate) fn used(&self, client: &ClientRecord) {
        let _ = self.record("used", &format!(" {}", client.client_id));
    }

    pub(crate) fn refuse(&self, kind: &'static str) {
        *self.refused.lock().unwrap() = kind;
    }

    /// What was asked and told since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        core::mem::take(&mut *self.seen.lock().unwrap())
    }
}

fn text(attempt: &Attempt<'_>) -> String {
    let client = attempt.client_id.map_or("-", ClientId::as_str);
    let shows = if attempt.has_credentials { " with credentials" } else { "" };
    format!(" {client}{shows}")
}

fn secret() -> ClientAuthRecord {
    ClientAuthRecord::new(AuthMethod::ClientSecretPost).with_secret(Secret::new("right").digest())
}

/// A server with a public client `public`, a client `machine` that has a secret, and a resource server `rs`.
fn limited() -> Server {
    let resource = ResourceUri::parse("https://rs.example/mcp").unwrap();
    let client_id = ClientId::parse("rs").unwrap();
    let asker = ResourceServer::new(client_id, secret(), resource);
    let server = server_of(config("https://as.example").with_resource_server(asker).unwrap());
    let back = oauth_types::RedirectUri::parse(REDIRECT).unwrap();
    let id = ClientId::parse("public").unwrap();
    let public = ClientAuthRecord::public();
    let public = ClientRecord::pre_registered(&server.config, id, public, vec![back], NOW).unwrap();
    let (id, scopes) =
        (ClientId::parse("machine").unwrap(), ScopeSet::parse("files:read").unwrap());
    let machine = ClientRecord::client_credentials(id, secret(), scopes, NOW);
    for client in [public, machine] {
        block_on(server.store.create_client(client, NOW)).unwrap();
    }
    server
}

const MACHINE: &str = "grant_type=client_credentials&client_id=machine";

/// SEC-088, SEC-222
#[test]
fn the_host_hears_of_every_attempt_and_of_guessing() {
    let server = limited();
    let code = server.code("public");
    let made_up = redeem("public", "made-up");
    server.limits.take();
    for (path, form, status, seen) in [
        (
            "/token",
            format!("{MACHINE}&client_secret=right"),
            StatusCode::OK,
            &["attempt machine with credentials", "used machine"][..],
        ),
        (
            "/token",
            format!("{MACHINE}&client_secret=wrong"),
            StatusCode::UNAUTHORIZED,
            &["attempt machine with credentials", "failure machine with credentials"],
        ),
        (
            "/token",
            MACHINE.replace("machine", "nobody") + "&client_secret=x",
            StatusCode::UNAUTHORIZED,
            &["attempt nobody with credentials", "failure nobody with credentials"],
        ),
        // A request without credentials guesses no secret, but it may guess a code or token.
        ("/token", made_up, StatusCode::BAD_REQUEST, &["attempt public", "unknown grant public"]),
        (
            "/token",
            "grant_type=refresh_token&client_id=public&refresh_token=x".to_owned(),
            StatusCode::BAD_REQUEST,
            &["attempt public", "unknown grant public"],
        ),
        ("/token", "grant_type=password&client_id=public".to_owned(), StatusCode::BAD_REQUEST, &[]),
        ("/token", redeem("public", &code), StatusCode::OK, &["attempt public", "used public"]),
        ("/revoke", "client_id=public&token=x".to_owned(), StatusCode::OK, &["attempt public"]),
        (
            "/revoke",
            "client_id=machine&client_secret=wrong&token=x".to_owned(),
            StatusCode::UNAUTHORIZED,
            &["attempt machine with credentials", "failure machine with credentials"],
        ),
        (
            "/introspect",
            "client_id=rs&client_secret=wrong&token=x".to_owned(),
            StatusCode::UNAUTHORIZED,
            &["attempt - with credentials", "failure - with credentials"],
        ),
        (
            "/introspect",
            "client_id=rs&client_secret=right&token=x".to_owned(),
            StatusCode::OK,
            &["attempt - with credentials"],
        ),
    ] {
        let answer = server.form(path, &form);
        assert_eq!(answer.status, status, "{path} {form}");
        assert_eq!(server.limits.take(), seen, "{path} {form}");
    }
    server.client();
    assert_eq!(server.limits.take(), ["registration"]);
}

/// SEC-088, SEC-108, SEC-222
#[test]
fn a_request_too_many_changes_nothing_and_is_told_when_to_retry() {
    let server = limited();
    let code = server.code("public");
    let too_many = |kind, answer: Answer| {
        let is = (answer.status, &*answer.error(), answer.header(RETRY_AFTER));
        assert_eq!(is, (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", "7"), "{kind}");
        assert_eq!(answer.header(CACHE_CONTROL), "no-store", "{kind}");
    };
    server.limits.refuse("attempt");
    for (path, form) in [
        ("/token", redeem("public", &code)),
        ("/token", format!("{MACHINE}&client_secret=right")),
        ("/revoke", "client_id=public&token=x".to_owned()),
        ("/introspect", "client_id=rs&client_secret=right&token=x".to_owned()),
    ] {
        too_many(path, server.form(path, &form));
    }
    server.limits.refuse("registration");
    let metadata = json!({"redirect_uris": [REDIRECT]});
    too_many("registration", server.register(metadata));
    server.limits.refuse("unknown grant");
    too_many("made up", server.form("/token", &redeem("public", "made-up")));
    // A failed authentication stays what it is, whatever the host says of it.
    server.limits.refuse("failure");
    let wrong = server.form("/token", &format!("{MACHINE}&client_secret=wrong"));
    assert_eq!((wrong.status, &*wrong.error()), (StatusCode::UNAUTHORIZED, "invalid_client"));
    // The code that was sent meanwhile is as good as before.
    let kept = block_on(server.store.read_code(&SecretDigest::of(&code))).unwrap().unwrap();
    assert_eq!(kept.redeemed, None);
    assert_eq!(server.form("/token", &redeem("public", &code)).status, StatusCode::OK);
}
