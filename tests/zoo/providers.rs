//! Authorization servers that people really use: our client gets in, or says the next step.
//!
//! The format is that of client files (`tests/zoo/field/README.md`), with `as_of`, the month of the source; `assumed`, what no
//! source says; `profile`, the exceptions for one issuer (`of` a known server, with a fixed `scope`, the URL of the `metadata` and that of the
//! `authorization_endpoint`); and a `method` of `pre_registered`.

use std::path::{Path, PathBuf};

use futures::future::join_all;
use serde_json::Value;

use crate::client_case;
use crate::field::{DEADLINE, files, named, read};
use crate::script::{Failed, text};

/// Files whose outcome is not reached yet, each with what it waits for. One that passes has to leave the list.
const NOT_YET: &[(&str, &str)] = &[];

/// The fewest servers that the files are about.
const FEWEST: usize = 12;

/// Runs all files, tells the figures, and returns how many failed.
pub(crate) async fn run() -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("zoo/providers");
    let files = files(&folder);
    let cases = files
        .iter()
        .cloned()
        .map(|path| tokio::spawn(async move { tokio::time::timeout(DEADLINE, case(path)).await }));
    let (mut passed, mut failed) = (0, 0);
    for (path, outcome) in files.iter().zip(join_all(cases).await) {
        let name = named(path);
        let outcome = match outcome {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err("no end within the deadline".to_owned()),
            Err(error) => Err(format!("a panic: {error}")),
        };
        let waits = NOT_YET.iter().find(|(own, _)| *own == name);
        match (outcome, waits) {
            (Ok(()), None) => {
                passed += 1;
                println!("provider/{name}: passed");
            }
            (Ok(()), Some(_)) => {
                failed += 1;
                println!("provider/{name}: FAILED: it passes, take it off the list `NOT_YET`");
            }
            (Err(_), Some((_, why))) => println!("provider/{name}: not yet: {why}"),
            (Err(why), None) => {
                failed += 1;
                println!("provider/{name}: FAILED: {why}");
            }
        }
    }
    if files.len() < FEWEST {
        println!("provider: only {} files", files.len());
        failed += 1;
    }
    println!("provider: {passed} passed, {failed} failed");
    failed
}

async fn case(path: PathBuf) -> Result<(), Failed> {
    let file = read(&path)?;
    let json: Value = serde_json::from_str(&file).map_err(|error| error.to_string())?;
    if let Some(missing) =
        ["source", "as_of", "what"].into_iter().find(|it| text(&json, it).is_none())
    {
        return Err(format!("the file has no `{missing}`"));
    }
    client_case::check(&client_case::outcome(&file).await?)
}
