//! The reqwest client against both servers on loopback.

#![cfg(test)]

mod bound;
mod enterprise;
mod machine;
mod moved;
#[cfg(unix)]
mod opener;
mod quoted;
mod renewal;
mod servers;
mod shown;
mod step_up;
mod stores;
