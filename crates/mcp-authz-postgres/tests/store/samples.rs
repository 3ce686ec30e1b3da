//! Stores in databases of their own, and what the tests store.

use core::time::Duration;

use authorization_server::ClientRecord;
use authorization_server::store::rows::CodeIndex;
use authorization_server::store::{
    CodeRecord, FamilyId, Generation, NewAccess, NewFamily, Rotation, StoreError,
};
use client_auth::ClientAuthRecord;
use cluster::Cluster;
use mcp_authz_postgres::{PostgresStore, Settings};
use oauth_types::{
    ClientId, CodeVerifier, RedirectUri, ResourceUri, ScopeSet, SecretDigest, Subject, UnixTime,
};

pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_000_000);
pub(crate) const CLIENT: &str = "client-1";

/// A database of a server that all tests share.
pub(crate) struct Place {
    pub(crate) url: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { url: Cluster::shared().fresh_database().unwrap() }
    }

    pub(crate) async fn open(&self) -> PostgresStore {
        self.open_with(&settings()).await
    }

    pub(crate) async fn open_with(&self, settings: &Settings) -> PostgresStore {
        PostgresStore::open(&self.url, settings).await.unwrap()
    }

    /// What `psql` says to this, past the store.
    pub(crate) fn sql(&self, statements: &str) -> String {
        let database = self.url.rsplit('/').next().unwrap();
        let statements = format!("SET search_path = mcp_oauth; {statements}");
        Cluster::shared().sql(database, &statements).unwrap().trim().to_owned()
    }
}

/// As by default, with fewer connections, so that crowds wait for them too.
pub(crate) fn settings() -> Settings {
    Settings::default().with_connections(8).with_timeout(Duration::from_secs(20))
}

/// Runs a test to its end, as a host with several threads does.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(test)
}

pub(crate) fn at(seconds: u64) -> UnixTime {
    NOW.saturating_add(Duration::from_secs(seconds))
}

/// A client that is forgotten then.
pub(crate) fn client(number: u64, unused_until: UnixTime) -> ClientRecord {
    let id = ClientId::parse(&format!("client {number}")).unwrap();
    let scopes = ScopeSet::parse("files:read").unwrap();
    let mut client = ClientRecord::client_credentials(id, ClientAuthRecord::public(), scopes, NOW);
    client.unused_until = Some(unused_until);
    client
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
