//! Cache of fetched client documents and key sets, with their freshness (RFC 9111 §4.2).
//!
//! | age of a document | treatment |
//! |---|---|
//! | fresh by its headers, for at least a minute and at most a day | used |
//! | stale for less than an hour, unless headers forbid it | fetched again; used while the host is silent (§4.2.4) |
//! | older, or withdrawn by an answer of its host | discarded |
//!
//! `lru` is used instead of `moka`, because an entry that `in_use` displaces has to return to `named` under the same
//! lock. `moka` reports evictions later, to a listener, so that a document in use could be missing from both.

use core::time::Duration;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::time::UNIX_EPOCH;

use authorization_server::{ClientUnavailable, DocumentRefused};
use bytes::Bytes;
use futures::future::{BoxFuture, Shared};
use http::header::CACHE_CONTROL;
use http::{Request, Response};
use http_cache_semantics::CachePolicy;
use lru::LruCache;
use oauth_types::{ClientMetadataUrl, UnixTime};

pub(super) type Fetch<T> = Shared<BoxFuture<'static, Result<T, DocumentRefused>>>;

/// Cached documents of one kind, by URL.
///
/// Documents of clients that got a token are kept apart, so that naming many clients with valid documents cannot
/// displace them.
pub(super) struct Shelf<T> {
    named: LruCache<ClientMetadataUrl, Known<T>>,
    in_use: LruCache<ClientMetadataUrl, Known<T>>,
    /// Fetches under way, each shared by all callers that need its URL.
    pub(super) fetches: HashMap<ClientMetadataUrl, Fetch<T>>,
}

/// Fetched document, or the reason for its refusal.
pub(super) struct Known<T> {
    pub(super) value: Result<T, DocumentRefused>,
    pub(super) times: Times,
    /// Time of the last attempt to fetch it.
    pub(super) asked: UnixTime,
    /// `true` if the last attempt got no answer.
    pub(super) is_missed: bool,
}

/// Expiry times of a cached document (exclusive).
#[derive(Clone, Copy)]
pub(super) struct Times {
    /// End of freshness: fresh while `now < fresh`.
    pub(super) fresh: UnixTime,
    /// End of stale use while fetches fail: usable while `now < stale`.
    pub(super) stale: UnixTime,
}

impl<T: Clone> Shelf<T> {
    /// Capacity of each cache, 1,000; the least recently used entries go first.
    const KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(999);

    pub(super) fn new() -> Self {
        let [named, in_use] = [(), ()].map(|()| LruCache::new(Self::KEPT));
        Self { named, in_use, fetches: HashMap::new() }
    }

    pub(super) fn get_mut(&mut self, url: &ClientMetadataUrl) -> Option<&mut Known<T>> {
        self.in_use.get_mut(url).or_else(|| self.named.get_mut(url))
    }

    /// Returns `true` if a client with this document or these keys got a token.
    ///
    /// Naming a client in a request is not enough.
    pub(super) fn is_in_use(&self, url: &ClientMetadataUrl) -> bool {
        self.in_use.contains(url)
    }

    /// Records that a client got a token, which moves its document to `in_use`.
    pub(super) fn mark_used(&mut self, url: &ClientMetadataUrl) {
        if let Some(known) = self.named.pop(url)
            && let Some((url, displaced)) = self.in_use.push(url.clone(), known)
        {
            self.named.put(url, displaced);
        }
    }

    /// Records the outcome of a fetch.
    ///
    /// `refetch` is the shortest time between two fetches of one URL.
    pub(super) fn record(
        &mut self,
        url: ClientMetadataUrl,
        outcome: &Result<(T, Option<Times>), DocumentRefused>,
        asked: UnixTime,
        refetch: Duration,
    ) {
        let soon = asked.saturating_add(refetch);
        let is_in_use = self.in_use.contains(&url);
        let shelf = if is_in_use { &mut self.in_use } else { &mut self.named };
        let before = shelf.peek_mut(&url);
        let (value, times) = match outcome {
            Ok((value, times)) => (Ok(value.clone()), *times),
            Err(refused) => {
                let is_unanswered = is_unanswered(refused);
                if let Some(known) = before
                    && known.is_usable_after(refused, asked)
                {
                    // `Busy` means that no request was sent, so the host is not at fault.
                    known.is_missed |= is_unanswered && *refused != DocumentRefused::Busy;
                    known.asked = asked;
                    return;
                }
                if *refused == DocumentRefused::Busy {
                    return;
                }
                (Err(refused.clone()), None)
            }
        };
        let mut times = times.unwrap_or(Times { fresh: asked, stale: asked });
        times.fresh = times.fresh.max(soon);
        if asked < times.fresh {
            shelf.put(url, Known { value, times, asked, is_missed: false });
        } else {
            shelf.pop(&url);
        }
    }
}

impl<T> Known<T> {
    /// Time without another attempt after a host was silent.
    const REST: Duration = Duration::from_secs(30);

    /// Returns `true` if the last attempt got a valid document.
    ///
    /// If it is in use as well, its URL has the lane of known clients.
    pub(super) const fn was_good(&self) -> bool {
        self.value.is_ok() && !self.is_missed
    }

    /// Returns `true` if the host was silent a moment ago, so no attempt is due.
    pub(super) fn is_resting(&self, now: UnixTime) -> bool {
        self.is_missed && now < self.asked.saturating_add(Self::REST)
    }

    /// Returns `true` if the entry stays usable after a fetch that failed so.
    fn is_usable_after(&self, refused: &DocumentRefused, now: UnixTime) -> bool {
        let is_stale = is_unanswered(refused) && self.value.is_ok() && now < self.times.stale;
        now < self.times.fresh || is_stale
    }
}

/// Returns `true` if a fetch ended without an answer about the document.
///
/// Another attempt may then succeed.
pub(super) fn is_unanswered(refused: &DocumentRefused) -> bool {
    refused.clone().into_fact() == Err(ClientUnavailable::Document)
}

impl Times {
    /// Minimum and maximum of freshness, whatever the headers say.
    const FRESH: (Duration, Duration) =
        (Duration::from_secs(60), Duration::from_secs(24 * 60 * 60));
    /// Longest use of a stale document.
    const STALE: Duration = Duration::from_secs(60 * 60);

    /// Returns the expiry times of an answer, from its headers.
    ///
    /// Returns `None` if the answer may not be stored (RFC 9111 §3).
    pub(super) fn of(
        url: &ClientMetadataUrl,
        answer: &Response<Bytes>,
        now: UnixTime,
    ) -> Option<Self> {
        let mut request = Request::new(());
        *request.uri_mut() = url.as_url().to_uri().ok()?;
        let time = UNIX_EPOCH + Duration::from_secs(now.as_secs());
        let policy = CachePolicy::new_options(&request, answer, time, Default::default());
        let (least, most) = Self::FRESH;
        policy.is_storable().then(|| {
            let fresh = now.saturating_add(policy.time_to_live(time).clamp(least, most));
            let stale =
                if forbids_stale(answer) { fresh } else { fresh.saturating_add(Self::STALE) };
            Self { fresh, stale }
        })
    }
}

/// Returns `true` if a shared cache must not use the answer once it is stale.
///
/// See RFC 9111 §4.2.4. An unreadable `Cache-Control` header counts as such a directive.
fn forbids_stale(answer: &Response<Bytes>) -> bool {
    const DIRECTIVES: [&str; 4] = ["must-revalidate", "proxy-revalidate", "no-cache", "s-maxage"];
    answer.headers().get_all(CACHE_CONTROL).iter().any(|line| {
        let Ok(line) = line.to_str() else { return true };
        let mut names =
            line.split(',').map(|it| it.split_once('=').map_or(it, |(name, _)| name).trim());
        names.any(|name| DIRECTIVES.iter().any(|own| own.eq_ignore_ascii_case(name)))
    })
}
