//! Secret keys of an authorization server, with one derived key for each purpose (HKDF-SHA-256, RFC 5869).
//!
//! | purpose | key | label | after an upgrade from a version that had one key for all |
//! |---|---|---|---|
//! | refresh tokens | the server key itself | – | tokens in circulation stay valid |
//! | consent pages | derived | `mcp-authz/consent-page` | an open page answers 400: the user starts the login again |
//! | browser cookies | derived | `mcp-authz/browser` | the next page sets a new cookie |
//! | DPoP nonces | derived | `mcp-authz/dpop-nonce` | 400 `use_dpop_nonce`: clients repeat it with a new nonce |
//!
//! While processes of both versions run, each refuses the pages and nonces of the other: send a browser or client
//! always to the same version, or replace all processes at once.
//!
//! Refresh tokens keep the server key itself, because they live for weeks, and because during an upgrade (or its
//! reversal) processes of both versions serve one issuer: each has to accept the tokens of the other, and a lost
//! response is repeated identically only if both compute the same successor. The derived keys are independent of these
//! tokens, because HKDF takes the server key as input keying material and never as the key of an HMAC over data.

#[cfg(feature = "dpop")]
use client_auth::NonceKey;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use oauth_types::Entropy;
#[cfg(feature = "dpop")]
use oauth_types::UnixTime;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Secret key of an authorization server: 256 random bits.
///
/// It authenticates refresh tokens, and a key for each other purpose is derived from it: consent pages, browser cookies
/// and DPoP nonces. An attacker who has it can forge all of them; if it is lost, every user has to log in again.
#[derive(Clone)]
pub struct ServerKey {
    id: u8,
    refresh_tokens: MacKey,
    consent_pages: MacKey,
    browsers: MacKey,
    #[cfg(feature = "dpop")]
    nonces: NonceKey,
}

impl ServerKey {
    /// Takes the bytes of a key, and the identifier that its refresh tokens carry.
    #[must_use]
    pub fn new(id: u8, key: Entropy<32>) -> Self {
        Self {
            id,
            consent_pages: MacKey::new(&*derive(&key, CONSENT_PAGE)),
            browsers: MacKey::new(&*derive(&key, BROWSER)),
            #[cfg(feature = "dpop")]
            nonces: NonceKey::new(Entropy::new(*derive(&key, DPOP_NONCE))),
            refresh_tokens: MacKey::new(&*Zeroizing::new(key.into_bytes())),
        }
    }

    pub(crate) const fn id(&self) -> u8 {
        self.id
    }

    /// Returns the key of one purpose.
    pub(crate) const fn of(&self, purpose: Purpose) -> &MacKey {
        match purpose {
            Purpose::RefreshToken => &self.refresh_tokens,
            Purpose::ConsentPage => &self.consent_pages,
            Purpose::Browser => &self.browsers,
        }
    }
}

impl core::fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "ServerKey({}, [redacted])", self.id)
    }
}

/// Server keys: one that signs, and retired ones that still verify.
///
/// ```
/// use authorization_server::{ServerKey, ServerKeys};
/// use oauth_types::Entropy;
///
/// # let (new, old) = ([8; 32], [7; 32]);
/// let keys = ServerKeys::new(ServerKey::new(2, Entropy::new(new)))
///     .with_retired(ServerKey::new(1, Entropy::new(old)));
/// assert!(format!("{keys:?}").contains("[redacted]"));
/// ```
///
/// # Examples
///
/// ```
/// use authorization_server::{ServerKey, ServerKeys};
/// use oauth_types::Entropy;
///
/// // 32 random bytes each; `server_keys` of a store keeps them in a file.
/// let (old, new) = (Entropy::new([1; 32]), Entropy::new([2; 32]));
/// let keys = ServerKeys::new(ServerKey::new(2, new)).with_retired(ServerKey::new(1, old));
/// assert!(!format!("{keys:?}").contains("[2, 2"), "secrets are not shown");
/// ```
#[derive(Clone, Debug)]
pub struct ServerKeys {
    current: ServerKey,
    retired: Vec<ServerKey>,
}

impl ServerKeys {
    /// Takes the key that signs.
    #[must_use]
    pub const fn new(current: ServerKey) -> Self {
        Self { current, retired: Vec::new() }
    }

    /// Adds an older key that still verifies, until the refresh tokens under it have expired.
    #[must_use]
    pub fn with_retired(mut self, retired: ServerKey) -> Self {
        self.retired.push(retired);
        self
    }

    pub(crate) const fn current(&self) -> &ServerKey {
        &self.current
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &ServerKey> {
        core::iter::once(&self.current).chain(&self.retired)
    }
}

/// Nonces for proofs of possession (RFC 9449 §8).
#[cfg(feature = "dpop")]
impl ServerKeys {
    /// Makes a nonce that is valid from now on.
    pub(crate) fn nonce(&self, now: UnixTime) -> String {
        self.current.nonces.nonce(now)
    }

    /// Returns `true` if a nonce was made under one of these keys and is still valid.
    pub(crate) fn opens_nonce(&self, nonce: &str, now: UnixTime) -> bool {
        self.all().any(|key| key.nonces.opens(nonce, now))
    }
}

/// Purposes of MACs under server keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// Refresh tokens.
    RefreshToken,
    /// Questions that a consent page carries until they are answered.
    ConsentPage,
    /// Cookies that tell browsers apart.
    Browser,
}

const CONSENT_PAGE: &[u8] = b"mcp-authz/consent-page";
const BROWSER: &[u8] = b"mcp-authz/browser";
#[cfg(feature = "dpop")]
const DPOP_NONCE: &[u8] = b"mcp-authz/dpop-nonce";

/// Key of an HMAC-SHA-256 for one purpose, with its two key blocks hashed once and for all.
#[derive(Clone)]
pub(crate) struct MacKey(Hmac<Sha256>);

impl MacKey {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length (RFC 2104 §2)")]
    fn new(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes keys of every length"))
    }

    /// Begins a MAC over these parts, one after the other.
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        mac
    }
}

#[expect(clippy::expect_used, reason = "HKDF-SHA-256 gives up to 8160 bytes (RFC 5869 §2.3)")]
fn derive(key: &Entropy<32>, label: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut derived = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, key.as_bytes())
        .expand(label, &mut *derived)
        .expect("32 bytes are at most 255 blocks");
    derived
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "dpop")]
    use crate::store::{FamilyId, Generation};

    fn key(id: u8, byte: u8) -> ServerKey {
        ServerKey::new(id, Entropy::new([byte; 32]))
    }

    fn hex(bytes: &[u8; 32]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Computed with Python's `hmac`, by the formulas of RFC 5869.
    #[test]
    fn each_label_derives_the_key_that_it_always_derived() {
        let key = Entropy::new([7; 32]);
        for (label, expected) in [
            (CONSENT_PAGE, "8c46da329c87f314804f6b48af60e523394a023cac96866e071ead3597a2510a"),
            (BROWSER, "9c14d1e0ed3e2d8a0445e3595fdaa26cac48b411387cd22c1a4247ca0b9c40f8"),
            #[cfg(feature = "dpop")]
            (DPOP_NONCE, "607847dbf24f4caa24b4216db3e13a66407881305c28bffb0f3184a91218117a"),
        ] {
            assert_eq!(hex(&derive(&key, label)), expected, "{}", label.escape_ascii());
        }
    }

    #[test]
    fn keys_of_two_purposes_differ() {
        let key = key(1, 7);
        let purposes = [Purpose::RefreshToken, Purpose::ConsentPage, Purpose::Browser];
        let macs = purposes.map(|purpose| key.of(purpose).mac(&[b"text"]).finalize().into_bytes());
        assert!(macs[0] != macs[1] && macs[1] != macs[2] && macs[2] != macs[0]);
        let underived = MacKey::new(&[7; 32]).mac(&[b"text"]).finalize().into_bytes();
        assert!(macs[0] == underived, "of tokens in circulation");
    }

    /// The key of nonces is derived: no nonce is made with the server key itself.
    #[cfg(feature = "dpop")]
    #[test]
    fn a_nonce_of_a_retired_key_is_accepted() {
        let keys = ServerKeys::new(key(1, 7));
        let now = UnixTime::from_secs(1000);
        let nonce = keys.nonce(now);
        assert!(keys.opens_nonce(&nonce, now));
        let both = ServerKeys::new(key(2, 8)).with_retired(key(1, 7));
        assert!(both.opens_nonce(&nonce, now));
        assert!(!ServerKeys::new(key(1, 8)).opens_nonce(&nonce, now));
        assert!(!NonceKey::new(Entropy::new([7; 32])).opens(&nonce, now));
        let token = keys.token(&FamilyId::from_bytes([9; 16]), Generation::new(0));
        assert!(!keys.opens_nonce(token.expose(), now), "a refresh token is no nonce");
        assert!(keys.open(&nonce).is_none(), "and a nonce no refresh token");
    }

    /// SEC-192
    #[test]
    fn keys_print_nothing() {
        assert_eq!(format!("{:?}", key(1, 7)), "ServerKey(1, [redacted])");
    }
}
