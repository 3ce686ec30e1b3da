//! The endpoints that programs call: token, registration, revocation, introspection. Each carries out the steps of
//! `authorization-server`.

use authorization_server::{
    Admitted, Introspecting, NewClient, Refusal, RevocationRequest, RevokeTarget, Store,
    TokenRequest,
};
use bytes::Bytes;
use http::Response;
use oauth_types::UnixTime;

use super::{Server, no_entropy};
use crate::Login;
use crate::ambient::entropy;

impl<S: Store + 'static, L: Login> Server<S, L> {
    pub(super) async fn token(
        &self,
        request: &http::Request<Bytes>,
    ) -> Result<Response<Bytes>, Refusal> {
        let now = self.clock.now();
        let parsed = TokenRequest::parse(&self.config, request)?;
        let attempt =
            self.rates.attempt(request, Some(parsed.client_id()), parsed.has_credentials())?;
        let client = self.client(parsed.client_id(), request).await.map_err(Refusal::client)?;
        let needed = client.as_ref().and_then(|client| parsed.keys_needed(client));
        let client = self.with_keys(client, needed, request).await.map_err(Refusal::client)?;
        let checked = attempt.judge(parsed.with_client(client.as_ref(), now))?;
        let admitted = attempt.judge(checked.first_use(&*self.store, now).await)?;
        let answer = attempt.judge(self.issue(admitted, now).await);
        self.sweeper.stored(&self.store, now);
        if answer.is_ok() {
            self.mark_used(client.as_ref());
        }
        answer
    }

    /// Issues tokens for a grant, once the store has its outcome.
    async fn issue(
        &self,
        admitted: Admitted<'_>,
        now: UnixTime,
    ) -> Result<Response<Bytes>, Refusal> {
        match admitted {
            Admitted::Code(grant) => {
                let code = self.store.read_code(grant.digest()).await.map_err(Refusal::store)?;
                let issuable = grant.with_code(code, now)?.first_use(&*self.store, now).await?;
                let (Some(family), Some(access)) = (entropy(), entropy()) else {
                    return Err(no_entropy());
                };
                let redeem = issuable.draw(&family, access, now);
                let family = redeem.family().clone();
                let outcome = self.store.redeem(redeem.digest(), family, now).await;
                redeem.finish(outcome)
            }
            Admitted::Token(issuable) => {
                let (Some(family), Some(access)) = (entropy(), entropy()) else {
                    return Err(no_entropy());
                };
                let issue = issuable.draw(&family, access, now);
                let outcome = self.store.insert_family(issue.family().clone(), now).await;
                issue.finish(outcome)
            }
            Admitted::Refresh(grant) => {
                let family =
                    self.store.read_family(grant.family()).await.map_err(Refusal::store)?;
                let issuable = grant.with_family(family)?.first_use(&*self.store, now).await?;
                let rotate = issuable.draw(entropy().ok_or_else(no_entropy)?, now);
                let outcome = self.store.rotate(rotate.rotation().clone(), now).await;
                rotate.finish(outcome)
            }
        }
    }

    pub(super) async fn register(
        &self,
        request: &http::Request<Bytes>,
    ) -> Result<Response<Bytes>, Refusal> {
        self.rates.registration(request)?;
        let client = NewClient::parse(&self.config, request)?;
        let (Some(id), Some(secret)) = (entropy(), entropy()) else { return Err(no_entropy()) };
        let now = self.clock.now();
        let create = client.draw(id, secret, now);
        let outcome = self.store.create_client(create.record().clone(), now).await;
        self.sweeper.stored(&self.store, now);
        create.finish(outcome)
    }

    pub(super) async fn revoke(
        &self,
        request: &http::Request<Bytes>,
    ) -> Result<Response<Bytes>, Refusal> {
        let now = self.clock.now();
        let parsed = RevocationRequest::parse(&self.config, request)?;
        let attempt =
            self.rates.attempt(request, Some(parsed.client_id()), parsed.has_credentials())?;
        let client = self.client(parsed.client_id(), request).await.map_err(Refusal::client)?;
        let needed = client.as_ref().and_then(|client| parsed.keys_needed(client));
        let client = self.with_keys(client, needed, request).await.map_err(Refusal::client)?;
        let checked = attempt.judge(parsed.with_client(client.as_ref(), now))?;
        let revoking = attempt.judge(checked.first_use(&*self.store, now).await)?;
        let found = match revoking.target() {
            RevokeTarget::Family(family) => {
                let record = self.store.read_family(&family).await.map_err(Refusal::store)?;
                record.map(|record| (family, record.client_id))
            }
            RevokeTarget::Access(digest) => {
                let record = self.store.access(&digest, now).await.map_err(Refusal::store)?;
                record.map(|record| (record.family, record.client_id))
            }
        };
        let found = found.as_ref().map(|(family, client_id)| (*family, client_id));
        let outcome = match revoking.family(found) {
            Some(family) => self.store.revoke_family(&family, now).await,
            None => Ok(()),
        };
        revoking.finish(outcome)
    }

    pub(super) async fn introspect(
        &self,
        request: &http::Request<Bytes>,
    ) -> Result<Response<Bytes>, Refusal> {
        let now = self.clock.now();
        let attempt = self.rates.attempt(request, None, true)?;
        let checked = attempt.judge(Introspecting::parse(&self.config, request, now))?;
        let introspecting = attempt.judge(checked.first_use(&*self.store, now).await)?;
        let found = self.store.access(introspecting.token(), now).await;
        introspecting.finish(found)
    }
}
