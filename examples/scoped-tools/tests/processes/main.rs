//! Real server processes, met over HTTP only: killed under load, and started again.

#![cfg(test)]
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "the tests start processes, wait and kill")]

mod client;
mod database;
mod judge;
mod kills;
mod ledger;
mod load;
mod server;
