//! Name resolution: once for each connection, bounded, and only to allowed addresses.
//!
//! Literal addresses are not resolved; the client checks them before it sends.

use core::fmt;
use core::future::Future;
use core::net::{IpAddr, SocketAddr};
use core::pin::Pin;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use oauth_types::is_local_ip;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

use crate::reach::{Reach, is_for_development};

type Found = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Function that resolves a name.
pub(crate) type LookUp = Arc<dyn Fn(String) -> Found + Send + Sync>;

/// Function that returns `true` if an address may be connected to once more now.
pub(crate) type Budget = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Resolver of one client.
///
/// Clones share everything.
#[derive(Clone)]
pub(crate) struct Names {
    pub(crate) reach: Arc<Reach>,
    /// Names with one fixed address, whatever the system's resolver answers.
    pinned: Arc<BTreeMap<String, SocketAddr>>,
    look_up: LookUp,
    /// Present if the URLs are untrusted.
    budget: Option<Budget>,
    slots: Arc<Semaphore>,
}

impl Names {
    /// Most names that are resolved at once.
    pub(crate) const AT_ONCE: usize = 64;
    /// Most addresses of a name that are tried under a budget.
    const ADDRESSES: usize = 4;
    /// Longest wait for a free slot under a budget.
    ///
    /// The rest of the deadline belongs to the exchange.
    pub(crate) const WAIT: Duration = Duration::from_secs(1);

    pub(crate) fn new(
        reach: Reach,
        pinned: BTreeMap<String, SocketAddr>,
        look_up: LookUp,
        budget: Option<Budget>,
    ) -> Self {
        let slots = Arc::new(Semaphore::new(Self::AT_ONCE));
        Self { reach: Arc::new(reach), pinned: Arc::new(pinned), look_up, budget, slots }
    }

    async fn addresses(&self, name: &str) -> Result<Vec<SocketAddr>, NoAddress> {
        if let Some(address) = self.pinned.get(name) {
            return Ok(vec![*address]);
        }
        let mut found = self.look_up(name).await?;
        if found.is_empty() {
            return Err(NoAddress::Unresolved(io::ErrorKind::NotFound.into()));
        }
        if is_for_development(name) {
            // C-TOKEN-1: plain http stays in a private network.
            found.retain(|address| is_local_ip(address.ip()));
            if found.is_empty() {
                return Err(NoAddress::Public);
            }
        }
        if !self.reach.is_anywhere(name) {
            if let Some(server) = self.reach.unseen_server(name) {
                self.reach.admit(server, self.look_up(server).await?);
            }
            found = self.reach.admit(name, found);
        }
        if let Some(allows) = &self.budget {
            found.truncate(Self::ADDRESSES);
            // An attacker chooses the addresses of a name, and can have any number of names.
            if !found.iter().all(|address| allows(address.ip())) {
                return Err(NoAddress::Busy);
            }
        }
        if found.is_empty() { Err(NoAddress::Local) } else { Ok(found) }
    }

    /// Returns `false` if the host is a literal address whose budget is used up.
    pub(crate) fn has_budget_for_literal(&self, host: &str) -> bool {
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse();
        match (&self.budget, literal) {
            (Some(allows), Ok(address)) => allows(address),
            _ => true,
        }
    }

    async fn look_up(&self, name: &str) -> Result<Vec<SocketAddr>, NoAddress> {
        let slot = self.slot().await?;
        let look_up = (self.look_up)(name.to_owned());
        // The system's resolver cannot be interrupted, so it keeps its slot even if the caller stops waiting.
        let found = tokio::spawn(async move {
            let found = look_up.await;
            drop(slot);
            found
        });
        let found = found.await.unwrap_or_else(|ended| Err(io::Error::other(ended)));
        found.map_err(NoAddress::Unresolved)
    }

    async fn slot(&self) -> Result<OwnedSemaphorePermit, NoAddress> {
        let slot = Arc::clone(&self.slots).acquire_owned();
        let slot = match self.budget {
            Some(_) => tokio::time::timeout(Self::WAIT, slot).await.ok(),
            // The deadline of the connection ends the wait.
            None => Some(slot.await),
        };
        slot.and_then(Result::ok).ok_or(NoAddress::Busy)
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let names = self.clone();
        Box::pin(async move {
            let found = names.addresses(name.as_str()).await.inspect_err(|why| {
                // Refusals of untrusted names are not logged, because an attacker could fill the log with them.
                let is_refused = matches!(why, NoAddress::Local | NoAddress::Public);
                if is_refused && names.budget.is_none() {
                    warn!(host = name.as_str(), "{why}");
                }
            })?;
            let found: Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").field("reach", &self.reach).finish_non_exhaustive()
    }
}

/// Reason for which a name has no address that may be connected to now.
#[derive(Debug)]
pub(crate) enum NoAddress {
    /// The policy allows none of the addresses.
    Local,
    /// The development host has no local address.
    Public,
    /// Too many names are being resolved, or resolve to the same address.
    Busy,
    /// The system's resolver failed.
    Unresolved(io::Error),
}

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "the name leads to a local address",
            Self::Public => "the name for development leads to a public address",
            Self::Busy => "too many names are being resolved, or lead to the same address",
            Self::Unresolved(_) => "the name cannot be resolved",
        })
    }
}

impl core::error::Error for NoAddress {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Unresolved(error) => Some(error),
            Self::Local | Self::Public | Self::Busy => None,
        }
    }
}

/// Returns the system's resolver.
pub(crate) fn system() -> LookUp {
    Arc::new(|name| {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Resolver that gives these answers, one after the other; and the number of its look-ups.
    fn names(answers: &'static [&'static [&'static str]]) -> (Names, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let look_up: LookUp = Arc::new(move |_| {
            let answer = answers[count.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1)];
            let address = |text: &&str| SocketAddr::new(text.parse().unwrap(), 0);
            let answer = answer.iter().map(address).collect();
            Box::pin(async move { Ok(answer) })
        });
        (with(look_up, Reach::default(), None), asked)
    }

    fn with(look_up: LookUp, reach: Reach, budget: Option<Budget>) -> Names {
        Names::new(reach, BTreeMap::new(), look_up, budget)
    }

    async fn resolve(names: &Names) -> Vec<String> {
        match names.addresses("c.example").await {
            Ok(found) => found.iter().map(|address| address.ip().to_string()).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// SEC-118
    #[tokio::test]
    async fn a_name_leads_to_public_addresses_only() {
        const LOCAL: &[&str] = &[
            "10.0.0.1",
            "172.16.0.1",
            "192.168.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "fc00::1",
            "fe80::1",
            "::ffff:7f00:1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "203.0.113.1",
            "3fff::1",
        ];
        let (names, asked) = names(&[LOCAL, &["10.0.0.1", "1.1.1.1", "::1"], &[]]);
        assert!(resolve(&names).await.is_empty());
        assert_eq!(resolve(&names).await, ["1.1.1.1"]);
        assert!(resolve(&names).await.is_empty());
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }

    /// SEC-126
    #[tokio::test]
    async fn many_names_of_one_address_share_its_budget() {
        let (mut names, _) = names(&[&["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4", "1.1.1.5"]]);
        assert_eq!(resolve(&names).await.len(), 5);
        let left = AtomicUsize::new(8);
        let take = move |_| {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |it| it.checked_sub(1)).is_ok()
        };
        names.budget = Some(Arc::new(take));
        for reached in [4, 4, 0] {
            assert_eq!(resolve(&names).await.len(), reached);
        }
        assert!(matches!(names.addresses("d.example").await, Err(NoAddress::Busy)));
    }

    /// C-TOKEN-1
    #[tokio::test]
    async fn http_for_development_stays_in_a_private_network() {
        oauth_types::allow_http_for_development("http://keycloak-of-names:8080").unwrap();
        let (names, _) = names(&[&["1.1.1.1", "10.0.0.7"], &["1.1.1.1", "2606:4700::1"]]);
        names.reach.trust("keycloak-of-names");
        let found = names.addresses("keycloak-of-names").await.unwrap();
        assert_eq!(found, [SocketAddr::from(([10, 0, 0, 7], 0))]);
        let found = names.addresses("keycloak-of-names").await;
        assert!(matches!(found, Err(NoAddress::Public)));
    }

    /// C-AUTHZ-7
    #[tokio::test]
    async fn a_name_other_than_the_servers_may_be_resolved_first() {
        let look_up: LookUp = Arc::new(|name| {
            let last = if name == "mcp.example" { 1 } else { 2 };
            Box::pin(async move { Ok(vec![SocketAddr::from(([10, 0, 0, last], 0))]) })
        });
        let reach = Reach::of(&oauth_types::Origin::of("https://mcp.example").unwrap());
        let names = with(look_up, reach, None);
        assert_eq!(resolve(&names).await, ["10.0.0.2"]);
    }

    /// SEC-229
    #[tokio::test(start_paused = true)]
    async fn a_silent_name_server_holds_a_bounded_number_of_slots() {
        let silent: LookUp = Arc::new(|_| Box::pin(core::future::pending()));
        let names = with(silent, Reach::default(), Some(Arc::new(|_| true)));
        for _ in 0..Names::AT_ONCE {
            let names = names.clone();
            // The caller stops waiting, and the look-up continues.
            let asked = async move { names.addresses("c.example").await.map(drop) };
            drop(tokio::time::timeout(Duration::from_millis(1), asked).await);
        }
        let start = tokio::time::Instant::now();
        assert!(matches!(names.addresses("d.example").await, Err(NoAddress::Busy)));
        assert_eq!(start.elapsed(), Names::WAIT);
    }
}
