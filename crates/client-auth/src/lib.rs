#![doc = include_str!("../README.md")]

mod attach;
mod basic;
mod error;
mod verify;

pub use attach::{ClientCredentials, NoUsableMethod};
pub use error::{ClientAuthError, Reason};
pub use verify::{Authenticated, Presented, Registered};
