//! What the flow targets share: answers made of the input, and a host that looks at every request of a flow.

mod answer;
mod host;

pub use answer::{Answer, Json};
pub use host::{Callback, Host, NOW, config};

/// The server that is logged in to.
pub const RESOURCE: &str = "https://rs.example/mcp";
/// It is in each secret that a right answer gives, and in nothing else that is answered.
pub const MARK: &str = "5ec237";
