//! For how long facts about a token are believed without asking again.

use core::time::Duration;
use std::sync::Arc;

use oauth_types::{TokenFacts, UnixTime};

/// Facts about a token, and from when until when they are believed without asking again: what a cache keeps.
///
/// Whoever asks later than that gets nothing, and so does whoever asks before, as after a clock was set back. What the
/// facts lead to, [`Presented::decide`](crate::Presented::decide) says each time: a token that expires in the
/// meantime is refused in the second in which it does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Believed {
    facts: Arc<TokenFacts>,
    from: UnixTime,
    until: UnixTime,
}

impl Believed {
    /// Facts that were found out `now`: believed for `window`, and no longer than the token lives. A `window` of less
    /// than a second is none.
    #[must_use]
    pub fn new(facts: Arc<TokenFacts>, window: Duration, now: UnixTime) -> Self {
        // A token that does not say when it ends is let in nowhere: there is nothing to keep.
        let until = facts.expires_at.map_or(now, |end| end.min(now.plus(window)));
        Self { facts, from: now, until }
    }

    /// The facts, if they are still believed.
    #[must_use]
    pub fn at(&self, now: UnixTime) -> Option<&Arc<TokenFacts>> {
        (self.from <= now && now < self.until).then_some(&self.facts)
    }

    /// The facts as they were found out: for whoever was waiting for just this.
    #[must_use]
    pub const fn facts(&self) -> &Arc<TokenFacts> {
        &self.facts
    }
}

#[cfg(test)]
mod tests {
    use oauth_types::{ClientId, Issuer};

    use super::*;

    fn believed(expires_at: Option<u64>, window: u64) -> Believed {
        let facts = TokenFacts::new(
            "alice",
            ClientId::parse("c").unwrap(),
            Issuer::parse("https://as.example").unwrap(),
        )
        .with_expires_at(expires_at.map(UnixTime::from_secs));
        Believed::new(Arc::new(facts), Duration::from_secs(window), UnixTime::from_secs(100))
    }

    #[test]
    fn sec_155_facts_are_believed_within_their_window_and_the_life_of_the_token() {
        for (expires_at, window, until) in [
            (Some(1000), 10, 110),
            (Some(105), 10, 105),
            (Some(1000), 0, 100),
            (Some(100), 10, 100),
            (Some(50), 10, 100),
            (None, 10, 100),
            (Some(u64::MAX), u64::MAX, u64::MAX),
        ] {
            let believed = believed(expires_at, window);
            for (now, is_believed) in
                [(99, false), (100, until > 100), (until - 1, until > 100), (until, false)]
            {
                let found = believed.at(UnixTime::from_secs(now));
                assert_eq!(found.is_some(), is_believed, "{expires_at:?} {window} {now}");
            }
        }
    }
}
