//! State machine of a login, refresh or step-up, from the URL of an MCP server to tokens.
//!
//! These modules depend on each other in a circle, and no others of this crate do. A state leads to a [`Step`]; a step
//! holds the states that it can go on with (the response to a [`SendRequest`] goes to one of five, which
//! [`send_request`] lists as one enum); and a state turns an answer into the next step. An enum of states is a circle
//! by construction. Everything that needs no step stands outside: the [aim](crate::goal) of a login, its
//! [scopes](crate::scope), a [token request](crate::token) and the [session](crate::session) that results.
//!
//! | state | waits for | module |
//! |---|---|---|
//! | `FindResource` | protected resource metadata | [`discovery`] |
//! | [`ChooseServer`] | the host's choice of an authorization server | [`discovery`] |
//! | `MetadataDiscovery` | authorization server metadata | [`server`] |
//! | [`LoadCredentials`] | the stored record | [`load_credentials`], [`refresh`], [`step_up`], [`attempt`], [`saving`] |
//! | `Registering` | the registration response | [`registration`] |
//! | [`GenerateRandom`] | random bytes | [`generate_random`] |
//! | [`BrowserRequest`] | the authorization response (callback) | [`open_browser`] |
//! | [`GetAssertion`], `Asserting` | a token of a workload or user; the assertion issued for it | [`get_assertion`] |
//! | `Redeeming` | the token response | [`redeem`] |
//! | [`SaveCredentials`] | the result of the host's store | [`step`] |

mod attempt;
mod authorization;
mod discovery;
mod generate_random;
mod get_assertion;
mod load_credentials;
mod open_browser;
mod redeem;
mod refresh;
mod registration;
mod saving;
mod send_request;
mod server;
mod sought;
mod step;
mod step_up;

pub use discovery::{ChooseServer, login};
pub use generate_random::GenerateRandom;
pub use get_assertion::GetAssertion;
pub use load_credentials::LoadCredentials;
pub use open_browser::BrowserRequest;
#[cfg(feature = "sealed")]
pub(crate) use open_browser::Pending;
pub use send_request::SendRequest;
pub use step::{SaveCredentials, Step};
