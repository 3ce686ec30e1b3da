//! Dynamic registration (RFC 7591).
//!
//! | check, in this order | requirement | error |
//! |---|---|---|
//! | POST, JSON, within bounds | A-REG-3 | 405, 413, `invalid_client_metadata` |
//! | members have their form | A-REG-3 | `invalid_client_metadata` |
//! | what the client says is accepted, at least in part ([`client`](crate::client)) | A-REG-1, A-REG-3 | `invalid_redirect_uri`, `invalid_client_metadata` |
//! | there is room | | 503 |
//!
//! The answer says what was registered, which may be less than what was sent (RFC 7591 §3.2.1).
//!
//! A client that never gets a token is forgotten after a day, so that what programs register for the fun of it goes
//! away; one that got some, 30 days after the end of its last grant. Clients without a token take at most half of the
//! store's room, and the oldest of them makes room for the next.

use core::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{Method, Request, Response, StatusCode};
use oauth_types::{
    ClientId, ClientInformation, ClientMetadata, DocumentError, Entropy, FormPairs,
    RegistrationErrorCode, Secret, UnixTime, json_response_uncached, media_type,
};

use crate::client::{AcceptedClient, MetadataSource};
use crate::{Cause, ClientRecord, Config, CreateOutcome, InvalidClient, Refusal, StoreError};

/// A registration that is allowed.
#[derive(Debug)]
#[must_use = "the client exists only when it is stored"]
pub struct NewClient {
    accepted: AcceptedClient,
    may_be_unused: Duration,
}

fn bad(why: &str) -> Refusal {
    let code = RegistrationErrorCode::InvalidClientMetadata;
    Refusal::registration(Cause::Parameter("metadata"), code, why)
}

fn bad_redirect(why: &str) -> Refusal {
    let code = RegistrationErrorCode::InvalidRedirectUri;
    Refusal::registration(Cause::RegisteredRedirectUri, code, why)
}

fn refuse(error: InvalidClient) -> Refusal {
    let why = error.to_string();
    if error.is_about_redirects() { bad_redirect(&why) } else { bad(&why) }
}

impl NewClient {
    /// Reads a registration request.
    ///
    /// # Errors
    ///
    /// [`Refusal`] with the finished reply.
    pub fn parse(config: &Config, request: &Request<Bytes>) -> Result<Self, Refusal> {
        if request.method() != Method::POST {
            return Err(Refusal::method("POST"));
        }
        if media_type(request.headers()) != "application/json" {
            return Err(bad("send application/json"));
        }
        if request.body().len() > FormPairs::MAX_BYTES {
            return Err(bad("the body is too long").with_status(StatusCode::PAYLOAD_TOO_LARGE));
        }
        // A-REG-1, A-REG-3
        let sent = ClientMetadata::from_json(request.body()).map_err(|error| match error {
            DocumentError::Member { member: "redirect_uris", .. } => {
                bad_redirect("redirect_uris is a list of texts")
            }
            other => bad(&other.to_string()),
        })?;
        let accepted = AcceptedClient::new(config, sent, MetadataSource::Registration);
        let may_be_unused = config.lifetimes.unused_client;
        Ok(Self { accepted: accepted.map_err(refuse)?, may_be_unused })
    }

    /// Gives the client an identifier and, if it authenticates with one, a secret.
    pub fn draw(self, id: Entropy<16>, secret: Entropy<32>, now: UnixTime) -> CreateClient {
        let metadata = self.accepted.metadata().clone();
        let secret = self.accepted.has_secret().then(|| secret.into_secret());
        let mut record = self.accepted.into_record(ClientId::new(id), secret.as_ref(), now);
        record.unused_until = Some(now.plus(self.may_be_unused));
        CreateClient { record, metadata, secret }
    }
}

/// The operation to carry out: [`Store::create_client`](crate::Store::create_client).
#[derive(Debug)]
#[must_use = "carry the operation out, then finish with its outcome"]
pub struct CreateClient {
    record: ClientRecord,
    /// What the answer says.
    metadata: ClientMetadata,
    secret: Option<Secret>,
}

impl CreateClient {
    /// What to store.
    #[must_use]
    pub const fn record(&self) -> &ClientRecord {
        &self.record
    }

    /// The response, once the operation has its outcome.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when the client was not stored.
    pub fn finish(
        self,
        outcome: Result<CreateOutcome, StoreError>,
    ) -> Result<Response<Bytes>, Refusal> {
        match outcome {
            Ok(CreateOutcome::Created) => {
                // A-REG-2
                let mut answer = ClientInformation::new(self.record.client_id, self.metadata);
                answer.client_id_issued_at = Some(self.record.registered_at);
                answer.client_secret_expires_at =
                    self.secret.as_ref().map(|_| UnixTime::from_secs(0));
                answer.client_secret = self.secret;
                Ok(json_response_uncached(StatusCode::CREATED, answer.to_json()))
            }
            Ok(CreateOutcome::QuotaReached) => Err(Refusal::registration(
                Cause::Quota,
                RegistrationErrorCode::TemporarilyUnavailable,
                "no more clients are taken now",
            )
            .with_status(StatusCode::SERVICE_UNAVAILABLE)
            .with_header(RETRY_AFTER, "3600")),
            // Of 128 random bits there are no two: somebody else wrote this one.
            Ok(CreateOutcome::Duplicate) => Err(Refusal::store(StoreError::Corrupt)),
            Err(error) => Err(Refusal::store(error)),
        }
    }
}
