//! Clients and servers that people really use, as data: `cargo test -p tests --test zoo`.
//!
//! | module | what it reads |
//! |---|---|
//! | `field` | every file of `field/`, or of the folder that `MCP_OAUTH_FIELD` names |
//! | `client_zoo` | `clients/`, one file a client: what it sends, and how far it gets at our servers |
//! | `providers` | `providers/`, one file a server: an authorization server as it is, and what our client makes of it |
//! | `page` | `crates/COMPATIBILITY.md`, whose rows are made of these files |

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
mod page;
mod providers;
mod script;
mod server_case;
mod visitor;

use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let zoo = async {
        field::run().await + client_zoo::run().await + providers::run().await + page::run()
    };
    let failed = runtime.block_on(zoo);
    ExitCode::from(u8::from(failed > 0))
}
