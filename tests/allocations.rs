//! How often the hot paths allocate: not at all, or once for what they keep.

#![cfg(test)]

use allocation_counter::measure;
use client_auth::{BasicCredentials, Presented, Registered};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue};
use oauth_types::{AuthMethod, Challenges, FormPairs, ScopeSet, Secret, UnixTime};
use tests::samples::{BASIC, CHALLENGE, FORM, SCOPES, SECRET};

/// Allocations of one run, the result dropped.
fn allocations<T>(run: impl FnOnce() -> T) -> u64 {
    measure(|| drop(run())).count_total
}

#[test]
fn reading_a_challenge_allocates_nothing() {
    let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE))]);
    let count = allocations(|| {
        let challenge = Challenges::new(&headers).next().unwrap().unwrap();
        assert!(challenge.param("scope").unwrap().unwrap().to_text().is_some());
        assert!(challenge.params().count() == 4);
    });
    assert_eq!(count, 0);
}

#[test]
fn a_form_allocates_its_list_and_the_values_that_it_has_to_decode() {
    // Two of the six values have escapes; the list of pairs is one more.
    assert_eq!(allocations(|| FormPairs::parse(FORM).unwrap()), 3);
    assert_eq!(allocations(|| FormPairs::parse(b"").unwrap()), 0);
}

#[test]
fn a_union_allocates_its_text_and_a_check_nothing() {
    let [held, wanted] = SCOPES.map(|text| ScopeSet::parse(text).unwrap());
    assert_eq!(allocations(|| held.union(&wanted).unwrap()), 1);
    assert_eq!(allocations(|| ScopeSet::parse(SCOPES[0]).unwrap()), 1);
    assert_eq!(allocations(|| wanted.exceeds(&held)), 0);
}

#[test]
fn client_authentication_allocates_the_identifier_and_what_it_decodes() {
    let line = HeaderValue::from_static(BASIC);
    assert_eq!(allocations(|| BasicCredentials::decode(&line).unwrap()), 1);
    let headers = HeaderMap::from_iter([(AUTHORIZATION, line)]);
    let form = FormPairs::parse(FORM).unwrap();
    let record = Registered::with_secret(AuthMethod::ClientSecretBasic, &Secret::new(SECRET));
    let mut presented = None;
    assert_eq!(allocations(|| presented = Some(Presented::parse(&headers, &form).unwrap())), 2);
    let now = UnixTime::from_secs(0);
    assert_eq!(allocations(|| presented.unwrap().verify(Some(&record), &[], now).unwrap()), 0);
}
