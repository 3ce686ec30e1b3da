//! Revocation (RFC 7009): the end of a family, by any of its tokens.
//!
//! | check, in this order | requirement | answer |
//! |---|---|---|
//! | the request is a form, and its client is who it says | A-REV-1 | as at the token endpoint |
//! | `token` is there | | 400 `invalid_request` |
//! | the token is known, and this client's | A-REV-1 | 200, and nothing happens |
//! | the family is revoked | A-REV-1 | 200; 503 when the store cannot |

use bytes::Bytes;
use client_auth::{Authenticated, Presented};
use http::{Request, Response, StatusCode};
use oauth_types::{ClientId, FormPairs, SecretDigest, UnixTime, json_response_uncached};

use crate::endpoint::read_form;
use crate::replay::authenticate;
use crate::token::{missing, unauthenticated};
use crate::{ClientChecked, ClientRecord, Config, FamilyId, KeysNeeded, Refusal, StoreError};

/// A revocation request whose client has to be looked up.
#[derive(Debug)]
#[must_use = "the request goes on only with its client"]
pub struct RevocationRequest<'a> {
    config: &'a Config,
    form: FormPairs<'a>,
    presented: Presented,
}

/// What to look up to find the family: the hint of the request plays no part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RevokeTarget {
    /// A genuine refresh token: [`Store::read_family`](crate::Store::read_family).
    Family(FamilyId),
    /// Anything else: [`Store::access`](crate::Store::access).
    Access(SecretDigest),
}

/// A request of a client that is who it says.
#[derive(Debug)]
#[must_use = "nothing is revoked before the owner is known"]
pub struct Revoking {
    client: Authenticated,
    target: RevokeTarget,
}

impl<'a> RevocationRequest<'a> {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// [`Refusal`] with the finished reply.
    pub fn parse(config: &'a Config, request: &'a Request<Bytes>) -> Result<Self, Refusal> {
        let form = read_form(request)?;
        let presented = Presented::parse(request.headers(), &form).map_err(unauthenticated)?;
        Ok(Self { config, form, presented })
    }

    /// The client to look up: in the store and, if that does not know it, in its
    /// [document](Config::client_document).
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        self.presented.client_id()
    }

    /// Returns `true` if the request presents a secret or an assertion, which could be a guess.
    #[must_use]
    pub const fn has_credentials(&self) -> bool {
        self.presented.has_credentials()
    }

    /// Returns the key set to fetch for this client before the request goes on, if one is needed.
    #[must_use]
    pub fn keys_needed(&self, client: &ClientRecord) -> Option<KeysNeeded<'_>> {
        KeysNeeded::of(self.config, &self.presented, client)
    }

    /// Goes on with the client, if there is one.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when it is not who it says, or names no token.
    pub fn with_client(
        self,
        client: Option<&ClientRecord>,
        now: UnixTime,
    ) -> Result<ClientChecked<'a, Revoking>, Refusal> {
        let Self { config, form, presented } = self;
        // A-REV-1
        authenticate(config, presented, client, now, move |client| {
            let token = form.value("token").unwrap_or_default();
            let token = token.ok_or_else(|| missing("token"))?;
            let target = match config.refresh_keys.open(token) {
                Some((family, _)) => RevokeTarget::Family(family),
                None => RevokeTarget::Access(SecretDigest::of(token)),
            };
            Ok(ClientChecked::Done(Revoking { client, target }))
        })
    }
}

impl Revoking {
    /// What to look up.
    #[must_use]
    pub const fn target(&self) -> RevokeTarget {
        self.target
    }

    /// The family to revoke, if its owner is this client; otherwise there is nothing to do.
    #[must_use]
    pub fn family(&self, found: Option<(FamilyId, &ClientId)>) -> Option<FamilyId> {
        let (family, owner) = found?;
        (owner == self.client.client_id()).then_some(family)
    }

    /// The response, once what was to be done is done.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when the store failed: the token may still work, and the client is told so.
    pub fn finish(self, outcome: Result<(), StoreError>) -> Result<Response<Bytes>, Refusal> {
        outcome.map_err(Refusal::store)?;
        Ok(json_response_uncached(StatusCode::OK, Bytes::from_static(b"{}")))
    }
}
