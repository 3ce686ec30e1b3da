//! What the cases store: each kind of row, told apart by a number.

use core::panic::Location;

use client_auth::Registered;
use oauth_types::{
    AuthMethod, ClientId, ClientMetadata, CodeChallenge, Entropy, RedirectUri, ResourceUri,
    ScopeSet, Secret, SecretDigest, Subject, Thumbprint, UnixTime,
};

use super::Broken;
use crate::store::{
    ClientRecord, CodeRecord, ConsentRecord, FamilyId, FamilyRecord, Generation, NewAccess,
    NewFamily, OnceKind, Rotation,
};

/// When the cases happen.
pub(super) const NOW: u64 = 1_000_000;
pub(super) const MINUTE: u64 = 60;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: u64 = 24 * HOUR;

/// What is remembered where the kind does not matter.
pub(super) const ONCE: OnceKind = OnceKind::TokenRequest;

/// So many seconds after the cases began.
pub(super) const fn after(seconds: u64) -> UnixTime {
    UnixTime::from_secs(NOW + seconds)
}

/// A digest that no other number has.
pub(super) fn digest(kind: &str, number: u64) -> SecretDigest {
    SecretDigest::of(&format!("{kind} {number}"))
}

/// A text that is known to be right.
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

/// A client that registered itself: forgotten after a day.
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
        authentication: Registered::new(AuthMethod::ClientSecretBasic)
            .with_secret(secret.digest())
            .with_secret_expires_at(after(DAY)),
        redirect_uris,
        metadata,
        registered_at: after(0),
        unused_until: Some(after(DAY)),
        of_operator: false,
    })
}

/// A client that the operator put into the store.
pub(super) fn operators(number: u64) -> Result<ClientRecord, Broken> {
    Ok(ClientRecord { unused_until: None, of_operator: true, ..client(number)? })
}

pub(super) fn subject(name: &str) -> Result<Subject, Broken> {
    right(Subject::parse(name))
}

fn user(number: u64) -> Result<Subject, Broken> {
    subject(&format!("user {number}"))
}

/// A code for client `number`, good for a minute.
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

/// A family of client `number`: thirty days, ten of them unused.
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

/// An access token, good for ten minutes.
pub(super) fn access(number: u64) -> Result<NewAccess, Broken> {
    Ok(NewAccess {
        digest: digest("access", number),
        scopes: right(ScopeSet::parse("files:read"))?,
        expires_at: after(10 * MINUTE),
        jkt: None,
    })
}

/// The family as it has to be stored.
pub(super) fn stored(family: NewFamily, now: UnixTime) -> FamilyRecord {
    FamilyRecord::new(family, now)
}

/// A refresh of family `number` with the token of this generation and ten seconds of grace; its access token is number
/// `access`.
pub(super) fn rotation(number: u64, presented: u64, new_access: u64) -> Result<Rotation, Broken> {
    Ok(Rotation {
        family: family_id(number),
        presented: Generation::new(presented),
        access: access(new_access)?,
        idle_until: after(10 * DAY),
        grace: core::time::Duration::from_secs(10),
    })
}

/// What user `number` agreed to, good for a day.
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
