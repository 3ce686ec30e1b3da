//! Client ID metadata documents and the key sets that clients publish: fetched once for all callers that wait, and
//! cached for as long as their headers allow (RFC 9111).
//!
//! | a URL | is fetched in the lane | and counts for the network that asks |
//! |---|---|---|
//! | whose last answer was good | of what is known | no |
//! | that is new, or whose host was silent when it was last asked | of what is new | yes |

mod lane;
mod reach;
mod shelf;
mod web;

use core::time::Duration;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use authorization_server::{ClientRecord, Config, DocumentRefused, KeysNeeded};
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::Response;
use oauth_types::{ClientIdMetadata, ClientMetadataUrl, JwkSet, UnixTime};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tracing::{Level, debug, enabled, info};

use lane::{Lane, NetworkBudget};
pub(crate) use reach::Reach;
use shelf::{Fetch, Shelf, Times, is_unanswered};
pub use web::{WebDocuments, WebDocumentsFailed};

use crate::clock::Clock;
use crate::rate::Rate;
use crate::standing::Standing;

/// Fetches client ID metadata documents, and the key sets at their `jwks_uri`.
///
/// [`WebDocuments`] implements it. A host that accepts only some documents wraps that:
///
/// ```
/// use authorization_server::DocumentRefused;
/// use bytes::Bytes;
/// use futures::future::BoxFuture;
/// use mcp_authz_axum::{ClientDocuments, WebDocuments};
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
    /// Sends one GET request to this URL and returns the response.
    ///
    /// Anybody may have made the URL up. An implementation therefore connects to no address for which
    /// [`is_local_ip`](oauth_types::is_local_ip) is true, follows no redirect, and reads at most
    /// [`ClientIdMetadata::MAX_BYTES`](oauth_types::ClientIdMetadata::MAX_BYTES). The future is dropped when it takes
    /// too long.
    fn fetch<'a>(
        &'a self,
        url: &'a ClientMetadataUrl,
    ) -> BoxFuture<'a, Result<Response<Bytes>, DocumentRefused>>;

    /// Fetches a URL whose last answer was good; by default calls [`fetch`](Self::fetch).
    ///
    /// An implementation that bounds its fetches gives this method bounds of its own, as [`WebDocuments`] does,
    /// because made-up URLs must not delay known clients. A wrapper passes the call on.
    fn fetch_known<'a>(
        &'a self,
        url: &'a ClientMetadataUrl,
    ) -> BoxFuture<'a, Result<Response<Bytes>, DocumentRefused>> {
        self.fetch(url)
    }
}

/// Value that is parsed from a fetched document, and cached.
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

impl Readable for JwkSet {
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

/// Cached client documents and key sets, with the fetches that are under way.
pub(crate) struct Documents {
    source: Arc<dyn ClientDocuments>,
    config: Config,
    clock: Clock,
    clients: Mutex<Shelf<ClientRecord>>,
    keys: Mutex<Shelf<JwkSet>>,
    reach: Reach,
    askers: NetworkBudget,
    known: Lane,
    new: Lane,
}

impl Documents {
    /// Longest time that a fetch takes once it has its turn.
    pub(crate) const DEADLINE: Duration = Lane::DEADLINE;
    /// Longest wait for a new document while an outdated one is cached.
    const PATIENCE: Duration = Duration::from_secs(1);
    /// Rate of fetches of new documents that one network may cause.
    const OF_ASKER: Rate = Rate::of(20, Duration::from_secs(1));

    /// Builds the documents and the configuration whose metadata offers them.
    ///
    /// Without a fetcher there are no documents, and the metadata does not offer them.
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
            askers: NetworkBudget::new(Self::OF_ASKER),
            known: Lane::new(),
            new: Lane::new(),
        };
        (config, Some(Arc::new(documents)))
    }

    /// Returns `true` if the metadata may offer client ID metadata documents.
    pub(crate) fn are_offered(&self) -> bool {
        self.reach.is_offered(self.clock.now())
    }

    /// Returns the client that the document at this URL describes, for a request from this network.
    pub(crate) async fn client(
        self: &Arc<Self>,
        url: &ClientMetadataUrl,
        asker: Option<IpAddr>,
    ) -> Result<ClientRecord, DocumentRefused> {
        self.get(url, asker, |_| true).await
    }

    /// Returns the key set that a client publishes, for a request from this network.
    pub(crate) async fn keys(
        self: &Arc<Self>,
        needed: &KeysNeeded<'_>,
        asker: Option<IpAddr>,
    ) -> Result<JwkSet, DocumentRefused> {
        self.get(needed.url(), asker, |set| needed.is_in(set)).await
    }

    /// Records that a client got a token, so that its document stays cached longer than those that were only named.
    pub(crate) fn mark_used(&self, client: &ClientRecord) {
        if let Ok(url) = ClientMetadataUrl::parse(client.client_id.as_str()) {
            self.shelf::<ClientRecord>().mark_used(&url);
        }
        let keys = client.metadata.jwks_uri.as_deref();
        if let Some(Ok(url)) = keys.map(ClientMetadataUrl::parse) {
            self.shelf::<JwkSet>().mark_used(&url);
        }
    }

    /// Returns the value at this URL: the cached one, or a new one if that is outdated and a fetch is due.
    async fn get<T: Readable>(
        self: &Arc<Self>,
        url: &ClientMetadataUrl,
        asker: Option<IpAddr>,
        is_current: impl Fn(&T) -> bool,
    ) -> Result<T, DocumentRefused> {
        let now = self.clock.now();
        let (fetch, old) = {
            let mut shelf = self.shelf::<T>();
            let (mut old, mut standing) = (None, Standing::New);
            let is_in_use = shelf.is_in_use(url);
            if let Some(known) = shelf.get_mut(url) {
                if is_in_use && known.was_good() {
                    standing = Standing::Good;
                }
                let current = known.value.as_ref().ok().filter(|value| is_current(value));
                if now < known.times.fresh {
                    if current.is_some() || now < known.asked.saturating_add(T::REFETCH) {
                        return known.value.clone();
                    }
                    known.asked = now;
                } else if let Some(current) = current.filter(|_| now < known.times.stale) {
                    if known.is_resting(now) {
                        return Ok(current.clone());
                    }
                    old = Some(current.clone());
                }
            }
            let fetch = match shelf.fetches.get(url) {
                Some(fetch) => Ok(fetch.clone()),
                None => self.start(&mut shelf, url, asker, standing),
            };
            (fetch, old)
        };
        match (fetch, old) {
            (Ok(fetch), None) => fetch.await,
            (Err(refused), None) => Err(refused),
            (Err(_), Some(old)) => Ok(old),
            (Ok(fetch), Some(old)) => match timeout(Self::PATIENCE, fetch).await {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(refused)) if !is_unanswered(&refused) => Err(refused),
                // RFC 9111 §4.2.4: a cache that is disconnected from the host may use a stale answer.
                Ok(Err(_)) | Err(_) => {
                    debug!(
                        url = url.as_url().as_str(),
                        "what was good is used: its host is silent"
                    );
                    Ok(old)
                }
            },
        }
    }

    /// Starts a fetch in a task of its own, because the first caller may go away while others wait.
    fn start<T: Readable>(
        self: &Arc<Self>,
        shelf: &mut Shelf<T>,
        url: &ClientMetadataUrl,
        asker: Option<IpAddr>,
        standing: Standing,
    ) -> Result<Fetch<T>, DocumentRefused> {
        if standing == Standing::New && asker.is_some_and(|network| !self.askers.allows(network)) {
            info!("a client's document was not asked for: one network asks for too many new ones");
            return Err(DocumentRefused::Busy);
        }
        let place = self.lane(standing).place()?;
        let (documents, of) = (Arc::clone(self), url.clone());
        let task = tokio::spawn(async move { documents.run(of, standing, place).await });
        let fetch = task.map(|ended| ended.unwrap_or(Err(DocumentRefused::Unreachable)));
        let fetch = fetch.boxed().shared();
        shelf.fetches.insert(url.clone(), fetch.clone());
        Ok(fetch)
    }

    async fn run<T: Readable>(
        &self,
        url: ClientMetadataUrl,
        standing: Standing,
        _place: OwnedSemaphorePermit,
    ) -> Result<T, DocumentRefused> {
        let outcome = AssertUnwindSafe(self.fetch::<T>(&url, standing)).catch_unwind().await;
        let outcome = outcome.unwrap_or(Err(DocumentRefused::Unreachable));
        let asked = self.clock.now();
        let mut shelf = self.shelf::<T>();
        shelf.fetches.remove(&url);
        shelf.record(url, &outcome, asked, T::REFETCH);
        outcome.map(|(value, _)| value)
    }

    /// Fetches a URL and parses the answer; the times are `None` if it may not be cached.
    async fn fetch<T: Readable>(
        &self,
        url: &ClientMetadataUrl,
        standing: Standing,
    ) -> Result<(T, Option<Times>), DocumentRefused> {
        let outcome = async {
            let fetch = match standing {
                Standing::Good => self.source.fetch_known(url),
                Standing::New => self.source.fetch(url),
            };
            let answer = self.lane(standing).fetch(url.as_url().origin().host(), fetch).await;
            let now = self.clock.now();
            self.reach.record(answer.as_ref(), now);
            let answer = answer?;
            let value = T::read(&self.config, url, &answer, now)?;
            if enabled!(Level::DEBUG) {
                // Key sets come through here too, and have no such members.
                for member in ClientIdMetadata::passed_over(answer.body()) {
                    let client = url.as_url().as_str();
                    debug!(client, member, "a malformed member was passed over");
                }
            }
            Ok((value, Times::of(url, &answer, now)))
        };
        outcome.await.inspect_err(|reason| info!(%reason, "a client's document was not taken"))
    }

    const fn lane(&self, standing: Standing) -> &Lane {
        match standing {
            Standing::Good => &self.known,
            Standing::New => &self.new,
        }
    }

    fn shelf<T: Readable>(&self) -> MutexGuard<'_, Shelf<T>> {
        T::shelf(self).lock().unwrap_or_else(PoisonError::into_inner)
    }
}
