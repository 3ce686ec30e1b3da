//! Logins that begin in one process and end in another.

use std::cell::RefCell;
use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use client_flow::{
    CallbackError, FirstUse, FlowError, FlowErrorKind, Replay, SealError, Sealed, SealingKey,
    Session, Step, login,
};
use iss_validate::{Callback, Rejection};
use oauth_types::{Entropy, SecretDigest, UnixTime};
use serde_json::json;

use crate::world::*;

type Opened = FirstUse<Result<Step, FlowError>>;

/// A host of several processes, which share a key and a store and nothing else.
struct Host {
    world: World,
    key: SealingKey,
    finished: RefCell<HashSet<SecretDigest>>,
}

impl Host {
    fn new() -> Self {
        let mut world = World::new();
        world.register.1["client_secret"] = json!("canary-secret");
        world.metadata.1["token_endpoint_auth_methods_supported"] = json!(["client_secret_basic"]);
        Self { world, key: SealingKey::new(Entropy::new([9; 32])), finished: RefCell::default() }
    }

    /// A process sends a user away.
    fn leave(&self, session: &str) -> Sealed {
        let step = login(config(), MCP, None, None).unwrap();
        let visit = self.world.until_user(step).unwrap().unwrap();
        visit.seal(&self.key, session, Entropy::new([3; 24])).unwrap()
    }

    /// The browser's answer to what it was sent to.
    fn callback(&self, sealed: &Sealed) -> String {
        (self.world.callback)(sealed.url())
    }

    /// Another process meets a user who is back.
    fn open(
        &self,
        sealed: &str,
        session: &str,
        callback: &str,
        now: UnixTime,
    ) -> Result<Opened, FlowError> {
        Sealed::open(sealed, &self.key, session, &config(), Callback::from_url(callback), now)
    }

    fn finish(&self, check: Opened) -> Result<Session, FlowError> {
        let is_new = self.finished.borrow_mut().insert(*check.key());
        self.world.drive(check.resume(if is_new { Replay::Fresh } else { Replay::Seen })??)
    }
}

/// C-AUTHZ-6, SEC-021
#[test]
fn a_login_survives_the_browser_for_ten_minutes() {
    let host = Host::new();
    let sealed = host.leave("alice");
    let callback = host.callback(&sealed);
    assert_eq!(sealed.until(), UnixTime::from_secs(NOW.as_secs() + 600));
    for (later, ok) in [(599, true), (600, false), (660, false)] {
        let now = UnixTime::from_secs(NOW.as_secs() + later);
        match host.open(sealed.text(), "alice", &callback, now) {
            Ok(check) => assert!(ok && check.until() == sealed.until(), "{later}"),
            Err(error) => assert!(
                !ok && matches!(error.kind(), FlowErrorKind::Callback(CallbackError::TooLate)),
                "{later}"
            ),
        }
    }
    let check = host.open(sealed.text(), "alice", &callback, NOW).unwrap();
    let session = host.finish(check).unwrap();
    assert!(session.authorization(MCP).is_some());
    assert_eq!(host.world.token_form("code").as_deref(), Some("the-code"));
}

/// C-AUTHZ-6, SEC-020
#[test]
fn a_callback_counts_once_in_all_processes() {
    let host = Host::new();
    let sealed = host.leave("alice");
    let callback = host.callback(&sealed);
    let open = || host.open(sealed.text(), "alice", &callback, NOW).unwrap();
    // Both are open before either is finished.
    let (first, second) = (open(), open());
    assert!(host.finish(first).is_ok());
    assert!(matches!(
        host.finish(second).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Callback(CallbackError::Replayed))
    ));
    assert!(matches!(
        host.finish(open()).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Callback(CallbackError::Replayed))
    ));
    assert_eq!(host.world.token_requests(), 1);
}

/// C-AUTHZ-5, SEC-023
#[test]
fn the_session_that_began_a_login_ends_it() {
    let host = Host::new();
    // The attacker has the victim's browser finish what he began, with everything that he holds.
    let attackers = host.leave("attacker");
    let callback = host.callback(&attackers);
    for victim in ["victim", "", "attacker ", "attacke"] {
        let opened = host.open(attackers.text(), victim, &callback, NOW);
        assert!(
            matches!(
                opened.as_ref().map_err(FlowError::kind),
                Err(FlowErrorKind::Seal(SealError::UnknownLogin))
            ),
            "{victim:?}"
        );
    }
    // Nor does his callback answer the victim's own login.
    let victims = host.leave("victim");
    let opened = host.open(victims.text(), "victim", &callback, NOW);
    assert!(
        matches!(opened.as_ref().map_err(FlowError::kind), Err(FlowErrorKind::Callback(CallbackError::Rejected(why))) if *why == Rejection::StateMismatch),
        "{opened:?}"
    );
    assert_eq!(host.world.token_requests(), 0);
    // A callback of another login has not used this one up.
    let callback = host.callback(&victims);
    let check = host.open(victims.text(), "victim", &callback, NOW).unwrap();
    assert!(host.finish(check).is_ok());
}

/// SEC-017
#[test]
fn a_login_is_found_by_its_state_and_ends_at_its_own_issuer() {
    let host = Host::new();
    let (one, two) = (host.leave("alice"), host.leave("alice"));
    assert_ne!(one.key(), two.key());
    let callback = host.callback(&one);
    assert_eq!(Callback::from_url(&callback).state_digest().as_ref(), Some(one.key()));
    assert_eq!(Callback::from_url("/cb?code=c").state_digest(), None);
    assert_eq!(Callback::from_url("/cb?state=a&state=a").state_digest(), None);
    // Another tenant's server was made to answer: one redirect URI, the right state, the right user.
    let state = query(one.url(), "state").unwrap();
    let foreign = format!("/cb?code=c&state={state}&iss=https%3A%2F%2Fas.example%2Fb");
    let check = host.open(one.text(), "alice", &foreign, NOW).unwrap();
    let ended = host.finish(check);
    assert!(
        matches!(ended.as_ref().map_err(FlowError::kind), Err(FlowErrorKind::Callback(CallbackError::Rejected(why))) if *why == Rejection::IssuerMismatch),
        "{ended:?}"
    );
    assert_eq!(host.world.token_requests(), 0);
}

/// SEC-001, SEC-002
#[test]
fn a_refused_callback_with_the_right_state_uses_the_login_up() {
    for (answer, is_right) in [
        ("code=c&iss=https%3A%2F%2Fevil.example", false),
        ("code=c", false),
        ("code=c&error=access_denied&iss={iss}", false),
        ("error=access_denied&iss={iss}", true),
    ] {
        let host = Host::new();
        let sealed = host.leave("alice");
        let good = host.callback(&sealed);
        let answer = answer.replace("{iss}", &query(&good, "iss").unwrap());
        let state = query(sealed.url(), "state").unwrap();
        let bad = format!("/cb?{answer}&state={state}");
        let check = host.open(sealed.text(), "alice", &bad, NOW).unwrap();
        let ended = host.finish(check);
        assert_eq!(
            matches!(ended.as_ref().map_err(FlowError::kind), Err(FlowErrorKind::Denied(_))),
            is_right,
            "{ended:?}"
        );
        assert!(
            matches!(
                ended.as_ref().map_err(FlowError::kind),
                Err(FlowErrorKind::Denied(_) | FlowErrorKind::Callback(CallbackError::Rejected(_)))
            ),
            "{ended:?}"
        );
        // The right callback comes too late.
        let check = host.open(sealed.text(), "alice", &good, NOW).unwrap();
        assert!(matches!(
            host.finish(check).as_ref().map_err(FlowError::kind),
            Err(FlowErrorKind::Callback(CallbackError::Replayed))
        ));
        assert_eq!(host.world.token_requests(), 0);
    }
}

/// C-AUTHZ-5, SEC-023
#[test]
fn a_session_without_a_name_is_nobodys() {
    let host = Host::new();
    let step = login(config(), MCP, None, None).unwrap();
    let visit = host.world.until_user(step).unwrap().unwrap();
    let sealed = visit.seal(&host.key, "", Entropy::new([3; 24]));
    assert!(matches!(
        sealed.as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Seal(SealError::NoSession))
    ));
}

/// SEC-192
#[test]
fn what_is_sealed_shows_nothing_and_cannot_be_changed() {
    let host = Host::new();
    let sealed = host.leave("alice");
    let callback = host.callback(&sealed);
    let state = query(sealed.url(), "state").unwrap();
    let shown = format!("{sealed:?} {:?} {}", host.key, sealed.text());
    for secret in ["canary", &*state, "as.example", "AQEB", "CQkJ"] {
        assert!(!shown.contains(secret), "{secret}");
    }
    // What is in it is all encrypted, not only encoded.
    let bytes = URL_SAFE_NO_PAD.decode(sealed.text()).unwrap();
    for secret in
        ["canary-secret", &*state, "verifier", "as.example", "token_endpoint", "{\"", "\":"]
    {
        let is_in_it = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!is_in_it, "{secret}");
    }
    let open = |text: &str, key: &SealingKey| {
        Sealed::open(text, key, "alice", &config(), Callback::from_url(&callback), NOW).is_ok()
    };
    assert!(open(sealed.text(), &host.key));
    assert!(!open(sealed.text(), &SealingKey::new(Entropy::new([8; 32]))));
    for at in 0..sealed.text().len() {
        let mut text = sealed.text().to_owned();
        let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
        text.replace_range(at..=at, other);
        assert!(!open(&text, &host.key), "{at}");
        assert!(!open(&sealed.text()[..at], &host.key), "{at}");
    }
    assert!(!open(&format!("{}A", sealed.text()), &host.key));
}

#[test]
fn a_sealed_login_is_counted_until_any_process_gets_tokens() {
    let mut host = Host::new();
    let last = |host: &Host| host.world.saved.borrow().last().cloned();
    // The first login by a registration is not counted.
    let _ = host.leave("alice");
    host.world.kept = last(&host);
    let sealed = host.leave("alice");
    let kept = last(&host).unwrap();
    assert_eq!((kept.account.unfinished_logins, kept.account.unproven_since), (1, Some(NOW)));
    // Denied at another process, which knows of the count by the login and by the store.
    host.world.kept = Some(kept);
    let state = query(sealed.url(), "state").unwrap();
    let denied = format!("/cb?error=access_denied&state={state}&iss=https%3A%2F%2Fas.example");
    let check = host.open(sealed.text(), "alice", &denied, NOW).unwrap();
    assert!(matches!(
        host.finish(check).as_ref().map_err(FlowError::kind),
        Err(FlowErrorKind::Denied(_))
    ));
    let saved = |host: &Host| host.world.saved.borrow().last().cloned().unwrap().account;
    assert_eq!(saved(&host).unfinished_logins, 0);
    // Finished there.
    host.world.kept = last(&host);
    let sealed = host.leave("alice");
    assert_eq!(saved(&host).unfinished_logins, 1);
    let check = host.open(sealed.text(), "alice", &host.callback(&sealed), NOW).unwrap();
    host.finish(check).unwrap();
    assert_eq!((saved(&host).unfinished_logins, saved(&host).unproven_since), (0, None));
}
