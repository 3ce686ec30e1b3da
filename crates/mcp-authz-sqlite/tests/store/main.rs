//! What the store owes, on a disk: the contract, restarts, kills, damage, thieves.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "the tests look into files, measure, wait and kill")]

mod contract;
mod crash;
mod faults;
mod files;
mod http;
mod keys;
#[cfg(target_os = "linux")]
mod power;
#[cfg(target_os = "linux")]
mod refused;
mod samples;
mod schema;
mod sweeps;
