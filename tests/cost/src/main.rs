//! Runs one hot path a number of times, so that callgrind counts its instructions.
//!
//! `cargo xtask cost` runs each path of [`PATHS`] under callgrind and compares with `instructions.txt`. Only what runs
//! inside [`counted`] counts: the requests, the codes and the tokens are made before.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "the inputs are ours, and a developer reads the output"
)]

mod documents;
mod server;

/// Runs of a path; enough that what is made at the first one does not show.
pub(crate) const RUNS: usize = 200;

/// Hot path: its name, and the function that prepares [`RUNS`] runs.
type Path = (&'static str, fn() -> Vec<Run>);

/// One run of a path, with its inputs.
pub(crate) type Run = Box<dyn FnOnce()>;

const PATHS: &[Path] = &[
    ("token-code-post", || server::code(server::Method::Post)),
    ("token-code-basic", || server::code(server::Method::Basic)),
    ("token-refresh", server::refresh),
    ("token-wrong-secret", server::wrong_secret),
    ("server-metadata", server::metadata),
    ("registration", server::registration),
    ("call-allowed", || server::call("files:read files:write")),
    ("call-insufficient-scope", || server::call("files:read")),
    ("call-without-token", server::call_without_token),
    ("challenge", documents::challenge),
    ("form", documents::form),
    ("scope-union", documents::scope_union),
    ("read-server-metadata", documents::server_metadata),
    ("read-token-response", documents::token_response),
];

fn main() {
    match std::env::args().nth(1) {
        None => PATHS.iter().for_each(|(name, _)| println!("{name} {RUNS}")),
        Some(wanted) => {
            let (_, prepare) = PATHS.iter().find(|(name, _)| *name == wanted).unwrap();
            let mut runs = prepare();
            // What is made once is made now.
            runs.pop().unwrap()();
            for run in runs {
                counted(run);
            }
        }
    }
}

/// What callgrind counts. Its name is known there.
#[inline(never)]
fn counted(run: Run) {
    run();
}
