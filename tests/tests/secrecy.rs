//! No error repeats what an attacker wrote, and no secret can be shown or compared by accident.

#![cfg(test)]

use core::error::Error;
use core::fmt::{Debug, Display};

use authorization_server::{
    AuthorizationRequest, ClientUnavailable, PageError, RedirectError, Refusal,
};
use bytes::Bytes;
use client_auth::{Authenticated, BasicCredentials, Presented, VerifyingKeys};
use client_flow::{CallbackError, FlowError, FlowErrorKind, RestoreError, Step, login};
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use iss_validate::{Callback, CallbackRejected, Expected, ValidatedCode};
use oauth_types::{
    AuthorizationServerMetadata, ClientId, ClientIdMetadata, CodeChallenge, CodeVerifier,
    EndpointUrl, Entropy, FormPairs, Issuer, JwkSet, MetadataFailure, MetadataNotFound,
    ProtectedResourceMetadata, RedirectUri, ResourceUri, ScopeSet, Secret, State, TokenResponse,
    UnixTime,
};
use resource_server::{Introspection, JwtTokens, JwtVerdict};
use scope_stepup::{Missing, NoHierarchy, Operation};
use serde::Serialize;
use serde_json::{Value, json};
use static_assertions::{assert_impl_all, assert_not_impl_any};
use tests::world::{MCP, World, client_config, now_or_never};

// Nobody is authenticated by what came in, and no code is one that somebody made up.
assert_not_impl_any!(Callback<'static>: Display, PartialEq, Clone, Serialize, AsRef<str>);
assert_not_impl_any!(CallbackRejected: Serialize, AsRef<str>);
assert_not_impl_any!(ValidatedCode: Display, PartialEq, Serialize, From<Secret>, Default);
assert_not_impl_any!(Authenticated: From<Presented>, From<BasicCredentials>, Default);
// C-TOKEN-10
assert_not_impl_any!(Secret: Display, PartialEq, Serialize, AsRef<str>, AsRef<[u8]>);
assert_not_impl_any!(State: Display, PartialEq, Serialize, AsRef<str>);
assert_not_impl_any!(CodeVerifier: Display, PartialEq, Serialize, AsRef<str>);
assert_not_impl_any!(BasicCredentials: Display, PartialEq, Serialize, Clone);
assert_not_impl_any!(Entropy<32>: Display, PartialEq, Serialize, Clone, Copy);

// What a function returns on failure can be handed on as an error.
assert_impl_all!(Refusal: Error, Send, Sync);
assert_impl_all!(PageError: Error, Send, Sync);
assert_impl_all!(RedirectError: Error, Send, Sync);
assert_impl_all!(ClientUnavailable: Error, Send, Sync);
assert_impl_all!(Missing: Error, Send, Sync);
assert_impl_all!(MetadataFailure: Error, Send, Sync);
assert_impl_all!(MetadataNotFound: Error, Send, Sync);
assert_impl_all!(RestoreError: Error, Send, Sync);

/// What the attacker writes wherever he can.
const MARK: &str = "canary";

/// An error in all ways in which it can be shown.
fn shown(error: &dyn Error) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        text += &format!("{error} {error:?} {error:#?} ");
        next = error.source();
    }
    text
}

#[track_caller]
fn silent(error: &dyn Error) {
    let text = shown(error);
    assert!(!text.to_ascii_lowercase().contains(MARK), "{text}");
}

#[track_caller]
fn silent_debug(error: &dyn Debug) {
    let text = format!("{error:?} {error:#?}");
    assert!(!text.to_ascii_lowercase().contains(MARK), "{text}");
}

/// A login in a world whose answers are changed.
fn login_among(
    change: impl Fn(&Request<Bytes>, Response<Bytes>) -> Response<Bytes>,
    come_back: impl Fn(String) -> String,
) -> FlowError {
    let world = World::new().unwrap();
    let mut step = login(client_config(), MCP, None, None).unwrap();
    loop {
        let next = match step {
            Step::SendRequest(it) => {
                let response = change(it.request(), world.answer(it.request()));
                it.resume(Ok(response), world.now())
            }
            Step::LoadCredentials(it) => it.resume(None, world.now()),
            Step::ChooseServer(choose) => choose.choose(0),
            Step::GenerateRandom(it) => it.resume(world.entropy(), world.entropy(), world.now()),
            Step::GetAssertion(_) => panic!("a user stands behind this client"),
            Step::OpenBrowser(it) => {
                let callback = come_back(world.authorize(it.url()).unwrap());
                it.resume(Callback::from_url(&callback), world.now())
            }
            Step::SaveCredentials(save) => save.saved(),
            Step::Ready(_) => panic!("the login was not disturbed"),
        };
        step = match next {
            Ok(step) => step,
            Err(error) => return error,
        };
    }
}

/// C-ISS-5, SEC-011
#[test]
fn no_error_of_a_login_repeats_a_forged_callback() {
    let texts = format!("error={MARK}&error_description={MARK}&error_uri=https://{MARK}.example");
    let swap = |url: &str, name: &str, value: &str| {
        let (base, query) = url.split_once('?').unwrap();
        let kept = query.split('&').filter(|pair| !pair.starts_with(&format!("{name}=")));
        let added = format!("{name}={value}");
        format!("{base}?{}", kept.chain([&*added]).collect::<Vec<_>>().join("&"))
    };
    let forgeries: [&dyn Fn(String) -> String; 8] = [
        &|url| swap(&url, "iss", &format!("https%3A%2F%2F{MARK}.example")),
        &|url| swap(&url, "state", MARK),
        &|url| format!("{}&state={MARK}", url),
        &|url| format!("{}&code={MARK}", url),
        &|url| format!("{}&error={MARK}", url),
        &|url| format!("{}&x={MARK}%zz", url),
        &|url| format!("{}?{texts}", url.split_once('?').unwrap().0),
        &|url| format!("{}?{texts}&iss=https%3A%2F%2F{MARK}", url.split_once('?').unwrap().0),
    ];
    for forge in forgeries {
        let error = login_among(|_, response| response, forge);
        assert!(
            matches!(error.kind(), FlowErrorKind::Callback(CallbackError::Rejected(_))),
            "{error:?}"
        );
        silent(&error);
        silent(&mcp_authz_reqwest::Error::from(error));
    }
}

/// SEC-137
#[test]
fn no_error_of_a_login_repeats_an_unreadable_answer() {
    let json = |value: Value| Bytes::from(value.to_string());
    let path_of = |request: &Request<Bytes>| request.uri().path().to_owned();
    let answers = [
        Bytes::from(MARK),
        Bytes::from(format!("<html>{MARK}")),
        json(json!([MARK])),
        json(json!({"resource": MARK, "issuer": MARK, "client_id": [MARK], "token_type": MARK})),
        json(json!({MARK: MARK, "resource": {MARK: MARK}, "issuer": {MARK: MARK}})),
        Bytes::from(format!("{{\"{MARK}\":1,\"{MARK}\":2}}")),
        json(json!({"access_token": format!("{MARK}\r\nx: y"), "token_type": "bearer"})),
    ];
    // A server's metadata has two places, and a page at one leads to the other.
    let server = ["oauth-authorization-server", "openid-configuration"];
    let all = ["oauth-protected-resource", server[0], server[1]];
    for places in [&all[..], &server, &["register"], &["token"]] {
        for body in &answers {
            for status in [StatusCode::OK, StatusCode::INTERNAL_SERVER_ERROR] {
                let change = |request: &Request<Bytes>, mut response: Response<Bytes>| {
                    let path = path_of(request);
                    if places.iter().any(|place| path.contains(place)) {
                        *response.status_mut() = status;
                        *response.body_mut() = body.clone();
                        let line = HeaderValue::from_static(MARK);
                        response.headers_mut().insert(LOCATION, line.clone());
                        response.headers_mut().insert(CONTENT_TYPE, line);
                    }
                    response
                };
                silent(&login_among(change, |url| url));
            }
        }
    }
}

/// SEC-192
#[test]
fn the_word_of_the_right_server_is_shown_clean() {
    let description = format!("no\r\n\u{1b}[2J\u{202e}<script>{}", "x".repeat(500));
    let body = json!({"error": "invalid_grant", "error_description": description, MARK: MARK});
    let change = |request: &Request<Bytes>, mut response: Response<Bytes>| {
        if request.uri().path() == "/token" {
            *response.status_mut() = StatusCode::BAD_REQUEST;
            *response.body_mut() = body.to_string().into();
        }
        response
    };
    let error = login_among(change, |url| url);
    silent(&error);
    let text = error.to_string();
    assert!(text.contains("invalid_grant (no"), "{text}");
    assert!(text.len() < 300 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text}");
}

#[test]
fn no_refusal_of_the_authorization_server_repeats_a_request() {
    let world = World::new().unwrap();
    let post = |path: &str, kind: &'static str, body: String| {
        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = format!("https://as.example{path}").parse().unwrap();
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        request
    };
    let form = |path, body| post(path, "application/x-www-form-urlencoded", body);
    let quiet = |response: Response<Bytes>| {
        assert!(response.status().is_client_error());
        silent_debug(&response);
    };
    for body in [
        format!("grant_type={MARK}&client_id={MARK}"),
        format!("grant_type=authorization_code&client_id={MARK}&code={MARK}&code_verifier={MARK}"),
        format!("grant_type=refresh_token&client_id={MARK}&refresh_token={MARK}"),
        format!("client_id={MARK}&client_id={MARK}"),
        format!("client_id={MARK}&client_secret={MARK}&client_assertion={MARK}"),
        format!("{MARK}=%zz"),
    ] {
        let refusal = world.token(&form("/token", body.clone())).unwrap_err();
        silent_debug(&refusal);
        silent_debug(&refusal.cause());
        quiet(refusal.into_response());
        let refusal = world.revoke(&form("/revoke", body)).unwrap_err();
        silent_debug(&refusal);
        quiet(refusal.into_response());
    }
    for body in [
        MARK.to_owned(),
        json!({"redirect_uris": [format!("{MARK}:x")]}).to_string(),
        json!({"redirect_uris": [format!("https://{MARK}.example/#f")]}).to_string(),
        json!({"redirect_uris": {MARK: MARK}}).to_string(),
        json!({"redirect_uris": ["https://a.example"], "jwks": {"keys": [{"d": MARK}]}})
            .to_string(),
        json!({"redirect_uris": ["https://a.example"], "grant_types": [MARK]}).to_string(),
        json!({"redirect_uris": ["https://a.example"], "logo_uri": format!("{MARK}:")}).to_string(),
    ] {
        let refusal = world.register(&post("/register", "application/json", body)).unwrap_err();
        silent_debug(&refusal);
        quiet(refusal.into_response());
    }
    // Members that are left out are not repeated either.
    let body = json!({"redirect_uris": ["https://a.example"], "scope": format!("{MARK}\"")});
    let request = post("/register", "application/json", body.to_string());
    silent_debug(&world.register(&request).unwrap());
}

/// A-AUTHZ-1, SEC-061: no page repeats it, and no log.
#[test]
fn the_authorization_endpoint_never_repeats_a_request() {
    let world = World::new().unwrap();
    let body =
        json!({"redirect_uris": ["https://a.example/cb"], "token_endpoint_auth_method": "none"});
    let mut request = Request::new(Bytes::from(body.to_string()));
    *request.method_mut() = Method::POST;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let registered: Value =
        serde_json::from_slice(world.register(&request).unwrap().body()).unwrap();
    let known = registered["client_id"].as_str().unwrap();
    for query in [
        format!("client_id={MARK}&redirect_uri=https%3A%2F%2F{MARK}.example"),
        format!("client_id={known}&redirect_uri=https%3A%2F%2F{MARK}.example&state={MARK}"),
        format!("client_id={known}&client_id={MARK}"),
        format!("client_id={known}&state={MARK}&response_type={MARK}"),
        format!("client_id={known}&state={MARK}&response_type=code&scope={MARK}"),
        format!("client_id={known}&state={MARK}&response_type=code&{MARK}=1&{MARK}=2"),
    ] {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = format!("https://as.example/authorize?{query}").parse().unwrap();
        let page = |error: PageError| {
            silent_debug(&error);
            let response = error.into_response();
            assert!(!response.headers().contains_key(LOCATION));
            silent_debug(&response);
        };
        let parsed = match AuthorizationRequest::parse(&world.config, &request) {
            Ok(parsed) => parsed,
            Err(error) => {
                page(error);
                continue;
            }
        };
        let client = now_or_never(authorization_server::Store::read_client(
            &world.store,
            parsed.client_id(),
        ));
        match parsed.with_client(client.unwrap(), world.now()) {
            Err(error) => page(error),
            Ok(redirectable) => {
                let error = redirectable.check().unwrap_err();
                silent_debug(&error);
                silent_debug(&error.cause());
            }
        }
    }
}

/// SEC-192
#[test]
fn no_parser_repeats_what_it_refuses() {
    let uri = format!("HTTP://{MARK}@{MARK}:99999/%zz#{MARK}");
    silent(&Issuer::parse(&uri).unwrap_err());
    silent(&ResourceUri::parse(&uri).unwrap_err());
    silent(&RedirectUri::parse(&uri).unwrap_err());
    silent(&EndpointUrl::parse(&uri).unwrap_err());
    silent(&ClientId::parse(&format!("{MARK}\n")).unwrap_err());
    silent(&ScopeSet::parse(&format!("{MARK}\"")).unwrap_err());
    silent(&CodeVerifier::parse(MARK).unwrap_err());
    silent(&CodeChallenge::parse(MARK).unwrap_err());
    silent(&FormPairs::parse(format!("{MARK}=%zz").as_bytes()).unwrap_err());
    silent(&Operation::of_body(MARK.as_bytes()).unwrap_err());
    let document = json!({"client_id": uri, "issuer": uri, "resource": uri, "access_token": [MARK],
        "token_type": MARK, MARK: MARK})
    .to_string();
    let document = document.as_bytes();
    silent(&AuthorizationServerMetadata::from_json(document).unwrap_err());
    silent(&ProtectedResourceMetadata::from_json(document).unwrap_err());
    silent(&TokenResponse::from_json(document).unwrap_err());
    let url = oauth_types::ClientMetadataUrl::parse("https://client.example/meta").unwrap();
    silent(&ClientIdMetadata::from_json(&url, document).unwrap_err());
    silent(
        &VerifyingKeys::from_jwks(&json!({"keys": [{"d": MARK, "kid": MARK}]}), None).unwrap_err(),
    );
    let line = HeaderValue::from_str(&format!("Basic {MARK}")).unwrap();
    silent(&BasicCredentials::decode(&line).unwrap_err());
    let headers = HeaderMap::from_iter([(AUTHORIZATION, line)]);
    silent(&Presented::parse(&headers, &FormPairs::default()).unwrap_err());
    let expected = Expected::new(None, State::new(Entropy::new([0; 32])));
    let query = format!("iss={MARK}&state={MARK}&error={MARK}");
    silent(&Callback::from_query(&query).validate(&expected).unwrap_err());
}

/// SEC-192
#[test]
fn no_denial_of_the_resource_server_repeats_a_request() {
    let world = World::new().unwrap();
    let required = ScopeSet::parse("files:read").unwrap();
    for line in [format!("Bearer {MARK}"), format!("Basic {MARK}"), format!("Bearer {MARK} {MARK}")]
    {
        let line = HeaderValue::from_str(&line).unwrap();
        let request = Request::post(format!("/mcp?access_token={MARK}"));
        let request = request.header(AUTHORIZATION, line).body(()).unwrap();
        let denial = world
            .resource
            .present(&request, &required)
            .and_then(|presented| presented.decide(None, &required, &NoHierarchy, world.now()))
            .unwrap_err();
        silent(&denial);
        silent_debug(&denial.into_response());
    }
}

/// SEC-192
#[test]
fn no_failure_of_introspection_repeats_an_answer() {
    let (issuer, url) = (Issuer::parse("https://as.example").unwrap(), "https://as.example/i");
    let secret = Secret::new(MARK);
    let asking = Introspection::new(issuer, ClientId::parse("rs").unwrap(), secret);
    let endpoint = asking.at(&EndpointUrl::parse(url).unwrap()).unwrap();
    silent_debug(&(&asking, &endpoint));
    for (status, kind, body) in [
        (200, "application/json", json!({"active": MARK})),
        (
            200,
            "application/json",
            json!({"active": true, MARK: MARK, "scope": format!("{MARK}\"")}),
        ),
        (200, MARK, json!({"active": true})),
        (500, "application/json", json!({MARK: MARK})),
        (401, "application/json", json!({"error": MARK})),
    ] {
        let answer = Response::builder().status(status).header(CONTENT_TYPE, kind);
        let answer = answer.body(body.to_string().into()).unwrap();
        silent(&asking.read(&answer, UnixTime::from_secs(0)).unwrap_err());
    }
    let other = json!({"issuer": format!("https://{MARK}.example"), "introspection_endpoint": url});
    let other = AuthorizationServerMetadata::from_json(other.to_string().as_bytes()).unwrap();
    silent(&asking.discovered(&other).unwrap_err());
}

/// SEC-192
#[test]
fn no_failure_of_jwts_and_their_keys_repeats_what_was_sent() {
    let issuer = Issuer::parse("https://as.example").unwrap();
    let now = UnixTime::from_secs(0);
    for (status, body) in [
        (200, json!({MARK: MARK})),
        (200, json!({"keys": [{"kty": "oct", "k": MARK}]})),
        (200, json!({"keys": [{"kty": "RSA", "n": MARK, "e": MARK, "kid": MARK}]})),
        (500, json!({MARK: MARK})),
    ] {
        let answer = Response::builder().status(status).body(body.to_string().into()).unwrap();
        let mut tokens = JwtTokens::new(issuer.clone());
        silent(&tokens.fetched(Some(&answer), now).unwrap_err());
        let JwtVerdict::Refused(why) = tokens.verify(&Secret::new(MARK), now) else { panic!() };
        silent(&why);
        silent_debug(&tokens);
    }
    let keys = json!({"keys": [{"kty": "oct", "k": MARK}]}).to_string();
    silent_debug(&JwkSet::from_json(keys.as_bytes()).unwrap());
}
