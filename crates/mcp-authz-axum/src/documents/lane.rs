//! Lanes of fetches: turns, places in the queue, and a budget for each host.
//!
//! An attacker can name documents at hosts that never answer. URLs whose last answer was good therefore have a lane
//! of their own, and in the other lane each network that asks has a budget.

use core::future::Future;
use core::hash::Hash;
use core::time::Duration;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::Arc;

use authorization_server::DocumentRefused;
use bytes::Bytes;
use http::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::network::networks;
use crate::rate::{Meter, NetworkMeter, Rate};

/// Lane of fetches, with its turns, places and budgets of hosts.
pub(super) struct Lane {
    turns: Semaphore,
    places: Arc<Semaphore>,
    hosts: Budget,
}

impl Lane {
    /// Longest time that a fetch takes once it has its turn.
    pub(super) const DEADLINE: Duration = Duration::from_millis(2500);
    /// Longest wait for a turn.
    const WAIT: Duration = Duration::from_millis(2500);
    /// Most fetches that are sent at once.
    const AT_ONCE: usize = 32;
    /// Most fetches that are under way or wait for their turn.
    const PLACES: usize = 1_000;
    /// Rate of fetches from one host, because attackers choose the URLs and could flood a host through this server.
    const OF_HOST: Rate = Rate::of(10, Duration::from_secs(1));

    pub(super) fn new() -> Self {
        Self {
            turns: Semaphore::new(Self::AT_ONCE),
            places: Arc::new(Semaphore::new(Self::PLACES)),
            hosts: Budget::new(Self::OF_HOST),
        }
    }

    /// Takes a place in the queue, which a fetch holds until it is over.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, DocumentRefused> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| DocumentRefused::Busy)
    }

    /// Waits for a turn, then for the answer, each with a deadline of its own.
    ///
    /// A long queue therefore leaves a host as much time as a short one.
    pub(super) async fn fetch(
        &self,
        host: &str,
        fetch: impl Future<Output = Result<Response<Bytes>, DocumentRefused>>,
    ) -> Result<Response<Bytes>, DocumentRefused> {
        // A-CIMD-1
        if !self.hosts.allows(host) {
            return Err(DocumentRefused::Busy);
        }
        let Ok(Ok(_turn)) = timeout(Self::WAIT, self.turns.acquire()).await else {
            return Err(DocumentRefused::Busy);
        };
        timeout(Self::DEADLINE, fetch).await.unwrap_or(Err(DocumentRefused::Unreachable))
    }
}

/// Rate of fetches by key, such as a host.
pub(super) struct Budget {
    meter: Option<Meter>,
    hasher: RandomState,
}

impl Budget {
    pub(super) fn new(rate: Rate) -> Self {
        Self { meter: Meter::new(rate), hasher: RandomState::new() }
    }

    pub(super) fn allows(&self, place: impl Hash) -> bool {
        let key = self.hasher.hash_one(place);
        self.meter.as_ref().is_none_or(|meter| meter.count(key).is_ok())
    }
}

/// Rate of fetches by network, the wider networks around it included.
pub(super) struct NetworkBudget {
    meter: Option<NetworkMeter>,
    hasher: RandomState,
}

impl NetworkBudget {
    pub(super) fn new(rate: Rate) -> Self {
        Self { meter: NetworkMeter::new(rate), hasher: RandomState::new() }
    }

    pub(super) fn allows(&self, address: IpAddr) -> bool {
        let keys = networks(address).map(|network| Some(self.hasher.hash_one(network?)));
        self.meter.as_ref().is_none_or(|meter| meter.count(&keys).is_ok())
    }
}
