//! Visits to the provider, sealed into the cookie of the visiting browser (XChaCha20-Poly1305).
//!
//! Any browser can begin a login, so a visit takes no memory on the server until it is answered. The server remembers
//! the answered visits, because each is valid for one answer.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use oauth_types::{CodeVerifier, Entropy, Secret, SecretDigest, State};

use crate::login::random;

const NONCE: usize = 24;

/// Data of a visit that the server needs when the browser returns.
pub(crate) struct Visit {
    pub(crate) state: State,
    pub(crate) verifier: CodeVerifier,
    pub(crate) return_to: String,
}

/// Key that seals visits; the processes of one issuer share it.
pub(crate) struct Seal(XChaCha20Poly1305);

impl Seal {
    /// Maximum duration of a visit.
    const LIFETIME: Duration = Duration::from_secs(10 * 60);
    /// Maximum length: browsers store 4,096 bytes of a cookie with its name and attributes.
    const MAX: usize = 3_900;

    pub(crate) fn new(key: &Entropy<32>) -> Self {
        Self(XChaCha20Poly1305::new(key.as_bytes().into()))
    }

    /// Returns the value of the cookie.
    pub(crate) fn seal(&self, visit: &Visit) -> anyhow::Result<Secret> {
        let until = now() + Self::LIFETIME.as_secs();
        let (state, verifier) = (visit.state.as_secret(), visit.verifier.as_secret());
        let parts = [&*until.to_string(), state.expose(), verifier.expose(), &visit.return_to];
        let plain = Secret::new(parts.join("\n"));
        let nonce = random::<NONCE>()?;
        let nonce = nonce.as_bytes();
        let sealed = self.0.encrypt(&XNonce::from(*nonce), plain.expose().as_bytes());
        let sealed = sealed.ok().context("the visit cannot be sealed")?;
        let text = Secret::new(URL_SAFE_NO_PAD.encode([nonce, &*sealed].concat()));
        anyhow::ensure!(text.expose().len() <= Self::MAX, "the way back is too long for a cookie");
        Ok(text)
    }

    /// Opens a cookie that was sealed with this key in the last ten minutes.
    pub(crate) fn open(&self, text: &str) -> anyhow::Result<Visit> {
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        let plain = bytes.split_first_chunk::<NONCE>().and_then(|(nonce, sealed)| {
            Some(Secret::new(String::from_utf8(self.open_bytes(nonce, sealed)?).ok()?))
        });
        let plain = plain.context("this login did not begin here")?;
        let mut parts = plain.expose().splitn(4, '\n');
        let mut next = || parts.next().context("this login did not begin here");
        let until: u64 = next()?.parse()?;
        anyhow::ensure!(now() < until, "this login began too long ago");
        Ok(Visit {
            state: State::from_secret(Secret::new(next()?)),
            verifier: CodeVerifier::parse(next()?)?,
            return_to: next()?.to_owned(),
        })
    }

    fn open_bytes(&self, nonce: &[u8; NONCE], sealed: &[u8]) -> Option<Vec<u8>> {
        self.0.decrypt(&XNonce::from(*nonce), sealed).ok()
    }
}

/// Answered visits, so that of two concurrent answers one redeems the code.
#[derive(Default)]
pub(crate) struct Answered(Mutex<(HashSet<SecretDigest>, VecDeque<SecretDigest>)>);

impl Answered {
    /// Maximum number of visits; beyond it the oldest are forgotten.
    ///
    /// The provider also accepts a code only once.
    const MAX: usize = 10_000;

    /// Marks a visit as answered; returns `true` on the first call for this visit.
    pub(crate) fn take(&self, visit: &Visit) -> bool {
        let mut answered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, order) = &mut *answered;
        let digest = visit.state.as_secret().digest();
        let is_first = all.insert(digest);
        if is_first {
            order.push_back(digest);
        }
        if order.len() > Self::MAX
            && let Some(oldest) = order.pop_front()
        {
            all.remove(&oldest);
        }
        is_first
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().1.len()
    }
}

fn now() -> u64 {
    UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_secs())
}
