//! What a client keeps on disk.

#![expect(clippy::disallowed_methods, reason = "a test of what is in the files")]

mod saves;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client_auth::ClientCredentials;
use client_flow::{BrowserRequest, ClientConfig, CredentialKey, FlowErrorKind, StoredCredentials};
use futures::future::BoxFuture;
use http::StatusCode;
use keyring_core::{CredentialStore as KeyStore, mock};
use mcp_authz_reqwest::{
    AuthorizedClient, CredentialStore, Error, FileCredentials, StoreError, UserAgent, VisitError,
};
use oauth_types::{ClientId, FormPairs, RedirectUri, ResourceUri};

use crate::servers::*;

/// A program that keeps its credentials here, and how often its user was asked.
fn program(servers: &Servers, store: impl CredentialStore) -> (AuthorizedClient, Arc<AtomicUsize>) {
    let (user, visits) = User::who("allow");
    let config = ClientConfig::new("Test", user.redirect_uri.clone());
    let builder = AuthorizedClient::builder(&servers.mcp_url, config).user(user).store(store);
    (builder.build().unwrap(), visits)
}

/// The same, with a folder on disk.
fn started(servers: &Servers, home: &Path) -> (AuthorizedClient, Arc<AtomicUsize>) {
    program(servers, FileCredentials::open(home).unwrap())
}

/// Servers, and a folder that is there as long as its guard.
async fn at_home() -> (Servers, tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("credentials");
    (servers().await, folder, home)
}

fn records(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|kind| kind == "json")).collect()
}

#[tokio::test]
async fn a_restart_asks_nobody_and_sends_nothing_more() {
    let (servers, folder) = (servers().await, tempfile::tempdir().unwrap());
    let home = folder.path().join("a/credentials");
    let (client, visits) = started(&servers, &home);
    all_ok([call(&client, "write")]).await;
    assert_eq!(visits.load(Ordering::SeqCst), 2, "a login and a step-up");
    let (calls, tokens) =
        (servers.calls.load(Ordering::SeqCst), servers.tokens.load(Ordering::SeqCst));

    let (client, visits) = started(&servers, &home);
    all_ok([call(&client, "write")]).await;
    assert_eq!(servers.calls.load(Ordering::SeqCst) - calls, 1);
    assert_eq!(servers.tokens.load(Ordering::SeqCst) - tokens, 0);

    // With an expired token, one refresh more; and the step-up's scopes are still there.
    servers.clock.fetch_add(700, Ordering::SeqCst);
    let (client, later) = started(&servers, &home);
    all_ok([call(&client, "write")]).await;
    assert_eq!(servers.tokens.load(Ordering::SeqCst) - tokens, 1);
    assert_eq!((visits.load(Ordering::SeqCst), later.load(Ordering::SeqCst)), (0, 0));
}

/// C-TOKEN-8, SEC-181
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn programs_that_share_a_folder_burn_no_rotating_token() {
    let (servers, _folder, home) = at_home().await;
    let open = || started(&servers, &home);
    let (first, visits) = open();
    all_ok([get(&first)]).await;
    let others: Vec<_> = (0..8).map(|_| open()).collect();
    for (client, _) in &others {
        all_ok([get(client)]).await;
    }
    for round in 1..=3 {
        // Beyond every grace: a token that is used twice now ends the grant.
        servers.clock.fetch_add(700, Ordering::SeqCst);
        all_ok(others.iter().flat_map(|(client, _)| [get(client), get(client)])).await;
        assert_eq!(servers.tokens.load(Ordering::SeqCst), 1 + round, "one refresh for all");
    }
    let asked: usize = others.iter().map(|(_, visits)| visits.load(Ordering::SeqCst)).sum();
    assert_eq!((visits.load(Ordering::SeqCst), asked), (1, 0));
}

/// SEC-182: it has expired by our clock only.
#[tokio::test]
async fn an_expired_token_is_still_shown_if_the_refresh_fails() {
    let (servers, _folder, home) = at_home().await;
    let (client, _) = started(&servers, &home);
    all_ok([get(&client)]).await;
    let [record] = &records(&home)[..] else { panic!("one record") };
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
    (json["tokens"]["expires_at"], json["tokens"]["refresh_at"]) = (1.into(), 1.into());
    fs::write(record, json.to_string()).unwrap();
    servers.breaks.store(503, Ordering::SeqCst);
    let before = servers.tokens.load(Ordering::SeqCst);
    // The server's clock is another one.
    let (client, visits) = started(&servers, &home);
    all_ok([get(&client)]).await;
    assert_eq!(servers.tokens.load(Ordering::SeqCst) - before, 1);
    // Where it is right, what passes is the error, and nobody is sent to a browser.
    servers.clock.fetch_add(700, Ordering::SeqCst);
    let (client, later) = started(&servers, &home);
    match get(&client).await {
        Err(Error::Flow(flow)) => {
            assert_eq!(*flow.kind(), FlowErrorKind::Status(StatusCode::SERVICE_UNAVAILABLE));
        }
        other => panic!("{other:?}"),
    }
    crate::servers::later(1).await;
    servers.breaks.store(0, Ordering::SeqCst);
    all_ok([get(&client)]).await;
    assert_eq!((visits.load(Ordering::SeqCst), later.load(Ordering::SeqCst)), (0, 0));
}

/// SEC-240
#[tokio::test]
async fn to_forget_a_server_removes_the_registration_too() {
    let (servers, _folder, home) = at_home().await;
    let (client, visits) = started(&servers, &home);
    all_ok([get(&client)]).await;
    client.forget().await.unwrap();
    assert!(records(&home).is_empty());
    all_ok([get(&client)]).await;
    assert_eq!(visits.load(Ordering::SeqCst), 2);
    // Also by a program that has asked for nothing yet, and after a logout.
    client.log_out().await.unwrap();
    started(&servers, &home).0.forget().await.unwrap();
    assert!(records(&home).is_empty());
    client.forget().await.unwrap();
}

/// SEC-194
#[cfg(unix)]
#[tokio::test]
async fn only_the_user_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let (servers, _folder, home) = at_home().await;
    let (client, _) = started(&servers, &home);
    all_ok([get(&client)]).await;
    assert_eq!(mode(&home), 0o700);
    let files: Vec<PathBuf> =
        fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 2, "a record and a lock");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{file:?}");
        // Names say nothing.
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        assert!(!name.contains("127.0.0.1"), "{name}");
    }
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).unwrap();
    let refused = FileCredentials::open(&home).unwrap_err();
    assert!(refused.to_string().contains("0700"), "{refused}");
}

#[tokio::test]
async fn a_damaged_record_is_as_good_as_none() {
    let (servers, _folder, home) = at_home().await;
    let (client, _) = started(&servers, &home);
    all_ok([get(&client)]).await;
    let [record] = &records(&home)[..] else { panic!("one record") };
    for damage in ["", "{", "null", "{\"resource\": 1}"] {
        fs::write(record, damage).unwrap();
        let (client, visits) = started(&servers, &home);
        all_ok([get(&client)]).await;
        assert_eq!(visits.load(Ordering::SeqCst), 1, "{damage}");
    }
}

#[tokio::test]
async fn a_lock_is_one_programs_at_a_time_and_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("credentials");
    let [one, other] = [0, 1].map(|_| FileCredentials::open(&home).unwrap());
    let server = ResourceUri::parse("https://rs.example/mcp").unwrap();
    let elsewhere = ResourceUri::parse("https://other.example/mcp").unwrap();
    let held = one.lock(&server).await.unwrap();
    let short = Duration::from_millis(100);
    assert!(tokio::time::timeout(short, other.lock(&server)).await.is_err());
    assert!(tokio::time::timeout(short, other.lock(&elsewhere)).await.is_ok());
    drop(held);
    assert!(tokio::time::timeout(Duration::from_secs(5), other.lock(&server)).await.is_ok());
}

/// SEC-194
#[tokio::test]
async fn with_a_keyring_the_files_are_sealed() {
    let (servers, _folder, home) = at_home().await;
    let keys: Arc<KeyStore> = mock::Store::new().unwrap();
    let open = |keys: &Arc<KeyStore>| FileCredentials::with_key_store(&home, "test", keys).unwrap();
    let (client, _) = program(&servers, open(&keys));
    all_ok([get(&client)]).await;
    let [record] = &records(&home)[..] else { panic!("one record") };
    let bytes = fs::read(record).unwrap();
    let shown = String::from_utf8_lossy(&bytes);
    for text in ["access_token", "127.0.0.1", "client_id"] {
        assert!(!shown.contains(text), "{text}");
    }
    // The same keyring opens it after a restart, another does not, and in another file nobody does.
    let (client, visits) = program(&servers, open(&keys));
    assert_eq!(get(&client).await.unwrap(), StatusCode::OK);
    assert_eq!(visits.load(Ordering::SeqCst), 0);
    let server = ResourceUri::parse(&servers.mcp_url).unwrap();
    assert!(open(&keys).find(&server).await.unwrap().is_some());
    let others: Arc<KeyStore> = mock::Store::new().unwrap();
    assert!(open(&others).find(&server).await.unwrap().is_none());
    fs::rename(record, home.join("00.json")).unwrap();
    assert!(open(&keys).find(&server).await.unwrap().is_none());
}

/// C-TOKEN-8, SEC-181
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn addresses_of_one_resource_share_its_rotating_token() {
    let (servers, _folder, home) = at_home().await;
    let at = |query: &str| {
        let (user, visits) = User::who("allow");
        let config = ClientConfig::new("Test", user.redirect_uri.clone());
        let url = format!("{}{query}", servers.mcp_url);
        let store = FileCredentials::open(&home).unwrap();
        let builder = AuthorizedClient::builder(&url, config).user(user).store(store);
        (builder.build().unwrap(), visits)
    };
    let ((one, first), (other, second)) = (at(""), at("?project=1"));
    all_ok([get(&one)]).await;
    // Another address: found out about, and then the same record.
    all_ok([get(&other)]).await;
    assert_eq!((first.load(Ordering::SeqCst), second.load(Ordering::SeqCst)), (1, 0));
    for round in 1..=3 {
        servers.clock.fetch_add(700, Ordering::SeqCst);
        all_ok([get(&one), get(&other)]).await;
        assert_eq!(servers.tokens.load(Ordering::SeqCst), 1 + round);
    }
}

/// SEC-184
#[tokio::test]
async fn an_early_refresh_is_saved_before_the_program_ends() {
    let (servers, _folder, home) = at_home().await;
    let (client, _) = started(&servers, &home);
    all_ok([get(&client)]).await;
    let [record] = &records(&home)[..] else { panic!("one record") };
    let read =
        || -> serde_json::Value { serde_json::from_slice(&fs::read(record).unwrap()).unwrap() };
    let mut json = read();
    let before = json["tokens"]["refresh_token"].clone();
    json["tokens"]["refresh_at"] = 1.into();
    fs::write(record, json.to_string()).unwrap();
    let (client, _) = started(&servers, &home);
    all_ok([get(&client)]).await;
    // A program that ends in order has lost nothing.
    client.flush().await.unwrap();
    assert_ne!(read()["tokens"]["refresh_token"], before);
}

#[tokio::test]
async fn who_logs_out_is_asked_again_here_and_after_a_restart() {
    let (servers, folder, home) = at_home().await;
    let open = || started(&servers, &home);
    let (client, visits) = open();
    all_ok([get(&client)]).await;
    client.log_out().await.unwrap();
    let [record] = &records(&home)[..] else { panic!("one record") };
    let json: serde_json::Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
    assert!(json.get("tokens").is_none() && json["client"]["client_id"].is_string());
    all_ok([get(&client)]).await;
    assert_eq!(visits.load(Ordering::SeqCst), 2);
    // Also by a program that has asked for nothing yet.
    open().0.log_out().await.unwrap();
    let (client, visits) = open();
    all_ok([get(&client)]).await;
    assert_eq!(visits.load(Ordering::SeqCst), 1);
    // Where there is nothing to forget, nothing happens.
    let nowhere = folder.path().join("empty");
    let (client, _) = program(&servers, FileCredentials::open(nowhere).unwrap());
    client.log_out().await.unwrap();
}

#[tokio::test]
async fn who_logs_out_takes_no_other_clients_tokens_along() {
    let (servers, _folder, home) = at_home().await;
    let open = || started(&servers, &home);
    all_ok([get(&open().0)]).await;
    // A client of another name, at the same server and with the same store.
    let (user, _) = User::who("allow");
    let mut config = ClientConfig::new("Other", user.redirect_uri.clone());
    let other = ClientCredentials::public(ClientId::parse("other").unwrap());
    config.pre_registered.push((servers.issuer.clone(), other));
    let builder = AuthorizedClient::builder(&servers.mcp_url, config).user(user);
    let store = FileCredentials::open(&home).unwrap();
    builder.store(store).build().unwrap().log_out().await.unwrap();
    let (client, visits) = open();
    all_ok([get(&client)]).await;
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

/// A user who never comes back, and the clients whose pages were shown.
#[derive(Clone)]
struct Absent {
    redirect_uri: RedirectUri,
    shown: Arc<Mutex<Vec<String>>>,
}

impl UserAgent for Absent {
    fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    fn visit<'a>(&'a self, visit: &'a BrowserRequest) -> BoxFuture<'a, Result<String, VisitError>> {
        let (_, query) = visit.url().split_once('?').unwrap();
        let form = FormPairs::parse(query.as_bytes()).unwrap();
        let client_id = form.value("client_id").unwrap().unwrap().to_owned();
        self.shown.lock().unwrap().push(client_id);
        Box::pin(async { Err(VisitError::Timeout) })
    }
}

/// The programs share a folder.
#[tokio::test]
async fn a_client_that_failed_twice_is_not_shown_by_any_program() {
    let (servers, _folder, home) = at_home().await;
    let absent = Absent { redirect_uri: User::who("allow").0.redirect_uri, shown: Arc::default() };
    for _ in 0..5 {
        let config = ClientConfig::new("Test", absent.redirect_uri.clone());
        let store = FileCredentials::open(&home).unwrap();
        let builder = AuthorizedClient::builder(&servers.mcp_url, config).user(absent.clone());
        let program = builder.store(store).build().unwrap();
        assert!(matches!(get(&program).await, Err(Error::Visit(VisitError::Timeout))));
    }
    {
        let shown = absent.shown.lock().unwrap();
        assert!(shown[0] == shown[1] && shown[2] == shown[3], "{shown:?}");
        assert!(shown[1] != shown[2] && shown[3] != shown[4], "{shown:?}");
    }
    // The user who is there after all logs in, and what worked is used from then on.
    let (client, visits) = started(&servers, &home);
    all_ok([get(&client)]).await;
    client.log_out().await.unwrap();
    all_ok([get(&client)]).await;
    assert_eq!(visits.load(Ordering::SeqCst), 2);
}
