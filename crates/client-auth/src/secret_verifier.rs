//! Client secrets that a host stores as password hashes (argon2, bcrypt), and their verification.
//!
//! Exactly one hash is verified for each secret that is refused, so that the time does not tell which clients exist:
//!
//! | presented | stored | verified | decides |
//! |---|---|---|---|
//! | a secret | a hash | the hash | [`SecretVerifier::verify`] |
//! | a secret | another digest, keys or nothing; no such client | the decoy | refused |
//! | a secret | its digest; a public client, which needs none | nothing | accepted |
//! | nothing, an empty secret or an assertion | anything | nothing | the other checks of [`Presented::verify`] |
//!
//! A secret that its digest accepts costs no verification, because the reply says as much as the time. A client that
//! registers itself, and is never refused, can therefore not use up the processor.

use core::fmt;
use std::sync::Arc;

use oauth_types::{ClientId, Secret, UnixTime};
use serde::{Deserialize, Serialize, Serializer};

use crate::client_auth_record::ClientAuthRecord;
use crate::verify::Presented;

/// Password hash of a client secret: a PHC string such as `$argon2id$…`, or bcrypt's `$2b$…`.
///
/// Only the host's [`SecretVerifier`] reads it. `Debug` omits the text, because the hash of a guessable secret can be
/// attacked offline.
///
/// # Examples
///
/// ```
/// use client_auth::SecretHash;
///
/// let hash = SecretHash::from("$2b$12$GhvMmNVjRW29ulnudl.LbuAnUtN/LRfe1JsBm1Xu6LE3059z5Tr8m");
/// assert_eq!(format!("{hash:?}"), "SecretHash([redacted])");
/// ```
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct SecretHash(Arc<str>);

impl SecretHash {
    /// Takes a hash that a store kept.
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// Returns the text to store.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for SecretHash {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for SecretHash {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl Serialize for SecretHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash([redacted])")
    }
}

/// Error of a [`SecretVerifier`] that cannot read a hash.
///
/// The host is at fault, so the client gets 500 `server_error` instead of 401.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the host's verifier makes it")]
pub struct InvalidSecretHash;

impl fmt::Display for InvalidSecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the stored hash of the client's secret, or the decoy, is none that the verifier \
             reads: the host has to store a hash of the verifier's algorithm",
        )
    }
}

impl core::error::Error for InvalidSecretHash {}

/// Verification of client secrets against password hashes, by the host's own library.
///
/// A verification takes tens of milliseconds of processor time and, with argon2, megabytes of memory. In an async
/// program run it with [`SecretCheck::run`] on a thread for blocking work (`tokio::task::spawn_blocking`), and bound
/// how many run at once. It has no effect besides its result, so it may be cancelled or run again.
///
/// # Choice of the hash
///
/// A random secret of 256 bits needs no slow hash: its SHA-256 digest
/// ([`with_secret`](ClientAuthRecord::with_secret)) cannot be guessed either, and costs microseconds. Use hashes for
/// secrets that a person chose, or because the database has them.
///
/// # Examples
///
/// ```
/// use client_auth::{ClientAuthRecord, InvalidSecretHash, Presented, SecretVerifier};
/// use http::HeaderMap;
/// use oauth_types::{AuthMethod, FormPairs, Secret, UnixTime};
///
/// /// Stands for the library that made the hashes.
/// # mod phc {
/// #     pub fn verify(secret: &[u8], hash: &str) -> Option<bool> {
/// #         Some(hash.strip_prefix("$demo$")?.as_bytes() == secret)
/// #     }
/// # }
/// struct Hashes {
///     decoy: String,
/// }
///
/// impl SecretVerifier for Hashes {
///     fn verify(&self, hash: &str, secret: &Secret) -> Result<bool, InvalidSecretHash> {
///         phc::verify(secret.expose().as_bytes(), hash).ok_or(InvalidSecretHash)
///     }
///
///     fn decoy(&self) -> &str {
///         &self.decoy
///     }
/// }
///
/// let verifier = Hashes { decoy: "$demo$hash of a random text, made at start-up".to_owned() };
/// let record = ClientAuthRecord::new(AuthMethod::ClientSecretPost).with_secret_hash("$demo$s3cret");
/// let form = FormPairs::parse(b"client_id=c1&client_secret=s3cret")?;
/// let presented = Presented::parse(&HeaderMap::new(), &form)?;
/// let now = UnixTime::from_secs(1_800_000_000);
/// assert!(presented.verify_with(&verifier, Some(&record), &[], now).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "argon2")]
#[doc(alias = "bcrypt")]
#[doc(alias = "scrypt")]
pub trait SecretVerifier: Send + Sync {
    /// Returns `true` if this is the hash of the secret, compared in constant time.
    ///
    /// The secret is not empty, and is passed whole. bcrypt reads only the first 72 bytes: a host that uses it returns
    /// `Ok(false)` for longer secrets, and issues none.
    ///
    /// # Errors
    ///
    /// [`InvalidSecretHash`] when the hash is malformed or of an unsupported algorithm.
    fn verify(&self, hash: &str, secret: &Secret) -> Result<bool, InvalidSecretHash>;

    /// Returns the hash to verify for unknown clients, and for wrong secrets of clients without a hash.
    ///
    /// Make it at start-up from a random text, with the algorithm and the parameters (memory, passes, lanes; or the
    /// cost of bcrypt) of the stored hashes. Otherwise the time of the reply tells which clients exist. If the stored
    /// hashes have several parameters, take the most common ones, and hash the other secrets anew. The result of its
    /// verification is ignored.
    fn decoy(&self) -> &str;
}

/// Verification of one presented secret, to be run where it may take its time.
///
/// It comes from [`Presented::secret_check`], owns all that it needs, and returns the credentials with the outcome.
///
/// # Examples
///
/// ```
/// use client_auth::{ClientAuthError, ClientAuthRecord, Presented, SecretVerifier, Verified};
/// use oauth_types::UnixTime;
/// use std::sync::Arc;
/// use std::thread;
///
/// fn authenticate(
///     presented: Presented,
///     record: Option<ClientAuthRecord>,
///     verifier: Arc<dyn SecretVerifier>,
///     now: UnixTime,
/// ) -> Result<Verified, ClientAuthError> {
///     let check = presented.secret_check(record.as_ref(), now);
///     // With tokio: `spawn_blocking(move || check.run(&*verifier)).await`.
///     let presented = thread::spawn(move || check.run(&*verifier)).join().expect("the verifier panicked");
///     presented.verify(record.as_ref(), &["https://as.example"], now)
/// }
/// ```
#[derive(Debug)]
#[must_use = "nobody is authenticated until `Presented::verify` says so"]
pub struct SecretCheck {
    presented: Presented,
    hash: Option<SecretHash>,
    is_needed: bool,
}

impl SecretCheck {
    pub(crate) fn new(
        presented: Presented,
        registered: Option<&ClientAuthRecord>,
        now: UnixTime,
    ) -> Self {
        let hash = registered.and_then(|record| record.secret_hash.clone());
        let is_needed = presented.needs_hash_check(registered, now);
        Self { presented, hash, is_needed }
    }

    /// Returns the client that the request names; not authenticated yet.
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        self.presented.client_id()
    }

    /// Returns `true` if [`run`](Self::run) verifies a hash.
    ///
    /// It is `false` if no secret is presented, or the digest in the record accepts it.
    #[must_use]
    pub const fn is_needed(&self) -> bool {
        self.is_needed
    }

    /// Verifies the secret against the client's hash or else the decoy: once, or not at all if it is not needed.
    pub fn run(self, verifier: &dyn SecretVerifier) -> Presented {
        let Self { presented, hash, is_needed } = self;
        // A-AUTHN-5
        let Some(secret) = presented.secret().filter(|_| is_needed) else { return presented };
        let secret = Secret::new(secret);
        let outcome = verifier
            .verify(hash.as_ref().map_or_else(|| verifier.decoy(), SecretHash::as_str), &secret);
        presented.with_hash_check(HashCheck { hash, outcome })
    }

    /// Returns the credentials without a verification, for a host that has no verifier.
    ///
    /// A client whose secret is stored as a hash is refused then.
    pub fn skip(self) -> Presented {
        self.presented
    }
}

/// Outcome of a verification, with the hash that it is about; `None` for the decoy.
#[derive(Clone, Debug)]
pub(crate) struct HashCheck {
    hash: Option<SecretHash>,
    outcome: Result<bool, InvalidSecretHash>,
}

impl HashCheck {
    /// Returns `true` if the verifier could not read the hash or the decoy.
    pub(crate) const fn is_invalid(&self) -> bool {
        self.outcome.is_err()
    }

    /// Returns the outcome for this hash; `None` if another one was verified.
    pub(crate) fn outcome_for(&self, hash: &SecretHash) -> Option<bool> {
        self.outcome.ok().filter(|_| self.hash.as_ref() == Some(hash))
    }
}
