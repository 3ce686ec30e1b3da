//! Nobody is authenticated but by exactly one method, the registered one, with the right secret that has not
//! expired.

#![no_main]

use arbitrary::Arbitrary;
use client_auth::{Presented, ClientAuthRecord, Verified};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use oauth_types::{AuthMethod, ClientAssertionType, FormPairs, FormWriter, Secret, UnixTime};

#[derive(Arbitrary, Debug)]
struct Input {
    method: u8,
    stored: Option<String>,
    expires_at: Option<u8>,
    now: u8,
    basic: Option<(String, String)>,
    header: Option<Vec<u8>>,
    body_id: Option<String>,
    body_secret: Option<String>,
    assertion: Option<String>,
    body: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let methods = [
        AuthMethod::None,
        AuthMethod::ClientSecretBasic,
        AuthMethod::ClientSecretPost,
        AuthMethod::PrivateKeyJwt,
        AuthMethod::parse("x"),
    ];
    let method = methods[usize::from(input.method) % methods.len()].clone();
    let record = ClientAuthRecord::new(method.clone())
        .with_secret(input.stored.as_deref().map(|secret| Secret::new(secret).digest()))
        .with_secret_expires_at(input.expires_at.map(|at| UnixTime::from_secs(at.into())));
    let mut headers = HeaderMap::new();
    if let Some((id, secret)) = &input.basic {
        let id = oauth_types::ClientId::parse(id).ok();
        let credentials = id.and_then(|id| {
            let secret = Some(Secret::new(secret.as_str()));
            let method = Some(&AuthMethod::ClientSecretBasic);
            client_auth::ClientCredentials::choose(id, secret, method, &[]).ok()
        });
        if let Some(credentials) = credentials {
            credentials.attach(&mut headers, &mut FormWriter::new()).unwrap();
        }
    }
    if let Some(value) = input.header.and_then(|bytes| HeaderValue::from_bytes(&bytes).ok()) {
        headers.append(AUTHORIZATION, value);
    }
    let mut form = FormWriter::new();
    for (name, value) in [
        ("client_id", &input.body_id),
        ("client_secret", &input.body_secret),
        ("client_assertion", &input.assertion),
    ] {
        if let Some(value) = value {
            form.append(name, value);
        }
    }
    form.append("client_assertion_type", ClientAssertionType::JwtBearer.as_str());
    let mut body = form.finish().into_bytes();
    body.push(b'&');
    body.extend(&input.body);
    let Ok(form) = FormPairs::parse(&body) else { return };

    let now = UnixTime::from_secs(input.now.into());
    let Ok(presented) = Presented::parse(&headers, &form) else { return };
    let one = |name| form.value(name).ok().flatten();
    let has_header = headers.contains_key(AUTHORIZATION);
    let methods = usize::from(has_header)
        + usize::from(one("client_secret").is_some())
        + usize::from(one("client_assertion").is_some());
    assert!(methods <= 1, "several methods were let through");
    assert!(headers.get_all(AUTHORIZATION).iter().count() <= 1);
    assert!(presented.clone().verify(None, &[], now).is_err());
    let Ok(Verified::Done(client)) = presented.verify(Some(&record), &["https://as.example"], now)
    else {
        return;
    };
    assert_eq!(client.method(), &method);
    let secret = one("client_secret");
    match method {
        AuthMethod::None => assert!(!has_header && one("client_assertion").is_none()),
        AuthMethod::ClientSecretBasic => assert!(has_header && input.stored.is_some()),
        AuthMethod::ClientSecretPost => {
            assert!(secret.is_some() && secret == input.stored.as_deref())
        }
        other => panic!("authenticated by {other:?}"),
    }
    if client.is_confidential() {
        assert!(input.expires_at.is_none_or(|end| input.now < end), "an expired secret");
    }
});
