#![doc = include_str!("../README.md")]

mod access_token;
mod authenticate;
mod authorize;
mod client;
mod client_document;
mod client_keys;
mod config;
mod consent;
mod correlation;
mod endpoint;
mod environment;
mod error_form;
mod hosts;
mod introspect;
mod memory;
mod metadata;
mod offer;
mod page;
mod possession;
mod refresh_token;
mod refusal;
mod register;
mod remembered;
mod resource_indicator;
mod revoke;
mod store;
#[cfg(feature = "store_contract")]
pub mod store_contract;
mod token;
mod waiting;

// Their types stand in public signatures, so that a user needs no further dependency.
pub use {client_auth, oauth_types};

#[cfg(feature = "jwt_access_tokens")]
pub use access_token::SigningKeys;
pub use authorize::{AuthorizationRequest, Redirectable};
pub use client::InvalidClient;
/// What [`Store::put_once`] answers.
pub use client_auth::Replay;
pub use client_document::{ClientUnavailable, DocumentRefused};
pub use client_keys::KeysNeeded;
#[cfg(feature = "identity_assertions")]
pub use config::IdentityProvider;
pub use config::{Config, InvalidConfig, Lifetimes, Paths};
pub use consent::{Approved, ConsentAnswer, NeedsConsent};
pub use correlation::CorrelationId;
pub use environment::{Attempt, Environment, Failure, find_client};
pub use error_form::ErrorForm;
pub use introspect::{ResourceServer, introspect};
pub use memory::MemoryStore;
pub use page::STYLE;
pub use refresh_token::{RefreshKey, RefreshKeys};
pub use refusal::{
    AssertionError, Cause, ConsentError, PageError, RedirectError, Refusal, UnreadBody,
};
pub use register::register;
pub use remembered::{AgreedBefore, Asking, ConsentLookup};
pub use revoke::revoke;
pub use store::{
    AccessRecord, ClientRecord, CodeRecord, ConsentRecord, CreateOutcome, FamilyId, FamilyRecord,
    Generation, NewAccess, NewFamily, OnceKind, RedeemOutcome, RotateOutcome, Rotation, Store,
    StoreError,
};
pub use token::token;
pub use waiting::{Answered, Asked, FirstAnswer, OfAsked, OfUser, Question};
