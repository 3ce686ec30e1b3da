//! The documents in which clients describe themselves, and the keys that they publish: each is fetched once for all
//! who wait for it, and kept for as long as it says.

mod reach;
mod web;

use core::time::Duration;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use authorization_server::{ClientRecord, Config, DocumentRefused, KeysNeeded};
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use http::{Request, Response};
use http_cache_semantics::CachePolicy;
use lru::LruCache;
use oauth_types::{ClientIdMetadata, ClientMetadataUrl, KeySet, UnixTime};
use tokio::sync::Semaphore;
use tracing::{Level, debug, enabled, info};

pub(crate) use reach::Reach;
pub use web::{WebDocuments, WebDocumentsFailed};

use crate::Clock;
use crate::rate::{Meter, Rate};

/// Fetches the documents in which clients describe themselves, and the key sets at their `jwks_uri`.
/// [`WebDocuments`] does it; a host that wants some of
/// them only stands before it:
///
/// ```
/// use authorization_server::DocumentRefused;
/// use bytes::Bytes;
/// use futures::future::BoxFuture;
/// use mcp_oauth_axum::{ClientDocuments, WebDocuments};
/// use oauth_types::ClientMetadataUrl;
///
/// struct Partners(WebDocuments);
///
/// impl ClientDocuments for Partners {
///     fn fetch<'a>(
///         &'a self,
///         url: &'a ClientMetadataUrl,
///     ) -> BoxFuture<'a, Result<http::Response<Bytes>, DocumentRefused>> {
///         if url.as_url().origin().host().ends_with(".partner.example") {
///             return self.0.fetch(url);
///         }
///         Box::pin(async { Err(DocumentRefused::Forbidden) })
///     }
/// }
/// ```
pub trait ClientDocuments: Send + Sync + 'static {
    /// The answer to one GET of this URL. Anybody may have made the URL up: whoever implements this connects to no
    /// address for which [`is_local_ip`](oauth_types::is_local_ip) is true, follows no redirect, and reads no more
    /// than [`ClientIdMetadata::MAX_BYTES`](oauth_types::ClientIdMetadata::MAX_BYTES). It is dropped when it takes
    /// too long.
    fn fetch<'a>(
        &'a self,
        url: &'a ClientMetadataUrl,
    ) -> BoxFuture<'a, Result<Response<Bytes>, DocumentRefused>>;
}

/// A thing that is read from a document, and kept.
trait Readable: Clone + Send + Sync + 'static {
    /// Shortest time between two fetches of one URL, whatever the answer says.
    const REFETCH: Duration;

    fn shelf(documents: &Documents) -> &Mutex<Shelf<Self>>;

    fn read(
        config: &Config,
        url: &ClientMetadataUrl,
        answer: &Response<Bytes>,
        now: UnixTime,
    ) -> Result<Self, DocumentRefused>;
}

impl Readable for ClientRecord {
    const REFETCH: Duration = Duration::ZERO;

    fn shelf(documents: &Documents) -> &Mutex<Shelf<Self>> {
        &documents.clients
    }

    fn read(
        config: &Config,
        url: &ClientMetadataUrl,
        answer: &Response<Bytes>,
        now: UnixTime,
    ) -> Result<Self, DocumentRefused> {
        Self::from_document(config, url, answer, now)
    }
}

impl Readable for KeySet {
    const REFETCH: Duration = Duration::from_secs(30);

    fn shelf(documents: &Documents) -> &Mutex<Shelf<Self>> {
        &documents.keys
    }

    fn read(
        _: &Config,
        _: &ClientMetadataUrl,
        answer: &Response<Bytes>,
        _: UnixTime,
    ) -> Result<Self, DocumentRefused> {
        KeysNeeded::read(answer)
    }
}

/// What is known about clients from their documents.
pub(crate) struct Documents {
    source: Arc<dyn ClientDocuments>,
    config: Config,
    clock: Clock,
    clients: Mutex<Shelf<ClientRecord>>,
    keys: Mutex<Shelf<KeySet>>,
    reach: Reach,
    hosts: Budget,
    turns: Semaphore,
}

struct Shelf<T> {
    known: LruCache<ClientMetadataUrl, Known<T>>,
    /// Fetches that are under way: all who ask meanwhile wait for the same one.
    fetches: HashMap<ClientMetadataUrl, Fetch<T>>,
}

impl<T> Shelf<T> {
    fn new() -> Self {
        Self { known: LruCache::new(Documents::KNOWN), fetches: HashMap::new() }
    }
}

struct Known<T> {
    value: Result<T, DocumentRefused>,
    until: UnixTime,
    /// The time of the last attempt to fetch it.
    asked: UnixTime,
}

type Fetch<T> = Shared<BoxFuture<'static, Result<T, DocumentRefused>>>;

impl Documents {
    /// Longest time that a fetch takes, its wait for a turn included.
    pub(crate) const DEADLINE: Duration = Duration::from_millis(2500);
    /// Most fetches that are sent at once.
    const AT_ONCE: usize = 32;
    /// Most fetches that are under way or wait for their turn.
    const WAITING: usize = 1_000;
    /// Most clients that are remembered, 1,000, and as many key sets; those that nobody asked for longest go first.
    const KNOWN: NonZeroUsize = NonZeroUsize::MIN.saturating_add(999);
    /// How long a document is kept that says less, and one that says more. One that may not be stored is not.
    const KEPT: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(24 * 60 * 60));

    /// What reads them, and the configuration that promises it; neither, when there is nobody who fetches them.
    pub(crate) fn behind(
        config: Config,
        clock: &Clock,
        source: Option<Arc<dyn ClientDocuments>>,
        reach: Reach,
    ) -> (Config, Option<Arc<Self>>) {
        let Some(source) = source else { return (config, None) };
        let config = config.with_client_documents();
        let documents = Self {
            source,
            config: config.clone(),
            clock: clock.clone(),
            clients: Mutex::new(Shelf::new()),
            keys: Mutex::new(Shelf::new()),
            reach,
            hosts: Budget::new(),
            turns: Semaphore::new(Self::AT_ONCE),
        };
        (config, Some(Arc::new(documents)))
    }

    /// Returns `true` if the metadata may promise that documents are read.
    pub(crate) fn are_offered(&self) -> bool {
        self.reach.is_offered(self.clock.now())
    }

    /// The client that the document at this URL describes.
    pub(crate) async fn client(
        self: &Arc<Self>,
        url: &ClientMetadataUrl,
    ) -> Result<ClientRecord, DocumentRefused> {
        self.get(url, |_| true).await
    }

    /// The keys that a client publishes.
    pub(crate) async fn keys(
        self: &Arc<Self>,
        needed: &KeysNeeded<'_>,
    ) -> Result<KeySet, DocumentRefused> {
        self.get(needed.url(), |set| needed.is_in(set)).await
    }

    /// What is at this URL: as it is known, unless that is out of date and was not asked for lately.
    async fn get<T: Readable>(
        self: &Arc<Self>,
        url: &ClientMetadataUrl,
        is_current: impl Fn(&T) -> bool,
    ) -> Result<T, DocumentRefused> {
        let now = self.clock.now();
        let fetch = {
            let mut shelf = self.shelf::<T>();
            if let Some(known) = shelf.known.get_mut(url).filter(|known| now < known.until) {
                let is_current = known.value.as_ref().is_ok_and(is_current);
                if is_current || now < known.asked.plus(T::REFETCH) {
                    return known.value.clone();
                }
                known.asked = now;
            }
            match shelf.fetches.get(url) {
                Some(fetch) => fetch.clone(),
                None if shelf.fetches.len() >= Self::WAITING => return Err(DocumentRefused::Busy),
                None => {
                    let fetch = self.start(url.clone());
                    shelf.fetches.insert(url.clone(), fetch.clone());
                    fetch
                }
            }
        };
        fetch.await
    }

    /// Fetches in a task of its own: who asked first may go away, and the others still wait.
    fn start<T: Readable>(self: &Arc<Self>, url: ClientMetadataUrl) -> Fetch<T> {
        let documents = Arc::clone(self);
        let task = tokio::spawn(async move {
            let outcome = AssertUnwindSafe(documents.fetch::<T>(&url)).catch_unwind().await;
            let outcome = outcome.unwrap_or(Err(DocumentRefused::Unreachable));
            let asked = documents.clock.now();
            let mut shelf = documents.shelf::<T>();
            shelf.fetches.remove(&url);
            let (value, until) = match outcome {
                Ok((value, until)) => (Ok(value), until),
                Err(refused) => (Err(refused), None),
            };
            let until = until.unwrap_or(asked).max(asked.plus(T::REFETCH));
            let is_known = shelf.known.peek(&url).is_some_and(|known| asked < known.until);
            // A failure leaves what is known. `Busy` is no answer: nothing was sent.
            let is_kept = match &value {
                Ok(_) => true,
                Err(refused) => *refused != DocumentRefused::Busy && !is_known,
            };
            if is_kept && asked < until {
                shelf.known.put(url, Known { value: value.clone(), until, asked });
            }
            value
        });
        task.map(|ended| ended.unwrap_or(Err(DocumentRefused::Unreachable))).boxed().shared()
    }

    /// What is there, and until when it is as it says; `None` when that may not be kept.
    async fn fetch<T: Readable>(
        &self,
        url: &ClientMetadataUrl,
    ) -> Result<(T, Option<UnixTime>), DocumentRefused> {
        // A-CIMD-1
        let outcome = async {
            if !self.hosts.allows(url.as_url().origin().host()) {
                return Err(DocumentRefused::Busy);
            }
            let in_turn = async {
                let _turn = self.turns.acquire().await;
                self.source.fetch(url).await
            };
            let answer = tokio::time::timeout(Self::DEADLINE, in_turn).await;
            let answer = answer.unwrap_or(Err(DocumentRefused::Unreachable));
            let now = self.clock.now();
            self.reach.record(answer.as_ref(), now);
            let answer = answer?;
            let value = T::read(&self.config, url, &answer, now)?;
            if enabled!(Level::DEBUG) {
                // A key set is no such document, and has none.
                for member in ClientIdMetadata::passed_over(answer.body()) {
                    let client = url.as_url().as_str();
                    debug!(client, member, "a malformed member was passed over");
                }
            }
            Ok((value, kept_until(url, &answer, now)))
        };
        outcome.await.inspect_err(|reason| info!(%reason, "a client's document was not taken"))
    }

    fn shelf<T: Readable>(&self) -> MutexGuard<'_, Shelf<T>> {
        T::shelf(self).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until when a document is as good as a new one (RFC 9111 §4.2), within our own bounds; `None` when it may not be
/// kept (§3).
fn kept_until(
    url: &ClientMetadataUrl,
    answer: &Response<Bytes>,
    now: UnixTime,
) -> Option<UnixTime> {
    let mut request = Request::new(());
    *request.uri_mut() = url.as_url().to_uri().ok()?;
    let time = UNIX_EPOCH + Duration::from_secs(now.as_secs());
    let policy = CachePolicy::new_options(&request, answer, time, Default::default());
    let (least, most) = Documents::KEPT;
    policy.is_storable().then(|| now.plus(policy.time_to_live(time).clamp(least, most)))
}

/// How many fetches begin at one place: strangers choose where, and nobody is to be flooded through this server.
struct Budget {
    meter: Option<Meter>,
    hasher: RandomState,
}

impl Budget {
    fn new() -> Self {
        let rate = Rate::new(10, Duration::from_secs(1));
        Self { meter: Meter::new(rate), hasher: RandomState::new() }
    }

    fn allows(&self, place: impl Hash) -> bool {
        let key = self.hasher.hash_one(place);
        self.meter.as_ref().is_none_or(|meter| meter.count(key).is_ok())
    }
}
