//! Logins over HTTP: faulty and malicious servers, and programs that are killed.

#![cfg(test)]
#![cfg(feature = "browser")]

mod fakes;
mod forgotten;
mod killed;
mod mix_up;
#[cfg(unix)]
mod text_browser;
mod two_programs;
