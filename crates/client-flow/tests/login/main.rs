//! Whole logins against a scripted server, without a socket.

#![cfg(test)]

mod attempt;
mod authorization;
#[cfg(feature = "dpop")]
mod bound;
mod discovery;
#[cfg(feature = "jwt")]
mod grants;
mod lenient;
mod loopback;
mod metadata_redirects;
mod mix_up;
mod old_server;
mod pinned_issuer;
mod profile;
mod registration;
mod registration_request;
mod restart;
mod restart_refresh;
#[cfg(feature = "sealed")]
mod sealed;
mod step_up;
mod unsaved;
mod world;
