#![doc = include_str!("../README.md")]

mod ambient;
mod consent;
mod login;
mod page;
mod protect;
mod server;
mod verifier;

pub use ambient::Clock;
pub use login::{Browser, DemoLogin, Login, User};
pub use page::ConsentPage;
pub use protect::{Protect, Protected, metadata_routes};
pub use server::AuthorizationServer;
pub use verifier::{StoreVerifier, TokenVerifier, VerifierUnavailable};
