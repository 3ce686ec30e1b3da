//! Documents and key sets that were fetched, with the times for which they may be used (RFC 9111 §4.2).
//!
//! | age of a document | it is |
//! |---|---|
//! | fresh, as its headers say, within a minute and a day | used |
//! | out of date for less than an hour, unless its headers forbid that | asked for again, and used while there is no answer (RFC 9111 §4.2.4) |
//! | older, or taken back by an answer of its host | not used |
//!
//! An entry that `in_use` displaces returns to `named` under the same lock. `moka` tells of what it evicts only later,
//! to a listener, so that a document in use could be in neither.

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

/// Documents of one kind. Those of clients that got a token have places of their own: whoever names clients, even ones
/// whose documents are good, displaces none that is in use.
pub(super) struct Shelf<T> {
    named: LruCache<ClientMetadataUrl, Known<T>>,
    in_use: LruCache<ClientMetadataUrl, Known<T>>,
    /// Fetches that are under way: all who ask meanwhile wait for the same one.
    pub(super) fetches: HashMap<ClientMetadataUrl, Fetch<T>>,
}

/// A document that was fetched.
pub(super) struct Known<T> {
    pub(super) value: Result<T, DocumentRefused>,
    pub(super) times: Times,
    /// Time of the last attempt to fetch it.
    pub(super) asked: UnixTime,
    /// The last attempt came to no answer.
    pub(super) is_missed: bool,
}

/// Ends of use (exclusive).
#[derive(Clone, Copy)]
pub(super) struct Times {
    /// End of the time in which it counts as new.
    pub(super) fresh: UnixTime,
    /// End of the time in which it is used where a new one cannot be had.
    pub(super) stale: UnixTime,
}

impl<T: Clone> Shelf<T> {
    /// Most documents that are kept of each sort, 1,000; those that nobody asked for longest go first.
    const KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(999);

    pub(super) fn new() -> Self {
        let [named, in_use] = [(), ()].map(|()| LruCache::new(Self::KEPT));
        Self { named, in_use, fetches: HashMap::new() }
    }

    pub(super) fn get_mut(&mut self, url: &ClientMetadataUrl) -> Option<&mut Known<T>> {
        self.in_use.get_mut(url).or_else(|| self.named.get_mut(url))
    }

    /// Returns `true` if a client with this document or these keys got a token. Whoever names clients makes none of
    /// them so.
    pub(super) fn is_in_use(&self, url: &ClientMetadataUrl) -> bool {
        self.in_use.contains(url)
    }

    /// Takes note that a client got a token.
    pub(super) fn mark_used(&mut self, url: &ClientMetadataUrl) {
        if let Some(known) = self.named.pop(url)
            && let Some((url, displaced)) = self.in_use.push(url.clone(), known)
        {
            self.named.put(url, displaced);
        }
    }

    /// Takes note of how a fetch ended. `refetch` is the shortest time between two of them.
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
                    // Nothing was sent where it is `Busy`.
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
    /// Time without another attempt after one that came to no answer, while what was good is used.
    const REST: Duration = Duration::from_secs(30);

    /// Returns `true` if the last answer was good: its URL has the lane of known clients then, if it is in use.
    pub(super) const fn was_good(&self) -> bool {
        self.value.is_ok() && !self.is_missed
    }

    /// Returns `true` if no attempt is due, because the last one found its host silent.
    pub(super) fn is_resting(&self, now: UnixTime) -> bool {
        self.is_missed && now < self.asked.saturating_add(Self::REST)
    }

    /// Returns `true` if it is used on after another attempt was refused so.
    fn is_usable_after(&self, refused: &DocumentRefused, now: UnixTime) -> bool {
        let is_stale = is_unanswered(refused) && self.value.is_ok() && now < self.times.stale;
        now < self.times.fresh || is_stale
    }
}

/// Returns `true` if another attempt may have another end: the host said nothing about the document.
pub(super) fn is_unanswered(refused: &DocumentRefused) -> bool {
    refused.clone().into_fact() == Err(ClientUnavailable::Document)
}

impl Times {
    /// Bounds of the time in which a document counts as new, whatever it says.
    const FRESH: (Duration, Duration) =
        (Duration::from_secs(60), Duration::from_secs(24 * 60 * 60));
    /// Longest use after that.
    const STALE: Duration = Duration::from_secs(60 * 60);

    /// Reads them from the headers of an answer; `None` when it may not be stored (RFC 9111 §3).
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

/// Returns `true` if a shared cache may not use the answer when it is out of date (RFC 9111 §4.2.4). A header that
/// cannot be read counts as one that says so.
fn forbids_stale(answer: &Response<Bytes>) -> bool {
    const DIRECTIVES: [&str; 4] = ["must-revalidate", "proxy-revalidate", "no-cache", "s-maxage"];
    answer.headers().get_all(CACHE_CONTROL).iter().any(|line| {
        let Ok(line) = line.to_str() else { return true };
        let mut names =
            line.split(',').map(|it| it.split_once('=').map_or(it, |(name, _)| name).trim());
        names.any(|name| DIRECTIVES.iter().any(|own| own.eq_ignore_ascii_case(name)))
    })
}
