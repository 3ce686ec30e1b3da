//! Real server processes, met over HTTP only: killed under load, crashed under, and doubled.

#![cfg(test)]
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "the tests start processes, wait and kill")]

mod client;
mod crashes;
mod database;
mod judge;
mod kills;
mod ledger;
mod load;
mod server;
mod stops;
mod trial;
mod two;
