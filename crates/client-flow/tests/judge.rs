//! What a 401 or 403 leads to.

#![cfg(test)]

use client_flow::{Session, StoredCredentials, Tried, Verdict, judge};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, StatusCode};
use scope_stepup::{InsufficientScopeKind, Ledger, Operation, Policy};
use serde_json::json;

/// A session that asked for `a b`, was granted `a`, and may have a refresh token.
fn session(refresh_token: Option<&str>) -> Session {
    let record = json!({
        "resource": "https://rs.example/mcp",
        "server": {
            "issuer": "https://as.example",
            "authorization_endpoint": "https://as.example/authorize",
            "token_endpoint": "https://as.example/token",
            "iss_advertised": true,
        },
        "client": {"client_id": "c", "method": "none"},
        "tokens": {
            "access_token": "at",
            "refresh_token": refresh_token,
            "expires_at": 1000,
            "requested": "a b",
            "granted": "a",
        },
    });
    let record: StoredCredentials = serde_json::from_value(record).unwrap();
    Session::restore(record).unwrap()
}

fn verdict(session: Option<&Session>, tried: Tried, status: u16, challenge: &str) -> Verdict {
    let mut headers = HeaderMap::new();
    if !challenge.is_empty() {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_str(challenge).unwrap());
    }
    let answer = (StatusCode::from_u16(status).unwrap(), &headers);
    let operation = Operation::tool("t");
    judge(session, &Ledger::new(), &Policy::default(), &operation, tried, answer)
}

fn tried(refresh: bool, login: bool) -> Tried {
    let mut tried = Tried::default();
    (tried.refresh, tried.login) = (refresh, login);
    tried
}

#[test]
fn a_401_leads_to_a_refresh_then_to_a_login_then_to_an_error() {
    let with_refresh = session(Some("r"));
    let refused =
        |tried| verdict(Some(&with_refresh), tried, 401, "Bearer error=\"invalid_token\"");
    assert_eq!(refused(tried(false, false)), Verdict::Refresh);
    assert!(matches!(refused(tried(true, false)), Verdict::Login { .. }));
    assert_eq!(refused(tried(true, true)), Verdict::Unauthorized);
    let without = verdict(Some(&session(None)), Tried::default(), 401, "");
    assert!(matches!(without, Verdict::Login { .. }));
    assert!(matches!(verdict(None, Tried::default(), 401, ""), Verdict::Login { challenge: None }));
}

#[test]
fn a_401_hands_its_challenge_on_whatever_the_scheme() {
    for challenge in ["Bearer scope=\"c\"", "DPoP algs=\"ES256\", scope=\"c\""] {
        match verdict(Some(&session(None)), Tried::default(), 401, challenge) {
            Verdict::Login { challenge } => {
                assert_eq!(challenge.unwrap().scope.unwrap().as_str(), "c");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// C-EXT-3
#[test]
fn a_server_that_wants_a_nonce_gets_it_once() {
    let mut headers = HeaderMap::new();
    let challenge = HeaderValue::from_static("DPoP error=\"use_dpop_nonce\"");
    headers.insert(WWW_AUTHENTICATE, challenge);
    let judged = |headers: &HeaderMap, tried| {
        let (operation, session) = (Operation::tool("t"), session(None));
        let answer = (StatusCode::UNAUTHORIZED, headers);
        judge(Some(&session), &Ledger::new(), &Policy::default(), &operation, tried, answer)
    };
    // Without the nonce it says nothing.
    assert!(matches!(judged(&headers, Tried::default()), Verdict::Login { .. }));
    headers.insert("dpop-nonce", HeaderValue::from_static("n"));
    assert_eq!(judged(&headers, Tried::default()), Verdict::UseNonce);
    let garbage = HeaderValue::from_bytes(b"\xff\xfe").unwrap();
    let garbled = HeaderMap::from_iter([
        (WWW_AUTHENTICATE, HeaderValue::from_static("DPoP error=\"use_dpop_nonce\"")),
        (http::HeaderName::from_static("dpop-nonce"), garbage),
    ]);
    assert!(matches!(judged(&garbled, Tried::default()), Verdict::Login { .. }));
    let mut sent_with_it = Tried::default();
    sent_with_it.nonce = true;
    assert!(matches!(judged(&headers, sent_with_it), Verdict::Login { .. }));
}

/// C-SCOPE-5
#[test]
fn a_403_about_scope_is_a_step_up_even_with_a_refresh_token() {
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"c\"";
    match verdict(Some(&session(Some("r"))), Tried::default(), 403, challenge) {
        Verdict::StepUp { scope, .. } => assert_eq!(scope.as_str(), "a b c"),
        other => panic!("{other:?}"),
    }
}

/// C-SCOPE-10
#[test]
fn a_403_without_a_session_logs_in_for_what_is_asked() {
    match verdict(None, Tried::default(), 403, "Bearer error=\"insufficient_scope\", scope=\"c\"") {
        Verdict::Login { challenge } => {
            assert_eq!(challenge.unwrap().scope.unwrap().as_str(), "c");
        }
        other => panic!("{other:?}"),
    }
}

/// SEC-160
#[test]
fn a_403_for_what_is_held_opens_no_browser() {
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"a\"";
    let full = {
        let mut record = session(None).to_record();
        if let Some(tokens) = &mut record.tokens {
            tokens.granted = tokens.requested.clone();
        }
        Session::restore(record).unwrap()
    };
    match verdict(Some(&full), Tried::default(), 403, challenge) {
        Verdict::GiveUp(error) => assert_eq!(error.reason, InsufficientScopeKind::AlreadyHeld),
        other => panic!("{other:?}"),
    }
}

/// SEC-164
#[test]
fn any_other_403_is_an_answer() {
    for challenge in [
        "",
        "Basic error=\"insufficient_scope\"",
        "Bearer error=\"access_denied\"",
        "Bearer error_description=\"error=insufficient_scope\", error=\"invalid_token\"",
    ] {
        let answer = verdict(Some(&session(None)), Tried::default(), 403, challenge);
        assert_eq!(answer, Verdict::Accepted, "{challenge}");
    }
    assert_eq!(verdict(None, Tried::default(), 200, ""), Verdict::Accepted);
    assert_eq!(verdict(None, Tried::default(), 500, ""), Verdict::Accepted);
}

#[test]
fn a_denial_beyond_scopes_goes_to_the_host_and_starts_no_login() {
    let challenge = "Bearer error=\"insufficient_authorization\", scope=\"c\", \
                     authorization_remediation=\"eyJhIjoxfQ\"";
    for status in [401, 403] {
        for held in [session(None), session(Some("r"))] {
            let answer = verdict(Some(&held), Tried::default(), status, challenge);
            assert_eq!(answer, Verdict::Accepted, "{status}");
        }
    }
    // Who shows no token logs in.
    let answer = verdict(None, Tried::default(), 401, challenge);
    assert!(matches!(answer, Verdict::Login { .. }), "{answer:?}");
}

#[test]
fn a_token_is_refreshed_ahead_of_its_expiry_if_it_can_be() {
    use oauth_types::UnixTime;
    let with_refresh = session(Some("r"));
    assert!(!with_refresh.is_stale(UnixTime::from_secs(969)));
    assert!(with_refresh.is_stale(UnixTime::from_secs(970)));
    assert!(!session(None).is_stale(UnixTime::from_secs(2000)));
}

/// C-SCOPE-6, SEC-158
#[test]
fn a_request_counts_its_own_step_ups() {
    // The ledger is empty: the same operation succeeds with other arguments all the time.
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"c\"";
    let mut tried = Tried::default();
    let first = verdict(Some(&session(None)), tried, 403, challenge);
    assert!(matches!(first, Verdict::StepUp { .. }));
    tried.note(&first);
    match verdict(Some(&session(None)), tried, 403, challenge) {
        Verdict::GiveUp(error) => {
            assert_eq!((error.reason, error.attempts), (InsufficientScopeKind::LimitReached, 1));
        }
        other => panic!("{other:?}"),
    }
}
