//! Whole logins against a scripted server, without a socket.

#![cfg(test)]

mod authorization;
mod discovery;
mod world;
