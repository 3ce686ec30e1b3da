//! Offer of client ID metadata documents in the metadata, made while this server can fetch documents.
//!
//! Several clients prefer documents wherever the metadata offers them, and do not register when they fail. A server
//! that cannot reach the web would lock them out.
//!
//! | fetches so far | the metadata offers documents |
//! |---|---|
//! | none | yes |
//! | one got an answer, whatever its status | yes, from then on |
//! | none got an answer, and one for a client got none | not for an hour, once; then yes |
//! | none got an answer, nor did the host's own check | not for an hour after each failure (an hour apart at least) |
//!
//! Anybody can name a document that does not exist. So failures count only until the first answer, withdraw the offer
//! once unless the host's own check failed too, and withdraw nothing else: documents are still read, and clients that
//! see no offer register.

use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use authorization_server::DocumentRefused;
use bytes::Bytes;
use http::Response;
use oauth_types::UnixTime;
use tracing::{info, warn};

/// Results of the fetches so far.
#[derive(Clone, Default)]
pub(crate) struct Reach(Arc<Mutex<State>>);

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Untried,
    Reached,
    Unreached {
        since: UnixTime,
        /// The host's own check failed, so the fault is not in a client's URL.
        is_checked: bool,
    },
}

/// Reason for a fetch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fetch {
    /// A client named the URL, which may be at fault.
    ForClient,
    /// The host's own check.
    Check,
}

impl Reach {
    /// Time for which the offer is withdrawn.
    const WITHDRAWN: Duration = Duration::from_secs(60 * 60);

    /// Records the result of a fetch for a client.
    pub(crate) fn record(
        &self,
        outcome: Result<&Response<Bytes>, &DocumentRefused>,
        now: UnixTime,
    ) {
        self.note(outcome, now, Fetch::ForClient);
    }

    /// Records the result of the host's own check.
    pub(crate) fn record_check(
        &self,
        outcome: Result<&Response<Bytes>, &DocumentRefused>,
        now: UnixTime,
    ) {
        self.note(outcome, now, Fetch::Check);
    }

    fn note(
        &self,
        outcome: Result<&Response<Bytes>, &DocumentRefused>,
        now: UnixTime,
        fetch: Fetch,
    ) {
        let is_check = fetch == Fetch::Check;
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (outcome, *state) {
            (_, State::Reached) => {}
            (Ok(_), before) => {
                if before != State::Untried {
                    info!("documents of clients can be fetched: the metadata offers them again");
                }
                *state = State::Reached;
            }
            (Err(DocumentRefused::Unreachable), State::Untried) => {
                *state = State::Unreached { since: now, is_checked: is_check };
                warn!(
                    "no document of a client could be fetched so far: for an hour the metadata does not offer \
                     client ID metadata documents. Let this server connect to the web by https, or call \
                     AuthorizationServer::without_client_documents"
                );
            }
            (Err(DocumentRefused::Unreachable), State::Unreached { since, is_checked }) => {
                let is_over = now >= since.saturating_add(Self::WITHDRAWN);
                let since = if is_over && (is_checked || is_check) { now } else { since };
                *state = State::Unreached { since, is_checked: is_checked || is_check };
            }
            // Other refusals do not show that the web is out of reach.
            (Err(_), _) => {}
        }
    }

    /// Returns `true` if the metadata may offer client ID metadata documents.
    pub(crate) fn is_offered(&self, now: UnixTime) -> bool {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Untried | State::Reached => true,
            State::Unreached { since, .. } => now >= since.saturating_add(Self::WITHDRAWN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: Result<&Response<Bytes>, &DocumentRefused> = Err(&DocumentRefused::Unreachable);

    /// A-META-4: the offer is away for an hour; the first answer settles it.
    #[test]
    fn a_failure_before_the_first_answer_withdraws_the_offer() {
        let at = UnixTime::from_secs;
        let reach = Reach::default();
        let answer = Response::new(Bytes::new());
        assert!(reach.is_offered(at(0)));
        reach.record(Err(&DocumentRefused::Busy), at(0));
        reach.record(Err(&DocumentRefused::Forbidden), at(0));
        assert!(reach.is_offered(at(0)));
        reach.record(FAILED, at(10));
        assert!(!reach.is_offered(at(10)) && !reach.is_offered(at(3_609)));
        reach.record(Ok(&answer), at(3_600));
        // Naming what does not exist changes nothing from here on.
        reach.record(FAILED, at(3_612));
        assert!(reach.is_offered(at(3_612)));
    }

    /// A-META-4
    #[test]
    fn urls_that_lead_nowhere_withdraw_the_offer_once() {
        let at = UnixTime::from_secs;
        let reach = Reach::default();
        for now in [0, 3_000, 3_599, 3_600, 7_000, 10_000] {
            reach.record(FAILED, at(now));
            assert_eq!(reach.is_offered(at(now)), now >= 3_600, "{now}");
        }
    }

    /// A-META-4: each failure after an hour withdraws it anew.
    #[test]
    fn a_failed_check_of_the_host_withdraws_the_offer_each_hour() {
        let at = UnixTime::from_secs;
        let reach = Reach::default();
        reach.record_check(FAILED, at(0));
        reach.record(FAILED, at(3_599));
        assert!(!reach.is_offered(at(3_599)) && reach.is_offered(at(3_600)));
        reach.record(FAILED, at(3_600));
        assert!(!reach.is_offered(at(3_600)) && !reach.is_offered(at(7_199)));
        assert!(reach.is_offered(at(7_200)));
    }
}
