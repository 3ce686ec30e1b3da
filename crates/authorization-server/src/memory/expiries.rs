//! Keys in the order of their ends, so that a sweep costs what it removes.

use std::collections::BTreeMap;

use oauth_types::UnixTime;

/// Keys by the second at which they end.
///
/// An entry is a reminder and no fact: the key may have been removed or prolonged since, which its table knows.
#[derive(Debug)]
pub(super) struct Expiries<K>(BTreeMap<UnixTime, Vec<K>>);

impl<K> Default for Expiries<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K> Expiries<K> {
    pub(super) fn insert(&mut self, end: UnixTime, key: K) {
        self.0.entry(end).or_default().push(key);
    }

    /// Removes and returns a key whose end is not after `now`, those that ended first before others.
    pub(super) fn pop(&mut self, now: UnixTime) -> Option<K> {
        let mut first = self.0.first_entry().filter(|entry| *entry.key() <= now)?;
        let key = first.get_mut().pop();
        if first.get().is_empty() {
            first.remove();
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_the_order_of_their_ends_and_none_before() {
        let mut expiries = Expiries::default();
        for (end, key) in [(30, 'c'), (10, 'a'), (30, 'd'), (20, 'b')] {
            expiries.insert(UnixTime::from_secs(end), key);
        }
        let mut until = |now| {
            let mut keys: Vec<char> =
                core::iter::from_fn(|| expiries.pop(UnixTime::from_secs(now))).collect();
            keys.sort_unstable();
            keys
        };
        assert_eq!(until(9), []);
        assert_eq!(until(20), ['a', 'b']);
        assert_eq!(until(29), []);
        assert_eq!(until(30), ['c', 'd']);
        assert_eq!(until(u64::MAX), []);
    }
}
