//! What every store owes, on one whose type is chosen at run time.

use std::sync::Arc;

use authorization_server::store::{FamilyId, NewAccess, NewFamily};
use authorization_server::{DynStore, Store};
use oauth_types::{
    ClientId, Entropy, Issuer, ResourceUri, ScopeSet, SecretDigest, Subject, UnixTime,
};

use super::*;

mod contract {
    use super::*;

    async fn fresh() -> (DynStore, DynStore) {
        let store = DynStore::new(super::super::fresh().await.0);
        (store.clone(), store)
    }

    /// A clone is the same store.
    async fn reopen(store: DynStore, clone: &DynStore) -> DynStore {
        drop(store);
        clone.clone()
    }

    authorization_server::store_contract!(block_on, fresh, reopen);
}

/// The default of the trait would copy the facts for every request.
#[test]
fn facts_that_a_store_shares_stay_shared() {
    let token = SecretDigest::of("token");
    let scopes = ScopeSet::parse("files:read").unwrap();
    let family = NewFamily::new(
        FamilyId::new(Entropy::new([1; 16])),
        ClientId::parse("robot").unwrap(),
        Subject::parse("robot").unwrap(),
        ResourceUri::parse("https://rs.example/mcp").unwrap(),
        NewAccess::new(token, scopes, UnixTime::from_secs(600)),
    );
    let issuer = Issuer::parse("https://as.example").unwrap();
    let now = UnixTime::from_secs(0);
    // Wrapped twice, as by a library and its host.
    let store = DynStore::new(DynStore::new(MemoryStore::default()));
    block_on(store.insert_family(family, now)).unwrap();
    let facts = || block_on(store.access_token_info(&token, &issuer, now)).unwrap().unwrap();
    assert!(Arc::ptr_eq(&facts(), &facts()));
}

#[test]
fn debug_shows_the_type_of_the_store_alone() {
    let store = DynStore::new(Arc::new(MemoryStore::default()));
    let shown = "DynStore(alloc::sync::Arc<authorization_server::memory::MemoryStore>)";
    assert_eq!(format!("{store:?}"), shown);
}
