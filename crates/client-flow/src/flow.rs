//! The states of a flow, from the address of an MCP server to tokens.
//!
//! These modules use each other in a circle, and no others of this crate do. A state leads to a [`Step`]; a step holds the
//! states that it may go on with (a response [`Exchange`] waits for is one of five, which [`exchange`] lists as one enum);
//! and what a state does with an answer is to lead to the next step. An enum of states is a circle by construction.
//! What needs no step stands outside: the [aim](crate::goal) of a login, its [scopes](crate::scope), a
//! [token request](crate::token), the [session](crate::session) that comes of it.
//!
//! | state | waits for | module |
//! |---|---|---|
//! | `FindResource` | protected resource metadata | [`discovery`] |
//! | [`ChooseServer`] | the host's choice of an authorization server | [`discovery`] |
//! | `FindServer` | authorization server metadata | [`server`] |
//! | [`Recall`] | the record that the host keeps | [`recall`]; for a refresh [`refresh`], a step-up [`step_up`], a denial [`attempt`], another save [`saving`] |
//! | `Registering` | the answer to a registration | [`registration`] |
//! | [`Randomize`] | random bytes | [`randomize`] |
//! | [`Visit`] | the callback | [`visit`] |
//! | [`Identify`], `Asserting` | a token about a workload or user, and an assertion for it | [`identity`] |
//! | `Redeeming` | the answer of the token endpoint | [`redeem`] |
//! | [`Save`] | the host's store | [`step`] |

mod attempt;
mod authorization;
mod discovery;
mod exchange;
mod identity;
mod randomize;
mod recall;
mod redeem;
mod refresh;
mod registration;
mod saving;
mod server;
mod sought;
mod step;
mod step_up;
mod visit;

pub use discovery::{ChooseServer, login};
pub use exchange::Exchange;
pub use identity::Identify;
pub use randomize::Randomize;
pub use recall::Recall;
pub use step::{Save, Step};
#[cfg(feature = "sealed")]
pub(crate) use visit::Pending;
pub use visit::Visit;
