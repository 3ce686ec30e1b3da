//! Access tokens and the token response (RFC 6749 §5.1).

use bytes::Bytes;
use client_auth::{Authenticated, DpopKey};
use http::{Response, StatusCode};
use oauth_types::{
    ClientId, Entropy, ResourceUri, ScopeSet, Secret, Subject, Thumbprint, TokenResponse,
    TokenType, UnixTime, json_response_uncached,
};

use crate::access_token::About;
use crate::config::Config;
use crate::environment::Environment;
use crate::refusal::Refusal;
use crate::store::{FamilyId, NewAccess, NewFamily, Store as _};

/// Grant for which an access token is issued.
pub(super) struct Grant<'a> {
    pub(super) client_id: &'a ClientId,
    pub(super) subject: &'a Subject,
    pub(super) resource: &'a ResourceUri,
    pub(super) scopes: &'a ScopeSet,
    pub(super) key: Option<DpopKey>,
}

/// Access token with the scopes and key that the token response names.
pub(super) struct Issued {
    access_token: Secret,
    scopes: ScopeSet,
    jkt: Option<Thumbprint>,
}

impl Grant<'_> {
    /// Creates an access token and its row in the store.
    pub(super) fn access_token(
        &self,
        config: &Config,
        random: Entropy<32>,
        now: UnixTime,
    ) -> (Issued, NewAccess) {
        let expires_at = now.saturating_add(config.lifetimes.access_token);
        let jkt = self.key.as_ref().map(|key| *key.thumbprint());
        let about = About {
            client_id: self.client_id,
            subject: self.subject,
            resource: self.resource,
            scopes: self.scopes,
            issued_at: now,
            expires_at,
            jkt,
        };
        let access_token = config.access_token(random, &about);
        let scopes = self.scopes.clone();
        let digest = access_token.digest();
        let row = NewAccess { digest, scopes: scopes.clone(), expires_at, jkt };
        (Issued { access_token, scopes, jkt }, row)
    }
}

impl Issued {
    /// Returns the token response, which must not be cached (A-TOKEN-6).
    ///
    /// The token has to be stored first.
    pub(super) fn response(
        self,
        config: &Config,
        refresh_token: Option<Secret>,
    ) -> Response<Bytes> {
        // A-TOKEN-6
        let mut response = TokenResponse::bearer(self.access_token);
        response.token_type = TokenType::bound_to(self.jkt.as_ref());
        response.expires_in = Some(config.lifetimes.access_token.as_secs());
        response.refresh_token = refresh_token;
        response.scope = Some(self.scopes);
        json_response_uncached(StatusCode::OK, response.to_json())
    }
}

/// Issues one access token without a refresh token.
///
/// The client repeats its grant for the next token (RFC 6749 §4.4.3, RFC 7521 §4.1).
pub(super) async fn issue_once<E: Environment>(
    config: &Config,
    env: &E,
    client: &Authenticated,
    (subject, resource, scopes): (Subject, ResourceUri, ScopeSet),
    key: Option<DpopKey>,
    now: UnixTime,
) -> Result<Response<Bytes>, Refusal> {
    let (id, random) = (Refusal::drawn(env.entropy())?, Refusal::drawn(env.entropy())?);
    let client_id = client.client_id();
    let grant = Grant { client_id, subject: &subject, resource: &resource, scopes: &scopes, key };
    let (issued, access) = grant.access_token(config, random, now);
    let family = NewFamily {
        id: FamilyId::new(id),
        subject,
        client_id: client_id.clone(),
        resource,
        scopes,
        expires_at: access.expires_at,
        idle_until: access.expires_at,
        jkt: None,
        access,
    };
    env.store().insert_family(family, now).await.map_err(Refusal::store)?;
    Ok(issued.response(config, None))
}
