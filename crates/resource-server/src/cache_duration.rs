//! Cached facts about a token: the period in which a cache may use them.

use core::time::Duration;
use std::sync::Arc;

use oauth_types::{AccessTokenInfo, UnixTime};

/// Facts about a token, with the period in which a cache may use them.
///
/// Before and after this period [`at`](Self::at) returns `None`; a clock that was set back leads before it. A cached
/// entry grants nothing by itself: [`Presented::decide`](crate::Presented::decide) checks the facts on every request,
/// so a token that expires is refused from the second of its expiry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CacheDuration {
    facts: Arc<AccessTokenInfo>,
    from: UnixTime,
    until: UnixTime,
}

impl CacheDuration {
    /// Stores facts that were obtained at `now`, valid for `window` or until the token expires.
    ///
    /// A `window` of less than one second disables the cache.
    #[must_use]
    pub fn new(facts: Arc<AccessTokenInfo>, window: Duration, now: UnixTime) -> Self {
        // A token without an expiry time is never accepted, so its facts are not cached.
        let until = facts.expires_at.map_or(now, |end| end.min(now.saturating_add(window)));
        Self { facts, from: now, until }
    }

    /// Returns the facts if they are still valid at `now`.
    #[must_use]
    pub fn at(&self, now: UnixTime) -> Option<&Arc<AccessTokenInfo>> {
        (self.from <= now && now < self.until).then_some(&self.facts)
    }

    /// Returns the facts regardless of the time, for requests that waited for them.
    #[must_use]
    pub const fn facts(&self) -> &Arc<AccessTokenInfo> {
        &self.facts
    }
}

#[cfg(test)]
mod tests {
    use oauth_types::{ClientId, Issuer, Subject};

    use super::*;

    fn believed(expires_at: Option<u64>, window: u64) -> CacheDuration {
        let facts = AccessTokenInfo::new(
            Subject::parse("alice").unwrap(),
            ClientId::parse("c").unwrap(),
            Issuer::parse("https://as.example").unwrap(),
        )
        .with_expires_at(expires_at.map(UnixTime::from_secs));
        CacheDuration::new(Arc::new(facts), Duration::from_secs(window), UnixTime::from_secs(100))
    }

    /// SEC-155
    #[test]
    fn an_answer_is_cached_within_its_window_and_the_tokens_life() {
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
