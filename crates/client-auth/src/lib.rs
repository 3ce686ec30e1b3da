#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "jwt")]
mod assertion;
mod attach;
mod authenticated;
mod basic;
mod client_auth_record;
mod credential;
#[cfg(feature = "jwt")]
mod decoy;
mod dpop;
mod error;
#[cfg(all(test, feature = "jwt"))]
mod error_messages;
#[cfg(feature = "jwt")]
mod jws;
mod keys;
#[cfg(feature = "dpop")]
mod nonce;
#[cfg(feature = "dpop")]
mod proof;
mod replay;
mod secret_verifier;
#[cfg(feature = "jwt")]
mod signing;
mod verify;

// Re-exported because its types are in public signatures, so that a user needs no further dependency.
pub use oauth_types;

pub use attach::{AssertionNeeded, ClientCredentials, NoUsableMethod};
pub use authenticated::Authenticated;
pub use basic::{BasicCredentials, InvalidBasic};
pub use client_auth_record::ClientAuthRecord;
pub use dpop::{DpopError, DpopKey};
#[cfg(feature = "dpop")]
pub use dpop::{PresentedProof, VerifiedProof};
pub use error::{ClientAuthError, Reason};
#[cfg(feature = "jwt")]
pub use jws::{Lifetime, claimed_issuer, claimed_type};
pub use keys::{InvalidKeys, VerifyingKeys};
#[cfg(feature = "dpop")]
pub use nonce::NonceKey;
#[cfg(feature = "dpop")]
pub use proof::ProofKey;
pub use replay::{FirstUse, Replay, Replayed};
pub use secret_verifier::{InvalidSecretHash, SecretCheck, SecretHash, SecretVerifier};
#[cfg(feature = "jwt")]
pub use signing::{ClientAssertion, InvalidSigningKey, SigningFailed, SigningKey};
pub use verify::{Presented, Verified};
