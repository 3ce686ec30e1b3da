//! Client authentication (RFC 6749 §2.3) at the token, revocation and introspection endpoints: look-up of the client,
//! verification of its credentials, replay check, and the failure that is counted for the peer.
//!
//! | step, in this order | requirement | error |
//! |---|---|---|
//! | the peer is admitted ([`Environment::admit`]) | RFC 6749 §10.10 | 429 |
//! | the client is looked up, and its `jwks_uri` if it presents an assertion | A-CIMD-1 | 503 |
//! | a secret is verified if no digest accepts it ([`Environment::verify_secret`]) | A-AUTHN-5 | 500, 503 |
//! | the credentials are valid, and their method is accepted | A-AUTHN-4 to A-AUTHN-8, A-META-4 | `invalid_client` |
//! | an assertion is used for the first time | A-AUTHN-9 | `invalid_client` |

use client_auth::{
    Authenticated, ClientAuthError, ClientAuthRecord, Presented, Reason, Replayed, Verified,
};
use oauth_types::{ClientId, UnixTime};

use crate::client_error::DocumentRefused;
use crate::client_keys::KeysNeeded;
use crate::config::Config;
use crate::environment::{Attempt, Environment, Failure, find_client};
use crate::first_use::use_once;
use crate::refusal::Refusal;
use crate::store::{ClientRecord, Store};

/// Client that a request names, before it has authenticated.
pub(crate) struct Caller {
    pub(crate) client: Option<ClientRecord>,
    /// Identifier from the request, if no client has it.
    unknown: Option<ClientId>,
    has_credentials: bool,
}

impl Caller {
    /// Looks up the client that a request names.
    pub(crate) async fn find<E: Environment>(
        config: &Config,
        env: &E,
        presented: &Presented,
    ) -> Result<Self, Refusal> {
        let has_credentials = presented.has_credentials();
        let client_id = presented.client_id();
        let attempt = Attempt { client_id: Some(client_id), has_credentials };
        env.admit(&attempt).map_err(Refusal::too_many)?;
        let client = find_client(config, env, client_id).await.map_err(Refusal::client)?;
        let client = client.filter(|client| client.client_id == *client_id);
        let unknown = client.is_none().then(|| client_id.clone());
        let client = match client {
            Some(client) => Some(with_keys(config, env, client, presented).await?),
            None => None,
        };
        Ok(Self { client, unknown, has_credentials })
    }

    /// Reports a failed request of this client to the host, which may limit the peer.
    pub(crate) fn settle<T>(
        &self,
        env: &impl Environment,
        outcome: Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let known = self.client.as_ref().map(|client| &client.client_id);
        let client_id = known.or(self.unknown.as_ref());
        settle(env, &Attempt { client_id, has_credentials: self.has_credentials }, outcome)
    }
}

/// Reports a failed attempt to the host, which may limit the peer.
///
/// After too many unknown grants the refusal becomes 429 (Too Many Requests).
pub(crate) fn settle<T>(
    env: &impl Environment,
    attempt: &Attempt<'_>,
    outcome: Result<T, Refusal>,
) -> Result<T, Refusal> {
    outcome.map_err(|refusal| {
        if refusal.is_failed_authentication() {
            let _ = env.record_failure(attempt, Failure::Authentication);
        } else if refusal.is_unknown_grant()
            && let Err(wait) = env.record_failure(attempt, Failure::UnknownGrant)
        {
            return Refusal::too_many(wait);
        }
        refusal
    })
}

/// Adds the keys at the client's `jwks_uri`, if the request presents an assertion.
async fn with_keys<E: Environment>(
    config: &Config,
    env: &E,
    client: ClientRecord,
    presented: &Presented,
) -> Result<ClientRecord, Refusal> {
    let Some(needed) = KeysNeeded::of(config, presented, &client) else { return Ok(client) };
    match env.client_keys(&needed).await {
        Ok(set) => Ok(client.with_key_set(&set)),
        // Without keys, authentication fails below with the same reply as for a wrong signature.
        Err(refused) => {
            DocumentRefused::into_fact(refused).map_err(Refusal::client)?;
            Ok(client)
        }
    }
}

/// Authenticates a client by the credentials of its request, including the replay check.
pub(crate) async fn authenticate<E: Environment>(
    config: &Config,
    env: &E,
    presented: Presented,
    client: Option<&ClientRecord>,
    now: UnixTime,
) -> Result<Authenticated, Refusal> {
    let client = client.filter(|client| !client.is_forgotten(now));
    let registered = client.map(|client| client.authentication_for(&presented));
    let counted = Counted::OfClient;
    let verified = verify(config, env, presented, (registered.as_deref(), counted), now).await?;
    let client = first_use(env.store(), verified, now).await?;
    // A-AUTHN-4, A-META-4: a method that is no longer accepted is answered like a wrong secret.
    if !config.auth_methods.contains(client.method()) {
        return Err(Refusal::unauthenticated(ClientAuthError::new(Reason::WrongMethod)));
    }
    Ok(client)
}

/// Authenticates a resource server by its entry in the configuration.
pub(crate) async fn authenticate_as<E: Environment>(
    config: &Config,
    env: &E,
    presented: Presented,
    registered: Option<&ClientAuthRecord>,
    now: UnixTime,
) -> Result<Authenticated, Refusal> {
    let counted = Counted::OfPeer;
    let verified = verify(config, env, presented, (registered, counted), now).await?;
    first_use(env.store(), verified, now).await
}

/// Attempts that the host counts together, as [`Attempt::client_id`] says.
#[derive(Clone, Copy)]
enum Counted {
    /// Attempts of a peer to authenticate as one client.
    OfClient,
    /// Attempts of a peer, for resource servers.
    OfPeer,
}

async fn verify<E: Environment>(
    config: &Config,
    env: &E,
    presented: Presented,
    (registered, counted): (Option<&ClientAuthRecord>, Counted),
    now: UnixTime,
) -> Result<Verified, Refusal> {
    let check = presented.secret_check(registered, now);
    let presented = if check.is_needed() {
        let client_id = match counted {
            Counted::OfClient => Some(check.client_id().clone()),
            Counted::OfPeer => None,
        };
        let attempt = Attempt { client_id: client_id.as_ref(), has_credentials: true };
        env.verify_secret(check, &attempt).await?
    } else {
        check.skip()
    };
    // Older clients use the token endpoint as the audience, even when they call another endpoint.
    let audience = [config.issuer.as_str(), config.token.as_str()];
    presented.verify(registered, &audience, now).map_err(Refusal::unauthenticated)
}

async fn first_use(
    store: &impl Store,
    verified: Verified,
    now: UnixTime,
) -> Result<Authenticated, Refusal> {
    match verified {
        Verified::Done(client) => Ok(client),
        // A-AUTHN-9
        Verified::FirstUse(step) => {
            let refuse = |replayed: Replayed| Refusal::unauthenticated(replayed.into());
            use_once(store, step, now, refuse).await
        }
    }
}
