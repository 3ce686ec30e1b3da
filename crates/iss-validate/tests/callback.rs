//! What a client accepts as an answer to its authorization request.

#![cfg(test)]

use std::error::Error;

use iss_validate::{Callback, CallbackRejected, Expected, Rejection, Validated};
use oauth_types::{Issuer, Secret, State};

const GOOD: &str = "https%3A%2F%2Fas.example";

fn expected(iss_advertised: bool) -> Expected {
    let state = State::from_secret(Secret::new("s"));
    Expected::new(Issuer::parse("https://as.example").unwrap(), state)
        .with_iss_advertised(iss_advertised)
}

fn rejection(query: &str, advertised: bool) -> Rejection {
    Callback::from_query(query).validate(&expected(advertised)).unwrap_err().rejection()
}

fn code(query: &str, advertised: bool) -> String {
    match Callback::from_query(query).validate(&expected(advertised)) {
        Ok(Validated::Code(code)) => code.as_secret().expose().to_owned(),
        other => panic!("{query}: {other:?}"),
    }
}

/// C-ISS-1, SEC-001, SEC-004
#[test]
fn a_present_issuer_is_always_compared() {
    assert_eq!(code(&format!("code=c&state=s&iss={GOOD}"), true), "c");
    assert_eq!(code(&format!("code=c&state=s&iss={GOOD}"), false), "c");
    for advertised in [true, false] {
        let query = "code=c&state=s&iss=https%3A%2F%2Fevil.example";
        assert_eq!(rejection(query, advertised), Rejection::IssuerMismatch);
    }
}

/// C-ISS-2, SEC-002
#[test]
fn an_advertised_issuer_must_be_there() {
    assert_eq!(rejection("code=c&state=s", true), Rejection::IssuerMissing);
    assert_eq!(rejection("error=access_denied&state=s", true), Rejection::IssuerMissing);
}

/// C-ISS-3, SEC-003
#[test]
fn an_unadvertised_issuer_may_be_absent() {
    assert_eq!(code("code=c&state=s", false), "c");
}

/// C-ISS-4, SEC-012
#[test]
fn without_a_recorded_issuer_nothing_passes_for_one() {
    for iss_advertised in [true, false] {
        let mut expected = expected(iss_advertised);
        expected.issuer = None;
        for iss in [GOOD, "https%3A%2F%2Fevil.example", "", "x"] {
            for rest in ["code=c", "error=access_denied"] {
                let query = format!("{rest}&state=s&iss={iss}");
                let rejected = Callback::from_query(&query).validate(&expected).unwrap_err();
                assert_eq!(rejected.rejection(), Rejection::IssuerNotRecorded, "{query}");
            }
        }
    }
    // A server of 2025-03-26 says nothing of itself and is held to nothing.
    let mut expected = expected(false);
    expected.issuer = None;
    match Callback::from_query("code=c&state=s").validate(&expected) {
        Ok(Validated::Code(code)) => assert_eq!(code.issuer(), None),
        other => panic!("{other:?}"),
    }
}

/// C-ISS-4, SEC-005, SEC-006, SEC-007, SEC-008, SEC-010
#[test]
fn nothing_is_normalized() {
    for iss in [
        "https://AS.example",
        "HTTPS://as.example",
        "https://as.example/",
        "https://as.example:443",
        "https://as.exampl%65%00",
        "https%253A%252F%252Fas.example",
        "https://as.example.evil.example",
        "",
    ] {
        for advertised in [true, false] {
            let query = format!("code=c&state=s&iss={iss}");
            assert_eq!(rejection(&query, advertised), Rejection::IssuerMismatch, "{iss}");
        }
    }
}

/// C-ISS-5, SEC-011, SEC-013
#[test]
fn a_rejected_callback_says_nothing() {
    let shown = |rejected: &CallbackRejected| {
        assert!(rejected.source().is_none());
        format!("{rejected} {rejected:?} {:?}", rejected.rejection())
    };
    let marker = "CANARY";
    for query in [
        format!(
            "error={marker}&error_description={marker}&error_uri={marker}&state=s&iss={marker}"
        ),
        format!("code={marker}&state={marker}&iss={GOOD}"),
        format!("code={marker}&state=s&iss={marker}%0D%0A%1b"),
        format!("code={marker}&error={marker}&state=s&iss={GOOD}"),
        format!("code={marker}&code={marker}&state=s&iss={GOOD}"),
        format!("error={marker}%22&state=s&iss={GOOD}"),
    ] {
        let callback = Callback::from_query(&query);
        assert!(!format!("{callback:?}").contains(marker));
        let rejected = callback.validate(&expected(true)).unwrap_err();
        assert!(!shown(&rejected).contains(marker), "{query}");
    }
    let query = format!("code=c&state=s&iss={}", "%0a".repeat(2000));
    let rejected = Callback::from_query(&query).validate(&expected(true)).unwrap_err();
    let logged = rejected.received_issuer_for_security_log().unwrap().to_string();
    assert!(logged.len() <= 403 && logged.starts_with("\\n"));
}

/// C-ISS-6
#[test]
fn errors_are_validated_like_codes() {
    let query = format!("error=access_denied&error_description=no&state=s&iss={GOOD}");
    let Ok(Validated::Denied(error)) = Callback::from_query(&query).validate(&expected(true))
    else {
        panic!("a valid error");
    };
    assert_eq!(
        error.to_string(),
        "the authorization server answered access_denied (no): the user has to log in and agree"
    );
}

/// C-ISS-7, SEC-009
#[test]
fn a_repeated_parameter_rejects_the_whole_response() {
    for name in ["iss", "code", "state", "error"] {
        let value = match name {
            "iss" => GOOD,
            "state" => "s",
            _ => "x",
        };
        for second in [value, "other"] {
            let rest = format!("state=s&iss={GOOD}&code=c&{name}={second}&{name}={value}");
            let first = rejection(&rest, true);
            assert_eq!(first, Rejection::Repeated(name), "{rest}");
        }
    }
}

/// C-ISS-8
#[test]
fn query_url_and_pairs_are_one_validation() {
    let query = format!("code=c&state=s&iss={GOOD}");
    let url = format!("http://127.0.0.1:9/cb?{query}#_=_");
    let pairs = [("code", "c"), ("state", "s"), ("iss", "https://as.example")];
    let with_mark = format!("?{query}");
    for callback in [
        Callback::from_query(&query),
        Callback::from_query(&with_mark),
        Callback::from_url(&url),
        Callback::from_pairs(pairs),
    ] {
        assert!(matches!(callback.validate(&expected(true)), Ok(Validated::Code(_))));
    }
    let repeated = [("code", "c"), ("code", "d"), ("state", "s"), ("iss", "https://as.example")];
    let rejected = Callback::from_pairs(repeated).validate(&expected(true)).unwrap_err();
    assert_eq!(rejected, Rejection::Repeated("code"));
}

/// C-AUTHZ-5, SEC-018, SEC-019
#[test]
fn state_must_be_the_one_sent() {
    for state in ["", "&state=", "&state=S", "&state=ss", "&state=t"] {
        let query = format!("code=c&iss={GOOD}{state}");
        assert_eq!(rejection(&query, true), Rejection::StateMismatch, "{state}");
    }
}

/// SEC-022
#[test]
fn code_and_error_together_or_neither() {
    for answer in ["code=c&error=access_denied", "x=y", "code=", "error="] {
        let query = format!("{answer}&state=s&iss={GOOD}");
        assert_eq!(rejection(&query, true), Rejection::Contradiction, "{answer}");
    }
    let query = format!("code=&error=access_denied&state=s&iss={GOOD}");
    assert!(matches!(
        Callback::from_query(&query).validate(&expected(true)),
        Ok(Validated::Denied(_))
    ));
}
