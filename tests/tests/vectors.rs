//! Every row of every vector file: `cargo test -p tests --test vectors`. Another folder of rows of the same
//! formats can be named by `MCP_OAUTH_VECTORS`.

#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;
use tests::vectors::{self, Check};

const FORMATS: [(&str, Check); 9] = [
    ("basic_auth_encoding", vectors::basic_auth_encoding),
    ("client_auth", vectors::client_auth),
    ("discovery_urls", vectors::discovery_urls),
    ("iss_validation", vectors::iss_validation),
    ("redirect_uri", vectors::redirect_uri),
    ("resource_match", vectors::resource_match),
    ("scope_superset", vectors::scope_superset),
    ("scope_union", vectors::scope_union),
    ("www_authenticate", vectors::www_authenticate),
];

#[expect(
    clippy::disallowed_methods,
    reason = "a test program is told its folder by the environment"
)]
fn folder() -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    std::env::var_os("MCP_OAUTH_VECTORS").map_or(default, PathBuf::from)
}

#[expect(clippy::disallowed_methods, reason = "the vectors are files")]
fn rows(path: &Path) -> Option<Vec<Value>> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn main() -> ExitCode {
    let folder = folder();
    let (mut files, mut all_failed) = (0, 0);
    for (format, check) in FORMATS {
        let path = folder.join(format).with_extension("json");
        if !path.exists() {
            println!("{format}: no such file, nothing checked");
            continue;
        }
        files += 1;
        let Some(rows) = rows(&path) else {
            println!("{format}: not a JSON array");
            all_failed += 1;
            continue;
        };
        let (mut passed, mut failed) = (0, 0);
        for row in &rows {
            match check(row) {
                Ok(()) => passed += 1,
                Err(got) => {
                    failed += 1;
                    println!("{format}/{}: expected {}, got {got}", row["name"], row["expect"]);
                }
            }
        }
        println!("{format}: {passed} passed, {failed} failed");
        all_failed += failed;
    }
    if files == 0 {
        println!("no vector file in {}", folder.display());
        return ExitCode::FAILURE;
    }
    ExitCode::from(u8::from(all_failed > 0))
}
