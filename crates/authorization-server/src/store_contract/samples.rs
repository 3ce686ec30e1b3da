//! Sample rows of each kind, told apart by a number.

use core::panic::Location;

use client_auth::ClientAuthRecord;
use oauth_types::{
    AuthMethod, ClientId, ClientMetadata, CodeChallenge, Entropy, RedirectUri, ResourceUri,
    ScopeSet, Secret, SecretDigest, Subject, Thumbprint, UnixTime,
};

use super::Broken;
use crate::store::{
    ClientRecord, CodeRecord, ConsentRecord, FamilyId, FamilyRecord, Generation, NewAccess,
    NewFamily, OnceKind, Rotation,
};

/// Start time of the cases, in seconds since 1970.
pub(super) const NOW: u64 = 1_000_000;
pub(super) const MINUTE: u64 = 60;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: u64 = 24 * HOUR;

/// Kind of replay key for cases in which the kind is irrelevant.
pub(super) const ONCE: OnceKind = OnceKind::TokenRequest;

/// Returns the time this many seconds after the start of the cases.
pub(super) const fn after(seconds: u64) -> UnixTime {
    UnixTime::from_secs(NOW + seconds)
}

/// Returns a digest that is unique to this kind and number.
pub(super) fn digest(kind: &str, number: u64) -> SecretDigest {
    SecretDigest::of(&format!("{kind} {number}"))
}

/// Unwraps a sample that parses; a failure becomes [`Broken`].
#[track_caller]
pub(super) fn right<T, E: core::fmt::Display>(parsed: Result<T, E>) -> Result<T, Broken> {
    let at = Location::caller();
    parsed.map_err(|error| Broken {
        at,
        expected: "a text that is right".to_owned(),
        found: error.to_string(),
    })
}

pub(super) fn client_id(number: u64) -> ClientId {
    ClientId::new(Entropy::new(u128::from(number).to_be_bytes()))
}

/// Returns a client that registered itself, forgotten after a day.
pub(super) fn client(number: u64) -> Result<ClientRecord, Broken> {
    let redirect_uris = vec![
        right(RedirectUri::parse("https://app.example/cb?keep=a%20b"))?,
        right(RedirectUri::parse("http://127.0.0.1/callback"))?,
    ];
    let mut metadata = ClientMetadata::new(&redirect_uris);
    metadata.client_name = Some(format!("Client {number}"));
    metadata.scope = Some(right(ScopeSet::parse("files:read files:write"))?);
    let secret = Secret::new(format!("secret {number}"));
    Ok(ClientRecord {
        client_id: client_id(number),
        authentication: ClientAuthRecord::new(AuthMethod::ClientSecretBasic)
            .with_secret(secret.digest())
            .with_secret_expires_at(after(DAY)),
        redirect_uris,
        metadata,
        registered_at: after(0),
        unused_until: Some(after(DAY)),
        of_operator: false,
    })
}

/// Returns a client of the operator.
pub(super) fn operators(number: u64) -> Result<ClientRecord, Broken> {
    Ok(ClientRecord { unused_until: None, of_operator: true, ..client(number)? })
}

pub(super) fn subject(name: &str) -> Result<Subject, Broken> {
    right(Subject::parse(name))
}

fn user(number: u64) -> Result<Subject, Broken> {
    subject(&format!("user {number}"))
}

/// Returns a code of client `number`, valid for a minute.
pub(super) fn code(number: u64) -> Result<CodeRecord, Broken> {
    Ok(CodeRecord {
        digest: digest("code", number),
        client_id: client_id(number),
        redirect_uri: right(RedirectUri::parse("https://app.example/cb"))?,
        challenge: right(CodeChallenge::parse(&"c".repeat(43)))?,
        resource: right(ResourceUri::parse("https://rs.example/mcp"))?,
        scopes: right(ScopeSet::parse("files:read files:write"))?,
        subject: user(number)?,
        expires_at: after(MINUTE),
        jkt: None,
        redeemed: None,
    })
}

pub(super) fn family_id(number: u64) -> FamilyId {
    FamilyId::from_bytes(u128::from(number).to_be_bytes())
}

/// Returns a family of client `number` that expires after 30 days, or after 10 idle days.
pub(super) fn family(number: u64) -> Result<NewFamily, Broken> {
    Ok(NewFamily {
        id: family_id(number),
        client_id: client_id(number),
        subject: user(number)?,
        resource: right(ResourceUri::parse("https://rs.example/mcp"))?,
        scopes: right(ScopeSet::parse("files:read files:write"))?,
        expires_at: after(30 * DAY),
        idle_until: after(10 * DAY),
        jkt: None,
        access: access(number)?,
    })
}

/// Returns an access token, valid for ten minutes.
pub(super) fn access(number: u64) -> Result<NewAccess, Broken> {
    Ok(NewAccess {
        digest: digest("access", number),
        scopes: right(ScopeSet::parse("files:read"))?,
        expires_at: after(10 * MINUTE),
        jkt: None,
    })
}

/// Returns the record of a new family, as a store must return it.
pub(super) fn stored(family: NewFamily, now: UnixTime) -> FamilyRecord {
    FamilyRecord::new(family, now)
}

/// Returns a rotation of family `number` from this generation, with ten seconds of grace.
///
/// Its access token is number `access`.
pub(super) fn rotation(number: u64, presented: u64, new_access: u64) -> Result<Rotation, Broken> {
    Ok(Rotation {
        family: family_id(number),
        presented: Generation::new(presented),
        access: access(new_access)?,
        idle_until: after(10 * DAY),
        grace: core::time::Duration::from_secs(10),
    })
}

/// Returns a consent of user `number`, valid for a day.
pub(super) fn consent(number: u64) -> Result<ConsentRecord, Broken> {
    Ok(ConsentRecord {
        key: digest("consent", number),
        subject: user(number)?,
        client_id: client_id(number),
        scopes: right(ScopeSet::parse("files:read"))?,
        metadata: digest("metadata", number),
        until: after(DAY),
    })
}

pub(super) fn thumbprint(byte: u8) -> Thumbprint {
    Thumbprint::from_bytes([byte; 32])
}
