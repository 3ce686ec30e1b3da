//! What the store owes, on a PostgreSQL of its own: the contract, several processes, restarts, hostile servers, thieves.

#![cfg(test)]
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "the tests measure, wait and start processes")]

mod contract;
mod disk;
mod failures;
mod hostile;
mod keys;
mod nodes;
mod samples;
mod schema;
mod sweeps;
mod thieves;
#[cfg(feature = "rustls")]
mod tls;
