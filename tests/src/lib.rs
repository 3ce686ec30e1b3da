//! Shared parts of the workspace's tests and benchmarks; not published.

#![expect(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "only tests use it, and they change with it"
)]
#![expect(clippy::must_use_candidate, reason = "tests use what they ask for")]

pub mod faulty;
pub mod samples;
pub mod vectors;
pub mod world;
