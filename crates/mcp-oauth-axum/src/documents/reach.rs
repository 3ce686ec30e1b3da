//! Whether clients' documents can be fetched from here at all, so that the metadata offers no more than that.
//!
//! Several clients prefer documents wherever the metadata offers them, and do not register when they fail. They are
//! locked out of a server that has no way to the web.
//!
//! | fetches so far | the metadata offers documents |
//! |---|---|
//! | none | yes |
//! | one got an answer, whatever its status | yes, from then on |
//! | none got an answer, and one got none | not for an hour, or until one gets an answer |
//!
//! Anybody can name a document that does not exist. So failures count only until the first answer, and withdraw
//! nothing but the offer: documents are still read, and clients that see no offer register.

use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use authorization_server::DocumentRefused;
use bytes::Bytes;
use http::Response;
use oauth_types::UnixTime;
use tracing::{info, warn};

/// What the fetches so far have shown.
#[derive(Clone, Default)]
pub(crate) struct Reach(Arc<Mutex<State>>);

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Untried,
    Reached,
    Unreached {
        since: UnixTime,
    },
}

impl Reach {
    /// Time without an offer.
    const WITHDRAWN: Duration = Duration::from_secs(60 * 60);

    /// Takes note of how a fetch ended.
    pub(crate) fn record(
        &self,
        outcome: Result<&Response<Bytes>, &DocumentRefused>,
        now: UnixTime,
    ) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (outcome, *state) {
            (_, State::Reached) => {}
            (Ok(_), before) => {
                if before != State::Untried {
                    info!("documents of clients can be fetched: the metadata offers them again");
                }
                *state = State::Reached;
            }
            (Err(DocumentRefused::Unreachable), before) => {
                *state = State::Unreached { since: now };
                if before != State::Untried {
                    return;
                }
                warn!(
                    "no document of a client could be fetched so far: for an hour the metadata does not offer \
                     client ID metadata documents. Let this server connect to the web by https, or call \
                     AuthorizationServer::without_client_documents"
                );
            }
            // It was not asked for.
            (Err(_), _) => {}
        }
    }

    /// Returns `true` if the metadata may offer documents.
    pub(crate) fn is_offered(&self, now: UnixTime) -> bool {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Untried | State::Reached => true,
            State::Unreached { since } => now >= since.plus(Self::WITHDRAWN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meta_4_the_first_answer_settles_it_and_failures_before_withdraw_the_offer_for_an_hour() {
        let at = UnixTime::from_secs;
        let reach = Reach::default();
        let answer = Response::new(Bytes::new());
        assert!(reach.is_offered(at(0)));
        reach.record(Err(&DocumentRefused::Busy), at(0));
        reach.record(Err(&DocumentRefused::Forbidden), at(0));
        assert!(reach.is_offered(at(0)));
        reach.record(Err(&DocumentRefused::Unreachable), at(10));
        assert!(!reach.is_offered(at(10)) && !reach.is_offered(at(3_609)));
        assert!(reach.is_offered(at(3_610)));
        reach.record(Err(&DocumentRefused::Unreachable), at(3_610));
        assert!(!reach.is_offered(at(3_610)));
        reach.record(Ok(&answer), at(3_611));
        // Whoever names what does not exist changes nothing from here on.
        reach.record(Err(&DocumentRefused::Unreachable), at(3_612));
        assert!(reach.is_offered(at(3_612)));
    }
}
