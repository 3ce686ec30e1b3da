//! State machine of a login, refresh or step-up, from the URL of an MCP server to tokens.
//!
//! These modules depend on each other in a circle, and no others of this crate do. A state leads to a [`Step`]; a step
//! holds the states that it can go on with (the response to an [`Exchange`] goes to one of five, which [`exchange`]
//! lists as one enum); and a state turns an answer into the next step. An enum of states is a circle by construction.
//! Everything that needs no step stands outside: the [aim](crate::goal) of a login, its [scopes](crate::scope), a
//! [token request](crate::token) and the [session](crate::session) that results.
//!
//! | state | waits for | module |
//! |---|---|---|
//! | `FindResource` | protected resource metadata | [`discovery`] |
//! | [`ChooseServer`] | the host's choice of an authorization server | [`discovery`] |
//! | `FindServer` | authorization server metadata | [`server`] |
//! | [`Recall`] | the stored record | [`recall`], [`refresh`], [`step_up`], [`attempt`] (denial), [`saving`] |
//! | `Registering` | the registration response | [`registration`] |
//! | [`Randomize`] | random bytes | [`randomize`] |
//! | [`Visit`] | the authorization response (callback) | [`visit`] |
//! | [`Identify`], `Asserting` | a token of a workload or user; the assertion issued for it | [`identity`] |
//! | `Redeeming` | the token response | [`redeem`] |
//! | [`Save`] | the result of the host's store | [`step`] |

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
