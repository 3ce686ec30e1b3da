//! DPoP nonces of a server (RFC 9449 §8, §9), made and verified without storage.
//!
//! A nonce is the time at which it was made and an HMAC-SHA-256 of that time.

use core::fmt;
use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use oauth_types::{Entropy, UnixTime};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::jws::Lifetime;

/// Key of a server for its DPoP nonces: 256 random bits.
///
/// An attacker who has the key can make proofs ahead of time.
///
/// # Examples
///
/// ```
/// use client_auth::NonceKey;
/// use oauth_types::{Entropy, UnixTime};
///
/// let key = NonceKey::new(Entropy::new([7; 32]));
/// let nonce = key.nonce(UnixTime::from_secs(1000));
/// assert!(key.opens(&nonce, UnixTime::from_secs(1200)));
/// assert!(!key.opens(&nonce, UnixTime::from_secs(1400)));
/// ```
#[derive(Clone)]
pub struct NonceKey(Zeroizing<[u8; 32]>);

impl NonceKey {
    /// Time in which a nonce is valid.
    pub const LIFETIME: Duration = Duration::from_secs(5 * 60);

    /// Creates a key from 256 random bits.
    #[must_use]
    pub fn new(key: Entropy<32>) -> Self {
        Self(Zeroizing::new(key.into_bytes()))
    }

    /// Returns a nonce that is valid from `now` on.
    #[must_use]
    pub fn nonce(&self, now: UnixTime) -> String {
        let time = now.as_secs().to_be_bytes();
        let tag = self.mac(time).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode([time.as_slice(), &tag].concat())
    }

    /// Returns `true` if the nonce was made with this key and is still valid.
    ///
    /// The clock of another machine that made it may be ahead by a minute.
    #[must_use]
    pub fn opens(&self, nonce: &str, now: UnixTime) -> bool {
        let made = self.time(nonce);
        made.is_some_and(|made| {
            now.saturating_duration_since(made) <= Self::LIFETIME
                && made <= now.saturating_add(Lifetime::SKEW)
        })
    }

    fn time(&self, nonce: &str) -> Option<UnixTime> {
        let bytes = URL_SAFE_NO_PAD.decode(nonce).ok()?;
        let (time, tag) = bytes.split_first_chunk()?;
        self.mac(*time).verify_slice(tag).ok()?;
        Some(UnixTime::from_secs(u64::from_be_bytes(*time)))
    }

    /// Returns the HMAC of a time.
    ///
    /// The input begins with its purpose, because a server may sign other texts with the same key.
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length (RFC 2104 §2)")]
    fn mac(&self, time: [u8; 8]) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&*self.0);
        let mut mac = mac.expect("HMAC takes keys of every length");
        mac.update(b"dpop-nonce");
        mac.update(&time);
        mac
    }
}

impl fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> NonceKey {
        NonceKey::new(Entropy::new([byte; 32]))
    }

    #[test]
    fn a_nonce_is_ours_for_five_minutes() {
        let at = UnixTime::from_secs;
        let nonce = key(7).nonce(at(1000));
        for (now, is_good) in [(940, true), (939, false), (1000, true), (1300, true), (1301, false)]
        {
            assert_eq!(key(7).opens(&nonce, at(now)), is_good, "{now}");
        }
        assert!(!key(8).opens(&nonce, at(1000)));
        let bytes = URL_SAFE_NO_PAD.decode(&nonce).unwrap();
        for at_byte in 0..bytes.len() {
            let mut forged = bytes.clone();
            forged[at_byte] ^= 1;
            assert!(!key(7).opens(&URL_SAFE_NO_PAD.encode(&forged), at(1000)), "{at_byte}");
        }
        // A truncated tag is refused, even an empty one.
        for end in 0..bytes.len() {
            let cut = URL_SAFE_NO_PAD.encode(&bytes[..end]);
            assert!(!key(7).opens(&cut, at(1000)), "{end}");
        }
        for bad in ["", "x", "\u{e9}", &nonce[1..], &format!("{nonce}=")] {
            assert!(!key(7).opens(bad, at(1000)), "{bad}");
        }
    }

    /// SEC-192
    #[test]
    fn keys_print_nothing() {
        assert_eq!(format!("{:?}", key(1)), "NonceKey([redacted])");
    }
}
