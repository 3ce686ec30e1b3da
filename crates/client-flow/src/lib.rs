#![doc = include_str!("../README.md")]

mod authorization;
mod config;
mod discovery;
mod error;
mod exchange;
mod judge;
mod record;
mod registration;
#[cfg(feature = "sealed")]
mod sealed;
mod session;
mod step;
mod token;

pub use authorization::{Randomize, Visit};
#[cfg(feature = "sealed")]
pub use client_auth::Replay;
pub use config::{ClientConfig, Grant};
pub use discovery::{ChooseServer, login};
pub use error::{FlowError, TransportFailed};
pub use exchange::{Exchange, Purpose};
pub use judge::{Tried, Verdict, judge};
pub use record::{Account, Record, RecordKey, ServerEndpoints, Tokens};
pub use registration::Recall;
#[cfg(feature = "sealed")]
pub use sealed::{CheckFirstUse, Sealed, SealingKey};
pub use session::Session;
pub use step::{Save, Step};
