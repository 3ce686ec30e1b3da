//! What an attacker does with codes and tokens: guesses them, injects one, plays one again.

use std::collections::BTreeSet;
use std::sync::Arc;

use authorization_server::Store as _;
use http::StatusCode;
use oauth_types::{CodeVerifier, Entropy, SecretDigest};
use serde_json::{Value, json};

use crate::server::*;
use crate::watched::Watched;

fn watched() -> (Server<Watched>, Arc<Watched>) {
    Watched::server(config("https://as.example"), (1, 1))
}

fn text(json: &Value, name: &str) -> String {
    json[name].as_str().unwrap().to_owned()
}

/// The number of bytes in a text of base64url without padding.
fn bytes(text: &str) -> usize {
    assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    text.len() * 6 / 8
}

/// SEC-033
#[test]
fn an_attackers_code_in_the_victims_client_gives_nothing() {
    let (server, store) = watched();
    let client = server.client();
    // The attacker logs in to the victim's client, with a verifier of their own, and keeps the code.
    let verifier = CodeVerifier::new(Entropy::new([6; 32]));
    let own = authorize(&client, &[("code_challenge", verifier.challenge().as_str())]);
    let page = server.get(&own);
    let callback = server.consent(&page.transaction(), &page.cookie(), "allow");
    let code = callback.redirect("code").unwrap();
    // The victim's client redeems it with the verifier of the login that it began itself.
    let answer = server.form("/token", &redeem(&client, &code));
    let is = (answer.status, &*answer.error());
    assert_eq!(is, (StatusCode::BAD_REQUEST, "invalid_grant"));
    assert!(store.seen(|seen| seen.redeemed.is_empty()), "nothing is issued, nothing ends");
    let kept = block_on(server.store.read_code(&SecretDigest::of(&code))).unwrap().unwrap();
    assert_eq!(kept.redeemed, None);
}

/// SEC-035
#[test]
fn codes_and_tokens_have_256_bits_and_the_store_sees_digests() {
    let (server, store) = watched();
    let (mut secrets, mut stored) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..50 {
        let metadata = json!({
            "redirect_uris": [REDIRECT],
            "token_endpoint_auth_method": "client_secret_post",
            "grant_types": ["authorization_code", "refresh_token"],
        });
        let registered = server.register(metadata).json();
        let (client, secret) = (text(&registered, "client_id"), text(&registered, "client_secret"));
        let code = server.code(&client);
        let proof = format!("&client_secret={secret}");
        let tokens = server.form("/token", &(redeem(&client, &code) + &proof)).json();
        let refresh = text(&tokens, "refresh_token");
        let body = format!("grant_type=refresh_token&client_id={client}&refresh_token={refresh}");
        let next = server.form("/token", &(body + &proof)).json();
        let access = [text(&tokens, "access_token"), text(&next, "access_token")];
        for random in [&secret, &code, &access[0], &access[1]] {
            assert_eq!(bytes(random), 32);
            stored.insert(SecretDigest::of(random));
        }
        secrets.extend([secret, code, refresh, text(&next, "refresh_token")]);
        secrets.extend(access);
    }
    assert_eq!(secrets.len(), 50 * 6, "no two are alike");
    store.seen(|seen| {
        for given in &seen.given {
            assert!(!secrets.iter().any(|secret| given.contains(&**secret)), "{given}");
        }
        for digest in stored {
            let digest = json!(digest).to_string();
            assert!(seen.given.iter().any(|given| given.contains(&digest)));
        }
    });
}

/// SEC-174
#[test]
fn a_replay_within_the_grace_window_is_for_the_client_itself() {
    let (server, store) = watched();
    let metadata = json!({
        "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "client_secret_post",
        "grant_types": ["authorization_code", "refresh_token"],
    });
    let registered = server.register(metadata.clone()).json();
    let other = server.register(metadata).json();
    let (client, public) = (text(&registered, "client_id"), server.client());
    let who = |own: &Value| {
        format!("client_id={}&client_secret={}", text(own, "client_id"), text(own, "client_secret"))
    };
    let code = server.code(&client);
    let body = redeem(&client, &code).replace(&format!("client_id={client}"), &who(&registered));
    let old = text(&server.form("/token", &body).json(), "refresh_token");
    let refresh = |token: &str, who: &str| {
        let body = format!("grant_type=refresh_token&refresh_token={token}&{who}");
        server.form("/token", &body)
    };
    let successor = text(&refresh(&old, &who(&registered)).json(), "refresh_token");

    let family = store.seen(|seen| seen.redeemed[0].0);
    let untouched = || {
        let record = block_on(server.store.read_family(&family)).unwrap().unwrap();
        assert_eq!((record.generation.get(), record.revoked), (1, false));
        assert_eq!(store.seen(|seen| seen.rotated.len()), 1, "the store was not even asked");
    };
    let mut forged = old.clone();
    forged.replace_range(30..31, if &old[30..31] == "A" { "B" } else { "A" });
    // Within the window and after it: a stranger, and whoever cannot show that they are the client, change nothing.
    for _ in 0..2 {
        for (token, who, error) in [
            (&old, who(&other), "invalid_grant"),
            (&old, format!("client_id={public}"), "invalid_grant"),
            (&old, format!("client_id={client}"), "invalid_client"),
            (&old, format!("client_id={client}&client_secret=wrong"), "invalid_client"),
            (&old, String::new(), "invalid_client"),
            // Nor is a forgery a reuse, even by the client itself.
            (&forged, who(&registered), "invalid_grant"),
        ] {
            assert_eq!(refresh(token, &who).error(), error, "{who}");
            untouched();
        }
        server.pass(10);
    }
    // By the client within its window it is a lost answer, and after it the end.
    server.set_clock(NOW.as_secs() + 9);
    let again = refresh(&old, &who(&registered)).json();
    assert_eq!(text(&again, "refresh_token"), successor);
    server.pass(1);
    assert_eq!(refresh(&old, &who(&registered)).error(), "invalid_grant");
    let record = block_on(server.store.read_family(&family)).unwrap().unwrap();
    assert!(record.revoked);
}
