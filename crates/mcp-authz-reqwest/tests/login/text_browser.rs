//! Text browser in the terminal, which ends only when its user leaves it.

#![expect(clippy::disallowed_methods, reason = "a test of what another process is handed")]

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};

use client_flow::ClientConfig;
use mcp_authz_reqwest::{AuthorizedClient, LoopbackBrowser, UserAgent as _};
use serde_json::json;

use crate::fakes::*;

/// Part of the test that runs with a scripted browser.
#[tokio::test]
#[ignore = "run by the test below, in a process with another environment"]
async fn child() {
    let server = Fake::start(|origin, asked| match asked.what() {
        "GET /.well-known/oauth-protected-resource/mcp" => json(200, &resource(origin)),
        "GET /.well-known/oauth-authorization-server" => json(200, &metadata(origin)),
        "POST /register" => json(201, &json!({"client_id": "c1"})),
        "POST /token" => json(200, &json!({"access_token": "at", "token_type": "Bearer"})),
        "GET /mcp" if asked.token.is_some() => json(200, &json!({})),
        "GET /mcp" => json(401, &json!({})),
        _ => json(404, &json!({})),
    })
    .await;
    let browser = LoopbackBrowser::bind().await.unwrap();
    let config = ClientConfig::new("Test", browser.redirect_uri().clone());
    let builder = AuthorizedClient::builder(&format!("{}/mcp", server.origin), config);
    let client = builder.user(browser).build().unwrap();
    assert_eq!(get(&client).await.unwrap(), 200);
}

/// SEC-250
#[tokio::test]
async fn a_text_browser_is_listened_to_while_its_user_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    // The browser follows the callback, shows the page, and stays until its user leaves.
    let script = folder.path().join("w3m");
    let lines = r#"#!/bin/bash
state=$(sed 's/.*[?&]state=\([^&]*\).*/\1/' <<< "$1")
port=$(sed 's/.*redirect_uri=http%3A%2F%2F127.0.0.1%3A\([0-9]*\).*/\1/' <<< "$1")
exec 3<>"/dev/tcp/127.0.0.1/$port"
printf 'GET /callback?code=c&state=%s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n\r\n' "$state" "$port" >&3
cat <&3 > /dev/null
exec sleep 15 < /dev/null > /dev/null 2>&1
"#;
    fs::write(&script, lines).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let begun = Instant::now();
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "text_browser::child", "--ignored"])
        .env("BROWSER", &script)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(begun.elapsed() < Duration::from_secs(12), "the program waited for its user to leave");
}
