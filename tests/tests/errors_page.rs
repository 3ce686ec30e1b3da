//! `crates/ERRORS.md`: the messages of all errors, made of the snapshots that each crate's unit tests compare.
//!
//! After a change of a message, `INSTA_UPDATE=always cargo test -p <crate> --all-features --lib error_messages` records
//! it, and `INSTA_UPDATE=always cargo test -p tests --test errors_page` writes the page anew.

#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "a test reads snapshots and writes the page, and is told so by the environment"
)]

use std::fs;
use std::path::{Path, PathBuf};

const HEAD: &str = "# Errors

Each error of the library crates, as a program shows it: the text of `Display`, followed by those of its sources \
behind `←`. Values such as `https://as.example` stand for those of the server in question. A text that begins with \
a verb (`is not https`) follows the name of what it is about. No message contains a secret, a body or a query.

This page is made of the snapshots in `crates/*/src/snapshots`; `cargo test -p tests --test errors_page` compares \
them.
";

/// Crates in the order of the page.
const ORDER: [&str; 13] = [
    "oauth-types",
    "client-auth",
    "iss-validate",
    "scope-stepup",
    "client-flow",
    "mcp-authz-reqwest",
    "resource-server",
    "authorization-server",
    "mcp-authz-http",
    "mcp-authz-keys",
    "mcp-authz-sqlite",
    "mcp-authz-postgres",
    "mcp-authz-axum",
];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates")
}

/// Returns the table of a crate.
fn table(name: &str) -> String {
    let file =
        format!("{}__error_messages__every_error_says_what_to_do.snap", name.replace('-', "_"));
    let text = fs::read_to_string(crates().join(name).join("src/snapshots").join(file));
    let text = text.unwrap_or_else(|error| panic!("{name} has no table of its errors: {error}"));
    let (_, rows) = text.split_once("\n---\n").expect("a snapshot has a head");
    rows.trim().to_owned()
}

#[test]
fn the_page_is_made_of_the_snapshots() {
    let mut page = HEAD.to_owned();
    for name in ORDER {
        let rows = table(name);
        page += &format!(
            "\n## {name}\n\n| error | message | who must act | what to do |\n|---|---|---|---|\n{rows}\n"
        );
    }
    let path = crates().join("ERRORS.md");
    if std::env::var("INSTA_UPDATE").is_ok_and(|mode| mode == "always") {
        fs::write(&path, &page).unwrap();
    }
    assert!(fs::read_to_string(path).unwrap() == page, "see the head of this file");
}

/// Each crate with errors has a table, and lists all of them, so that a new type is not forgotten.
#[test]
fn each_error_type_is_in_the_table_of_its_crate() {
    let mut with_errors = Vec::new();
    for entry in fs::read_dir(crates()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let source = entry.path().join("src");
        let types = if source.is_dir() { error_types(&source) } else { Vec::new() };
        if types.is_empty() {
            continue;
        }
        let rows = table(&name);
        for error in types {
            let begins = |row: &str| {
                let rest = row.strip_prefix("| `").and_then(|row| row.strip_prefix(&*error));
                rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
            };
            assert!(rows.lines().any(begins), "`{error}` of {name} is not in its table");
        }
        with_errors.push(name);
    }
    with_errors.sort_unstable();
    let mut order = ORDER.to_vec();
    order.sort_unstable();
    assert_eq!(with_errors, order, "the page has a table of each crate that has errors");
}

/// Returns the names in `impl Error for …` below a folder.
fn error_types(folder: &Path) -> Vec<String> {
    let mut types = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            types.extend(error_types(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let names = text.lines().filter_map(|line| {
                let (head, rest) = line.split_once("Error for ")?;
                let name = rest.split(|c: char| !c.is_alphanumeric()).next()?;
                head.starts_with("impl ").then(|| name.to_owned())
            });
            types.extend(names);
        }
    }
    types
}
