#![doc = include_str!("../README.md")]

mod keys;
pub mod private_file;

pub use keys::{KeyFileError, read_or_make, rotate_refresh_key};
