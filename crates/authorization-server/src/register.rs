//! Registration endpoint: dynamic client registration (RFC 7591).
//!
//! | check, in this order | requirement | error |
//! |---|---|---|
//! | POST, JSON, within bounds | A-REG-3 | 405, 413, `invalid_client_metadata` |
//! | the members are well formed | A-REG-3 | `invalid_client_metadata` |
//! | the metadata is accepted, in part | A-REG-1, A-REG-3 | `invalid_redirect_uri`, `invalid_client_metadata` |
//! | the store has room | | 503 |
//!
//! The rules for metadata are in [`client`](crate::client); it is accepted if at least a part of it is usable.
//! The response contains the registered metadata, which may be less than the client sent (RFC 7591 §3.2.1).
//!
//! A client that never gets a token is forgotten after a day by default (`Lifetimes::unused_client`), because programs
//! register clients that they never use. A client that got one is forgotten 30 days after the end of its last grant.
//! Clients without a token take at most half of the store's room, and the oldest of them is removed for the next.

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{Method, Request, Response, StatusCode};
use oauth_types::{
    ClientId, ClientInformation, ClientMetadata, DocumentError, FormPairs, RegistrationErrorCode,
    UnixTime, json_response_uncached, media_type,
};

use crate::client::AcceptedClient;
use crate::client_error::InvalidClient;
use crate::client_keys::MetadataSource;
use crate::config::Config;
use crate::environment::Environment;
use crate::refusal::{Cause, Refusal};
use crate::registration_text;
use crate::store::{CreateOutcome, Store as _, StoreError};

/// Answers a request to the registration endpoint.
///
/// # Errors
///
/// [`Refusal`] with the finished reply; the client is not stored.
pub async fn register<E: Environment>(
    config: &Config,
    env: &E,
    request: &Request<Bytes>,
    now: UnixTime,
) -> Result<Response<Bytes>, Refusal> {
    env.admit_registration().map_err(Refusal::too_many)?;
    let accepted = read(config, request)?;
    let id = Refusal::drawn(env.entropy())?;
    let secret = Refusal::drawn(env.entropy::<32>())?;

    let metadata = accepted.metadata().clone();
    let secret = accepted.has_secret().then(|| secret.into_secret());
    let mut record = accepted.into_record(ClientId::new(id), secret.as_ref(), now);
    record.unused_until = Some(now.saturating_add(config.lifetimes.unused_client));
    // A-REG-2
    let mut answer = ClientInformation::new(record.client_id.clone(), metadata);
    answer.client_id_issued_at = Some(record.registered_at);
    answer.client_secret_expires_at = secret.as_ref().map(|_| UnixTime::from_secs(0));
    answer.client_secret = secret;

    match env.store().create_client(record, now).await.map_err(Refusal::store)? {
        CreateOutcome::Created => Ok(json_response_uncached(StatusCode::CREATED, answer.to_json())),
        CreateOutcome::QuotaReached => Err(Refusal::registration(
            Cause::Quota,
            RegistrationErrorCode::TemporarilyUnavailable,
            "no more clients are taken now",
        )
        .with_status(StatusCode::SERVICE_UNAVAILABLE)
        .with_header(RETRY_AFTER, "3600")),
        // Two identifiers of 128 random bits do not collide, so another program wrote this one.
        CreateOutcome::Duplicate => Err(Refusal::store(StoreError::Corrupt)),
    }
}

/// Reads a registration and accepts it, at least in part.
fn read(config: &Config, request: &Request<Bytes>) -> Result<AcceptedClient, Refusal> {
    if request.method() != Method::POST {
        return Err(Refusal::method("POST"));
    }
    if media_type(request.headers()).as_deref() != Some("application/json") {
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
        other => bad(&registration_text::of_document(&other)),
    })?;
    AcceptedClient::new(config, sent, MetadataSource::Registration).map_err(refuse)
}

fn bad(why: &str) -> Refusal {
    let code = RegistrationErrorCode::InvalidClientMetadata;
    Refusal::registration(Cause::RegisteredMetadata, code, why)
}

fn bad_redirect(why: &str) -> Refusal {
    let code = RegistrationErrorCode::InvalidRedirectUri;
    Refusal::registration(Cause::RegisteredRedirectUri, code, why)
}

fn refuse(error: InvalidClient) -> Refusal {
    let why = registration_text::of_client(&error);
    if error.is_about_redirects() { bad_redirect(&why) } else { bad(&why) }
}
