//! Whole logins against a scripted server, without a socket.

#![cfg(test)]

mod authorization;
mod discovery;
#[cfg(feature = "sealed")]
mod loopback;
mod sealed;
mod step_up;
mod world;
