//! Which client authentication methods are taken, and clients that the operator registers.

use authorization_server::{ClientRecord, Config, InvalidClient, InvalidConfig, Store as _};
use bytes::Bytes;
use client_auth::ClientAuthRecord;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, StatusCode};
use oauth_types::{AuthMethod, ClientId, RedirectUri, Secret, SecretDigest};
use serde_json::{Value, json};

use crate::server::*;

const METHODS: [AuthMethod; 3] =
    [AuthMethod::None, AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost];

/// base64("c1:secret") and base64("c1:wrong")
const RIGHT: &str = "Basic YzE6c2VjcmV0";
const WRONG: &str = "Basic YzE6d3Jvbmc=";

fn taking(methods: &[AuthMethod]) -> Config {
    config("https://as.example").with_auth_methods(methods.to_vec()).unwrap()
}

/// An operator's client, as a server that takes every method would keep it.
fn record(method: &AuthMethod) -> ClientRecord {
    let authentication = match method {
        AuthMethod::None => ClientAuthRecord::public(),
        method => ClientAuthRecord::new(method.clone()).with_secret(Secret::new("secret").digest()),
    };
    let (id, back) = (ClientId::parse("c1").unwrap(), RedirectUri::parse(REDIRECT).unwrap());
    ClientRecord::pre_registered(&taking(&METHODS), id, authentication, vec![back], NOW).unwrap()
}

/// Sends a form as the client `c1`, which shows itself by this method.
fn send(server: &Server, path: &str, method: &AuthMethod, secret: &str, form: &str) -> Answer {
    let body = match method {
        AuthMethod::ClientSecretPost => format!("{form}&client_id=c1&client_secret={secret}"),
        _ => format!("{form}&client_id=c1"),
    };
    let mut request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    if *method == AuthMethod::ClientSecretBasic {
        let basic = if secret == "secret" { RIGHT } else { WRONG };
        request = request.header(AUTHORIZATION, basic);
    }
    server.send(request.body(Bytes::from(body)).unwrap())
}

fn listed(metadata: &Value, endpoint: &str) -> Value {
    metadata[format!("{endpoint}_endpoint_auth_methods_supported")].clone()
}

/// A-META-4, A-AUTHN-4
#[test]
fn metadata_and_registration_name_the_accepted_methods() {
    for methods in [&METHODS[..], &METHODS[..1], &METHODS[1..2], &METHODS[1..], &METHODS[2..]] {
        let server = server_of(taking(methods));
        let names: Vec<&str> = methods.iter().map(AuthMethod::as_str).collect();
        let metadata = server.get("/.well-known/oauth-authorization-server").json();
        for endpoint in ["token", "revocation"] {
            assert_eq!(listed(&metadata, endpoint), json!(names));
        }
        assert!(metadata.get("token_endpoint_auth_signing_alg_values_supported").is_none());
        for method in METHODS {
            let name = method.as_str();
            let asked = json!({"redirect_uris": [REDIRECT], "token_endpoint_auth_method": name});
            let answer = server.register(asked);
            if methods.contains(&method) {
                assert_eq!(answer.json()["token_endpoint_auth_method"], name);
            } else {
                assert_eq!(answer.error(), "invalid_client_metadata", "{name} of {names:?}");
            }
        }
        // Who names no method means Basic (RFC 7591 §2).
        let answer = server.register(json!({"redirect_uris": [REDIRECT]}));
        let takes_basic = methods.contains(&AuthMethod::ClientSecretBasic);
        assert_eq!(answer.status == StatusCode::CREATED, takes_basic);
    }
}

/// A-AUTHN-4
#[test]
fn a_method_that_is_not_taken_lets_nobody_in_whatever_is_stored() {
    for stored in METHODS {
        for taken in METHODS {
            let server = server_of(taking(std::slice::from_ref(&taken)));
            block_on(server.store.create_client(record(&stored), NOW)).unwrap();
            let code = server.code("c1");
            let form = redeem("c1", &code).replace("client_id=c1&", "");
            let answer = send(&server, "/token", &stored, "secret", &form);
            if stored == taken {
                assert_eq!(answer.status, StatusCode::OK, "{stored:?}");
                let tokens = answer.json();
                let token = tokens["refresh_token"].as_str().unwrap();
                let form = format!("token={token}");
                let gone = send(&server, "/revoke", &stored, "secret", &form);
                assert_eq!(gone.status, StatusCode::OK, "{stored:?}");
                let access = SecretDigest::of(tokens["access_token"].as_str().unwrap());
                assert!(block_on(server.store.access(&access, NOW)).unwrap().is_none());
                continue;
            }
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{stored:?} at {taken:?}");
            // The right secret reads as a wrong one, at both endpoints, and as the method that is taken.
            for (path, method, secret) in [
                ("/token", &stored, "wrong"),
                ("/token", &taken, "secret"),
                ("/revoke", &stored, "secret"),
                ("/revoke", &taken, "secret"),
            ] {
                let other = send(&server, path, method, secret, &form);
                let same = (answer.status, &answer.headers, &answer.body);
                assert_eq!((other.status, &other.headers, &other.body), same, "{stored:?} {path}");
            }
            // And the code is still there.
            let digest = SecretDigest::of(&code);
            let kept = block_on(server.store.read_code(&digest)).unwrap().unwrap();
            assert_eq!(kept.redeemed, None);
        }
    }
}

/// A-META-4
#[test]
fn no_method_and_unknown_methods_are_no_configuration() {
    let unknown = AuthMethod::parse("tls_client_auth");
    for methods in [vec![], vec![unknown.clone()], vec![AuthMethod::None, unknown]] {
        let config = config("https://as.example").with_auth_methods(methods);
        assert_eq!(config.unwrap_err(), InvalidConfig::AuthMethods);
    }
    let signed = config("https://as.example").with_auth_methods(vec![AuthMethod::PrivateKeyJwt]);
    assert_eq!(signed.is_ok(), cfg!(feature = "jwt"));
}

/// A-REG-1: the consent page shows its name.
#[test]
fn an_operators_client_obeys_the_rules_of_registration() {
    let config = taking(&[AuthMethod::None]);
    let of = |config: &Config, method: ClientAuthRecord, uris: &[&str]| {
        let uris = uris.iter().map(|uri| RedirectUri::parse(uri).unwrap()).collect();
        ClientRecord::pre_registered(config, ClientId::parse("c1").unwrap(), method, uris, NOW)
    };
    let private = ["com.example.app:/cb"];
    let many = ["https://app.example/cb"; 17];
    for (uris, rule) in [
        (&[][..], InvalidClient::RedirectUris),
        (&many, InvalidClient::RedirectUris),
        (&private, InvalidClient::PrivateUseRedirect),
        (&["https://app.example/cb", private[0]], InvalidClient::PrivateUseRedirect),
    ] {
        assert_eq!(of(&config, ClientAuthRecord::public(), uris).unwrap_err(), rule);
    }
    let basic = || {
        ClientAuthRecord::new(AuthMethod::ClientSecretBasic)
            .with_secret(Secret::new("secret").digest())
    };
    assert_eq!(of(&config, basic(), &[REDIRECT]).unwrap_err(), InvalidClient::AuthMethod);
    let lenient = config.clone().with_private_use_redirects();
    assert!(of(&lenient, ClientAuthRecord::public(), &private).is_ok());

    let server = server_of(config.clone());
    let mut client = of(&config, ClientAuthRecord::public(), &[REDIRECT]).unwrap();
    client.metadata.client_name = Some("Dashboard".to_owned());
    block_on(server.store.create_client(client, NOW)).unwrap();
    let page = server.get(&authorize("c1", &[]));
    assert_eq!(page.asked().client_name.as_deref(), Some("Dashboard"));
    let elsewhere = authorize("c1", &[("redirect_uri", "https://app.example/cb")]);
    assert_eq!(server.get(&elsewhere).status, StatusCode::BAD_REQUEST);
}
