//! Paths that read what others send: challenges, forms, scopes and documents.

use core::hint::black_box;

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue};
use oauth_types::{AuthorizationServerMetadata, Challenges, FormPairs, ScopeSet, TokenResponse};
use tests::samples::{CHALLENGE, FORM, SCOPES};

use crate::{RUNS, Run};

/// Returns the same run [`RUNS`] times, and one more.
fn repeat(run: fn()) -> Vec<Run> {
    (0..=RUNS).map(|_| Box::new(run) as Run).collect()
}

pub(crate) fn challenge() -> Vec<Run> {
    let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE))]);
    let run = move |headers: &HeaderMap| {
        let challenge = Challenges::new(black_box(headers)).next().unwrap().unwrap();
        black_box(challenge.param("scope").unwrap().unwrap().to_text());
    };
    (0..=RUNS)
        .map(|_| {
            let headers = headers.clone();
            Box::new(move || run(&headers)) as Run
        })
        .collect()
}

pub(crate) fn form() -> Vec<Run> {
    repeat(|| {
        black_box(FormPairs::parse(black_box(FORM)).unwrap());
    })
}

pub(crate) fn scope_union() -> Vec<Run> {
    let [one, other] = SCOPES.map(|scopes| ScopeSet::parse(scopes).unwrap());
    (0..=RUNS)
        .map(|_| {
            let (one, other) = (one.clone(), other.clone());
            Box::new(move || drop(black_box(one.union(&other)))) as Run
        })
        .collect()
}

pub(crate) fn server_metadata() -> Vec<Run> {
    let (config, _) = crate::server::server();
    let text = config.metadata().to_json();
    (0..=RUNS)
        .map(|_| {
            let text = text.clone();
            Box::new(move || {
                drop(black_box(AuthorizationServerMetadata::from_json(&text).unwrap()));
            }) as Run
        })
        .collect()
}

pub(crate) fn token_response() -> Vec<Run> {
    const TEXT: &[u8] = br#"{"access_token":"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk","token_type":"Bearer","expires_in":3600,"refresh_token":"tGzv3JOkF0XG5Qx2TlKWIAdBjftJeZ4CVPmB92K27uhbUJU1p1r","scope":"files:read files:write"}"#;
    repeat(|| drop(black_box(TokenResponse::from_json(black_box(TEXT)).unwrap())))
}
