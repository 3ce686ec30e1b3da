#![doc = include_str!("../README.md")]

mod decide;
mod denial;
mod hosts;
mod metadata;
mod operations;
mod requirement;
mod resource;
mod sessions;

pub use decide::{Granted, Presented, Recognized, TokenFacts};
pub use denial::{Denial, DenialReason};
pub use operations::OperationScopes;
pub use requirement::Requirement;
pub use resource::{InvalidResource, Resource};
pub use sessions::{Principal, SessionBindings};
