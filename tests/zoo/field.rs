//! Every file of the field: what real clients and servers send, with the outcome that is owed.
//!
//! The formats are described in `tests/zoo/field/README.md`. Another folder with files of the same formats can be named by
//! `MCP_OAUTH_FIELD`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::join_all;
use serde_json::Value;

use crate::client_case::{self, Outcome};
use crate::script::{Failed, encode};
use crate::{browser_case, jwt_case, server_case};

/// Files whose outcome is not reached yet, each with what it waits for. One that passes has to leave the list.
const NOT_YET: &[(&str, &str)] = &[];

/// The longest that one file may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

#[expect(
    clippy::disallowed_methods,
    reason = "a test program is told its folder by the environment"
)]
fn named_folder() -> Option<PathBuf> {
    std::env::var_os("MCP_OAUTH_FIELD").map(PathBuf::from)
}

/// The text of a file.
#[expect(clippy::disallowed_methods, reason = "the cases are files")]
pub(crate) fn read(path: &Path) -> Result<String, Failed> {
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

/// The files of a folder that are no page about it.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).filter(|it| it.is_file()).collect();
    files.retain(|path| path.file_name().is_some_and(|name| name != "README.md"));
    files.sort();
    files
}

/// The name of a file.
pub(crate) fn named(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Runs all files, tells the figures, and returns how many failed.
pub(crate) async fn run() -> usize {
    let given = named_folder();
    let folder = given.clone().unwrap_or(Path::new(env!("CARGO_MANIFEST_DIR")).join("zoo/field"));
    let files = files(&folder);
    let cases = files.iter().map(|path| {
        let path = path.clone();
        tokio::spawn(async move { tokio::time::timeout(DEADLINE, case(&path)).await })
    });
    let (mut passed, mut failed) = (0, 0);
    for (path, outcome) in files.iter().zip(join_all(cases).await) {
        let name = named(path);
        let outcome = match outcome {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err("no end within the deadline".to_owned()),
            Err(error) => Err(format!("a panic: {error}")),
        };
        let waits = NOT_YET.iter().find(|(own, _)| *own == name && given.is_none());
        match (outcome, waits) {
            (Ok(()), None) => {
                passed += 1;
                println!("field/{name}: passed");
            }
            (Ok(()), Some(_)) => {
                failed += 1;
                println!("field/{name}: FAILED: it passes, take it off the list `NOT_YET`");
            }
            (Err(_), Some((_, why))) => println!("field/{name}: not yet: {why}"),
            (Err(why), None) => {
                failed += 1;
                println!("field/{name}: FAILED: {why}");
            }
        }
    }
    if files.is_empty() {
        println!("no file in {}", folder.display());
        failed += 1;
    }
    println!("field: {passed} passed, {failed} failed");
    failed
}

async fn case(path: &Path) -> Result<(), Failed> {
    let (name, file) = (named(path), read(path)?);
    if name.starts_with("browser-") && name.ends_with(".txt") {
        return browser_case::check(&file).await;
    }
    let json = || serde_json::from_str::<Value>(&file).map_err(|error| error.to_string());
    let json = json()?;
    if !json["routes"].is_null() {
        let outcome = client_case::outcome(&file).await?;
        client_case::check(&outcome)?;
        return owed_by_client(&name, &outcome);
    }
    if !json["steps"].is_null() {
        let answers = server_case::answers(&json).await?;
        let is_token =
            answers.last().is_some_and(|last| last.as_ref().is_some_and(|it| it.status == 200));
        let text: String = answers.iter().flatten().map(crate::visitor::Answer::text).collect();
        let is_owed = match &*name {
            // A token for the one resource, or `invalid_target`.
            "server-resource-is-origin.json" => is_token || text.contains("invalid_target"),
            _ => true,
        };
        return if is_owed { Ok(()) } else { Err(text) };
    }
    if !json["cases"].is_null() {
        return jwt_case::check(&json).await;
    }
    Err("the file has an unknown format".into())
}

/// What `README.md` says about single files beyond what they say themselves.
fn owed_by_client(name: &str, outcome: &Outcome) -> Result<(), Failed> {
    let error = outcome.error();
    let is_ok = outcome.last() == "200";
    let own = text_of(outcome, "/routes/0/json/authorization_servers/0");
    let is_owed = match name {
        "client-issuer-of-vendor-unpinned.json" => {
            !outcome.asked("POST /register") && outcome.debug.contains("IssuerMismatch")
        }
        "client-issuer-slash-unpinned.json" => {
            let without = own.trim_end_matches('/');
            error.contains(&own) && error.replace(&own, "").contains(without)
        }
        "client-iss-promised-and-missing.json" => !outcome.asked("POST /token"),
        "client-multi-tenant-placeholder.json" => {
            !outcome.asked("POST /token") && error.contains("ServerProfile::entra")
        }
        // `client_secret_post`, or Basic with `c1:s1`.
        "client-registration-empty-method.json" => {
            outcome.asked("client_secret=s1") || outcome.asked("Basic YzE6czE=")
        }
        "client-registration-number-id.json" => is_ok || error.contains("client_id"),
        "client-url-with-marketing-query.json" => {
            let resource = format!("resource={}", encode(&format!("{}/mcp", outcome.rs)));
            let ends = |text: &str| text.split(['&', '?', '\n', ' ']).any(|pair| pair == resource);
            outcome.visits.iter().all(|(_, url)| ends(url))
                && outcome.exchanges.iter().any(|exchange| ends(&exchange.request))
        }
        "client-endpoint-redirects-to-slash.json" => {
            is_ok || error.contains("redirect") || error.contains("moved")
        }
        "client-first-place-500.json" => is_ok || error.contains("500"),
        _ => true,
    };
    if is_owed {
        return Ok(());
    }
    Err(format!("not what README.md owes: {:?} {}", outcome.calls, outcome.debug))
}

fn text_of(outcome: &Outcome, pointer: &str) -> String {
    outcome.file.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}
