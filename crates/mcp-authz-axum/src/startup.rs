//! Start-up events: what each server of this process serves, and where it listens.
//!
//! | event at level `INFO`, target `mcp_authz_axum` | once for each |
//! |---|---|
//! | the authorization server, when its router is made | [`AuthorizationServer`](crate::AuthorizationServer) |
//! | a protected resource, when the layer is applied first | [`ProtectLayer`](crate::ProtectLayer) |
//! | the listening address, which only a listener knows | [`serve`](crate::serve()) |
//!
//! Stores and verifiers are named by their types, because their settings may contain secrets.

use core::any::{Any, type_name};
use std::net::SocketAddr;

use authorization_server::{Config, DynStore, Paths, Store};
use resource_server::Resource;
use tracing::{field, info};

use crate::login::Login;
use crate::verifier::{DynTokenVerifier, TokenVerifier};

/// Target of the events, whatever module logs them.
const TARGET: &str = "mcp_authz_axum";

/// Logs what an authorization server serves at which paths of this process.
pub(crate) fn authorization_server<S: Store + 'static>(
    config: &Config,
    paths: &Paths,
    store: &S,
    login: &impl Login,
    has_documents: bool,
) {
    let registration = match has_documents {
        true => "dynamic,client_id_metadata_documents",
        false => "dynamic",
    };
    info!(
        target: TARGET,
        issuer = %config.issuer(),
        resources = %list(config.resources().iter()),
        store = %kind_of_store(store),
        login = %kind_of_login(login),
        registration = %registration,
        authorize = %paths.authorize,
        consent = %paths.consent,
        token = %paths.token,
        register = %paths.register,
        revoke = %paths.revoke,
        introspect = paths.introspect.as_deref().map(field::display),
        jwks = paths.jwks.as_deref().map(field::display),
        metadata = %list(paths.metadata.iter()),
        "the authorization server is served at these paths of this process"
    );
}

/// Logs which resource a layer protects, and whose tokens it accepts.
pub(crate) fn protected_resource(resource: &Resource, verifier: &str) {
    let metadata = resource.metadata();
    info!(
        target: TARGET,
        resource = %resource.uri(),
        issuers = %list(metadata.authorization_servers.iter()),
        verifier = %verifier,
        metadata = %list(resource.metadata_paths()),
        "the resource is protected: requests need a token of these issuers"
    );
}

/// Logs the address at which connections are accepted.
pub(crate) fn listening(address: SocketAddr) {
    info!(target: TARGET, %address, "connections are accepted at this address");
}

/// Joins values by commas.
fn list(values: impl Iterator<Item: ToString>) -> String {
    values.map(|value| value.to_string()).collect::<Vec<_>>().join(",")
}

fn kind_of_store<S: Store + 'static>(store: &S) -> String {
    let name = match (store as &dyn Any).downcast_ref::<DynStore>() {
        // Its `Debug` names the type of the store and nothing else.
        Some(store) => without_modules(&format!("{store:?}")),
        None => without_modules(type_name::<S>()),
    };
    // A shared store is named as a store that is not.
    let shared = name.strip_prefix("Arc<").and_then(|name| name.strip_suffix('>'));
    shared.map_or_else(|| name.clone(), str::to_owned)
}

/// Returns the name of a verifier's type.
pub(crate) fn kind_of_verifier<V: TokenVerifier>(verifier: &V) -> String {
    match (verifier as &dyn Any).downcast_ref::<DynTokenVerifier>() {
        Some(verifier) => without_modules(&format!("{verifier:?}")),
        None => without_modules(type_name::<V>()),
    }
}

/// Returns `demo`, the origin of the upstream server, or `host` for another login of the host's own.
fn kind_of_login(login: &impl Login) -> String {
    match login.upstream() {
        _ if login.is_demo() => "demo".to_owned(),
        Some(url) => url.origin().to_string(),
        None => "host".to_owned(),
    }
}

/// Removes the modules from the name of a type: `alloc::sync::Arc<a::Store>` is `Arc<Store>`.
fn without_modules(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for part in name.split_inclusive(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | ':')) {
        text.push_str(part.rsplit("::").next().unwrap_or(part));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use authorization_server::MemoryStore;
    use oauth_types::Issuer;

    use super::*;
    use crate::verifier::StoreVerifier;

    #[test]
    fn stores_and_verifiers_are_named_by_their_types() {
        let memory = || Arc::new(MemoryStore::default());
        assert_eq!(kind_of_store(&MemoryStore::default()), "MemoryStore");
        assert_eq!(kind_of_store(&memory()), "MemoryStore");
        assert_eq!(kind_of_store(&DynStore::new(memory())), "DynStore(Arc<MemoryStore>)");
        let verifier = StoreVerifier::new(memory(), Issuer::parse("https://as.example").unwrap());
        assert_eq!(kind_of_verifier(&verifier), "StoreVerifier<Arc<MemoryStore>>");
        let verifier = DynTokenVerifier::new(verifier);
        assert_eq!(
            kind_of_verifier(&verifier),
            "DynTokenVerifier(StoreVerifier<Arc<MemoryStore>>)"
        );
        assert_eq!(without_modules("a::B<(c::D, &e::F), 7>"), "B<(D, &F), 7>");
    }
}
