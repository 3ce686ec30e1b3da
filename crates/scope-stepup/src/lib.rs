#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod check;
#[cfg(test)]
mod error_messages;
mod headers;
mod insufficient;
mod ledger;
mod message;
mod operation;
mod policy;
mod unreadable;
mod windows;

// Re-exported because its types are in public signatures, so that a user needs no further dependency.
pub use oauth_types;

pub use check::{Hierarchy, HierarchyError, Missing, NoHierarchy, ScopeHierarchy, check};
pub use insufficient::{InsufficientScope, InsufficientScopeKind};
pub use ledger::{Attempt, Decision, Ledger, Started, StepUpContext};
pub use message::RequestedOperation;
pub use operation::Operation;
pub use policy::{Limit, Policy, StepUpMode};
pub use unreadable::UnreadableRequest;
pub use windows::{WindowLimit, Windows};
