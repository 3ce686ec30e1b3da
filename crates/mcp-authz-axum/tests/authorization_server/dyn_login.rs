//! Login and verifier behind one type, as a program chooses them at run time.

use std::sync::Arc;

use authorization_server::{DynStore, MemoryStore};
use http::StatusCode;
use mcp_authz_axum::{
    AuthorizationServer, Clock, DemoLogin, DynLogin, DynTokenVerifier, Login as _, StoreVerifier,
    TokenVerifier,
};
use oauth_types::{Issuer, Secret};

use crate::server::*;
use crate::upstream::Provided;

/// A whole login, in which store, login and verifier have no type of their own.
#[tokio::test]
async fn a_server_chosen_at_run_time_issues_tokens_that_count() {
    let memory = Arc::new(MemoryStore::default());
    let store = DynStore::new(Arc::clone(&memory));
    let login = DynLogin::new(Cookies);
    let router = AuthorizationServer::new(config("https://as.example"), store.clone(), login)
        .with_clock(Clock::new(|| NOW))
        .router();
    let server = Server { router, store: memory };
    let client = server.client().await;
    let nobody = server.get(&authorize(&client, &[])).await;
    assert_eq!(nobody.status, StatusCode::SEE_OTHER);
    let page = server.get_as("alice", &authorize(&client, &[])).await;
    let code = server.answer_as("alice", &page, "allow").await.redirect("code").unwrap();
    let tokens = server.form("/token", &redeem(&client, &code)).await.json();

    let issuer = Issuer::parse("https://as.example").unwrap();
    let verifier = DynTokenVerifier::new(StoreVerifier::new(store, issuer));
    let token = Secret::new(tokens["access_token"].as_str().unwrap());
    // A clone shares the store, and one verifier can hold another one.
    let verifier = DynTokenVerifier::new(verifier.clone());
    let facts = verifier.verify(&token, NOW).await.unwrap().unwrap();
    assert_eq!(facts.subject.as_str(), "alice");
    assert_eq!(verifier.verify(&Secret::new("made-up"), NOW).await.unwrap(), None);
}

/// What a login says of itself decides about consent and warnings, so the wrapper says the same.
#[test]
fn a_dyn_login_forwards_what_the_login_says_of_itself() {
    let upstream = DynLogin::new(DynLogin::new(Provided::new()));
    assert_eq!(upstream.upstream().unwrap().as_str(), "https://idp.example/authorize");
    assert!(!upstream.is_demo());
    let demo = DynLogin::new(DemoLogin);
    assert!(demo.is_demo() && demo.upstream().is_none());
    assert_eq!(format!("{demo:?}"), "DynLogin(mcp_authz_axum::login::DemoLogin)");
}
