//! Clients that people really use, each against our own servers over HTTP: register or offer a document, log in, call
//! a tool, step up or say why not, refresh.
//!
//! `clients/` has one file a client: what it sends, with its sources, and what could not be found out (`assumed`).

use std::path::Path;

use futures::future::join_all;
use serde_json::Value;

use crate::client_run;
use crate::field::{files, named, read};
use crate::our::Settings;
use crate::script::{Failed, known, text, texts};

/// Clients that do not yet get in as their file says, each with what it waits for.
const NOT_YET: &[(&str, &str)] = &[];

const MEMBERS: [&str; 18] = [
    "client",
    "as_of",
    "source",
    "assumed",
    "registration",
    "document",
    "discovery",
    "redirect_uri",
    "scope",
    "adds",
    "resource",
    "authenticates",
    "headers",
    "origin",
    "steps_up",
    "refreshes",
    "works",
    "why",
];

/// The folder of the files.
pub(crate) fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("zoo/clients")
}

/// Every client, by the name of its file.
pub(crate) fn clients() -> Vec<(String, Value)> {
    let client = |path: std::path::PathBuf| {
        let json = serde_json::from_str(&read(&path).unwrap()).unwrap();
        (named(&path), json)
    };
    files(&folder()).into_iter().map(client).collect()
}

/// Runs all clients, tells the figures, and returns how many failed.
pub(crate) async fn run() -> usize {
    let clients = clients();
    let runs = clients.iter().map(|(_, client)| {
        let client = client.clone();
        tokio::spawn(async move { check(&client).await })
    });
    let (mut passed, mut failed) = (0, 0);
    for ((name, _), outcome) in clients.iter().zip(join_all(runs).await) {
        let outcome = outcome.unwrap_or_else(|error| Err(format!("a panic: {error}")));
        let waits = NOT_YET.iter().find(|(own, _)| own == name);
        match (outcome, waits) {
            (Ok(()), None) => {
                passed += 1;
                println!("clients/{name}: passed");
            }
            (Ok(()), Some(_)) => {
                failed += 1;
                println!("clients/{name}: FAILED: it passes, take it off the list `NOT_YET`");
            }
            (Err(_), Some((_, why))) => println!("clients/{name}: not yet: {why}"),
            (Err(why), None) => {
                failed += 1;
                println!("clients/{name}: FAILED: {why}");
            }
        }
    }
    if clients.len() < 24 {
        println!("clients: only {} of 24", clients.len());
        failed += 1;
    }
    println!("clients: {passed} passed, {failed} failed");
    failed
}

/// Checks that a client gets as far as its file says: as it is, or with exactly the setting that it names.
async fn check(client: &Value) -> Result<(), Failed> {
    let members: Vec<_> = MEMBERS.into_iter().chain(["setting", "stale"]).collect();
    known(client, "the file", &members)?;
    if texts(&client["source"]).is_empty() || text(client, "as_of").is_none() {
        return Err("a client needs `source` and `as_of`".into());
    }
    let plain = client_run::run(client, settings(client, &Value::Null)?).await;
    match text(client, "works") {
        Some("yes") => plain?,
        Some("with") => {
            if plain.is_ok() {
                return Err("it works without the setting".into());
            }
            client_run::run(client, settings(client, &client["setting"])?).await?;
        }
        Some("no") if plain.is_err() => {}
        Some("no") => return Err("it works".into()),
        other => return Err(format!("`works` is {other:?}")),
    }
    if client["steps_up"] == true || text(client, "works") == Some("no") {
        return Ok(());
    }
    // A client that cannot step up gets all scopes at its login, if the first challenge names them.
    let mut all = settings(client, &client["setting"])?;
    all.scopes_challenged = Some("files:read files:write".to_owned());
    client_run::run(client, all).await
}

fn settings(client: &Value, setting: &Value) -> Result<Settings, Failed> {
    if !setting.is_null() {
        known(setting, "setting", &["private_use", "cors", "one_origin"])?;
    }
    let owned = |value: &Value| texts(value).into_iter().map(str::to_owned).collect();
    let document = &client["document"];
    let documents = text(document, "url").map(|url| {
        let answer = serde_json::json!({"json": document["json"]});
        (url.to_owned(), answer)
    });
    Ok(Settings {
        private_use: owned(&setting["private_use"]),
        cors: owned(&setting["cors"]),
        one_origin: setting["one_origin"] == true,
        documents: documents.into_iter().collect(),
        ..Settings::default()
    })
}
