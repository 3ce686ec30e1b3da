//! Verifiers of access tokens that are chosen at run time: [`DynTokenVerifier`].

use core::any::type_name;
use core::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use oauth_types::{Secret, UnixTime};
use resource_server::AccessTokenInfo;

use super::{TokenVerifier, VerifierUnavailable};

/// Any [`TokenVerifier`] behind one type, for programs that choose the verifier when they start.
///
/// `TokenVerifier` is not dyn-compatible, because its method returns `impl Future`. Here each call allocates its future,
/// and a clone is another pointer to the same verifier with its caches. `Debug` shows the type of the verifier and
/// nothing of its content.
///
/// # Examples
///
/// ```
/// use mcp_authz_axum::{DynTokenVerifier, IntrospectionVerifier, StoreVerifier};
/// use authorization_server::MemoryStore;
/// use oauth_types::{ClientId, Issuer, Secret};
///
/// # struct Settings { issuer: Issuer, introspection: Option<(ClientId, Secret)> }
/// # fn f(settings: Settings, store: MemoryStore) -> Result<DynTokenVerifier, mcp_authz_axum::InvalidRemote> {
/// let issuer = settings.issuer;
/// Ok(match settings.introspection {
///     Some((id, secret)) => DynTokenVerifier::new(IntrospectionVerifier::new(issuer, id, secret)?),
///     None => DynTokenVerifier::new(StoreVerifier::new(store, issuer)),
/// })
/// # }
/// ```
#[derive(Clone)]
pub struct DynTokenVerifier(Arc<dyn ErasedVerifier>);

impl DynTokenVerifier {
    /// Wraps a verifier.
    #[must_use]
    pub fn new(verifier: impl TokenVerifier) -> Self {
        Self(Arc::new(verifier))
    }
}

impl fmt::Debug for DynTokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynTokenVerifier({})", self.0.type_name())
    }
}

type Verified = Result<Option<Arc<AccessTokenInfo>>, VerifierUnavailable>;

/// Dyn-compatible form of [`TokenVerifier`].
trait ErasedVerifier: Send + Sync {
    fn type_name(&self) -> &'static str;

    fn verify<'a>(&'a self, token: &'a Secret, now: UnixTime) -> BoxFuture<'a, Verified>;
}

impl<V: TokenVerifier> ErasedVerifier for V {
    fn type_name(&self) -> &'static str {
        type_name::<V>()
    }

    fn verify<'a>(&'a self, token: &'a Secret, now: UnixTime) -> BoxFuture<'a, Verified> {
        Box::pin(TokenVerifier::verify(self, token, now))
    }
}

// The lint holds the wrapper to the trait, because a default method that it lacks would not be forwarded.
#[deny(clippy::missing_trait_methods)]
impl TokenVerifier for DynTokenVerifier {
    async fn verify(&self, token: &Secret, now: UnixTime) -> Verified {
        self.0.verify(token, now).await
    }
}
