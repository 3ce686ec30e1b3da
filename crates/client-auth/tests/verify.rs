//! Who gets in, and what those hear who do not.

#![cfg(test)]

use client_auth::{Authenticated, ClientAuthError, ClientAuthRecord, Presented, Reason, Verified};
use http::header::{AUTHORIZATION, CACHE_CONTROL, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use oauth_types::{AuthMethod, FormPairs, Secret, UnixTime};

const BASIC_C1: &str = "Basic YzE6czNjcmV0"; // c1:s3cret

fn registered(method: AuthMethod) -> ClientAuthRecord {
    ClientAuthRecord::new(method).with_secret(Secret::new("s3cret").digest())
}

fn try_auth(
    record: Option<&ClientAuthRecord>,
    header: Option<&str>,
    body: &str,
) -> Result<Authenticated, ClientAuthError> {
    let mut headers = HeaderMap::new();
    headers.extend(header.map(|line| (AUTHORIZATION, HeaderValue::from_str(line).unwrap())));
    let form = FormPairs::parse(body.as_bytes()).unwrap();
    match Presented::parse(&headers, &form)?.verify(record, &[], UnixTime::from_secs(2000))? {
        Verified::Done(client) => Ok(client),
        Verified::FirstUse(_) => panic!("only an assertion is checked for replay"),
    }
}

fn reason(record: &ClientAuthRecord, header: Option<&str>, body: &str) -> Reason {
    try_auth(Some(record), header, body).unwrap_err().reason()
}

/// A-AUTHN-1, SEC-070
#[test]
fn basic_needs_no_client_id_in_the_body() {
    let record = registered(AuthMethod::ClientSecretBasic);
    for body in ["", "client_id=c1"] {
        let client = try_auth(Some(&record), Some(BASIC_C1), body).unwrap();
        assert_eq!(client.client_id().as_str(), "c1");
        assert!(client.is_confidential());
    }
}

/// A-AUTHN-1
#[test]
fn a_failed_header_is_answered_with_a_challenge() {
    let record = registered(AuthMethod::ClientSecretBasic);
    for header in ["Basic !!!", "Basic YzE6bm8=", "Bearer x"] {
        let error = try_auth(Some(&record), Some(header), "").unwrap_err();
        let response = error.into_response();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(response.headers()[WWW_AUTHENTICATE].to_str().unwrap().starts_with("Basic "));
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    }
}

/// A-AUTHN-2, SEC-069
#[test]
fn header_and_body_name_one_client() {
    let record = registered(AuthMethod::ClientSecretBasic);
    assert_eq!(reason(&record, Some(BASIC_C1), "client_id=c2"), Reason::IdentifierMismatch);
    let error = try_auth(Some(&record), Some(BASIC_C1), "client_id=c2").unwrap_err();
    assert_eq!(error.into_response().status(), StatusCode::UNAUTHORIZED);
}

/// A-AUTHN-3, SEC-068
#[test]
fn one_method_only_even_when_both_are_right() {
    let record = registered(AuthMethod::ClientSecretBasic);
    for body in ["client_id=c1&client_secret=s3cret", "client_assertion=x"] {
        assert_eq!(reason(&record, Some(BASIC_C1), body), Reason::SeveralMethods);
    }
    let both = "client_id=c1&client_secret=s3cret&client_assertion=x";
    assert_eq!(reason(&record, None, both), Reason::SeveralMethods);
}

/// A-AUTHN-4, SEC-077
#[test]
fn only_the_registered_method() {
    let basic = registered(AuthMethod::ClientSecretBasic);
    let post = registered(AuthMethod::ClientSecretPost);
    assert_eq!(reason(&basic, None, "client_id=c1&client_secret=s3cret"), Reason::WrongMethod);
    assert_eq!(reason(&post, Some(BASIC_C1), ""), Reason::WrongMethod);
    assert_eq!(reason(&post, None, "client_id=c1"), Reason::WrongMethod);
    for method in ["tls_client_auth", "private_key_jwt"] {
        let other = registered(AuthMethod::parse(method));
        assert_eq!(reason(&other, None, "client_id=c1&client_secret=s3cret"), Reason::WrongMethod);
        assert_eq!(reason(&other, None, "client_id=c1"), Reason::WrongMethod);
    }
}

/// A-AUTHN-5, SEC-080
#[test]
fn unknown_client_wrong_secret_and_wrong_method_read_the_same() {
    let post = registered(AuthMethod::ClientSecretPost);
    let basic = registered(AuthMethod::ClientSecretBasic);
    let body = "client_id=c1&client_secret=wrong";
    let shown = |record: Option<&ClientAuthRecord>| {
        let response = try_auth(record, None, body).unwrap_err().into_response();
        format!("{:?}", response)
    };
    let wrong_secret = shown(Some(&post));
    assert_eq!(shown(None), wrong_secret);
    assert_eq!(shown(Some(&basic)), wrong_secret);
    assert_eq!(try_auth(None, None, body).unwrap_err().reason(), Reason::UnknownClient);
    assert_eq!(reason(&post, None, body), Reason::WrongSecret);
}

/// SEC-081: Nor does the time differ: `cargo xtask timing` measures that.
#[test]
fn a_secret_that_is_nearly_right_reads_like_any_other() {
    let record = registered(AuthMethod::ClientSecretPost);
    let answer = |secret: &str| {
        let body = format!("client_id=c1&client_secret={secret}");
        let error = try_auth(Some(&record), None, &body).unwrap_err();
        format!("{:?} {:?}", error.reason(), error.into_response())
    };
    let other = answer("x");
    for near in ["S3cret", "s3creT", "s3cre", "s3crett", "s3cret%20", "%EF%BC%B33cret"] {
        assert_eq!(answer(near), other, "{near}");
    }
}

/// A-AUTHN-6, SEC-079
#[test]
fn an_expired_secret_is_refused_from_its_last_second_on() {
    let body = "client_id=c1&client_secret=s3cret";
    for (expires_at, accepted) in
        [(Some(1999), false), (Some(2000), false), (Some(2001), true), (None, true)]
    {
        let record = registered(AuthMethod::ClientSecretPost)
            .with_secret_expires_at(expires_at.map(UnixTime::from_secs));
        assert_eq!(try_auth(Some(&record), None, body).is_ok(), accepted, "{expires_at:?}");
    }
}

/// A-AUTHN-7, SEC-076
#[test]
fn a_public_client_is_its_identifier() {
    let with_leftover = registered(AuthMethod::None);
    for record in [ClientAuthRecord::public(), with_leftover] {
        for body in ["client_id=c1", "client_id=c1&client_secret=x", "client_id=c1&client_secret="]
        {
            let client = try_auth(Some(&record), None, body).unwrap();
            assert!(!client.is_confidential());
        }
        assert_eq!(reason(&record, Some(BASIC_C1), ""), Reason::WrongMethod);
    }
}

/// A-AUTHN-8, SEC-075, SEC-078
#[test]
fn without_a_stored_secret_nobody_gets_in() {
    for method in [AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost] {
        let record = ClientAuthRecord::new(method);
        for (header, body) in [
            (None, "client_id=c1"),
            (None, "client_id=c1&client_secret="),
            (None, "client_id=c1&client_secret=x"),
            (Some("Basic YzE6"), ""),
            (Some(BASIC_C1), ""),
        ] {
            assert!(try_auth(Some(&record), header, body).is_err(), "{body} {header:?}");
        }
    }
}

/// SEC-082, SEC-091
#[test]
fn two_headers_or_two_identifiers_are_a_bad_request() {
    let record = registered(AuthMethod::ClientSecretPost);
    let body = "client_id=zz&client_id=c1&client_secret=s3cret";
    assert_eq!(reason(&record, None, body), Reason::RepeatedParameter);
    let mut headers = HeaderMap::new();
    headers.append(AUTHORIZATION, HeaderValue::from_static(BASIC_C1));
    headers.append(AUTHORIZATION, HeaderValue::from_static(BASIC_C1));
    let error = Presented::parse(&headers, &FormPairs::default()).unwrap_err();
    assert_eq!(error.reason(), Reason::RepeatedHeader);
    assert_eq!(error.into_response().status(), StatusCode::BAD_REQUEST);
}

/// SEC-082
#[test]
fn a_long_header_is_refused_before_it_is_decoded() {
    // Not even Base64: whoever decoded it would say so.
    for (length, reason) in [
        (65_536, Reason::HeaderTooLong),
        (8193, Reason::HeaderTooLong),
        (8192, Reason::MalformedHeader),
    ] {
        let line = format!("Basic {}", "!".repeat(length - 6));
        let error = try_auth(None, Some(&line), "").unwrap_err();
        assert_eq!(error.reason(), reason);
        let is_bad_request = error.into_response().status() == StatusCode::BAD_REQUEST;
        assert_eq!(is_bad_request, reason == Reason::HeaderTooLong);
    }
}

/// SEC-192
#[test]
fn nothing_prints_a_secret() {
    let form = FormPairs::parse(b"client_id=c1&client_secret=canary").unwrap();
    let presented = Presented::parse(&HeaderMap::new(), &form).unwrap();
    assert!(!format!("{presented:?} {form:?}").contains("canary"));
    let error = presented.verify(None, &[], UnixTime::from_secs(0)).unwrap_err();
    assert!(!format!("{error} {error:?} {:?}", error.into_response()).contains("canary"));
}

/// A-AUTHN-8, SEC-075
#[test]
fn an_empty_secret_is_none_even_when_it_was_stored() {
    let record =
        ClientAuthRecord::new(AuthMethod::ClientSecretBasic).with_secret(Secret::new("").digest());
    assert_eq!(reason(&record, Some("Basic YzE6"), ""), Reason::WrongSecret);
}
