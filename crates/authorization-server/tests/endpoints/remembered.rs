//! Answers to the consent page that are remembered, and the cases in which they count without a page.

use authorization_server::{AuthorizationRequest, ClientRecord, Store as _};
use bytes::Bytes;
use client_auth::{ClientAuthRecord, VerifyingKeys};
use http::header::LOCATION;
use http::{Request, StatusCode};
use oauth_types::{AuthMethod, ClientId, RedirectUri, Secret, Subject, UnixTime};

use crate::consent::{LOOPBACK, is_page, put, remembering, serve};
use crate::server::*;

const KEYS: &str = include_str!("../../../client-auth/tests/keys/public.json");

#[test]
fn what_a_user_agreed_to_is_not_asked_again() {
    let server = serve(remembering());
    let (client, secret) = server.confidential(REDIRECT);
    let url = authorize(&client, &[]);
    let page = server.get_as("alice", &url);
    assert!(is_page(&page));
    assert_eq!(server.answer_as("alice", &page, "allow").status, StatusCode::SEE_OTHER);
    // The same, or less of it: at once, with a code that works.
    for changes in [vec![], vec![("prompt", "none")], vec![("state", "two")]] {
        let answer = server.get_as("alice", &authorize(&client, &changes));
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{changes:?}");
        assert_eq!(answer.redirect("iss").as_deref(), Some("https://as.example"));
        let code = answer.redirect("code").unwrap();
        let tokens = server.form("/token", &(redeem(&client, &code) + &secret));
        assert_eq!(tokens.status, StatusCode::OK);
    }
    // Anything else, or anybody else: asked.
    for (user, changes) in [
        ("bob", vec![]),
        ("alice", vec![("scope", "files:read files:write")]),
        ("alice", vec![("prompt", "consent")]),
        ("alice", vec![("prompt", "login")]),
    ] {
        let page = server.get_as(user, &authorize(&client, &changes));
        assert!(is_page(&page), "{user} {changes:?}");
    }
    let (other, _) = server.confidential(REDIRECT);
    assert!(is_page(&server.get_as("alice", &authorize(&other, &[]))));
    // Who let the browser go there once, hears of what is missing.
    let wider = [("scope", "files:read files:write"), ("prompt", "none")];
    let answer = server.get_as("alice", &authorize(&client, &wider));
    assert_eq!(answer.redirect("error").as_deref(), Some("consent_required"));
}

#[test]
fn a_no_is_not_remembered_and_no_yes_without_the_setting() {
    let server = serve(remembering());
    let (client, _) = server.confidential(REDIRECT);
    let page = server.get_as("alice", &authorize(&client, &[]));
    server.answer_as("alice", &page, "deny");
    assert!(is_page(&server.get_as("alice", &authorize(&client, &[]))));

    let server = serve(config("https://as.example"));
    let (client, _) = server.confidential(REDIRECT);
    let page = server.get_as("alice", &authorize(&client, &[]));
    server.answer_as("alice", &page, "allow");
    assert!(is_page(&server.get_as("alice", &authorize(&client, &[]))));
}

#[test]
fn the_user_is_asked_each_time_about_a_client_without_identity() {
    let server = serve(remembering().with_private_use_redirects());
    for redirect in [
        LOOPBACK,
        "http://localhost/cb",
        "https://localhost/cb",
        "https://10.0.0.1/cb",
        "com.example.app:/cb",
    ] {
        let (client, _) = server.confidential(redirect);
        let url = authorize(&client, &[("redirect_uri", redirect)]);
        for _ in 0..2 {
            let page = server.get_as("alice", &url);
            assert!(is_page(&page), "{redirect}");
            let answer = server.answer_as("alice", &page, "allow");
            // An installed application is opened by a page that stays.
            let is_web = redirect.starts_with("http");
            let status = if is_web { StatusCode::SEE_OTHER } else { StatusCode::OK };
            assert_eq!(answer.status, status);
            assert!(!is_page(&answer));
        }
    }
}

/// SEC-239
#[test]
fn a_public_identifier_gets_no_code_without_the_consent_page() {
    use AuthMethod::{ClientSecretPost, None as Public, PrivateKeyJwt};
    const SHARED: &str = "https://client.example/oauth.json";
    let named = remembering().with_remembered_client(ClientId::parse("named").unwrap());
    let server = serve(named.clone());
    let secret =
        || ClientAuthRecord::new(ClientSecretPost).with_secret(Secret::new("secret").digest());
    put(&server, SHARED, ClientAuthRecord::public(), &[]);
    put(&server, "named", ClientAuthRecord::public(), &[]);
    put(&server, "secret", secret(), &[ClientSecretPost]);
    // One that may come with its key, and may come without.
    let keys = serde_json::from_str(KEYS).unwrap();
    let keys = || {
        ClientAuthRecord::new(PrivateKeyJwt)
            .with_keys(VerifyingKeys::from_jwks(&keys, None).unwrap())
    };
    if cfg!(feature = "jwt") {
        put(&server, "either", keys(), &[PrivateKeyJwt, Public]);
        put(&server, "signs", keys(), &[PrivateKeyJwt]);
    }
    let clients = [(SHARED, true), ("named", false), ("secret", false)];
    let signing = [("either", true), ("signs", false)];
    let signing = signing.into_iter().filter(|_| cfg!(feature = "jwt"));
    for (client, is_asked) in clients.into_iter().chain(signing) {
        let url = authorize(client, &[]);
        let page = server.get_as("alice", &url);
        assert!(is_page(&page), "{client}");
        server.answer_as("alice", &page, "allow");
        // The honest client's identifier and redirect URI, sent by somebody else.
        let forged = authorize(client, &[("state", "theirs")]);
        let answer = server.get_as("alice", &forged);
        assert_eq!(is_page(&answer), is_asked, "{client}");
        assert_eq!(answer.headers.contains_key(LOCATION), !is_asked, "{client}");
        // The client hears that there has to be a page.
        let answer = server.get_as("alice", &authorize(client, &[("prompt", "none")]));
        let error = answer.redirect("error");
        assert_eq!(error.as_deref(), is_asked.then_some("consent_required"), "{client}");
    }
    // Named or not, what runs on the user's machine is nobody in particular.
    let server = serve(named);
    let config = remembering();
    let back = vec![RedirectUri::parse(LOOPBACK).unwrap()];
    let id = ClientId::parse("named").unwrap();
    let native =
        ClientRecord::pre_registered(&config, id, ClientAuthRecord::public(), back, NOW).unwrap();
    block_on(server.store.create_client(native, NOW)).unwrap();
    let url = authorize("named", &[("redirect_uri", LOOPBACK)]);
    for _ in 0..2 {
        let page = server.get_as("alice", &url);
        assert!(is_page(&page));
        server.answer_as("alice", &page, "allow");
    }
}

#[test]
fn a_remembered_consent_ends_by_time_or_by_withdrawal() {
    let now = UnixTime::from_secs(NOW.as_secs() + 3600);
    let server = serve(remembering());
    let (client, _) = server.confidential(REDIRECT);
    let url = authorize(&client, &[]);
    let page = server.get_as("alice", &url);
    server.answer_as("alice", &page, "allow");
    server.pass(3599);
    assert_eq!(server.get_as("alice", &url).status, StatusCode::SEE_OTHER);
    server.pass(1);
    let page = server.get_as("alice", &url);
    assert!(is_page(&page));
    server.answer_as("alice", &page, "allow");

    let id = ClientId::parse(&client).unwrap();
    block_on(server.store.revoke_subject(&Subject::parse("bob").unwrap(), None, now)).unwrap();
    assert_eq!(server.get_as("alice", &url).status, StatusCode::SEE_OTHER);
    block_on(server.store.revoke_subject(&Subject::parse("alice").unwrap(), Some(&id), now))
        .unwrap();
    let page = server.get_as("alice", &url);
    assert!(is_page(&page));
    server.answer_as("alice", &page, "allow");
    let record = block_on(server.store.read_client(&id)).unwrap().unwrap();
    block_on(server.store.delete_client(&id, now)).unwrap();
    block_on(server.store.create_client(record, now)).unwrap();
    assert!(is_page(&server.get_as("alice", &url)));
}

/// SEC-127
#[test]
fn the_user_is_asked_again_about_a_client_that_changed_itself() {
    let server = serve(remembering());
    let (client, _) = server.confidential(REDIRECT);
    let url = authorize(&client, &[]);
    let page = server.get_as("alice", &url);
    server.answer_as("alice", &page, "allow");
    let record = block_on(server.store.read_client(&ClientId::parse(&client).unwrap()));
    let record = record.unwrap().unwrap();
    let (mut renamed, mut moved, mut rekeyed) = (record.clone(), record.clone(), record.clone());
    renamed.metadata.client_name = Some("Your bank".to_owned());
    moved.redirect_uris.push(RedirectUri::parse("https://evil.example/cb").unwrap());
    let secret = Secret::new("somebody else's");
    rekeyed.authentication =
        ClientAuthRecord::new(AuthMethod::ClientSecretBasic).with_secret(secret.digest());
    for (changed, is_asked) in [(record, false), (renamed, true), (moved, true), (rekeyed, true)] {
        // The same consents, and what the client says now.
        let request = Request::get(&url).body(Bytes::new()).unwrap();
        let config = remembering();
        let parsed = AuthorizationRequest::parse(&config, &request).unwrap();
        let request = parsed.with_client(Some(changed.clone()), NOW).unwrap().check().unwrap();
        let lookup = request.with_user(Subject::parse("alice").unwrap());
        let consent = block_on(server.store.read_consent(lookup.key().unwrap())).unwrap();
        let other = serve(remembering());
        block_on(other.store.put_consent(consent.unwrap())).unwrap();
        block_on(other.store.create_client(changed, NOW)).unwrap();
        assert_eq!(is_page(&other.get_as("alice", &url)), is_asked);
    }
}
