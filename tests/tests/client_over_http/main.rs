//! The reqwest client against both servers on loopback.

#![cfg(test)]

mod bound;
mod ended;
mod enterprise;
mod gates;
mod machine;
mod moved;
#[cfg(unix)]
mod opener;
mod proxies;
mod quoted;
mod renewal;
mod servers;
mod shared_store;
mod shown;
mod step_up;
mod stores;
