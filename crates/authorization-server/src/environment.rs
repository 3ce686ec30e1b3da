//! Interface to the host for one request: store, entropy, clients' documents, and limits for the peer.
//!
//! | endpoint | methods that it calls, in this order |
//! |---|---|
//! | `token` | `admit`, `store`, `client_document`, `client_keys` and `verify_secret` if needed, `entropy`, last a note of the outcome |
//! | [`revoke`](crate::revoke()) | the same without `entropy` and `client_used` |
//! | [`introspect`](crate::introspect()) | `admit`, `verify_secret` if needed, `store`, `record_failure` |
//! | [`register`](crate::register()) | [`admit_registration`](Environment::admit_registration), `entropy`, `store` |
//! | [`find_client`], for the authorization endpoint | `store`, `client_document` |
//!
//! The note of the outcome is [`record_failure`](Environment::record_failure) or
//! [`client_used`](Environment::client_used).

use core::future::ready;
use core::time::Duration;

use client_auth::{Presented, SecretCheck};
use oauth_types::{ClientId, ClientMetadataUrl, Entropy, JwkSet};

use crate::client_error::{ClientUnavailable, DocumentRefused};
use crate::client_keys::KeysNeeded;
use crate::config::Config;
use crate::refusal::Refusal;
use crate::store::{ClientRecord, Store};

/// Host of one request, as the token, revocation and other endpoints need it.
///
/// A store and a random source are enough. The other methods have defaults: clients are looked up in the store alone,
/// and nothing is limited.
///
/// ```
/// use authorization_server::{Environment, MemoryStore};
/// use oauth_types::Entropy;
///
/// struct Host {
///     store: MemoryStore,
/// }
///
/// impl Environment for Host {
///     type Store = MemoryStore;
///
///     fn store(&self) -> &MemoryStore {
///         &self.store
///     }
///
///     fn entropy<const N: usize>(&self) -> Option<Entropy<N>> {
///         # fn fill(_: &mut [u8]) -> Result<(), ()> { Ok(()) }
///         let mut bytes = [0; N];
///         fill(&mut bytes).ok()?; // the random source of the system
///         Some(Entropy::new(bytes))
///     }
/// }
/// ```
pub trait Environment: Sync {
    /// The store of the issuer.
    type Store: Store;

    /// Returns the store.
    fn store(&self) -> &Self::Store;

    /// Draws random bytes from a cryptographic source; `None` if the source fails.
    ///
    /// Then nothing is issued.
    fn entropy<const N: usize>(&self) -> Option<Entropy<N>>;

    /// Fetches and reads the metadata document of a client that is not in the store.
    ///
    /// Read the response with [`ClientRecord::from_document`].
    ///
    /// [`Config::client_document`] has admitted the URL. By default no document is fetched.
    fn client_document(
        &self,
        _url: &ClientMetadataUrl,
    ) -> impl Future<Output = Result<ClientRecord, DocumentRefused>> + Send {
        ready(Err(DocumentRefused::Forbidden))
    }

    /// Fetches and reads the keys that a client publishes ([`KeysNeeded::read`]).
    ///
    /// By default none are fetched, and such a client cannot authenticate.
    fn client_keys(
        &self,
        _needed: &KeysNeeded<'_>,
    ) -> impl Future<Output = Result<JwkSet, DocumentRefused>> + Send {
        ready(Err(DocumentRefused::Forbidden))
    }

    /// Verifies a presented secret where clients' secrets are stored as password hashes (argon2, bcrypt).
    ///
    /// Call [`SecretCheck::run`] with your [`SecretVerifier`](client_auth::SecretVerifier) on a thread for blocking work,
    /// and bound how many run at once. It is called only after [`admit`](Self::admit), and only for a secret that no
    /// digest accepts. If the check had to wait for its turn, call `admit` again, because others of the peer may have
    /// failed meanwhile. By default nothing is verified, and a client with a hash is answered with 500
    /// ([`Reason::NoSecretVerifier`](client_auth::Reason::NoSecretVerifier)). The request may be cancelled meanwhile;
    /// nothing has changed then.
    ///
    /// ```
    /// # use authorization_server::{Environment, MemoryStore};
    /// use authorization_server::{Attempt, Refusal};
    /// use client_auth::{Presented, SecretCheck, SecretVerifier};
    /// # use oauth_types::Entropy;
    ///
    /// struct Host {
    ///     store: MemoryStore,
    ///     verifier: Box<dyn SecretVerifier>,
    /// }
    ///
    /// impl Environment for Host {
    /// #     type Store = MemoryStore;
    /// #     fn store(&self) -> &MemoryStore { &self.store }
    /// #     fn entropy<const N: usize>(&self) -> Option<Entropy<N>> { None }
    ///     // On a thread of its own for each request; with tokio, use `spawn_blocking`.
    ///     async fn verify_secret(&self, check: SecretCheck, _: &Attempt<'_>) -> Result<Presented, Refusal> {
    ///         Ok(check.run(&*self.verifier))
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Refusal`] when it could not be run, such as [`Refusal::late`].
    fn verify_secret(
        &self,
        check: SecretCheck,
        _attempt: &Attempt<'_>,
    ) -> impl Future<Output = Result<Presented, Refusal>> + Send {
        ready(Ok(check.skip()))
    }

    /// Admits an attempt at client authentication, before the secret is compared.
    ///
    /// # Errors
    ///
    /// The time after which the peer may try again; the request is answered with 429.
    fn admit(&self, _attempt: &Attempt<'_>) -> Result<(), Duration> {
        Ok(())
    }

    /// Admits a registration, and counts it.
    ///
    /// # Errors
    ///
    /// The time after which the peer may register again; the request is answered with 429.
    fn admit_registration(&self) -> Result<(), Duration> {
        Ok(())
    }

    /// Counts a failed attempt for the peer.
    ///
    /// # Errors
    ///
    /// For [`Failure::UnknownGrant`], the time after which the peer may try again; the request is answered with 429.
    /// After [`Failure::Authentication`] the answer stays the refusal of the client.
    fn record_failure(&self, _attempt: &Attempt<'_>, _failure: Failure) -> Result<(), Duration> {
        Ok(())
    }

    /// Records that a client got a token.
    fn client_used(&self, _client: &ClientRecord) {}
}

/// Attempt of a peer at client authentication.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Attempt<'a> {
    /// Identifier of the client; `None` for a resource server that introspects.
    pub client_id: Option<&'a ClientId>,
    /// Is `true` if the request presents a secret or an assertion, which could be a guess.
    pub has_credentials: bool,
}

/// Kinds of failures that may come from guessing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Failure {
    /// Client authentication failed.
    Authentication,
    /// The request presents an unknown code or token.
    UnknownGrant,
}

/// Looks up a client: in the store, then by its metadata document.
///
/// `None` if there is no such client.
///
/// # Errors
///
/// [`ClientUnavailable`] when the store failed, or the document could not be fetched now.
pub async fn find_client<E: Environment>(
    config: &Config,
    env: &E,
    client_id: &ClientId,
) -> Result<Option<ClientRecord>, ClientUnavailable> {
    if let Some(known) = env.store().read_client(client_id).await? {
        return Ok(Some(known));
    }
    // A-CIMD-1
    let Some(url) = config.client_document(client_id) else { return Ok(None) };
    let document = env.client_document(&url).await;
    document.map(Some).or_else(DocumentRefused::into_fact)
}
