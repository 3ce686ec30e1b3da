//! rmcp, the official SDK for Rust: its servers behind our layer, and its clients at our servers.

#![cfg(test)]

mod client;
mod mixed;
mod resources;
mod server;
mod service;
mod sessions;
