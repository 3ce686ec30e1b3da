//! Cache of facts about recently presented tokens. `resource-server` decides how long they are used.
//!
//! `moka` does not fit because it enforces its bound at its next maintenance (1,044 entries answered where 1,000 were
//! allowed), by default refuses a new entry that was asked for less often than the old ones, and uses a clock that is
//! not the caller's.

use core::fmt;
use core::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use oauth_types::{SecretDigest, UnixTime};
use resource_server::{AccessTokenInfo, CacheDuration};

/// Facts about valid tokens by digest. Invalid tokens are left out, because made-up ones would displace valid ones.
pub(crate) struct Cache(Mutex<LruCache<SecretDigest, CacheDuration>>);

/// Result of a cache look-up.
#[derive(Clone, Debug)]
pub(crate) enum Recalled {
    /// Facts about a token that may still be used.
    Facts(Arc<AccessTokenInfo>),
    /// The token was valid before, and has to be checked again.
    WasGood,
    /// The token is not cached.
    Nothing,
}

impl Cache {
    /// Most tokens that are cached, 10,000; the least recently used are displaced first.
    const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);

    pub(crate) fn new() -> Self {
        Self(Mutex::new(LruCache::new(Self::MOST)))
    }

    /// Looks a token up under one lock; a hit allocates nothing.
    pub(crate) fn recall(&self, token: &SecretDigest, now: UnixTime) -> Recalled {
        match self.tokens().get(token) {
            Some(known) => known.at(now).cloned().map_or(Recalled::WasGood, Recalled::Facts),
            None => Recalled::Nothing,
        }
    }

    pub(crate) fn keep(&self, token: SecretDigest, known: CacheDuration) {
        self.tokens().put(token, known);
    }

    pub(crate) fn forget(&self, token: &SecretDigest) {
        self.tokens().pop(token);
    }

    fn tokens(&self) -> MutexGuard<'_, LruCache<SecretDigest, CacheDuration>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cache({} tokens)", self.tokens().len())
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use oauth_types::{ClientId, Issuer, Subject};

    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1000);

    fn known(subject: &str) -> CacheDuration {
        let facts = AccessTokenInfo::new(
            Subject::parse(subject).unwrap(),
            ClientId::parse("c").unwrap(),
            Issuer::parse("https://as.example").unwrap(),
        )
        .with_expires_at(UnixTime::from_secs(2000));
        CacheDuration::new(Arc::new(facts), Duration::from_secs(10), NOW)
    }

    fn digest(number: u32) -> SecretDigest {
        // All but the last bytes are the same.
        let mut bytes = [7; 32];
        bytes[28..].copy_from_slice(&number.to_be_bytes());
        SecretDigest::from_bytes(bytes)
    }

    /// SEC-155
    #[test]
    fn a_token_is_known_by_all_of_its_digest() {
        let cache = Cache::new();
        cache.keep(digest(1), known("alice"));
        assert!(matches!(cache.recall(&digest(2), NOW), Recalled::Nothing));
        cache.keep(digest(2), known("bob"));
        for (token, subject) in [(1, "alice"), (2, "bob")] {
            let Recalled::Facts(facts) = cache.recall(&digest(token), NOW) else { panic!() };
            assert_eq!(facts.subject.as_str(), subject);
        }
        let later = UnixTime::from_secs(1010);
        assert!(matches!(cache.recall(&digest(1), later), Recalled::WasGood));
        cache.forget(&digest(1));
        assert!(matches!(cache.recall(&digest(1), NOW), Recalled::Nothing));
        assert_eq!(format!("{cache:?}"), "Cache(1 tokens)");
    }

    #[test]
    fn a_cache_is_bounded_and_the_longest_unused_goes_first() {
        let cache = Cache::new();
        for number in 0..10_000 {
            cache.keep(digest(number), known("a"));
        }
        assert!(matches!(cache.recall(&digest(0), NOW), Recalled::Facts(_)));
        cache.keep(digest(10_000), known("a"));
        assert!(matches!(cache.recall(&digest(0), NOW), Recalled::Facts(_)));
        assert!(matches!(cache.recall(&digest(1), NOW), Recalled::Nothing));
    }
}
