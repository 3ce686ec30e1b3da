//! The authorization server over HTTP, as a client and a browser meet it.

#![cfg(test)]

mod authorize;
mod register;
mod server;
mod token;
