#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod client_metadata;
mod config;
mod error;
#[cfg(test)]
mod error_messages;
mod flow;
mod goal;
mod judge;
mod keys;
mod loopback;
mod mix_up;
mod profile;
#[cfg(feature = "dpop")]
mod proof;
mod redirect;
mod scope;
#[cfg(feature = "sealed")]
mod sealed;
mod session;
mod stage;
mod token;
mod transport;

// Re-exported because their types stand in public signatures: a user needs no further dependency.
pub use {client_auth, iss_validate, oauth_types, scope_stepup};

#[cfg(feature = "sealed")]
pub use client_auth::{FirstUse, Replay, Replayed};
pub use config::{ClientConfig, Grant, IdentityProvider};
pub use error::{
    CallbackError, DiscoveryError, FlowError, FlowErrorKind, RegistrationError, SealError,
};
pub use flow::{
    BrowserRequest, ChooseServer, GenerateRandom, GetAssertion, LoadCredentials, SaveCredentials,
    SendRequest, Step, login,
};
pub use judge::{Tried, Verdict, judge};
pub use loopback::{CallbackListener, CallbackRequest, Heard};
pub use profile::ServerProfile;
pub use redirect::{EndpointMoved, endpoint_redirect};
#[cfg(feature = "sealed")]
pub use sealed::{Sealed, SealingKey};
pub use session::{
    Account, CredentialKey, RestoreError, ServerEndpoints, Session, StoredCredentials, Tokens,
};
pub use stage::FlowStage;
pub use transport::{TransportError, TransportErrorKind};
