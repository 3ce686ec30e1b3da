//! Logins of the reqwest client over HTTP, against servers that break a rule or forget, and programs that are killed.

#![cfg(test)]
#![cfg(feature = "browser")]

mod fakes;
mod forgotten;
mod killed;
mod mix_up;
#[cfg(unix)]
mod text_browser;
mod two_programs;
