//! Refresh tokens that prove themselves before any look-up.
//!
//! A token is key id, family and generation, with an HMAC-SHA-256 over them under a key that is kept outside of
//! the database. A forgery dies here and revokes nothing; every genuine older generation is recognized for ever
//! without a tombstone; a lost answer is given again, identically, because the successor can be computed again.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
#[cfg(feature = "dpop")]
use client_auth::NonceKey;
use hmac::{Hmac, KeyInit as _, Mac as _};
#[cfg(feature = "dpop")]
use oauth_types::UnixTime;
use oauth_types::{Entropy, Issuer, Secret};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::store::{FamilyId, Generation};

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
        let key = self.all().find(|key| key.id == id)?;
        mac(key, signed)?.verify_slice(tag).ok()?;
        let family = FamilyId::from_bytes(signed.get(2..18)?.try_into().ok()?);
        let generation = u64::from_be_bytes(signed.get(18..)?.try_into().ok()?);
        Some((family, Generation::new(generation)))
    }

    fn all(&self) -> impl Iterator<Item = &RefreshKey> {
        core::iter::once(&self.current).chain(&self.retired)
    }
}

/// What else the keys are for. None is ever taken for another, nor for a refresh token: those begin with [`VERSION`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// A question that waits for its answer.
    Question,
    /// A cookie that tells browsers apart.
    Browser,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Question => b"question\0",
            Self::Browser => b"browser\0",
        }
    }
}

/// What one issuer signs and takes for its own. Two that have the same keys sign nothing for each other.
#[derive(Clone, Copy)]
pub(crate) struct Seals<'a> {
    pub(crate) keys: &'a RefreshKeys,
    pub(crate) issuer: &'a Issuer,
}

impl Seals<'_> {
    /// A text behind its MAC.
    pub(crate) fn seal(self, purpose: Purpose, text: &[u8]) -> Vec<u8> {
        [&*self.tag(purpose, text), text].concat()
    }

    /// The text that was sealed for this purpose.
    pub(crate) fn unseal(self, purpose: Purpose, sealed: &[u8]) -> Option<&[u8]> {
        let (tag, text) = sealed.split_at_checked(TAG)?;
        self.verifies(purpose, text, tag).then_some(text)
    }

    /// The MAC of a text.
    pub(crate) fn tag(self, purpose: Purpose, text: &[u8]) -> Vec<u8> {
        let mac = mac(&self.keys.current, &self.signed(purpose, text));
        mac.map(|mac| mac.finalize().into_bytes().to_vec()).unwrap_or_default()
    }

    /// Whether this is the beginning of the MAC of a text, in constant time. The caller says how long it has to be.
    pub(crate) fn verifies(self, purpose: Purpose, text: &[u8], tag: &[u8]) -> bool {
        let signed = self.signed(purpose, text);
        let mut macs = self.keys.all().filter_map(|key| mac(key, &signed));
        macs.any(|mac| mac.verify_truncated_left(tag).is_ok())
    }

    /// No issuer holds NUL.
    fn signed(self, purpose: Purpose, text: &[u8]) -> Vec<u8> {
        [purpose.label(), self.issuer.as_str().as_bytes(), b"\0", text].concat()
    }
}

/// The same keys make the nonces for proofs of possession (RFC 9449 §8); neither is ever taken for the other.
#[cfg(feature = "dpop")]
impl RefreshKeys {
    /// A nonce that is good from now on.
    pub(crate) fn nonce(&self, now: UnixTime) -> String {
        self.current.for_nonces().nonce(now)
    }

    /// Whether a nonce is ours and still good.
    pub(crate) fn opens_nonce(&self, nonce: &str, now: UnixTime) -> bool {
        self.all().any(|key| key.for_nonces().opens(nonce, now))
    }
}

#[cfg(feature = "dpop")]
impl RefreshKey {
    fn for_nonces(&self) -> NonceKey {
        NonceKey::new(&Entropy::new(*self.key))
    }
}

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

    #[test]
    fn sec_187_what_is_sealed_opens_unchanged_for_its_purpose_and_with_our_keys() {
        let issuer = &Issuer::parse("https://as.example/a").unwrap();
        let keys = &RefreshKeys::new(key(1, 7));
        let rotated = RefreshKeys::new(key(2, 8)).with_retired(key(1, 7));
        let rotated = Seals { keys: &rotated, issuer };
        let others = Seals { keys: &RefreshKeys::new(key(1, 8)), issuer };
        let sibling = Seals { keys, issuer: &Issuer::parse("https://as.example/b").unwrap() };
        let keys = Seals { keys, issuer };
        let sealed = keys.seal(Purpose::Question, b"text");
        assert_eq!(keys.unseal(Purpose::Question, &sealed), Some(&b"text"[..]));
        assert!(rotated.unseal(Purpose::Question, &sealed).is_some());
        assert_eq!(others.unseal(Purpose::Question, &sealed), None);
        assert_eq!(sibling.unseal(Purpose::Question, &sealed), None);
        assert_eq!(keys.unseal(Purpose::Browser, &sealed), None);
        for at in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 1;
            assert_eq!(keys.unseal(Purpose::Question, &forged), None, "byte {at}");
        }
        for short in [0, 1, TAG - 1, TAG] {
            assert_eq!(keys.unseal(Purpose::Question, &sealed[..short]), None, "{short}");
        }
        assert!(!keys.verifies(Purpose::Question, b"text", b""));
    }

    #[cfg(feature = "dpop")]
    #[test]
    fn a_nonce_of_a_retired_key_is_ours_and_none_is_a_refresh_token() {
        let keys = RefreshKeys::new(key(1, 7));
        let now = UnixTime::from_secs(1000);
        let nonce = keys.nonce(now);
        assert!(keys.opens_nonce(&nonce, now));
        let both = RefreshKeys::new(key(2, 8)).with_retired(key(1, 7));
        assert!(both.opens_nonce(&nonce, now));
        assert!(!RefreshKeys::new(key(1, 8)).opens_nonce(&nonce, now));
        let token = keys.token(&FamilyId::from_bytes([9; 16]), Generation::new(0));
        assert!(!keys.opens_nonce(token.expose(), now));
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
