//! How an address reaches the user's browser.

#![expect(clippy::disallowed_methods, reason = "a test of what another process is handed")]

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use bytes::Bytes;
use client_auth::ClientCredentials;
use client_flow::{BrowserRequest, ClientConfig, Step, login};
use mcp_authz_reqwest::{LoopbackBrowser, UserAgent as _};
use oauth_types::{ClientId, Entropy, Issuer, UnixTime};
use serde_json::json;

/// What a server may put into the address that users are sent to, all of it in the character set of URIs.
const HOSTILE: &str = "https://as.example/$(touch$IFS$9pwned);id&calc?a=1&calc=%0a*'!#";

/// A visit to an endpoint of the server's choice; `None` when that is refused.
fn visit_to(endpoint: &str, browser: &LoopbackBrowser) -> Option<Box<BrowserRequest>> {
    let now = UnixTime::from_secs(0);
    let mut config = ClientConfig::new("Test", browser.redirect_uri().clone());
    let client = ClientCredentials::public(ClientId::parse("c").unwrap());
    config.pre_registered.push((Issuer::parse("https://as.example").unwrap(), client));
    let mut step = login(config, "https://rs.example", None, None).unwrap();
    let mut documents = [
        json!({"resource": "https://rs.example", "authorization_servers": ["https://as.example"]}),
        json!({
            "issuer": "https://as.example",
            "authorization_endpoint": endpoint,
            "token_endpoint": "https://as.example/t",
            "code_challenge_methods_supported": ["S256"],
        }),
    ]
    .into_iter();
    loop {
        step = match step {
            Step::SendRequest(exchange) => {
                let document = documents.next();
                let mut response = http::Response::new(Bytes::from(
                    document.as_ref().map(ToString::to_string).unwrap_or_default(),
                ));
                if document.is_none() {
                    // Where metadata is refused, the next place of the same issuer is asked.
                    *response.status_mut() = http::StatusCode::NOT_FOUND;
                }
                exchange.resume(Ok(response), now).ok()?
            }
            Step::LoadCredentials(recall) => recall.resume(None, now).unwrap(),
            Step::GenerateRandom(draw) => {
                draw.resume(Entropy::new([1; 32]), Entropy::new([2; 32]), now).unwrap()
            }
            Step::OpenBrowser(visit) => return Some(visit),
            other => panic!("{other:?}"),
        }
    }
}

/// The part that runs with a browser of the test's own; nobody comes back from it.
#[tokio::test]
#[ignore = "run by the test below, in a process with another environment"]
async fn child() {
    let browser = LoopbackBrowser::bind().await.unwrap();
    let hostile = HOSTILE.trim_end_matches('#');
    let visit = visit_to(hostile, &browser).unwrap();
    fs::write(env::var("EXPECTED").unwrap(), visit.url()).unwrap();
    let _ = tokio::time::timeout(Duration::from_secs(1), browser.visit(&visit)).await;
}

/// SEC-129, SEC-194
#[tokio::test]
async fn an_address_is_one_argument_and_passes_no_shell() {
    let folder = tempfile::tempdir().unwrap();
    let [script, seen, expected] =
        ["browser", "seen", "expected"].map(|name| folder.path().join(name));
    let lines = format!("#!/bin/sh\nprintf '%s\\n' \"$#\" \"$1\" > '{}'\n", seen.display());
    fs::write(&script, lines).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let status = Command::new(env::current_exe().unwrap())
        .args(["--exact", "opener::child", "--ignored"])
        .env("BROWSER", &script)
        .env("EXPECTED", &expected)
        .current_dir(folder.path())
        .status();
    assert!(status.unwrap().success());
    let seen = fs::read_to_string(seen).unwrap();
    // Written anew by a URL type on the way.
    let expected = fs::read_to_string(expected).unwrap().replace('\'', "%27");
    assert_eq!(seen, format!("1\n{expected}\n"));
    assert!(expected.starts_with("https://as.example/$(touch$"));
    assert!(!folder.path().join("pwned").exists());
    // The address has the state and the challenge, and nothing that has to stay secret.
    assert!(!expected.contains("verifier") && !expected.contains("client_secret"));
}

/// SEC-128, SEC-129
#[tokio::test]
async fn what_is_no_address_is_not_handed_over() {
    let browser = LoopbackBrowser::bind().await.unwrap();
    for bad in [
        HOSTILE,
        "https://as.example/`calc`",
        "https://as.example/|calc",
        "https://as.example/^calc",
        "https://as.example/\"calc",
        "https://as.example/ calc",
        "https://as.example/\ncalc",
        "file:///bin/sh",
        "javascript:alert(1)",
        "vscode://x",
        "--new-window",
        "http://as.example/authorize",
    ] {
        assert!(visit_to(bad, &browser).is_none(), "{bad:?}");
    }
}
