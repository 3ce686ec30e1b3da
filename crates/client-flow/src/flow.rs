//! State machine of a login, refresh or step-up, from the URL of an MCP server to tokens.
//!
//! These modules depend on each other in a circle, and no others of this crate do. A state leads to a [`Step`]; a step
//! holds the states that it can go on with (the response to an [`SendRequest`] goes to one of five, which [`exchange`]
//! lists as one enum); and a state turns an answer into the next step. An enum of states is a circle by construction.
//! Everything that needs no step stands outside: the [aim](crate::goal) of a login, its [scopes](crate::scope), a
//! [token request](crate::token) and the [session](crate::session) that results.
//!
//! | state | waits for | module |
//! |---|---|---|
//! | `FindResource` | protected resource metadata | [`discovery`] |
//! | [`ChooseServer`] | the host's choice of an authorization server | [`discovery`] |
//! | `MetadataDiscovery` | authorization server metadata | [`server`] |
//! | [`LoadCredentials`] | the stored record | [`recall`], [`refresh`], [`step_up`], [`attempt`] (denial), [`saving`] |
//! | `Registering` | the registration response | [`registration`] |
//! | [`GenerateRandom`] | random bytes | [`randomize`] |
//! | [`BrowserRequest`] | the authorization response (callback) | [`visit`] |
//! | [`GetAssertion`], `Asserting` | a token of a workload or user; the assertion issued for it | [`identity`] |
//! | `Redeeming` | the token response | [`redeem`] |
//! | [`SaveCredentials`] | the result of the host's store | [`step`] |

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
pub use exchange::SendRequest;
pub use identity::GetAssertion;
pub use randomize::GenerateRandom;
pub use recall::LoadCredentials;
pub use step::{SaveCredentials, Step};
pub use visit::BrowserRequest;
#[cfg(feature = "sealed")]
pub(crate) use visit::Pending;
