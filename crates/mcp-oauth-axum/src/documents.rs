//! The documents in which clients describe themselves: each is fetched once for all who wait for it, and kept for as
//! long as it says.

mod web;

use core::time::Duration;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use authorization_server::{ClientRecord, Config, DocumentRefused};
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use http::{Request, Response};
use http_cache_semantics::CachePolicy;
use lru::LruCache;
use oauth_types::{ClientMetadataUrl, UnixTime};
use tokio::sync::Semaphore;
use tracing::info;

pub use web::{WebDocuments, WebDocumentsFailed};

use crate::Clock;
use crate::rate::{Meter, Rate};

/// Fetches the documents in which clients describe themselves. [`WebDocuments`] does it; a host that wants some of
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

/// What is known about clients from their documents.
pub(crate) struct Documents {
    source: Arc<dyn ClientDocuments>,
    config: Config,
    clock: Clock,
    shelf: Mutex<Shelf>,
    hosts: Budget,
    turns: Semaphore,
}

struct Shelf {
    known: LruCache<ClientMetadataUrl, Known>,
    /// Fetches that are under way: all who ask meanwhile wait for the same one.
    fetches: HashMap<ClientMetadataUrl, Fetch>,
}

struct Known {
    client: ClientRecord,
    until: UnixTime,
}

type Fetch = Shared<BoxFuture<'static, Result<ClientRecord, DocumentRefused>>>;

impl Documents {
    /// Longest time that a fetch takes, its wait for a turn included.
    const DEADLINE: Duration = Duration::from_millis(2500);
    /// Most fetches that are sent at once.
    const AT_ONCE: usize = 32;
    /// Most fetches that are under way or wait for their turn.
    const WAITING: usize = 1_000;
    /// Most clients that are remembered, 1,000; those that nobody asked for longest go first.
    const KNOWN: NonZeroUsize = NonZeroUsize::MIN.saturating_add(999);
    /// How long a document is kept that says less, and one that says more. One that may not be stored is not.
    const KEPT: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(24 * 60 * 60));

    /// What reads them, and the configuration that promises it; neither, when there is nobody who fetches them.
    pub(crate) fn behind(
        config: Config,
        clock: &Clock,
        source: Option<Arc<dyn ClientDocuments>>,
    ) -> (Config, Option<Arc<Self>>) {
        let Some(source) = source else { return (config, None) };
        let config = config.with_client_documents();
        let documents = Self::new(source, config.clone(), clock.clone());
        (config, Some(Arc::new(documents)))
    }

    fn new(source: Arc<dyn ClientDocuments>, config: Config, clock: Clock) -> Self {
        let shelf = Shelf { known: LruCache::new(Self::KNOWN), fetches: HashMap::new() };
        let (shelf, turns) = (Mutex::new(shelf), Semaphore::new(Self::AT_ONCE));
        Self { source, config, clock, shelf, hosts: Budget::new(), turns }
    }

    /// The client that the document at this URL describes.
    pub(crate) async fn client(
        self: &Arc<Self>,
        url: &ClientMetadataUrl,
    ) -> Result<ClientRecord, DocumentRefused> {
        let now = self.clock.now();
        let fetch = {
            let mut shelf = self.shelf();
            if let Some(known) = shelf.known.get(url).filter(|known| now < known.until) {
                return Ok(known.client.clone());
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
    fn start(self: &Arc<Self>, url: ClientMetadataUrl) -> Fetch {
        let documents = Arc::clone(self);
        let task = tokio::spawn(async move {
            let outcome = AssertUnwindSafe(documents.fetch(&url)).catch_unwind().await;
            let outcome = outcome.unwrap_or(Err(DocumentRefused::Unreachable));
            let mut shelf = documents.shelf();
            shelf.fetches.remove(&url);
            outcome.map(|(client, until)| {
                if let Some(until) = until {
                    shelf.known.put(url, Known { client: client.clone(), until });
                }
                client
            })
        });
        task.map(|ended| ended.unwrap_or(Err(DocumentRefused::Unreachable))).boxed().shared()
    }

    /// The client, and until when it is as its document says; `None` when that may not be kept.
    async fn fetch(
        &self,
        url: &ClientMetadataUrl,
    ) -> Result<(ClientRecord, Option<UnixTime>), DocumentRefused> {
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
            let answer = answer.unwrap_or(Err(DocumentRefused::Unreachable))?;
            let now = self.clock.now();
            let client = ClientRecord::from_document(&self.config, url, &answer, now)?;
            Ok((client, kept_until(url, &answer, now)))
        };
        outcome.await.inspect_err(|reason| info!(%reason, "a client's document was not taken"))
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
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
