#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod access_token;
mod authenticate;
mod authorize;
mod client;
mod client_document;
mod client_error;
mod client_keys;
mod config;
mod consent;
mod consent_answer;
mod correlation;
mod destination;
mod dpop;
mod endpoint;
mod environment;
mod error_form;
#[cfg(all(test, feature = "dpop", feature = "store_contract"))]
mod error_messages;
mod first_use;
mod hosts;
mod introspect;
mod memory;
mod metadata;
mod offer;
mod page;
mod prompt;
mod refresh_token;
mod refusal;
mod register;
mod registration_text;
mod remembered;
mod resource_indicator;
mod revoke;
mod seal;
mod server_keys;
#[cfg(feature = "jwt")]
mod signing_keys;
pub mod store;
#[cfg(feature = "store_contract")]
pub mod store_contract;
mod token;
mod waiting;

// Re-exported because their types are in public signatures, so that a user needs no further dependency.
pub use {client_auth, oauth_types};

pub use authorize::{AuthorizationRequest, Redirectable};
/// Values that are used at most once, and the answers of [`Store::put_once`].
pub use client_auth::{FirstUse, Replay, Replayed};
pub use client_error::{ClientUnavailable, DocumentRefused, InvalidClient};
pub use client_keys::KeysNeeded;
#[cfg(feature = "jwt")]
pub use config::IdentityProvider;
pub use config::{Config, InvalidConfig, Lifetimes, Paths, ResourceServer};
pub use consent::{Approved, NeedsConsent};
pub use consent_answer::ConsentAnswer;
pub use correlation::CorrelationId;
pub use environment::{Attempt, Environment, Failure, find_client};
pub use error_form::ErrorForm;
pub use introspect::introspect;
pub use memory::MemoryStore;
pub use page::STYLE;
pub use refusal::{
    AssertionError, Cause, ConsentError, PageError, RedirectError, Refusal, UnreadBody,
};
pub use register::register;
pub use remembered::{AgreedBefore, Asking, ConsentLookup};
pub use revoke::revoke;
pub use server_keys::{ServerKey, ServerKeys};
#[cfg(feature = "jwt")]
pub use signing_keys::SigningKeys;
pub use store::{ClientRecord, DynStore, Store};
pub use token::token;
pub use waiting::{Answered, ConsentViewer, OfAsked, OfUser, Question};
