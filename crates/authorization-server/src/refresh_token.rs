//! Refresh tokens that prove themselves before any look-up.
//!
//! A token is key id, family and generation, with an HMAC-SHA-256 over them under a key that is kept outside of
//! the database. A forgery dies here and revokes nothing; every genuine older generation is recognized for ever
//! without a tombstone; a lost answer is given again, identically, because the successor can be computed again.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
#[cfg(feature = "dpop")]
use oauth_types::UnixTime;
use oauth_types::{Entropy, Secret};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{FamilyId, Generation};

/// A key for refresh tokens: 256 random bits. Whoever has it can forge refresh tokens; whoever loses it logs
/// everybody out.
#[derive(Clone)]
pub struct RefreshKey {
    id: u8,
    key: Zeroizing<[u8; 32]>,
}

impl RefreshKey {
    /// A key with an identifier that its tokens carry.
    #[must_use]
    pub fn new(id: u8, key: &Entropy<32>) -> Self {
        Self { id, key: Zeroizing::new(*key.as_bytes()) }
    }
}

impl core::fmt::Debug for RefreshKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "RefreshKey({}, [redacted])", self.id)
    }
}

/// The key that signs, and older ones that still verify.
#[derive(Clone, Debug)]
pub struct RefreshKeys {
    current: RefreshKey,
    retired: Vec<RefreshKey>,
}

impl RefreshKeys {
    /// One key.
    #[must_use]
    pub const fn new(current: RefreshKey) -> Self {
        Self { current, retired: Vec::new() }
    }

    /// Also takes tokens of an older key, until its families have expired.
    #[must_use]
    pub fn with_retired(mut self, retired: RefreshKey) -> Self {
        self.retired.push(retired);
        self
    }

    /// The token of this generation.
    pub(crate) fn token(&self, family: &FamilyId, generation: Generation) -> Secret {
        let mut bytes = Zeroizing::new(Vec::with_capacity(LENGTH));
        bytes.push(VERSION);
        bytes.push(self.current.id);
        bytes.extend_from_slice(family.as_bytes());
        bytes.extend_from_slice(&generation.get().to_be_bytes());
        if let Some(mac) = mac(&self.current, &bytes) {
            bytes.extend_from_slice(&mac.finalize().into_bytes());
        }
        Secret::new(URL_SAFE_NO_PAD.encode(&*bytes))
    }

    /// The family and generation of a genuine token.
    pub(crate) fn open(&self, token: &str) -> Option<(FamilyId, Generation)> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(token).ok()?);
        if bytes.len() != LENGTH || bytes.first() != Some(&VERSION) {
            return None;
        }
        let (signed, tag) = bytes.split_at(LENGTH - TAG);
        let id = *signed.get(1)?;
        let keys = core::iter::once(&self.current).chain(&self.retired);
        let key = keys.into_iter().find(|key| key.id == id)?;
        mac(key, signed)?.verify_slice(tag).ok()?;
        let family = FamilyId::from_bytes(signed.get(2..18)?.try_into().ok()?);
        let generation = u64::from_be_bytes(signed.get(18..)?.try_into().ok()?);
        Some((family, Generation::new(generation)))
    }
}

/// Nonces for proofs of possession (RFC 9449 §8), under the same keys: a time and an HMAC over it. What is signed begins
/// with another version, so that neither is ever taken for the other.
#[cfg(feature = "dpop")]
impl RefreshKeys {
    /// A nonce that is good from now on.
    pub(crate) fn nonce(&self, now: UnixTime) -> String {
        let mut bytes = vec![NONCE_VERSION, self.current.id];
        bytes.extend_from_slice(&now.as_secs().to_be_bytes());
        if let Some(mac) = mac(&self.current, &bytes) {
            bytes.extend_from_slice(&mac.finalize().into_bytes());
        }
        URL_SAFE_NO_PAD.encode(&bytes)
    }

    /// Whether a nonce is ours and still good; another machine's clock may be ahead by a minute.
    pub(crate) fn opens_nonce(&self, nonce: &str, now: UnixTime) -> bool {
        let issued = self.nonce_time(nonce);
        issued.is_some_and(|issued| {
            now.since(issued) <= NONCE_LIFETIME && issued <= now.plus(client_auth::Lifetime::SKEW)
        })
    }

    fn nonce_time(&self, nonce: &str) -> Option<UnixTime> {
        let bytes = URL_SAFE_NO_PAD.decode(nonce).ok()?;
        let (signed, tag) = bytes.split_at_checked(1 + 1 + 8)?;
        let (&version, rest) = signed.split_first()?;
        let (&id, time) = rest.split_first()?;
        if version != NONCE_VERSION || tag.len() != TAG {
            return None;
        }
        let mut keys = core::iter::once(&self.current).chain(&self.retired);
        mac(keys.find(|key| key.id == id)?, signed)?.verify_slice(tag).ok()?;
        Some(UnixTime::from_secs(u64::from_be_bytes(time.try_into().ok()?)))
    }
}

#[cfg(feature = "dpop")]
const NONCE_VERSION: u8 = 2;
#[cfg(feature = "dpop")]
const NONCE_LIFETIME: core::time::Duration = core::time::Duration::from_secs(5 * 60);
const VERSION: u8 = 1;
const TAG: usize = 32;
const LENGTH: usize = 1 + 1 + 16 + 8 + TAG;

/// HMAC takes keys of every length, so there is always one.
fn mac(key: &RefreshKey, signed: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&*key.key).ok()?;
    mac.update(signed);
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u8, byte: u8) -> RefreshKey {
        RefreshKey::new(id, &Entropy::new([byte; 32]))
    }

    #[test]
    fn a_genuine_token_opens_and_is_the_same_every_time() {
        let keys = RefreshKeys::new(key(1, 7));
        let (family, generation) = (FamilyId::from_bytes([9; 16]), Generation::new(3));
        let token = keys.token(&family, generation);
        assert!(token.matches(keys.token(&family, generation).expose()));
        assert_eq!(keys.open(token.expose()), Some((family, generation)));
    }

    #[test]
    fn sec_175_a_forgery_with_a_real_family_does_not_open() {
        let keys = RefreshKeys::new(key(1, 7));
        let token = keys.token(&FamilyId::from_bytes([9; 16]), Generation::new(3));
        let bytes = URL_SAFE_NO_PAD.decode(token.expose()).unwrap();
        for at in 0..bytes.len() {
            let mut forged = bytes.clone();
            forged[at] ^= 1;
            assert_eq!(keys.open(&URL_SAFE_NO_PAD.encode(&forged)), None, "byte {at}");
        }
        for forged in ["", "x", "====", &token.expose()[1..]] {
            assert_eq!(keys.open(forged), None);
        }
    }

    #[cfg(feature = "dpop")]
    #[test]
    fn a_nonce_is_ours_for_five_minutes_and_never_a_refresh_token() {
        let keys = RefreshKeys::new(key(1, 7));
        let at = UnixTime::from_secs;
        let nonce = keys.nonce(at(1000));
        for (now, is_good) in [(940, true), (939, false), (1000, true), (1300, true), (1301, false)]
        {
            assert_eq!(keys.opens_nonce(&nonce, at(now)), is_good, "{now}");
        }
        let both = RefreshKeys::new(key(2, 8)).with_retired(key(1, 7));
        assert!(both.opens_nonce(&nonce, at(1000)));
        assert!(!RefreshKeys::new(key(1, 8)).opens_nonce(&nonce, at(1000)));
        let bytes = URL_SAFE_NO_PAD.decode(&nonce).unwrap();
        for at_byte in 0..bytes.len() {
            let mut forged = bytes.clone();
            forged[at_byte] ^= 1;
            assert!(!keys.opens_nonce(&URL_SAFE_NO_PAD.encode(&forged), at(1000)), "{at_byte}");
        }
        let token = keys.token(&FamilyId::from_bytes([9; 16]), Generation::new(0));
        for bad in ["", "x", token.expose(), &nonce[1..]] {
            assert!(!keys.opens_nonce(bad, at(1000)));
        }
        assert_eq!(keys.open(&nonce), None);
    }

    #[test]
    fn a_retired_key_verifies_and_does_not_sign() {
        let old =
            RefreshKeys::new(key(1, 7)).token(&FamilyId::from_bytes([9; 16]), Generation::new(0));
        assert!(RefreshKeys::new(key(2, 8)).open(old.expose()).is_none());
        let both = RefreshKeys::new(key(2, 8)).with_retired(key(1, 7));
        let (family, generation) = both.open(old.expose()).unwrap();
        let new = both.token(&family, generation);
        assert!(!new.matches(old.expose()));
        assert!(RefreshKeys::new(key(2, 8)).open(new.expose()).is_some());
    }

    #[test]
    fn sec_192_keys_print_nothing() {
        assert_eq!(format!("{:?}", key(1, 7)), "RefreshKey(1, [redacted])");
    }
}
