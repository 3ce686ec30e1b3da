#![doc = include_str!("../README.md")]

mod attempt;
mod authorization;
mod config;
mod discovery;
mod error;
mod exchange;
mod identity;
mod judge;
mod keys;
mod loopback;
mod mix_up;
mod profile;
mod recall;
mod record;
mod redirect;
mod registration;
#[cfg(feature = "sealed")]
mod sealed;
mod server;
mod session;
mod step;
mod token;
mod transport;
mod unsaved;

// Their types stand in public signatures, so that a user needs no further dependency.
pub use {client_auth, iss_validate, oauth_types, scope_stepup};

pub use authorization::{Randomize, Visit};
#[cfg(feature = "sealed")]
pub use client_auth::Replay;
pub use config::{ClientConfig, Grant, IdentityProvider};
pub use discovery::{ChooseServer, login};
pub use error::FlowError;
pub use exchange::{Exchange, Purpose};
pub use identity::Identify;
pub use judge::{Tried, Verdict, judge};
pub use loopback::{CallbackListener, CallbackRequest, Heard};
pub use profile::ServerProfile;
pub use recall::Recall;
pub use record::{Account, Record, RecordKey, ServerEndpoints, Tokens};
pub use redirect::{EndpointMoved, endpoint_redirect};
#[cfg(feature = "sealed")]
pub use sealed::{CheckFirstUse, Sealed, SealingKey};
pub use session::Session;
pub use step::{Save, Step};
pub use transport::TransportFailed;
