//! Introspection requests under way: one for all callers that wait for its answer, and a bound of those sent at once.

use core::fmt;
use core::future::Future;
use core::time::Duration;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use oauth_types::SecretDigest;
use resource_server::AccessTokenInfo;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tracing::warn;

use crate::standing::Standing;
use crate::verifier::VerifierUnavailable;

/// Answer to a question about a token.
pub(crate) type Found = Result<Option<Arc<AccessTokenInfo>>, VerifierUnavailable>;

type Question = Shared<BoxFuture<'static, Found>>;

/// Questions that are under way, by token.
pub(crate) struct Questions {
    asked: Mutex<HashMap<SecretDigest, Question>>,
    /// Turns of tokens that were valid before, which made-up tokens therefore cannot delay.
    known: Lane,
    unknown: Lane,
}

/// Turns, and places in the queue for them.
#[derive(Clone)]
struct Lane {
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Questions {
    /// Most questions of one kind that are sent at once.
    const AT_ONCE: usize = 64;
    /// Most questions of one kind that are under way or wait for their turn.
    const WAITING: usize = 1_000;
    /// Longest time that a question takes, its wait for a turn included.
    const DEADLINE: Duration = Duration::from_secs(5);

    pub(crate) fn new() -> Self {
        let lane = || Lane {
            turns: Arc::new(Semaphore::new(Self::AT_ONCE)),
            places: Arc::new(Semaphore::new(Self::WAITING)),
        };
        Self { asked: Mutex::new(HashMap::new()), known: lane(), unknown: lane() }
    }

    /// Waits for the answer to the question about this token, and asks it if it is not under way.
    pub(crate) async fn ask<F>(
        self: &Arc<Self>,
        token: SecretDigest,
        standing: Standing,
        question: impl FnOnce() -> F,
    ) -> Found
    where
        F: Future<Output = Found> + Send + 'static,
    {
        let question = {
            let mut asked = self.asked();
            match asked.get(&token) {
                Some(question) => question.clone(),
                None => {
                    let lane = match standing {
                        Standing::Good => &self.known,
                        Standing::New => &self.unknown,
                    };
                    let Ok(place) = Arc::clone(&lane.places).try_acquire_owned() else {
                        warn!("too many tokens are being asked about");
                        return Err(VerifierUnavailable);
                    };
                    let question = self.start(token, lane.clone(), place, question());
                    asked.insert(token, question.clone());
                    question
                }
            }
        };
        question.await
    }

    /// Asks in a task of its own, because the first caller may go away while others wait.
    fn start(
        self: &Arc<Self>,
        token: SecretDigest,
        lane: Lane,
        place: OwnedSemaphorePermit,
        question: impl Future<Output = Found> + Send + 'static,
    ) -> Question {
        let questions = Arc::clone(self);
        let task = tokio::spawn(async move {
            let in_turn = async {
                let _turn = lane.turns.acquire().await;
                question.await
            };
            let in_time = AssertUnwindSafe(timeout(Self::DEADLINE, in_turn)).catch_unwind();
            let found = match in_time.await {
                Ok(Ok(found)) => found,
                Ok(Err(_)) | Err(_) => {
                    warn!("a token could not be asked about in time");
                    Err(VerifierUnavailable)
                }
            };
            questions.asked().remove(&token);
            drop(place);
            found
        });
        task.map(|ended| ended.unwrap_or(Err(VerifierUnavailable))).boxed().shared()
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<SecretDigest, Question>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Questions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Questions({} under way)", self.asked().len())
    }
}

#[cfg(test)]
mod tests {
    use core::future::{pending, ready};

    use super::*;

    fn token(number: usize) -> SecretDigest {
        SecretDigest::of(&number.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_unknown_tokens_keeps_no_good_token_out() {
        let questions = Arc::new(Questions::new());
        let unknown =
            |number| questions.ask(token(number), Standing::New, pending::<Found>).now_or_never();
        for number in 0..Questions::WAITING {
            assert_eq!(unknown(number), None, "{number}");
        }
        assert_eq!(unknown(Questions::WAITING), Some(Err(VerifierUnavailable)));
        // Whoever shows a token that is being asked about waits with the others.
        assert_eq!(unknown(0), None);
        let known = questions.ask(token(Questions::WAITING), Standing::Good, || ready(Ok(None)));
        assert_eq!(known.await, Ok(None));
        // No question lasts for ever.
        tokio::time::sleep(Questions::DEADLINE + Duration::from_secs(1)).await;
        assert_eq!(unknown(Questions::WAITING), None);
        assert_eq!(format!("{questions:?}"), "Questions(1 under way)");
    }

    #[tokio::test]
    async fn a_question_that_panics_is_over() {
        let questions = Arc::new(Questions::new());
        let bad =
            questions.ask(token(0), Standing::New, || async { panic!("a question that panics") });
        assert_eq!(bad.await, Err(VerifierUnavailable));
        assert_eq!(questions.ask(token(0), Standing::New, || ready(Ok(None))).await, Ok(None));
    }
}
