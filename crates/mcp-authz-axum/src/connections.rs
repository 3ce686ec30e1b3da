//! Limits on open connections, in total and per network, and the choice of idle ones to close.
//!
//! | a new connection comes while | closed are |
//! |---|---|
//! | its network is at its limit | the longest idle ones of this network, or else the new one |
//! | the listener is at its total limit | idle ones of the largest network, or any idle ones, or else the new one |
//! | the process has no descriptor left | an eighth of the idle ones of the listener with most idle ones |
//!
//! A connection is idle until a request has arrived completely: between requests, and while a head or a body is being
//! received. It counts as active while its answer is sent, which for an event stream lasts until the stream ends.

mod activity;

use core::cmp::Reverse;
use core::mem::take;
use core::time::Duration;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use oauth_types::is_local_ip;
use tokio::time::Instant;
use tracing::warn;

pub(crate) use self::activity::{Activity, Answering};
use crate::network::{Network, SHARES, networks};

/// Deadlines and limits of the connections that [`serve`](crate::serve()) holds.
///
/// ```
/// use core::time::Duration;
/// use mcp_authz_axum::ConnectionLimits;
///
/// let limits = ConnectionLimits::default().with_in_all(50_000).with_stop(Duration::from_secs(30));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ConnectionLimits {
    /// Time for a request's head to arrive: 30 seconds by default.
    ///
    /// It is counted from the opening of the connection or from the previous answer, so an idle connection is closed
    /// after this time.
    pub head: Duration,
    /// Time for answers under way to end after the stop signal: 10 seconds by default.
    pub stop: Duration,
    /// Maximum number of connections: 10,000 by default.
    ///
    /// When the process has fewer file descriptors, idle connections are closed as soon as those run out.
    pub in_all: usize,
    /// Maximum number of connections of one network: 256 by default.
    ///
    /// A network is an IPv4 address or an IPv6 /64. The /56 around it may have twice as many, and the /48 four times.
    /// Raise the limit where a proxy connects from a public address.
    pub by_network: usize,
    /// Maximum number of connections of one local network: 10,000 by default.
    ///
    /// It replaces [`by_network`](Self::by_network) for loopback and private addresses, because a reverse proxy
    /// connects from such an address for all clients.
    pub by_local_network: usize,
}

impl ConnectionLimits {
    /// Sets [`head`](Self::head), the time for a request's head to arrive.
    #[must_use]
    pub const fn with_head(mut self, head: Duration) -> Self {
        self.head = head;
        self
    }

    /// Sets [`stop`](Self::stop), the time for answers under way to end.
    #[must_use]
    pub const fn with_stop(mut self, stop: Duration) -> Self {
        self.stop = stop;
        self
    }

    /// Sets [`in_all`](Self::in_all), the maximum number of connections.
    #[must_use]
    pub const fn with_in_all(mut self, in_all: usize) -> Self {
        self.in_all = in_all;
        self
    }

    /// Sets [`by_network`](Self::by_network), the maximum for one network.
    #[must_use]
    pub const fn with_by_network(mut self, by_network: usize) -> Self {
        self.by_network = by_network;
        self
    }

    /// Sets [`by_local_network`](Self::by_local_network), the maximum for one local network.
    #[must_use]
    pub const fn with_by_local_network(mut self, by_local_network: usize) -> Self {
        self.by_local_network = by_local_network;
        self
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(30),
            stop: Duration::from_secs(10),
            in_all: 10_000,
            by_network: 256,
            by_local_network: 10_000,
        }
    }
}

/// Open connections of one listener.
pub(crate) struct Connections {
    limits: ConnectionLimits,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    open: HashMap<u64, Open>,
    counts: HashMap<Network, usize>,
    /// Connections closed to make room, or refused, since the last log event.
    closed: usize,
    /// Connections closed to make room whose descriptors are still open.
    closing: usize,
    told: Option<Instant>,
}

struct Open {
    networks: [Option<Network>; 3],
    activity: Arc<Activity>,
}

/// Listeners of this process, which share its file descriptors.
static LISTENERS: Mutex<Vec<Weak<Connections>>> = Mutex::new(Vec::new());

/// Minimum time between two log events about closed connections.
const BETWEEN_EVENTS: Duration = Duration::from_secs(60);

impl Connections {
    /// Divisor of the idle connections to close when file descriptors run out.
    const FREED: usize = 8;

    pub(crate) fn new(limits: ConnectionLimits) -> Arc<Self> {
        let state = Mutex::default();
        let own = Arc::new(Self { limits, started: Instant::now(), state });
        let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(&own));
        own
    }

    /// Admits a connection, or returns `None` if it has to be closed.
    ///
    /// Idle connections are closed for it where a limit is reached.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Connection> {
        let networks = networks(peer);
        let mut state = self.state();
        let is_admitted = self.has_room(&mut state, peer, &networks);
        state.closed = state.closed.saturating_add(usize::from(!is_admitted));
        self.tell(&mut state);
        if !is_admitted {
            return None;
        }
        let id = state.next;
        state.next = id.wrapping_add(1);
        let activity = Arc::new(Activity::new(self.started));
        for network in networks.into_iter().flatten() {
            *state.counts.entry(network).or_default() += 1;
        }
        state.open.insert(id, Open { networks, activity: Arc::clone(&activity) });
        drop(state);
        Some(Connection { id, connections: Arc::clone(self), activity })
    }

    /// Returns `true` if a connection fits the limits, once idle ones are closed.
    fn has_room(&self, state: &mut State, peer: IpAddr, networks: &[Option<Network>; 3]) -> bool {
        let by_network = match is_local_ip(peer) {
            true => self.limits.by_local_network,
            false => self.limits.by_network,
        };
        for (network, share) in networks.iter().flatten().zip(SHARES) {
            let bound = by_network.saturating_mul(share.into());
            let is_full = state.counts.get(network).is_some_and(|count| *count >= bound);
            if is_full && !state.close_idle(Some(network), bound) {
                return false;
            }
        }
        state.open.len() < self.limits.in_all || state.close_idle_of_most(self.limits.in_all)
    }

    /// Closes idle connections to free file descriptors of the process.
    ///
    /// It closes an eighth of the idle connections of the listener that has most of them, beginning with the networks
    /// with most connections. That is more than a reached limit closes, because every further call makes all listeners
    /// wait. Returns `true` if a connection was idle.
    pub(crate) fn close_idle_anywhere() -> bool {
        let listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
        let listeners: Vec<_> = listeners.iter().filter_map(Weak::upgrade).collect();
        let idle = listeners.iter().map(|listener| (listener.state().idle().count(), listener));
        let Some((idle, fullest)) = idle.max_by_key(|(idle, _)| *idle) else { return false };
        let mut state = fullest.state();
        // While earlier ones still hold their descriptors, closing more would free too many.
        if state.closing == 0 {
            state.close_idle_of_largest(idle.div_ceil(Self::FREED));
        }
        idle > 0
    }

    fn tell(&self, state: &mut State) {
        let is_time = state.told.is_none_or(|told| told.elapsed() >= BETWEEN_EVENTS);
        if state.closed > 0 && is_time {
            state.told = Some(Instant::now());
            let (closed, open) = (take(&mut state.closed), state.open.len());
            let ConnectionLimits { in_all, by_network, by_local_network, .. } = self.limits;
            warn!(
                closed,
                open,
                in_all,
                by_network,
                by_local_network,
                "connections were closed to make room, or refused: ConnectionLimits bounds them"
            );
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Divisor of a reached limit that gives the number of connections to close.
    ///
    /// Closing several at once is cheaper, because each search reads all connections.
    const PART: usize = 64;

    fn idle(&self) -> impl Iterator<Item = (u64, u64, &Open)> {
        self.open.iter().filter_map(|(id, open)| Some((open.activity.idle_since()?, *id, open)))
    }

    /// Closes the longest idle connections of one network, or of all for `None`.
    ///
    /// It closes a part of the limit and at least one. Returns `true` if a connection was idle.
    fn close_idle(&mut self, network: Option<&Network>, bound: usize) -> bool {
        let is_in = |open: &Open| network.is_none_or(|own| open.networks.contains(&Some(*own)));
        let idle = self.idle().filter(|(.., open)| is_in(open));
        let mut idle: Vec<_> = idle.map(|(since, id, _)| (since, id)).collect();
        idle.sort_unstable();
        for (_, id) in idle.iter().take((bound / Self::PART).max(1)) {
            self.close(*id);
        }
        !idle.is_empty()
    }

    /// Closes up to `part` idle connections, those of the largest networks first.
    ///
    /// Within one network, those that were idle longest come first.
    fn close_idle_of_largest(&mut self, part: usize) {
        let size = |open: &Open| {
            let counts = open.networks.iter().flatten().filter_map(|own| self.counts.get(own));
            counts.max().copied()
        };
        let mut idle: Vec<_> =
            self.idle().map(|(since, id, open)| (Reverse(size(open)), since, id)).collect();
        idle.sort_unstable();
        for (.., id) in idle.into_iter().take(part) {
            self.close(id);
        }
    }

    fn close(&mut self, id: u64) {
        if let Some(open) = self.remove(id) {
            open.activity.close();
            self.closed = self.closed.saturating_add(1);
            self.closing = self.closing.saturating_add(1);
        }
    }

    /// Closes idle connections of the largest network, or of any if it has none.
    fn close_idle_of_most(&mut self, bound: usize) -> bool {
        let most = self.counts.iter().max_by_key(|(_, count)| **count).map(|(network, _)| *network);
        self.close_idle(most.as_ref(), bound) || self.close_idle(None, bound)
    }

    fn remove(&mut self, id: u64) -> Option<Open> {
        let open = self.open.remove(&id)?;
        for network in open.networks.iter().flatten() {
            if let Some(count) = self.counts.get_mut(network) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.counts.remove(network);
                }
            }
        }
        Some(open)
    }
}

/// Admitted connection, which counts against the limits until it is dropped.
pub(crate) struct Connection {
    id: u64,
    connections: Arc<Connections>,
    activity: Arc<Activity>,
}

impl Connection {
    pub(crate) const fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Waits until the connection has to make room for others.
    pub(crate) async fn closed(&self) {
        self.activity.closed().await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut state = self.connections.state();
        if state.remove(self.id).is_none() {
            // It is no longer listed because it was closed to make room.
            state.closing = state.closing.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn connections(in_all: usize, by_network: usize) -> Arc<Connections> {
        let limits = ConnectionLimits::default().with_in_all(in_all).with_by_network(by_network);
        Connections::new(limits)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Starts a request that has arrived completely.
    fn answering(connection: &Connection) -> Arc<Answering> {
        let answering = connection.activity().answer();
        answering.arrived();
        answering
    }

    async fn is_closed(connection: &Connection) -> bool {
        tokio::time::timeout(Duration::from_millis(1), connection.closed()).await.is_ok()
    }

    /// SEC-223
    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_connection_of_a_network_makes_room() {
        let own = connections(10, 3);
        let attacker = ip("8.8.4.1");
        let first = own.admit(attacker).unwrap();
        advance(Duration::from_millis(10)).await;
        let second = own.admit(attacker).unwrap();
        let third = own.admit(attacker).unwrap();
        let other = own.admit(ip("8.8.4.2")).unwrap();
        let answered = answering(&first);
        let fourth = own.admit(attacker).unwrap();
        // The first is active, so the second has been idle longest.
        assert!(is_closed(&second).await && !is_closed(&first).await && !is_closed(&third).await);
        let all = [&first, &third, &fourth].map(answering);
        assert!(own.admit(attacker).is_none(), "none of this network is idle");
        assert!(own.admit(ip("8.8.4.2")).is_some() && !is_closed(&other).await);
        drop((answered, all, first));
        assert!(own.admit(attacker).is_some());
    }

    /// SEC-223
    #[tokio::test]
    async fn networks_around_a_network_have_bounds_that_grow() {
        let own = connections(1_000, 4);
        let mut open = Vec::new();
        for number in 0..100_u16 {
            let peer = ip(&format!("2600:1:0:{number:x}::1"));
            let Some(connection) = own.admit(peer) else { continue };
            let answered = answering(&connection);
            open.push((connection, answered));
        }
        assert_eq!(open.len(), 8, "a /56 may have twice as many as a /64");
        for number in 0..100_u16 {
            let peer = ip(&format!("2600:1:0:{number:x}00::1"));
            let Some(connection) = own.admit(peer) else { continue };
            let answered = answering(&connection);
            open.push((connection, answered));
        }
        assert_eq!(open.len(), 16, "and a /48 four times as many");
        assert!(own.admit(ip("2600:1:1::1")).is_some());
        drop(open);
        assert!(own.state().counts.is_empty() && own.state().open.is_empty());
    }

    /// SEC-223
    #[tokio::test(start_paused = true)]
    async fn in_all_the_network_with_most_connections_makes_room() {
        let own = connections(10, 100);
        let good = own.admit(ip("9.9.9.1")).unwrap();
        advance(Duration::from_secs(1)).await;
        let mut open: Vec<_> = (0..9).filter_map(|_| own.admit(ip("8.8.4.1"))).collect();
        for number in 0..50 {
            open.extend(own.admit(ip(&format!("1.1.1.{number}"))));
            assert!(own.state().open.len() <= 10);
        }
        // The full network makes room first; once all networks are equal, the longest idle connection does.
        for connection in open.iter().take(8) {
            assert!(is_closed(connection).await);
        }
        drop(good);
        // A local reverse proxy connects for all clients.
        let local = connections(10, 1);
        let open: Vec<_> = (0..10).filter_map(|_| local.admit(ip("127.0.0.1"))).collect();
        assert_eq!(open.len(), 10);
    }
}
