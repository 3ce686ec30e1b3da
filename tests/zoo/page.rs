//! The compatibility page says what the data says: `crates/COMPATIBILITY.md` has one row a client and one a provider,
//! each made of its file. With `MCP_AUTHZ_WRITE_PAGE` set, the rows are written instead of compared.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::client_zoo;
use crate::field::{files, named, read};
use crate::script::{text, texts};

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/COMPATIBILITY.md")
}

/// Compares the page with the data, and returns how many parts differ.
pub(crate) fn run() -> usize {
    let parts = [("clients", clients()), ("providers", providers())];
    let Ok(own) = read(&page()) else {
        println!("page: FAILED: {} is not there", page().display());
        return 1;
    };
    let mut written = own.clone();
    for (name, rows) in &parts {
        let (start, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
        let parts = written.split_once(&start).zip(written.split_once(&end));
        let Some(((before, _), (_, after))) = parts else {
            println!("page: FAILED: the page has no part `{name}`");
            return 1;
        };
        written = format!("{before}{start}{rows}{end}{after}");
    }
    if written == own {
        println!("page: 1 passed, 0 failed");
        return 0;
    }
    if may_write() {
        write(&written);
        println!("page: written");
        return 0;
    }
    for row in written.lines().filter(|row| !own.lines().any(|own| own == *row)) {
        println!("page: FAILED: the page lacks {row}");
    }
    for row in own.lines().filter(|row| !written.lines().any(|own| own == *row)) {
        println!("page: FAILED: no file says {row}");
    }
    println!("page: 0 passed, 1 failed (MCP_AUTHZ_WRITE_PAGE=1 writes the rows)");
    1
}

#[expect(
    clippy::disallowed_methods,
    reason = "a developer tells the test to write by the environment"
)]
fn may_write() -> bool {
    std::env::var_os("MCP_AUTHZ_WRITE_PAGE").is_some()
}

#[expect(clippy::disallowed_methods, reason = "the page is a file")]
fn write(page_text: &str) {
    std::fs::write(page(), page_text).unwrap();
}

/// A cell of a table: text without what ends a cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn clients() -> String {
    let mut clients = client_zoo::clients();
    clients.sort_by_key(|(_, client)| text(client, "client").unwrap_or_default().to_lowercase());
    let mut rows = String::from(
        "| client | outcome | is known by | steps up | refreshes | note | source |\n|---|---|---|---|---|---|---|\n",
    );
    for (_, client) in &clients {
        let is_known_by = if client["document"].is_null() { "registration" } else { "document" };
        let yes = |name: &str| if client[name] == true { "yes" } else { "no" };
        let _ = writeln!(
            rows,
            "| {} | {} | {is_known_by} | {} | {} | {} | {} ({}) |",
            cell(text(client, "client").unwrap_or_default()),
            outcome(client),
            yes("steps_up"),
            yes("refreshes"),
            cell(text(client, "why").unwrap_or_default()),
            cell(&texts(&client["source"]).join("; ")),
            text(client, "as_of").unwrap_or_default(),
        );
    }
    rows
}

fn outcome(client: &Value) -> String {
    let setting = &client["setting"];
    let list = |value: &Value| {
        let quoted: Vec<_> = texts(value).iter().map(|text| format!("\"{text}\"")).collect();
        quoted.join(", ")
    };
    match text(client, "works") {
        Some("yes") => "works".to_owned(),
        Some("with") if setting["one_origin"] == true => {
            "works with both servers at one origin".to_owned()
        }
        Some("with") if !setting["cors"].is_null() => format!(
            "works with `ProtectLayer::with_cors(BrowserOrigins::listed([{}])?)`",
            list(&setting["cors"])
        ),
        Some("with") => format!(
            "works with `Config::with_private_use_schemes([{}])`",
            list(&setting["private_use"])
        ),
        _ => "does not".to_owned(),
    }
}

fn providers() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("zoo/providers");
    let stem = |path: &PathBuf| named(path).trim_end_matches(".json").to_owned();
    let mut files: Vec<_> = files(&folder).into_iter().map(|path| (stem(&path), path)).collect();
    files.sort();
    let mut rows =
        String::from("| provider | outcome | what is special | source |\n|---|---|---|---|\n");
    for (name, path) in files {
        let file: Value = serde_json::from_str(&read(&path).unwrap()).unwrap();
        let source = text(&file, "source").map_or(texts(&file["source"]).join("; "), str::to_owned);
        let _ = writeln!(
            rows,
            "| {name} | {} | {} | {} ({}) |",
            reaches(&file),
            cell(text(&file, "what").unwrap_or_default()),
            cell(&source),
            text(&file, "as_of").unwrap_or_default(),
        );
    }
    rows
}

/// Returns the stage that the client reaches at a provider, with its settings.
fn reaches(file: &Value) -> String {
    let mut settings = Vec::new();
    let profile = &file["profile"];
    if let Some(of) = text(profile, "of") {
        settings.push(format!("`ServerProfile::{of}`"));
    }
    if !profile["scope"].is_null() {
        settings.push("a fixed scope".to_owned());
    }
    if !profile["metadata"].is_null() {
        settings.push("the place of the metadata".to_owned());
    }
    if !profile["authorization_endpoint"].is_null() {
        settings.push("the page where users log in".to_owned());
    }
    if !file["pinned_issuer"].is_null() {
        settings.push("a pinned issuer".to_owned());
    }
    if !file["pre_registered"].is_null() {
        settings.push("credentials given out by the operator".to_owned());
    }
    let with =
        if settings.is_empty() { String::new() } else { format!(" with {}", settings.join(", ")) };
    match text(&file["expect"], "last") {
        Some("200") => format!("works{with}"),
        _ => format!("does not{with}: refused, and the error says the next step"),
    }
}
