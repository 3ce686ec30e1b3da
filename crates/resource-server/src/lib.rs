#![doc = include_str!("../README.md")]

mod decide;
mod denial;
mod discovery;
mod hosts;
mod kept;
mod metadata;
mod operations;
mod requirement;
mod resource;
mod sessions;

pub use decide::{Granted, Presented, Recognized, TokenFacts};
pub use denial::{Denial, DenialReason};
pub use discovery::{FindServer, Search, ServerNotFound};
pub use kept::Kept;
pub use operations::OperationScopes;
pub use requirement::Requirement;
pub use resource::{InvalidResource, Resource};
pub use sessions::{Principal, SessionBindings};
