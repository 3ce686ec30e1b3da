//! Verification of client secrets that are stored as password hashes, on threads for blocking work.
//!
//! | bound | what it protects |
//! |---|---|
//! | one verification for each processor at once | memory, and threads for other blocking work |
//! | a turn lasts to the end of its verification, even if the client hangs up | the same from clients that hang up |
//! | the peer is admitted once more when its turn comes | the turns, from many guesses that are sent at once |

use core::time::Duration;
use std::sync::Arc;
use std::thread;

use authorization_server::Refusal;
use client_auth::{InvalidSecretHash, Presented, SecretCheck, SecretVerifier};
use oauth_types::Secret;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Host's verifier, with the turns of those that wait for it.
pub(crate) struct Secrets {
    verifier: Arc<dyn SecretVerifier>,
    turns: Arc<Semaphore>,
}

impl Secrets {
    /// Number of verifications at once, if that of processors is unknown.
    const AT_ONCE: usize = 2;

    /// Takes the verifier, unless it cannot read its own decoy.
    pub(crate) fn new(verifier: Arc<dyn SecretVerifier>) -> Result<Self, InvalidSecretHash> {
        verifier.verify(verifier.decoy(), &Secret::new("decoy"))?;
        let at_once = thread::available_parallelism().map_or(Self::AT_ONCE, usize::from);
        Ok(Self { verifier, turns: Arc::new(Semaphore::new(at_once)) })
    }

    /// Waits for a turn, admits the peer once more, and verifies the secret.
    pub(crate) async fn verify(
        &self,
        check: SecretCheck,
        admit: impl FnOnce() -> Result<(), Duration>,
    ) -> Result<Presented, Refusal> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        admit().map_err(Refusal::too_many)?;
        let verifier = Arc::clone(&self.verifier);
        let verified = spawn_blocking(move || {
            // Returned with the result, or dropped by a panic: never before the verification has ended.
            let _turn = turn;
            check.run(&*verifier)
        });
        verified.await.map_err(|error| match error.is_panic() {
            true => Refusal::panicked(),
            false => Refusal::late(),
        })
    }
}
