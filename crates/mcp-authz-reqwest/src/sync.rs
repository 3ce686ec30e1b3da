//! Where `flight` takes its locks from. Its model in `tests/interleavings` puts others in their place.

pub(crate) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
