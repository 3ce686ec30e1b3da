//! Every order in which tasks can meet in `mcp-authz-reqwest`'s `flight`, or a great many of them: its locks are
//! the scheduler's, which runs a test once for each order.
#![cfg(test)]

#[path = "../../../crates/mcp-authz-reqwest/src/flight.rs"]
mod flight;
mod orders;
mod world;

mod cancellation;
mod expiry;
mod failure;
mod kinds;
mod teardown;

/// Replacement for the adapter's module of locks.
mod sync {
    pub(crate) use shuttle::sync::{Arc, Mutex, MutexGuard, PoisonError};
}
