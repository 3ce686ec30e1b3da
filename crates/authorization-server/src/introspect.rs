//! Introspection (RFC 7662): what a resource server may know about a token that it was shown.
//!
//! | check, in this order | requirement | answer |
//! |---|---|---|
//! | the request is a form | A-INT-1 | 405, 413, `invalid_request` |
//! | it comes from a resource server of the configuration, which is who it says | A-INT-1 | `invalid_client` |
//! | `token` is there | | 400 `invalid_request` |
//! | the token works now, and is for that resource server | A-INT-1 | 200 `{"active":false}`, whatever the reason |
//!
//! A registered client is nobody here: anybody can register one. Refresh tokens are nobody's business either.

use bytes::Bytes;
use client_auth::{Presented, Registered};
use http::{Request, Response, StatusCode};
use oauth_types::{
    Audience, ClientId, IntrospectionAnswer, ResourceUri, SecretDigest, UnixTime,
    json_response_uncached,
};

use serde_json::json;

use crate::endpoint::read_form;
use crate::replay::authenticate_as;
use crate::token::{missing, token_type, unauthenticated};
use crate::{AccessRecord, ClientChecked, Config, Refusal, StoreError};

/// A resource server that may ask about the tokens that are for it.
#[derive(Clone, Debug)]
pub struct ResourceServer {
    /// What it calls itself when it asks.
    pub client_id: ClientId,
    /// How it shows that it is that.
    pub authentication: Registered,
    /// What it protects.
    pub resource: ResourceUri,
}

/// A request of a resource server that is who it says.
#[derive(Debug)]
#[must_use = "nothing is said before the token is looked up"]
pub struct Introspecting<'a> {
    config: &'a Config,
    resource: &'a ResourceUri,
    token: SecretDigest,
}

impl<'a> Introspecting<'a> {
    /// Reads a request and checks who sent it.
    ///
    /// # Errors
    ///
    /// [`Refusal`] with the finished reply.
    pub fn parse(
        config: &'a Config,
        request: &'a Request<Bytes>,
        now: UnixTime,
    ) -> Result<ClientChecked<'a, Self>, Refusal> {
        let form = read_form(request)?;
        let presented = Presented::parse(request.headers(), &form).map_err(unauthenticated)?;
        let asker =
            config.resource_servers.iter().find(|it| it.client_id == *presented.client_id());
        // A-INT-1
        let registered = asker.map(|asker| &asker.authentication);
        authenticate_as(config, presented, registered, now, move |_| {
            let token = form.value("token").unwrap_or_default().ok_or_else(|| missing("token"))?;
            // Evidence came from this very entry.
            let Some(asker) = asker else { return Err(missing("client_id")) };
            let token = SecretDigest::of(token);
            Ok(ClientChecked::Done(Self { config, resource: &asker.resource, token }))
        })
    }

    /// What to look up: [`Store::access`](crate::Store::access).
    #[must_use]
    pub const fn token(&self) -> &SecretDigest {
        &self.token
    }

    /// The response, with what the store knows.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when the store failed: that is no answer about the token.
    pub fn finish(
        self,
        found: Result<Option<AccessRecord>, StoreError>,
    ) -> Result<Response<Bytes>, Refusal> {
        let found = found.map_err(Refusal::store)?;
        let is_theirs = |record: &AccessRecord| {
            record.resource.covers(self.resource) && self.resource.covers(&record.resource)
        };
        let answer = found.filter(is_theirs).map_or_else(IntrospectionAnswer::inactive, |record| {
            let mut answer = IntrospectionAnswer::active();
            answer.scope = Some(record.scopes);
            answer.client_id = Some(record.client_id);
            answer.sub = Some(record.subject);
            answer.aud = Some(Audience(vec![record.resource.as_str().to_owned()]));
            answer.iss = Some(self.config.issuer.clone());
            answer.exp = Some(record.expires_at);
            answer.token_type = Some(token_type(record.jkt).as_str().to_owned());
            if let Some(jkt) = record.jkt {
                // RFC 9449 §6.2
                answer.extra.insert("cnf".to_owned(), json!({ "jkt": jkt }));
            }
            answer
        });
        Ok(json_response_uncached(StatusCode::OK, answer.to_json()))
    }
}
