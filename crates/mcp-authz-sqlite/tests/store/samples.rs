//! Stores in folders of their own, and what the tests store.

use core::time::Duration;
use std::path::PathBuf;

use authorization_server::store::rows::CodeIndex;
use authorization_server::store::{
    CodeRecord, FamilyId, Generation, NewAccess, NewFamily, Rotation, StoreError,
};
use mcp_authz_sqlite::{Settings, SqliteStore};
use oauth_types::{
    ClientId, CodeVerifier, RedirectUri, ResourceUri, ScopeSet, SecretDigest, Subject, UnixTime,
};
use rusqlite::Connection;
use tempfile::TempDir;

pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_000_000);
pub(crate) const CLIENT: &str = "client-1";

/// A folder with a database in it.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path("oauth.db")
    }

    pub(crate) fn open(&self) -> SqliteStore {
        self.open_with(&settings())
    }

    pub(crate) fn open_with(&self, settings: &Settings) -> SqliteStore {
        SqliteStore::open(self.database(), settings).unwrap()
    }

    /// The database, past the store.
    pub(crate) fn raw(&self) -> Connection {
        let raw = Connection::open(self.database()).unwrap();
        raw.busy_timeout(Duration::from_secs(5)).unwrap();
        raw
    }
}

/// As by default, with less patience.
pub(crate) fn settings() -> Settings {
    Settings::default().with_busy_timeout(Duration::from_millis(100))
}

pub(crate) fn at(seconds: u64) -> UnixTime {
    NOW.saturating_add(Duration::from_secs(seconds))
}

pub(crate) fn verifier() -> CodeVerifier {
    CodeVerifier::parse(&"v".repeat(43)).unwrap()
}

pub(crate) fn code_text(number: u64) -> String {
    format!("code-{number}")
}

pub(crate) fn code(number: u64) -> CodeRecord {
    let index = CodeIndex {
        digest: SecretDigest::of(&code_text(number)),
        client_id: ClientId::parse(CLIENT).unwrap(),
        subject: Subject::try_from(format!("user {number}")).unwrap(),
        expires_at: at(60),
        redeemed: None,
    };
    let redirect_uri = RedirectUri::parse("https://app.example/cb").unwrap();
    let resource = ResourceUri::parse("https://rs.example/mcp").unwrap();
    let scopes = ScopeSet::parse("files:read").unwrap();
    CodeRecord::new(index, redirect_uri, verifier().challenge(), resource, scopes)
}

pub(crate) fn family_id(number: u64) -> FamilyId {
    FamilyId::from_bytes(u128::from(number).to_be_bytes())
}

pub(crate) fn family(number: u64) -> NewFamily {
    let CodeRecord { client_id, subject, resource, .. } = code(number);
    let access = access(number, 0);
    let mut family = NewFamily::new(family_id(number), client_id, subject, resource, access);
    (family.expires_at, family.idle_until) = (at(1_000_000), at(500_000));
    family
}

/// The access token that comes with this generation.
pub(crate) fn access(number: u64, generation: u64) -> NewAccess {
    let digest = SecretDigest::of(&format!("access-{number}-{generation}"));
    NewAccess::new(digest, ScopeSet::parse("files:read").unwrap(), at(600))
}

pub(crate) fn rotation(number: u64, presented: u64) -> Rotation {
    let (id, generation) = (family_id(number), Generation::new(presented));
    let (access, grace) = (access(number, presented + 1), Duration::from_secs(10));
    Rotation::new(id, generation, access, at(500_000), grace)
}

pub(crate) const UNAVAILABLE: StoreError = StoreError::Unavailable;
