//! Sealed logins: encrypted when the browser leaves, opened with the callback, possibly by another process.
//!
//! | check on opening, in this order | requirement | error |
//! |---|---|---|
//! | the text was sealed with this key, for this session, and is unchanged | C-AUTHZ-6 | `UnknownLogin` |
//! | less than ten minutes have passed | C-AUTHZ-6 | `TooLate` |
//! | the callback carries the login's `state`, and no parameter twice | C-AUTHZ-5 | `Rejected` |
//! | it is the first such callback: the login is used up now | C-AUTHZ-6 | `Replayed` |
//! | it comes from the right issuer and carries a code | C-ISS-6 | `Rejected`, `Denied` |

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use client_auth::{FirstUse, Replayed};
use iss_validate::Callback;
use oauth_types::{Entropy, SecretDigest, UnixTime};
use zeroize::Zeroizing;

use crate::config::ClientConfig;
use crate::error::{CallbackError, FlowError, SealError};
use crate::flow::{BrowserRequest, Pending, Step};

/// Length of the nonce in front of the ciphertext, in bytes.
const NONCE: usize = 24;
/// Initial size of the plaintext buffer, in bytes: more than a login with long identifiers takes.
const ROOM: usize = 16 * 1024;

/// Key for sealed logins (XChaCha20-Poly1305): 256 random bits that all processes of a host share.
///
/// After a replacement, the logins of the last ten minutes have to be started again.
#[derive(Clone)]
pub struct SealingKey(Zeroizing<[u8; 32]>);

impl SealingKey {
    /// Creates a key from these random bytes.
    #[must_use]
    pub fn new(entropy: Entropy<32>) -> Self {
        Self(Zeroizing::new(entropy.into_bytes()))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey([redacted])")
    }
}

/// Sealed login, for a host to store until the callback (C-AUTHZ-6).
///
/// ```
/// use client_flow::{
///     ClientConfig, FlowError, Replay, SealError, Sealed, SealingKey, Step, BrowserRequest,
/// };
/// use iss_validate::Callback;
/// use oauth_types::{Entropy, SecretDigest, UnixTime};
///
/// trait Sessions {
///     fn put(&self, key: &SecretDigest, login: &str, until: UnixTime);
///     fn get(&self, key: &SecretDigest) -> Option<String>;
///     /// One operation that removes it and tells whether it was there.
///     fn remove(&self, key: &SecretDigest) -> Replay;
/// }
///
/// struct Host<S> {
///     key: SealingKey,
///     config: ClientConfig,
///     logins: S,
/// }
///
/// impl<S: Sessions> Host<S> {
///     /// The user wants to connect: where to redirect the browser to.
///     fn leave(
///         &self,
///         visit: BrowserRequest,
///         session: &str,
///         nonce: Entropy<24>,
///     ) -> Result<String, FlowError> {
///         let login = visit.seal(&self.key, session, nonce)?;
///         self.logins.put(login.key(), login.text(), login.until());
///         Ok(login.url().to_owned())
///     }
///
///     /// The browser is back, perhaps at another process.
///     fn back(&self, query: &str, session: &str, now: UnixTime) -> Result<Step, FlowError> {
///         let callback = Callback::from_query(query);
///         let login = callback.state_digest().and_then(|key| self.logins.get(&key));
///         let login = login.ok_or(SealError::UnknownLogin)?;
///         let first_use = Sealed::open(&login, &self.key, session, &self.config, callback, now)?;
///         let replay = self.logins.remove(first_use.key());
///         first_use.resume(replay)?
///     }
/// }
/// ```
#[derive(Clone)]
#[must_use = "the login goes on only when it is kept"]
pub struct Sealed {
    text: String,
    url: String,
    key: SecretDigest,
    until: UnixTime,
}

impl BrowserRequest {
    /// Seals the login for the user's session with this host.
    ///
    /// `session` identifies that session and no other, such as the value of its cookie. Only the same session can open
    /// the login, so that a login that one user began is not finished in the browser of another.
    ///
    /// # Errors
    ///
    /// [`SealError::NoSession`] when `session` is empty, because any user could open such a login;
    /// [`SealError::TooLong`] when the login cannot be encrypted.
    pub fn seal(
        self,
        key: &SealingKey,
        session: &str,
        nonce: Entropy<NONCE>,
    ) -> Result<Sealed, FlowError> {
        if session.is_empty() {
            return Err(SealError::NoSession.into());
        }
        Ok(Sealed {
            text: self.pending.seal(key, session, nonce).ok_or(SealError::TooLong)?,
            key: self.pending.state.digest(),
            until: self.pending.until,
            url: self.url,
        })
    }
}

impl Sealed {
    /// Returns the URL for the browser, as [`BrowserRequest::url`].
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the sealed text to store, in URL-safe Base64; it is encrypted and authenticated.
    ///
    /// Keep it in a store of the host. A cookie of the user (`HttpOnly`, `Secure`, `SameSite=Lax`, named after
    /// [`key`](Self::key), so that a second login does not displace a first) holds it only while it is short: browsers
    /// keep about 4 KB, and long identifiers or scopes make it longer. First use still has to be recorded on the host's
    /// side.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the key to store it under, because one user may have several logins open.
    ///
    /// [`Callback::state_digest`] returns the same key for the callback that answers the login.
    #[must_use]
    pub const fn key(&self) -> &SecretDigest {
        &self.key
    }

    /// Returns the time until which to store it (exclusive): valid while `now < until`.
    #[must_use]
    pub const fn until(&self) -> UnixTime {
        self.until
    }

    /// Opens a stored login with its callback; `config` is the one that the login began with.
    ///
    /// The login is used up when its [`FirstUse`] is resumed: with `Fresh` if the key was put into the store, or the
    /// login removed from it, just now. `first_use.resume(replay)??` is the next step. Its key is the one that the
    /// login was stored under.
    ///
    /// # Errors
    ///
    /// [`SealError::UnknownLogin`] when key, session or text do not match, [`CallbackError::TooLate`] after ten
    /// minutes, [`CallbackError::Rejected`] when the callback does not carry this login's state. In each case nothing
    /// is sent, and another callback may still answer.
    ///
    /// On resuming: [`CallbackError::Replayed`] (from [`Replayed`]) when the login was used up before, so that no code
    /// is sent a second time; [`CallbackError::Rejected`] when the callback came from the wrong issuer or carries
    /// neither code nor error; [`FlowErrorKind::Denied`](crate::FlowErrorKind::Denied) when it is an error response of
    /// the right server, possibly after a [`Step::LoadCredentials`] and a [`Step::SaveCredentials`], as in
    /// [`BrowserRequest::resume`]. The login is over in each case.
    pub fn open(
        text: &str,
        key: &SealingKey,
        session: &str,
        config: &ClientConfig,
        callback: Callback<'_>,
        now: UnixTime,
    ) -> Result<FirstUse<Result<Step, FlowError>>, FlowError> {
        let pending = Pending::open(text, key, session).ok_or(SealError::UnknownLogin)?;
        if now >= pending.until {
            return Err(CallbackError::TooLate.into());
        }
        let (key, until) = (pending.state.digest(), pending.until);
        let is_ours = callback.state_digest() == Some(key);
        let outcome = pending.resume(config.keys.clone(), callback, now);
        match outcome {
            // An attacker can send such a callback, so it must not end a login that the right one may still answer.
            Err(error) if !is_ours => Err(error),
            outcome => Ok(FirstUse::new(outcome, key, until)),
        }
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("until", &self.until).finish_non_exhaustive()
    }
}

impl From<Replayed> for FlowError {
    fn from(_: Replayed) -> Self {
        CallbackError::Replayed.into()
    }
}

impl Pending {
    /// Encrypts the login; `None` only for a login of gigabytes.
    fn seal(&self, key: &SealingKey, session: &str, nonce: Entropy<NONCE>) -> Option<String> {
        // The capacity suffices for the longest login, so that no copy is left behind when the buffer grows.
        let mut plain = Zeroizing::new(Vec::with_capacity(ROOM));
        serde_json::to_writer(&mut *plain, self).ok()?;
        let nonce = nonce.into_bytes();
        let payload = Payload { msg: &plain, aad: &bound_to(session) };
        let sealed = key.cipher().encrypt(&XNonce::from(nonce), payload).ok()?;
        Some(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &*sealed].concat()))
    }

    fn open(text: &str, key: &SealingKey, session: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>()?;
        let payload = Payload { msg: sealed, aad: &bound_to(session) };
        let plain = Zeroizing::new(key.cipher().decrypt(&XNonce::from(*nonce), payload).ok()?);
        serde_json::from_slice(&plain).ok()
    }
}

/// Returns the associated data: purpose and version of the text, and the session that it is bound to.
fn bound_to(session: &str) -> Vec<u8> {
    [b"mcp-oauth sealed login 1\0", session.as_bytes()].concat()
}
