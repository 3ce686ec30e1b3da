//! Program that is killed repeatedly while it refreshes tokens and writes records.
//!
//! The test starts itself as another process. That process calls the MCP server, whose access tokens are valid for two
//! requests, and prints the generation of the tokens that each response reports. It is killed, and the next process
//! continues without its user.

#![expect(clippy::disallowed_methods, reason = "a test of what is left of another process")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client_flow::ClientConfig;
use mcp_authz_reqwest::{AuthorizedClient, FileCredentials, UserAgent as _};
use serde_json::{Value, json};

use crate::fakes::*;

const FOLDER: &str = "MCP_AUTHZ_REQWEST_KILLED_FOLDER";
const SERVER: &str = "MCP_AUTHZ_REQWEST_KILLED_SERVER";
const KILLS: u64 = 40;

/// Valid generation of tokens, the number of its uses, and the reuse of a token.
#[derive(Default)]
struct Grant {
    generation: u64,
    uses: u64,
    is_reused: bool,
}

/// Starts a server whose refresh tokens rotate.
///
/// The refresh token used last leads once more to the same successor; any older one ends the grant.
async fn server(grant: &Arc<Mutex<Grant>>) -> Fake {
    let grant = Arc::clone(grant);
    Fake::start(move |origin, asked| {
        let mut grant = grant.lock().unwrap();
        let tokens = |generation: u64| {
            let (access, refresh) = (format!("at-{generation}"), format!("rt-{generation}"));
            let lifetime = 3600;
            json!({"access_token": access, "refresh_token": refresh, "token_type": "Bearer",
                "expires_in": lifetime})
        };
        match asked.what() {
            "GET /.well-known/oauth-protected-resource/mcp" => json(200, &resource(origin)),
            "GET /.well-known/oauth-authorization-server" => json(200, &metadata(origin)),
            "POST /register" => json(201, &json!({"client_id": "c1", "redirect_uris": [REDIRECT]})),
            "GET /authorize" => {
                let state = asked.parameter("state").unwrap();
                redirect(&format!("{REDIRECT}?code=c&state={state}"))
            }
            "POST /token" if asked.parameter("grant_type") == Some("refresh_token") => {
                let sent = asked.parameter("refresh_token").unwrap();
                let sent: u64 = sent.strip_prefix("rt-").unwrap().parse().unwrap();
                if sent == grant.generation {
                    (grant.generation, grant.uses) = (sent + 1, 0);
                } else if sent + 1 != grant.generation {
                    grant.is_reused = true;
                    return json(400, &json!({"error": "invalid_grant"}));
                }
                json(200, &tokens(grant.generation))
            }
            "POST /token" => json(200, &tokens(grant.generation)),
            "GET /mcp" if asked.token == Some(format!("at-{}", grant.generation)) => {
                grant.uses += 1;
                match grant.uses <= 2 {
                    true => json(200, &json!(grant.generation)),
                    false => json(401, &json!({})),
                }
            }
            "GET /mcp" => json(401, &json!({})),
            _ => json(404, &json!({})),
        }
    })
    .await
}

/// Process that is killed; does nothing when it runs as an ordinary test.
#[tokio::test]
#[ignore = "the other test of this module starts it"]
async fn worker() {
    let (Ok(folder), Ok(server)) = (std::env::var(FOLDER), std::env::var(SERVER)) else { return };
    let user = Follows::new();
    let config = ClientConfig::new("Test", user.redirect_uri().clone());
    let store = FileCredentials::open(folder).unwrap();
    let builder = AuthorizedClient::builder(&format!("{server}/mcp"), config);
    let client = builder.user(user).store(store).build().unwrap();
    let calls = || async {
        let response = client.send(client.get(client.server_url())).await.unwrap();
        let generation = response.text().await.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "answered {generation}").unwrap();
        out.flush().unwrap();
    };
    loop {
        tokio::join!(calls(), calls());
    }
}

/// Starts a worker process.
fn start(folder: &Path, server: &Fake) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::worker", "--ignored", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(SERVER, &server.origin)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Runs a worker, kills it, and returns the last generation that it printed.
fn killed(folder: &Path, server: &Fake, after: Duration) -> u64 {
    let mut child = start(folder, server);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let answered = |line: String| line.split_once("answered ")?.1.trim().parse::<u64>().ok();
    // The time of the kill counts from the first response.
    let mut last = loop {
        let line = lines.next().expect("the worker works").unwrap();
        if let Some(generation) = answered(line) {
            break generation;
        }
    };
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    for line in lines.map_while(Result::ok) {
        last = last.max(answered(line).unwrap_or_default());
    }
    last
}

/// Returns the files of a folder that are neither records nor locks.
fn strays(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    let is_known = |name: &String| {
        let kind = Path::new(name).extension();
        kind.is_some_and(|kind| kind == "json" || kind == "lock")
    };
    names.filter(|name| !is_known(name)).collect()
}

/// Returns the generation of the stored tokens.
fn stored(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut records = files.filter(|file| file.extension().is_some_and(|kind| kind == "json"));
    let record: Value =
        serde_json::from_slice(&fs::read(records.next().unwrap()).unwrap()).unwrap();
    assert!(records.next().is_none(), "one record");
    let token = record["tokens"]["refresh_token"].as_str().unwrap();
    token.strip_prefix("rt-").unwrap().parse().unwrap()
}

/// SEC-251
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_is_killed_loses_nothing_that_was_answered() {
    let (grant, folder) = (Arc::<Mutex<Grant>>::default(), tempfile::tempdir().unwrap());
    let server = server(&grant).await;
    let home = folder.path().join("credentials");
    let mut left = 0;
    for round in 0..KILLS {
        let (own, at) = (home.clone(), server.clone());
        // The kill comes at once or up to a few refreshes later, at different points of a write.
        let after = Duration::from_micros(round * round * 37);
        let last = tokio::task::spawn_blocking(move || killed(&own, &at, after)).await.unwrap();
        let kept = stored(&home);
        assert!(kept >= last, "round {round}: {last} was answered, {kept} is stored");
        assert!(!grant.lock().unwrap().is_reused, "round {round}: a spent token was sent");
        left += strays(&home).len();
    }
    // A kill between a write and its rename leaves one file, which the next program removes.
    assert_eq!(server.count("GET /authorize"), 1, "its user logged in once");
    drop(FileCredentials::open(&home).unwrap());
    assert_eq!(strays(&home), Vec::<String>::new(), "{left} files were left by {KILLS} kills");
}
