//! What the tests of the whole workspace share. Nothing here is published.

pub mod vectors;
