//! Introspection responses that are accepted, and those that are rejected.

use core::time::Duration;

use http::header::CONTENT_TYPE;
use oauth_types::{ClaimError, ClaimNames, ClientId, Issuer, ResourceUri, Secret};
use serde_json::json;

use super::*;

const NOW: UnixTime = UnixTime::from_secs(1_000_000);
const KEY: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

fn introspection() -> Introspection {
    let issuer = Issuer::parse("https://as.example").unwrap();
    Introspection::new(issuer, ClientId::parse("rs").unwrap(), Secret::new("s"))
}

fn answer(status: u16, media_type: &str, body: &str) -> Response<Bytes> {
    let answer = Response::builder().status(status).header(CONTENT_TYPE, media_type);
    answer.body(body.to_owned().into()).unwrap()
}

fn read_as(status: u16, media_type: &str, body: &str) -> Result<Introspected, IntrospectionFailed> {
    introspection().read(&answer(status, media_type, body), NOW)
}

fn read(body: &str) -> Result<Introspected, IntrospectionFailed> {
    read_as(200, "application/json", body)
}

/// Reads a valid response with these members replaced; `null` removes one.
fn changed(members: &Value) -> Introspected {
    let mut body = json!({"active": true, "iss": "https://as.example", "sub": "alice",
        "client_id": "c", "aud": "https://rs.example/mcp", "scope": "read", "exp": 1_000_600});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    read(&body.to_string()).unwrap()
}

#[track_caller]
fn facts(members: &Value) -> AccessTokenInfo {
    match changed(members) {
        Introspected::Yes(believed) => (**believed.facts()).clone(),
        Introspected::No(why) => panic!("{members}: {why}"),
    }
}

#[track_caller]
fn refused(members: &Value) -> IntrospectionRejected {
    match changed(members) {
        Introspected::Yes(_) => panic!("{members}"),
        Introspected::No(why) => why,
    }
}

/// SEC-154
#[test]
fn what_is_no_answer_says_neither_yes_nor_no() {
    for (body, member) in [
        ("{}", "active"),
        (r#"{"active":"true"}"#, "active"),
        (r#"{"active":1}"#, "active"),
        (r#"{"active":null}"#, "active"),
        (r#"{"active":"false"}"#, "active"),
        (r#"{"active":0}"#, "active"),
        (r#"{"active":true,"scope":"a\\b"}"#, "scope"),
        (r#"{"active":true,"scope":[["a"]]}"#, "scope"),
        (r#"{"active":true,"exp":"soon"}"#, "exp"),
        (r#"{"active":true,"exp":"2026-11-30T00:00:00Z"}"#, "exp"),
        (r#"{"active":true,"exp":""}"#, "exp"),
        (r#"{"active":true,"username":7}"#, "username"),
        (r#"{"active":true,"exp":-1}"#, "exp"),
        (r#"{"active":true,"aud":{}}"#, "aud"),
        (r#"{"active":true,"sub":7}"#, "sub"),
        (r#"{"active":true,"iss":"as.example"}"#, "iss"),
    ] {
        let Err(IntrospectionFailed::Document(DocumentError::Member { member: named, .. })) =
            read(body)
        else {
            panic!("{body}");
        };
        assert_eq!(named, member, "{body}");
    }
    for body in [
        "",
        "<html>",
        "true",
        "[]",
        r#"{"active":true} {"active":true}"#,
        r#"{"active":false,"active":true}"#,
    ] {
        let error = IntrospectionFailed::Document(DocumentError::NotAnObject);
        assert_eq!(read(body), Err(error), "{body}");
    }
    let huge = format!(r#"{{"active":true,"x":"{}"}}"#, "x".repeat(Introspection::MAX_ANSWER));
    let error = IntrospectionFailed::Document(DocumentError::TooLarge);
    assert_eq!(read(&huge), Err(error));
}

/// SEC-154
#[test]
fn only_200_and_json_is_an_answer() {
    let yes = r#"{"active":true}"#;
    for (status, why) in
        [(401, IntrospectionFailed::NotAuthenticated), (403, IntrospectionFailed::NotAllowed)]
    {
        let failed = read_as(status, "application/json", yes).unwrap_err();
        assert_eq!(failed, why);
        assert!(!failed.is_passing());
    }
    for (status, is_passing, has_moved) in [
        (201, false, false),
        (204, false, false),
        (302, false, true),
        (400, false, false),
        (404, false, true),
        (405, false, true),
        (408, true, false),
        (410, false, true),
        (429, true, false),
        (500, true, false),
        (503, true, false),
    ] {
        let failed = read_as(status, "application/json", yes).unwrap_err();
        assert!(matches!(failed, IntrospectionFailed::Status(own) if own == status));
        let judged = (failed.is_passing(), failed.may_have_moved());
        assert_eq!(judged, (is_passing, has_moved), "{status}");
    }
    for media_type in
        ["text/html", "", "text/json", "application/jwt", "application/token-introspection+jwt"]
    {
        let failed = read_as(200, media_type, yes);
        assert_eq!(failed, Err(IntrospectionFailed::MediaType), "{media_type}");
    }
    assert!(read_as(200, "Application/JSON; charset=utf-8", yes).is_ok());
}

/// R-AUTH-3
#[test]
fn an_answer_becomes_facts_and_nothing_is_made_up() {
    let all = facts(&json!({}));
    assert_eq!((all.subject.as_str(), all.client_id.as_str()), ("alice", "c"));
    assert_eq!(all.issuer.as_str(), "https://as.example");
    assert_eq!(all.scopes.as_str(), "read");
    assert_eq!(all.audience, [ResourceUri::parse("https://rs.example/mcp").unwrap()]);
    assert_eq!(all.expires_at, Some(UnixTime::from_secs(1_000_600)));
    assert_eq!(all.jkt, None);
    // An absent member is left out of the facts, and is refused where it is required.
    let least = facts(&json!({"iss": null, "aud": null, "scope": null, "exp": null}));
    assert_eq!(least.issuer.as_str(), "https://as.example");
    assert!(least.audience.is_empty() && least.scopes.is_empty());
    assert_eq!(least.expires_at, None);
    assert!(facts(&json!({"scope": ""})).scopes.is_empty());
    let several = facts(&json!({"aud": ["account", "https://b.example/x", "urn:x", ""]}));
    assert_eq!(several.audience, [ResourceUri::parse("https://b.example/x").unwrap()]);
}

/// R-AUTH-1, R-AUTH-8
#[test]
fn a_token_that_is_active_may_still_be_nobodys() {
    assert_eq!(refused(&json!({"active": false})), IntrospectionRejected::Inactive);
    let empty = json!({"active": false, "client_id": "", "iss": "", "scope": [], "exp": "0"});
    assert_eq!(refused(&empty), IntrospectionRejected::Inactive);
    for issuer in ["https://as.example/", "https://AS.example", "https://other.example"] {
        assert_eq!(
            refused(&json!({"iss": issuer})),
            IntrospectionRejected::ForeignIssuer,
            "{issuer}"
        );
    }
    assert_eq!(refused(&json!({"nbf": 1_000_061})), IntrospectionRejected::NotYet);
    assert_eq!(facts(&json!({"nbf": 1_000_060})).subject.as_str(), "alice");
    assert_eq!(refused(&json!({"client_id": null})), IntrospectionRejected::NoClient);
    let many = vec!["https://rs.example/mcp"; 101];
    assert_eq!(refused(&json!({"aud": many})), IntrospectionRejected::Audience);
    for nobody in [json!({"sub": null}), json!({"sub": ""})] {
        assert_eq!(refused(&nobody), IntrospectionRejected::NoSubject);
    }
}

/// R-AUTH-8
#[test]
fn a_client_without_user_stands_for_itself_if_the_host_says_so() {
    let read = |body: Value| {
        let answer = answer(200, "application/json", &body.to_string());
        introspection().with_unnamed_subjects().read(&answer, NOW).unwrap()
    };
    let Introspected::Yes(found) = read(json!({"active": true, "client_id": "c"})) else {
        panic!("the client's own token");
    };
    assert_eq!(found.facts().subject.as_str(), "c");
    for (named, why) in [
        (json!({"username": "alice"}), IntrospectionRejected::SubjectElsewhere),
        (json!({"sub": ""}), IntrospectionRejected::NoSubject),
    ] {
        let mut body = json!({"active": true, "client_id": "c"});
        body.as_object_mut().unwrap().extend(named.as_object().unwrap().clone());
        assert_eq!(read(body), Introspected::No(why));
    }
}

/// R-AUTH-8: the refusal names it.
#[test]
fn the_host_can_set_the_member_that_names_users() {
    // django-oauth-toolkit omits `sub` and `aud`.
    let body = json!({"active": true, "scope": "read", "exp": 1_000_600, "client_id": "c",
        "username": "alice", "uid": "u-7"});
    let read = |asking: Introspection, body: &Value| {
        asking.read(&answer(200, "application/json", &body.to_string()), NOW).unwrap()
    };
    let Introspected::No(why) = read(introspection(), &body) else { panic!("no `sub`") };
    assert_eq!(why, IntrospectionRejected::SubjectElsewhere);
    for said in ["`sub`", "with_subject_claim", "username"] {
        assert!(why.to_string().contains(said), "{why}");
    }
    let Introspected::No(why) = read(introspection(), &json!({"active": true, "client_id": "c"}))
    else {
        panic!("nobody")
    };
    assert_eq!(why, IntrospectionRejected::NoSubject);
    assert!(why.to_string().contains("`sub`"), "{why}");

    for (claim, subject) in [("username", "alice"), ("uid", "u-7")] {
        let asking = introspection().with_subject_claim(claim);
        let Introspected::Yes(found) = read(asking.clone(), &body) else { panic!("{claim}") };
        assert_eq!(found.facts().subject.as_str(), subject);
        // A member of another type, or an absent one, names no user; the other members are not searched.
        for other in [json!(7), json!(""), json!(null), json!(["alice"])] {
            let mut body = body.clone();
            body[claim] = other;
            body["sub"] = json!("mallory");
            let found = asking.read(&answer(200, "application/json", &body.to_string()), NOW);
            assert!(!matches!(found, Ok(Introspected::Yes(_))), "{body}");
            let asking = asking.clone().with_unnamed_subjects();
            let found = asking.read(&answer(200, "application/json", &body.to_string()), NOW);
            assert!(!matches!(found, Ok(Introspected::Yes(_))), "{body}");
        }
    }
    // A token of the client itself, where the host declares that such tokens name no user.
    let asking = introspection().with_subject_claim("username").with_unnamed_subjects();
    let Introspected::Yes(found) = read(asking, &json!({"active": true, "client_id": "c"})) else {
        panic!("the client's own token");
    };
    assert_eq!(found.facts().subject.as_str(), "c");
}

/// R-AUTH-3
#[test]
fn a_missing_or_other_audience_counts_only_if_the_host_says_so() {
    let own = ResourceUri::parse("https://rs.example/mcp").unwrap();
    let is_own = |asking: Introspection, aud: Value| {
        let mut body = json!({"active": true, "sub": "alice", "client_id": "c", "aud": aud});
        body.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        match asking.read(&answer(200, "application/json", &body.to_string()), NOW).unwrap() {
            Introspected::Yes(found) => found.facts().audience.contains(&own),
            Introspected::No(why) => panic!("{why}"),
        }
    };
    let named = || introspection().with_audience("mcp-server", own.clone());
    let sole = || introspection().with_sole_resource(own.clone());
    for (aud, none, by_name, by_absence) in [
        (json!("mcp-server"), false, true, false),
        (json!(["account", "mcp-server"]), false, true, false),
        (json!("MCP-server"), false, false, false),
        (json!(null), false, false, true),
        (json!([]), false, false, false),
        (json!("https://other.example"), false, false, false),
        (json!("https://rs.example/mcp"), true, true, true),
    ] {
        let found = [introspection(), named(), sole()].map(|asking| is_own(asking, aud.clone()));
        assert_eq!(found, [none, by_name, by_absence], "{aud}");
    }
}

#[test]
fn a_token_is_bound_to_the_key_that_is_said_or_it_is_refused() {
    let key = Some(Thumbprint::parse(KEY).unwrap());
    for bound in [
        json!({"token_type": "DPoP", "cnf": {"jkt": KEY}}),
        json!({"token_type": "dpop", "cnf": {"jkt": KEY}}),
        json!({"token_type": "Bearer", "cnf": {"jkt": KEY}}),
        json!({"cnf": {"jkt": KEY}}),
    ] {
        assert_eq!(facts(&bound).jkt, key);
    }
    for bearer in [
        json!({"token_type": "bearer"}),
        json!({"token_type": "access_token"}),
        json!({"cnf": null}),
    ] {
        assert_eq!(facts(&bearer).jkt, None);
    }
    for bad in [
        json!({"token_type": "DPoP"}),
        json!({"cnf": {}}),
        json!({"cnf": "jkt"}),
        json!({"cnf": [KEY]}),
        json!({"cnf": {"jkt": 1}}),
        json!({"cnf": {"jkt": "short"}}),
        json!({"cnf": {"x5t#S256": KEY}}),
        json!({"cnf": {"jkt": KEY, "x5t#S256": KEY}}),
    ] {
        assert_eq!(refused(&bad), IntrospectionRejected::Confirmation);
    }
    for other in ["mac", "N_A", "refresh_token", ""] {
        assert_eq!(refused(&json!({"token_type": other})), IntrospectionRejected::TokenType);
    }
}

/// SEC-231
#[test]
fn an_answer_about_another_kind_of_token_is_refused() {
    let refused_for = |member: &'static str, value: Value| {
        let why = refused(&json!({ member: value }));
        assert_eq!(why, IntrospectionRejected::NotAccessToken { member }, "{member}: {value}");
        assert!(why.to_string().contains(member), "{why}");
    };
    for other in ["refresh_token", "refresh", "id", "id_token", "access_token ", ""] {
        refused_for("token_use", json!(other));
    }
    for other in ["Refresh", "Offline", "ID", "Logout", "logout+jwt", "rt+jwt", ""] {
        refused_for("typ", json!(other));
    }
    for member in ["token_use", "typ"] {
        for value in [json!(7), json!(true), json!(["Bearer", "access_token"]), json!({})] {
            refused_for(member, value);
        }
    }
    for (member, value) in [
        ("token_use", json!("access_token")),
        ("token_use", json!("Access_Token")),
        ("token_use", json!("access")),
        ("token_use", json!(null)),
        ("typ", json!("Bearer")),
        ("typ", json!("bearer")),
        ("typ", json!("DPoP")),
        ("typ", json!("JWT")),
        ("typ", json!("at+jwt")),
        ("typ", json!("application/at+JWT")),
        ("typ", json!(null)),
    ] {
        assert_eq!(facts(&json!({ member: value })).subject.as_str(), "alice");
    }
}

/// SEC-155
#[test]
fn an_answer_is_believed_for_half_a_minute_at_most() {
    let answer = json!({"active": true, "client_id": "c", "sub": "a", "exp": 1_000_600});
    let answer = self::answer(200, "application/json", &answer.to_string());
    for (chosen, seconds) in [(None, 10), (Some(0), 0), (Some(5), 5), (Some(3600), 30)] {
        let own = introspection();
        let own = match chosen {
            Some(window) => own.with_window(Duration::from_secs(window)),
            None => own,
        };
        let Introspected::Yes(found) = own.read(&answer, NOW).unwrap() else { panic!() };
        let after = |seconds| found.at(NOW.saturating_add(Duration::from_secs(seconds))).is_some();
        assert!(seconds == 0 || after(seconds - 1), "{chosen:?}");
        assert!(!after(seconds), "{chosen:?}");
    }
}

#[test]
fn named_members_are_passed_on_and_nothing_else() {
    let body = json!({"active": true, "sub": "alice", "client_id": "c", "username": "Alice", "jti": "t1",
        "groups": ["staff"], "email": "canary@example.org", "exp": 1_000_600, "aud": "https://rs.example/mcp"});
    let names = ClaimNames::new(["groups", "username", "jti", "phone"]).unwrap();
    let read = |settings: Introspection| {
        let answer = answer(200, "application/json", &body.to_string());
        match settings.read(&answer, NOW).unwrap() {
            Introspected::Yes(believed) => (**believed.facts()).clone(),
            Introspected::No(why) => panic!("{why}"),
        }
    };
    let facts = read(introspection().with_extra_claims(names));
    assert_eq!(facts.claims.get::<Vec<String>>("groups").unwrap(), ["staff"]);
    assert_eq!(facts.claims.get::<String>("username").unwrap(), "Alice");
    assert_eq!(facts.claims.get::<String>("jti").unwrap(), "t1");
    for absent in ["phone", "email", "sub"] {
        assert_eq!(facts.claims.get::<String>(absent), Err(ClaimError::Absent), "{absent}");
    }
    let none = read(introspection());
    assert_eq!(none.claims.names().count(), 0);
    assert!(!format!("{facts:?}").contains("staff") && !format!("{none:?}").contains("canary"));
}
