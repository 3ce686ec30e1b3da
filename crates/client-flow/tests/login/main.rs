//! Whole logins against a scripted server, without a socket.

#![cfg(test)]

mod attempt;
mod authorization;
#[cfg(feature = "dpop")]
mod bound;
mod discovery;
#[cfg(feature = "private_key_jwt")]
mod grants;
mod lenient;
mod loopback;
mod old_server;
mod profile;
mod registration;
mod restart;
#[cfg(feature = "sealed")]
mod sealed;
mod step_up;
mod world;
