//! How often one address may register clients and fail to be one.
//!
//! Nothing is counted for a client alone: whoever guesses its secret shuts out nobody but the address they guess from.

use core::num::NonZeroU32;
use core::time::Duration;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use authorization_server::Refusal;
use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use http::Request;
use oauth_types::ClientId;
use tokio::time::Instant;
use tracing::warn;

use crate::peer::TrustedProxies;

/// So many at once, and then one again after each period.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// How many at once.
    pub burst: NonZeroU32,
    /// After how long there is one more; more than 0.
    pub every: Duration,
}

impl Rate {
    pub(crate) const fn new(burst: u32, every: Duration) -> Self {
        let burst = match NonZeroU32::new(burst) {
            Some(burst) => burst,
            None => NonZeroU32::MIN,
        };
        Self { burst, every }
    }
}

/// What one address may do: an IPv4 address, or a /64 network of IPv6. What is more is answered with 429 and
/// `Retry-After`. `None` is no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateLimits {
    /// Registrations: 60, and one a minute.
    pub registrations: Option<Rate>,
    /// Failures to authenticate as one client: 10, and one every 6 seconds. Until then nobody at this address is
    /// that client, whatever they know.
    pub failures: Option<Rate>,
    /// Failures to authenticate as any: 100, and one a second. Until then nobody at this address is any client.
    pub all_failures: Option<Rate>,
}

impl RateLimits {
    /// No limits: for a server behind something that has its own.
    pub const OFF: Self = Self { registrations: None, failures: None, all_failures: None };
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            registrations: Some(Rate::new(60, Duration::from_secs(60))),
            failures: Some(Rate::new(10, Duration::from_secs(6))),
            all_failures: Some(Rate::new(100, Duration::from_secs(1))),
        }
    }
}

/// What is counted, and for whom.
pub(crate) struct Rates {
    registrations: Option<Meter>,
    failures: Option<Meter>,
    all_failures: Option<Meter>,
    proxies: TrustedProxies,
    hasher: RandomState,
    warned: Once,
}

/// Whose failure it would be.
#[must_use = "judge what comes of it"]
pub(crate) struct Attempt<'a> {
    rates: &'a Rates,
    /// Of the address as this client, and of the address.
    keys: [Option<u64>; 2],
}

impl Rates {
    pub(crate) fn new(limits: RateLimits, proxies: TrustedProxies) -> Self {
        Self {
            registrations: limits.registrations.and_then(Meter::new),
            failures: limits.failures.and_then(Meter::new),
            all_failures: limits.all_failures.and_then(Meter::new),
            proxies,
            hasher: RandomState::new(),
            warned: Once::new(),
        }
    }

    /// Counts a registration.
    pub(crate) fn registration<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let Some(meter) = &self.registrations else { return Ok(()) };
        let Some(network) = self.network(request) else { return Ok(()) };
        let key = self.hasher.hash_one(network);
        let waited = meter.wait(key).map_or(Ok(()), Err);
        waited.and_then(|()| meter.count(key)).map_err(Refusal::too_many)
    }

    /// Lets an address try to be a client, unless it failed too often.
    pub(crate) fn attempt<B>(
        &self,
        request: &Request<B>,
        client_id: Option<&ClientId>,
    ) -> Result<Attempt<'_>, Refusal> {
        let network = match (&self.failures, &self.all_failures) {
            (None, None) => None,
            _ => self.network(request),
        };
        let of_client = network.zip(client_id);
        let of_client = of_client.map(|(at, id)| self.hasher.hash_one((at, id.as_str())));
        let of_all = network.map(|network| self.hasher.hash_one(network));
        let attempt = Attempt { rates: self, keys: [of_client, of_all] };
        let wait = attempt.meters().filter_map(|(meter, key)| meter.wait(key)).max();
        wait.map_or(Ok(attempt), |wait| Err(Refusal::too_many(wait)))
    }

    /// Whose requests count as one: the address, or its network.
    pub(crate) fn network<B>(&self, request: &Request<B>) -> Option<IpAddr> {
        let peer = self.proxies.peer(request);
        if peer.is_none() {
            // Everybody would count as one.
            self.warned.call_once(|| {
                warn!("requests come without the address of their peer: nothing is limited by it");
            });
        }
        peer.map(network)
    }
}

impl Attempt<'_> {
    fn meters(&self) -> impl Iterator<Item = (&Meter, u64)> {
        let meters = [&self.rates.failures, &self.rates.all_failures];
        meters.into_iter().zip(self.keys).filter_map(|(meter, key)| meter.as_ref().zip(key))
    }

    /// Counts it if it failed.
    pub(crate) fn judge<T>(&self, outcome: Result<T, Refusal>) -> Result<T, Refusal> {
        outcome.inspect_err(|refusal| {
            if refusal.is_failed_authentication() {
                for (meter, key) in self.meters() {
                    let _ = meter.count(key);
                }
            }
        })
    }
}

/// Who has one address of a /64 network of IPv6 has them all.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

type Limiter = RateLimiter<u64, HashMapStateStore<u64>, Elapsed, StateInformationMiddleware>;

/// Counts for each of some keys.
pub(crate) struct Meter {
    limiter: Limiter,
    clock: Elapsed,
    every: Duration,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// Keys that have nothing left, and until when.
    until: HashMap<u64, Duration>,
    /// When what is over was last removed.
    cleaned: Duration,
}

impl Meter {
    /// Most keys that are kept. Beyond that nothing more is counted, until some are over.
    const MAX_KEYS: usize = 1 << 14;
    /// How often keys are looked through for what is over, when there are so many.
    const CLEANING: Duration = Duration::from_secs(1);

    /// `None` for a period of 0, which limits nothing.
    pub(crate) fn new(rate: Rate) -> Option<Self> {
        let quota = Quota::with_period(rate.every)?.allow_burst(rate.burst);
        let clock = Elapsed(Instant::now());
        let limiter = RateLimiter::hashmap_with_clock(quota, clock).with_middleware();
        Some(Self { limiter, clock, every: rate.every, waiting: Mutex::default() })
    }

    /// Counts one; how long to wait, if it was one too many.
    pub(crate) fn count(&self, key: u64) -> Result<(), Duration> {
        let now = self.clock.now();
        let mut waiting = self.waiting();
        let is_full = || self.limiter.len() >= Self::MAX_KEYS;
        if is_full() && now >= waiting.cleaned.saturating_add(Self::CLEANING) {
            waiting.cleaned = now;
            waiting.until.retain(|_, until| now < *until);
            self.limiter.retain_recent();
        }
        if is_full() {
            return Ok(());
        }
        match self.limiter.check_key(&key) {
            Ok(left) => {
                if left.remaining_burst_capacity() == 0 {
                    waiting.until.insert(key, now.saturating_add(self.every));
                }
                Ok(())
            }
            Err(until) => Err(until.wait_time_from(now)),
        }
    }

    /// How long a key has to wait, without counting it.
    fn wait(&self, key: u64) -> Option<Duration> {
        let now = self.clock.now();
        let mut waiting = self.waiting();
        let wait = waiting.until.get(&key)?.checked_sub(now).filter(|wait| !wait.is_zero());
        if wait.is_none() {
            waiting.until.remove(&key);
        }
        wait
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Time that no wall clock turns back.
#[derive(Clone, Copy)]
struct Elapsed(Instant);

impl Clock for Elapsed {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn sec_108_what_is_remembered_of_addresses_is_bounded_and_forgotten() {
        let meter = Meter::new(Rate::new(1, Duration::from_secs(6))).unwrap();
        for key in 0..100_000 {
            assert_eq!(meter.wait(key), None);
            assert_eq!(meter.count(key), Ok(()));
        }
        assert!(meter.limiter.len() <= Meter::MAX_KEYS);
        assert!(meter.waiting().until.len() <= Meter::MAX_KEYS);
        // Who came first is not forgotten for those who came later.
        assert_eq!(meter.wait(0), Some(Duration::from_secs(6)));
        advance(Duration::from_secs(60)).await;
        assert_eq!(meter.wait(0), None);
        assert_eq!(meter.count(100_000), Ok(()));
        assert_eq!(meter.wait(100_000), Some(Duration::from_secs(6)));
        assert_eq!((meter.limiter.len(), meter.waiting().until.len()), (1, 1));
    }
}
