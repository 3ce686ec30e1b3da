//! Rate limits of registrations and failed authentications, by network (RFC 6749 §10.10, RFC 7591 §5).
//!
//! Nothing is counted for a client alone, so that guessing its secret locks the client out only at the attacker's
//! network.

use core::num::NonZeroU32;
use core::time::Duration;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use authorization_server::{Attempt, Failure};
use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use http::Request;
use oauth_types::ClientId;
use tokio::time::Instant;

use crate::network::{SHARES, network, networks};
use crate::peer::TrustedProxies;

/// Rate: a burst, and one more after each period.
///
/// # Examples
///
/// ```
/// use core::num::NonZeroU32;
/// use core::time::Duration;
///
/// use mcp_authz_axum::{Rate, RateLimits};
///
/// // Twenty registrations at once, then one a minute, for each address.
/// let burst = NonZeroU32::new(20).expect("not 0");
/// let rate = Rate::new(burst, Duration::from_secs(60));
/// let limits = RateLimits::default().with_registrations(rate);
/// # drop(limits);
/// assert_eq!(rate.every.as_secs(), 60);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Rate {
    /// Largest number at once.
    pub burst: NonZeroU32,
    /// Period after which one more is allowed; more than 0.
    pub every: Duration,
}

impl Rate {
    /// Creates a rate of this burst, and one more after each period, which is more than 0.
    #[must_use]
    pub const fn new(burst: NonZeroU32, every: Duration) -> Self {
        Self { burst, every }
    }

    /// Creates a rate from constants of the source.
    #[expect(clippy::expect_used, reason = "each burst that stands in the source is over 0")]
    pub(crate) const fn of(burst: u32, every: Duration) -> Self {
        Self::new(NonZeroU32::new(burst).expect("a burst over 0"), every)
    }

    /// Multiplies this rate for this number of networks.
    fn times(self, share: u32) -> Self {
        let burst =
            NonZeroU32::new(share).map_or(self.burst, |share| self.burst.saturating_mul(share));
        let every = self.every.checked_div(share).filter(|every| !every.is_zero());
        Self { burst, every: every.unwrap_or(self.every) }
    }
}

/// Rate limits of one network: an IPv4 address, or a /64 network of IPv6.
///
/// The /56 around it may do twice as much and the /48 four times as much, because /64 networks cost their holder
/// nothing. Requests beyond a limit are answered with 429 and `Retry-After`. `None` means no limit.
///
/// ```
/// use core::num::NonZeroU32;
/// use core::time::Duration;
///
/// use mcp_authz_axum::{Rate, RateLimits};
///
/// const BURST: NonZeroU32 = NonZeroU32::new(1000).unwrap();
/// let limits = RateLimits::default()
///     .with_registrations(Rate::new(BURST, Duration::from_secs(1)))
///     .with_logins(None);
/// assert!(limits.failures.is_some());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RateLimits {
    /// Rate of registrations: 60, and one a minute.
    pub registrations: Option<Rate>,
    /// Rate of failures to authenticate as one client: 10, and one every 6 seconds.
    ///
    /// Beyond it, credentials for that client are refused at this network. Requests without credentials are let
    /// through, because they guess nothing.
    pub failures: Option<Rate>,
    /// Rate of failures to authenticate as any client: 100, and one a second.
    ///
    /// Beyond it, all credentials are refused at this network. Public clients (method `none`) are let through. The
    /// same number of unknown codes and refresh tokens is answered with `invalid_grant`, and further ones with 429;
    /// valid ones are never refused for the failures of others.
    pub all_failures: Option<Rate>,
    /// Rate of requests to the [login routes](crate::AuthorizationServer::with_login_routes): 120, and two a second.
    pub logins: Option<Rate>,
}

impl RateLimits {
    /// No limits: for a server behind a gateway that limits rates itself.
    pub const OFF: Self =
        Self { registrations: None, failures: None, all_failures: None, logins: None };

    /// Sets the rate of [registrations](Self::registrations).
    #[must_use]
    pub fn with_registrations(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.registrations = rate.into();
        self
    }

    /// Sets the rate of [failures to authenticate as one client](Self::failures).
    #[must_use]
    pub fn with_failures(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.failures = rate.into();
        self
    }

    /// Sets the rate of [failures to authenticate as any client](Self::all_failures).
    #[must_use]
    pub fn with_all_failures(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.all_failures = rate.into();
        self
    }

    /// Sets the rate of [requests to the routes of the login](Self::logins).
    #[must_use]
    pub fn with_logins(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.logins = rate.into();
        self
    }
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            registrations: Some(Rate::of(60, Duration::from_secs(60))),
            failures: Some(Rate::of(10, Duration::from_secs(6))),
            all_failures: Some(Rate::of(100, Duration::from_secs(1))),
            logins: Some(Rate::of(120, Duration::from_millis(500))),
        }
    }
}

/// Meters of all limits, with the proxies that tell where requests come from.
pub(crate) struct Rates {
    registrations: Option<NetworkMeter>,
    failures: Option<NetworkMeter>,
    all_failures: Option<NetworkMeter>,
    unknown_grants: Option<NetworkMeter>,
    logins: Option<NetworkMeter>,
    proxies: TrustedProxies,
    hasher: RandomState,
}

impl Rates {
    pub(crate) fn new(limits: RateLimits, proxies: TrustedProxies) -> Self {
        Self {
            registrations: limits.registrations.and_then(NetworkMeter::new),
            failures: limits.failures.and_then(NetworkMeter::new),
            all_failures: limits.all_failures.and_then(NetworkMeter::new),
            unknown_grants: limits.all_failures.and_then(NetworkMeter::new),
            logins: limits.logins.and_then(NetworkMeter::new),
            proxies,
            hasher: RandomState::new(),
        }
    }

    /// Counts a registration.
    pub(crate) fn registration<B>(&self, request: &Request<B>) -> Result<(), Duration> {
        self.count(self.registrations.as_ref(), request)
    }

    /// Counts a request to a route of the login.
    pub(crate) fn login<B>(&self, request: &Request<B>) -> Result<(), Duration> {
        self.count(self.logins.as_ref(), request)
    }

    fn count<B>(&self, meter: Option<&NetworkMeter>, request: &Request<B>) -> Result<(), Duration> {
        let Some(meter) = meter else { return Ok(()) };
        meter.count(&self.keys(request, None))
    }

    /// Lets a network try to authenticate, unless it failed too often.
    ///
    /// A request without credentials guesses no secret and is let through, because the failures of others at its
    /// address must not lock a public client out.
    pub(crate) fn admit<B>(
        &self,
        request: &Request<B>,
        attempt: &Attempt<'_>,
    ) -> Result<(), Duration> {
        let wait =
            self.meters(request, attempt).filter_map(|(meter, keys)| meter.wait(&keys)).max();
        wait.map_or(Ok(()), Err)
    }

    /// Counts a failed attempt. Returns the time to wait if an unknown grant is one too many.
    pub(crate) fn record_failure<B>(
        &self,
        request: &Request<B>,
        attempt: &Attempt<'_>,
        failure: Failure,
    ) -> Result<(), Duration> {
        match (failure, &self.unknown_grants) {
            (Failure::Authentication, _) => {
                for (meter, keys) in self.meters(request, attempt) {
                    let _ = meter.count(&keys);
                }
                Ok(())
            }
            (Failure::UnknownGrant, Some(meter)) => meter.count(&self.keys(request, None)),
            _ => Ok(()),
        }
    }

    /// Returns the meters of an attempt that could be a guess, with the keys of the networks to count.
    fn meters<'a, B>(
        &'a self,
        request: &'a Request<B>,
        attempt: &'a Attempt<'a>,
    ) -> impl Iterator<Item = (&'a NetworkMeter, Keys)> {
        let is_guess = attempt.has_credentials;
        let of_client =
            self.failures.iter().filter(move |_| is_guess).filter_map(move |meter| {
                Some((meter, self.keys(request, Some(attempt.client_id?))))
            });
        let of_any = self.all_failures.iter().filter(move |_| is_guess);
        of_client.chain(of_any.map(move |meter| (meter, self.keys(request, None))))
    }

    fn keys<B>(&self, request: &Request<B>, client_id: Option<&ClientId>) -> Keys {
        let Some(peer) = self.proxies.peer(request) else { return NO_KEYS };
        let client_id = client_id.map(ClientId::as_str);
        networks(peer).map(|network| Some(self.hasher.hash_one((network?, client_id))))
    }

    /// Returns the network that a request comes from: the address, or its /64 network.
    pub(crate) fn network<B>(&self, request: &Request<B>) -> Option<IpAddr> {
        self.proxies.peer(request).map(network)
    }
}

/// Keys of an address, one for each of its networks.
pub(crate) type Keys = [Option<u64>; 3];

const NO_KEYS: Keys = [None; 3];

/// Meters of the three networks around an address, with growing bounds.
pub(crate) struct NetworkMeter([Meter; 3]);

impl NetworkMeter {
    pub(crate) fn new(rate: Rate) -> Option<Self> {
        let [narrow, middle, wide] = SHARES.map(|share| Meter::new(rate.times(share.into())));
        Some(Self([narrow?, middle?, wide?]))
    }

    fn each<'a>(&'a self, keys: &Keys) -> impl Iterator<Item = (&'a Meter, u64)> {
        self.0.iter().zip(*keys).filter_map(|(meter, key)| Some((meter, key?)))
    }

    /// Returns the time that the networks have to wait, without counting anything.
    fn wait(&self, keys: &Keys) -> Option<Duration> {
        self.each(keys).filter_map(|(meter, key)| meter.wait(key)).max()
    }

    /// Counts one, or returns the time to wait if it is one too many for any of the networks.
    pub(crate) fn count(&self, keys: &Keys) -> Result<(), Duration> {
        if let Some(wait) = self.wait(keys) {
            return Err(wait);
        }
        self.each(keys).try_for_each(|(meter, key)| meter.count(key))
    }
}

type Limiter = RateLimiter<u64, HashMapStateStore<u64>, Elapsed, StateInformationMiddleware>;

/// Meter of one limit, which counts by key.
pub(crate) struct Meter {
    limiter: Limiter,
    clock: Elapsed,
    every: Duration,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// Keys that have nothing left, with the times of the meter's clock until which they wait (exclusive).
    until: HashMap<u64, Duration>,
    /// Time at which expired keys were last removed.
    cleaned: Duration,
}

impl Meter {
    /// Most keys that are kept. Beyond that nothing is counted until some have expired.
    const MAX_KEYS: usize = 1 << 14;
    /// Shortest time between two searches for expired keys, while the table is full.
    const CLEANING: Duration = Duration::from_secs(1);

    /// Creates a meter; `None` for a period of 0, which limits nothing.
    pub(crate) fn new(rate: Rate) -> Option<Self> {
        let quota = Quota::with_period(rate.every)?.allow_burst(rate.burst);
        let clock = Elapsed(Instant::now());
        let limiter = RateLimiter::hashmap_with_clock(quota, clock).with_middleware();
        Some(Self { limiter, clock, every: rate.every, waiting: Mutex::default() })
    }

    /// Counts one, or returns the time to wait if it is one too many.
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

    /// Returns the time that a key has to wait, without counting anything.
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

/// Time since the meter was created, which changes of the wall clock do not affect.
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

    /// SEC-108
    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_of_addresses_is_bounded_and_forgotten() {
        let meter = Meter::new(Rate::of(1, Duration::from_secs(6))).unwrap();
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
