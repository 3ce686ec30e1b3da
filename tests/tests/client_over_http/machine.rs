//! A client that acts for itself, against both servers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use authorization_server::{ClientRecord, Store as _};
use client_auth::{ClientAuthRecord, ClientCredentials};
use client_flow::ClientConfig;
use http::StatusCode;
use mcp_authz_reqwest::{AuthorizedClient, Error, MemoryCredentials};
use oauth_types::{AuthMethod, ClientId, ScopeSet, Secret, UnixTime};
use scope_stepup::InsufficientScopeKind;

use crate::servers::*;

/// C-EXT-1, C-SCOPE-9: it logs in without a user.
#[tokio::test]
async fn a_machine_steps_up_as_far_as_its_registration_goes() {
    let servers = servers().await;
    let (id, secret) = (ClientId::parse("machine").unwrap(), Secret::new("s%cret+"));
    let method = AuthMethod::ClientSecretBasic;
    let put = async |scopes: &str| {
        let scopes = ScopeSet::parse(scopes).unwrap();
        let authentication = ClientAuthRecord::new(method.clone()).with_secret(secret.digest());
        let now = UnixTime::from_secs(1_000_000);
        let record = ClientRecord::client_credentials(id.clone(), authentication, scopes, now);
        servers.store.create_client(record, now).await.unwrap();
    };
    put("read write").await;
    let credentials =
        ClientCredentials::choose(id.clone(), Some(secret.clone()), Some(&method), &[]).unwrap();
    let config = ClientConfig::client_credentials("Machine", servers.issuer.clone(), credentials);
    let kept = Arc::new(MemoryCredentials::default());
    let machine = || {
        let builder = AuthorizedClient::builder(&servers.mcp_url, config.clone());
        builder.store(Arc::clone(&kept)).build().unwrap()
    };
    let client = machine();
    all_ok([get(&client)]).await;
    assert_eq!(servers.tokens.load(Ordering::SeqCst), 1);
    all_ok([call(&client, "write"), call(&client, "write")]).await;
    // It is asked for again after its end, without anybody being asked.
    servers.clock.fetch_add(700, Ordering::SeqCst);
    all_ok([get(&client)]).await;
    assert_eq!(servers.tokens.load(Ordering::SeqCst), 3);
    // Another run begins with what is kept.
    all_ok([get(&machine())]).await;
    assert_eq!(servers.tokens.load(Ordering::SeqCst), 3);
}

/// C-SCOPE-9
#[tokio::test]
async fn a_machine_whose_registration_is_narrow_gets_a_typed_error() {
    let servers = servers().await;
    let (id, secret) = (ClientId::parse("machine").unwrap(), Secret::new("secret"));
    let method = AuthMethod::ClientSecretPost;
    let authentication = ClientAuthRecord::new(method.clone()).with_secret(secret.digest());
    let scopes = ScopeSet::parse("read").unwrap();
    let now = UnixTime::from_secs(1_000_000);
    let record = ClientRecord::client_credentials(id.clone(), authentication, scopes, now);
    servers.store.create_client(record, now).await.unwrap();
    let credentials = ClientCredentials::choose(id, Some(secret), Some(&method), &[]).unwrap();
    let config = ClientConfig::client_credentials("Machine", servers.issuer.clone(), credentials);
    let client = AuthorizedClient::builder(&servers.mcp_url, config).build().unwrap();
    assert_eq!(get(&client).await.unwrap(), StatusCode::OK);
    assert!(matches!(call(&client, "write").await, Err(Error::Flow(_))));
    match call(&client, "write").await {
        Err(Error::InsufficientScope(error)) => {
            assert_eq!(error.reason, InsufficientScopeKind::LimitReached);
        }
        other => panic!("{other:?}"),
    }
    // What it may do it still does.
    all_ok([get(&client)]).await;
}
