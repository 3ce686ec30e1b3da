#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod anonymous;
mod auth_info;
mod cache_duration;
mod cached;
mod decide;
mod denial;
mod dpop;
#[cfg(all(test, feature = "dpop"))]
mod error_messages;
mod event_ids;
mod foreign;
mod introspection;
#[cfg(feature = "jwt")]
mod jwt;
mod metadata;
mod operations;
mod principal;
mod requirement;
mod resource;
#[cfg(feature = "dpop")]
mod seen;
mod session_key;
mod sessions;
mod tool_result;

// Public signatures contain types of these crates, so users need no further dependency.
pub use {oauth_types, scope_stepup};

pub use auth_info::{AuthInfo, Recognized};
pub use cache_duration::CacheDuration;
pub use cached::Cached;
#[cfg(feature = "dpop")]
pub use client_auth::{DpopError, Replay};
pub use decide::{Presented, Recognition};
pub use denial::{Denial, DenialReason};
pub use dpop::CheckProof;
#[cfg(feature = "dpop")]
pub use dpop::CheckReplay;
pub use event_ids::EventIds;
pub use introspection::{
    Introspected, Introspection, IntrospectionEndpoint, IntrospectionFailed, IntrospectionRejected,
    NoIntrospection,
};
#[cfg(feature = "jwt")]
pub use jwt::{JwtProfile, JwtRefused, JwtTokens, JwtVerdict, NoKeys};
pub use oauth_types::{AccessTokenInfo, BrowserOrigins, ClaimError, ClaimNames};
pub use operations::OperationScopes;
pub use principal::{Account, Principal};
pub use requirement::{RequestBody, Requirement};
pub use resource::{InvalidResource, Resource};
#[cfg(feature = "dpop")]
pub use seen::SeenProofs;
pub use session_key::{HandleSeal, NamedSession, SessionKey};
pub use sessions::{EndedSession, OpenSessions};
