//! Token, registration, revocation and introspection endpoints, as the host of `authorization-server` for one request.

use core::time::Duration;

use authorization_server::{
    Attempt, Environment, Failure, Refusal, Store, introspect, register, revoke, token,
};
use authorization_server::{ClientRecord, DocumentRefused, KeysNeeded};
use bytes::Bytes;
use client_auth::{Presented, SecretCheck};
use http::{Request, Response};
use oauth_types::Entropy;
use oauth_types::{ClientMetadataUrl, JwkSet};

use super::Server;
use crate::clock::entropy;

/// Environment of one request: store, random bytes, documents and rate limits.
pub(super) struct Host<'a, S, L, B> {
    server: &'a Server<S, L>,
    request: &'a Request<B>,
}

impl<S: Store, L: Sync, B: Sync> Environment for Host<'_, S, L, B> {
    type Store = S;

    fn store(&self) -> &S {
        &self.server.store
    }

    fn entropy<const N: usize>(&self) -> Option<Entropy<N>> {
        entropy()
    }

    async fn client_document(
        &self,
        url: &ClientMetadataUrl,
    ) -> Result<ClientRecord, DocumentRefused> {
        let Some(documents) = &self.server.documents else {
            return Err(DocumentRefused::Forbidden);
        };
        documents.client(url, self.server.rates.network(self.request)).await
    }

    async fn client_keys(&self, needed: &KeysNeeded<'_>) -> Result<JwkSet, DocumentRefused> {
        let Some(documents) = &self.server.documents else {
            return Err(DocumentRefused::Forbidden);
        };
        documents.keys(needed, self.server.rates.network(self.request)).await
    }

    async fn verify_secret(
        &self,
        check: SecretCheck,
        attempt: &Attempt<'_>,
    ) -> Result<Presented, Refusal> {
        match &self.server.secrets {
            Some(secrets) => secrets.verify(check, || self.admit(attempt)).await,
            None => Ok(check.skip()),
        }
    }

    fn admit(&self, attempt: &Attempt<'_>) -> Result<(), Duration> {
        self.server.rates.admit(self.request, attempt)
    }

    fn admit_registration(&self) -> Result<(), Duration> {
        self.server.rates.registration(self.request)
    }

    fn record_failure(&self, attempt: &Attempt<'_>, failure: Failure) -> Result<(), Duration> {
        self.server.rates.record_failure(self.request, attempt, failure)
    }

    fn client_used(&self, client: &ClientRecord) {
        if let Some(documents) = &self.server.documents {
            documents.mark_used(client);
        }
    }
}

impl<S: Store + 'static, L: Sync> Server<S, L> {
    pub(super) const fn host<'a, B>(&'a self, request: &'a Request<B>) -> Host<'a, S, L, B> {
        Host { server: self, request }
    }

    pub(super) async fn token(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, Refusal> {
        let now = self.clock.now();
        let answer = token(&self.config, &self.host(request), request, now).await;
        if answer.is_ok() {
            self.sweeper.stored(&self.store, now);
        }
        answer
    }

    pub(super) async fn register(
        &self,
        request: &Request<Bytes>,
    ) -> Result<Response<Bytes>, Refusal> {
        let now = self.clock.now();
        let answer = register(&self.config, &self.host(request), request, now).await;
        if answer.is_ok() {
            self.sweeper.stored(&self.store, now);
        }
        answer
    }

    pub(super) async fn revoke(
        &self,
        request: &Request<Bytes>,
    ) -> Result<Response<Bytes>, Refusal> {
        revoke(&self.config, &self.host(request), request, self.clock.now()).await
    }

    pub(super) async fn introspect(
        &self,
        request: &Request<Bytes>,
    ) -> Result<Response<Bytes>, Refusal> {
        introspect(&self.config, &self.host(request), request, self.clock.now()).await
    }
}
