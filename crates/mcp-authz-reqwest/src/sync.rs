//! Locks of `flight.rs`, which its model in `tests/interleavings` replaces.

pub(crate) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
