//! Clients and servers that people really use, as data: `cargo test -p tests --test zoo`.
//!
//! | module | what it reads |
//! |---|---|
//! | `field` | every file of `tests/field`, or of the folder that `MCP_OAUTH_FIELD` names |
//! | `client_zoo` | `clients/`, one file a client: what it sends, and how far it gets at our servers |
//! | `providers` | every file of `tests/zoo/providers`: an authorization server as it is, and what our client makes of it |

#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod browser_case;
mod client_case;
mod client_run;
mod client_zoo;
mod fake;
mod field;
mod jwt_case;
mod our;
mod providers;
mod script;
mod server_case;
mod visitor;

use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let failed = runtime
        .block_on(async { field::run().await + client_zoo::run().await + providers::run().await });
    ExitCode::from(u8::from(failed > 0))
}
