//! Encryption of stored records with a key from the operating system's keyring.

use core::fmt;
use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use keyring_core::CredentialStore as KeyStore;
use zeroize::Zeroizing;

/// Length of the nonce in front of the ciphertext, in bytes.
const NONCE: usize = 24;
/// Name of the keyring entry, within the application's entries.
const ENTRY: &str = "mcp-oauth credentials";

/// Key that records are encrypted with.
///
/// The records are in files, because a keyring entry may be too small for one: Windows allows 2,560 bytes.
pub(super) struct Key(XChaCha20Poly1305);

impl Key {
    /// Returns the application's key from the system's keyring, created at first use.
    pub(super) fn of_system(application: &str) -> io::Result<Self> {
        keyring::Entry::store_status().as_ref().map_err(failed)?;
        let store = keyring_core::get_default_store();
        let store = store.ok_or_else(|| failed("the system has no keyring"))?;
        Self::of(&store, application)
    }

    /// Returns the application's key from this keyring, created at the first use.
    ///
    /// The caller holds a lock against other processes, because two processes might create two keys.
    pub(super) fn of(store: &Arc<KeyStore>, application: &str) -> io::Result<Self> {
        let entry = store.build(application, ENTRY, None).map_err(failed)?;
        match entry.get_password() {
            Ok(text) => {
                let text = Zeroizing::new(text);
                // The errors of the decoder would quote the text.
                let foreign = || {
                    failed(
                        "the entry in the keyring is not a key of this program: remove it, and log \
                         in again",
                    )
                };
                let bytes = URL_SAFE_NO_PAD.decode(&*text).map_err(|_| foreign())?;
                let bytes = Zeroizing::new(bytes);
                let bytes: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| foreign())?;
                Ok(Self(XChaCha20Poly1305::new(bytes.into())))
            }
            Err(keyring_core::Error::NoEntry) => {
                let mut bytes = Zeroizing::new([0; 32]);
                random(&mut *bytes)?;
                entry
                    .set_password(&Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes)))
                    .map_err(failed)?;
                Ok(Self(XChaCha20Poly1305::new((&*bytes).into())))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Encrypts a record for the file `name`; it can be decrypted only under that name.
    pub(super) fn seal(&self, name: &str, record: &[u8]) -> io::Result<Vec<u8>> {
        let mut nonce = [0; NONCE];
        random(&mut nonce)?;
        let payload = Payload { msg: record, aad: name.as_bytes() };
        let sealed = self.0.encrypt(&XNonce::from(nonce), payload);
        Ok([&nonce, &*sealed.map_err(|_| failed("not sealed"))?].concat())
    }

    pub(super) fn open(&self, name: &str, sealed: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
        let damaged = || io::Error::from(io::ErrorKind::InvalidData);
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or_else(damaged)?;
        let payload = Payload { msg: sealed, aad: name.as_bytes() };
        let record = self.0.decrypt(&XNonce::from(*nonce), payload).map_err(|_| damaged())?;
        Ok(Zeroizing::new(record))
    }
}

#[expect(clippy::disallowed_methods, reason = "the adapter is where the random source is")]
fn random(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes).map_err(|_| failed("no random bytes"))
}

/// Returns an error with the reason as text.
///
/// The errors of a keyring may hold the entry that they are about, but never the key.
fn failed(error: impl fmt::Display) -> io::Error {
    io::Error::other(format!("{error}"))
}
