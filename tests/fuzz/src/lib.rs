//! What targets share: for flows, answers made of the input and a host that looks at every request; for servers, a
//! store that fails and a model that looks at every change.

mod acts;
mod answer;
mod cast;
mod host;
mod server;
mod witness;

pub use acts::Act;
pub use answer::{Answer, Json};
pub use cast::{CLIENTS, RESOURCES, SCOPES, START, authorization_server, look_at, verifier};
pub use host::{Callback, Host, NOW, config};
pub use server::{Server, check};
pub use witness::{Witness, now};

/// The server that is logged in to.
pub const RESOURCE: &str = "https://rs.example/mcp";
/// It is in each secret that a right answer gives, and in nothing else that is answered.
pub const MARK: &str = "5ec237";
