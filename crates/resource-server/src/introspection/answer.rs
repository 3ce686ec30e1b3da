//! What does its authorization server say about a token? (RFC 7662)
//!
//! Whether there is an answer:
//!
//! | check, in this order | requirement | otherwise |
//! |---|---|---|
//! | the server takes us for who we are, and lets us ask | RFC 7662 §2.3 | `NotAuthenticated`, `NotAllowed` |
//! | the status is 200: a redirect is not followed | | `Status` |
//! | the media type is JSON; a signed answer (RFC 9701) is not read | RFC 7662 §2.2 | `MediaType` |
//! | it is an object, and `active` a JSON boolean | SEC-154 | `Document` |
//!
//! Whether it lets the token in. What is not said here is not judged here: [`Presented`](crate::Presented) does.
//!
//! | check, in this order | requirement | otherwise |
//! |---|---|---|
//! | the token is active | SEC-154 | `Inactive` |
//! | `iss`, where there is one, is this server, byte for byte | RFC 7662 §2.2 | `ForeignIssuer` |
//! | it works already | RFC 7662 §2.2 | `NotYet` |
//! | `token_use` and `typ`, where they are there, name an access token | SEC-231 | `NotAccessToken` |
//! | it is shown as a bearer token or with DPoP | RFC 6749 §7.1 | `TokenType` |
//! | it is bound to nothing, or to a key whose thumbprint is said | RFC 9449 §6.2 | `Confirmation` |
//! | it says which client it was given to | R-AUTH-8 | `NoClient` |
//! | it says whose it is, in `sub` or where [`with_subject_claim`](Introspection::with_subject_claim) says | R-AUTH-8 | `NoSubject`, `SubjectElsewhere` |
//! | it is for 100 recipients at most | | `Audience` |

use core::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use oauth_types::{DocumentError, IntrospectionAnswer, Thumbprint, UnixTime, media_type};
use serde_json::Value;

use crate::foreign::{SKEW, bound_key};
use crate::{Believed, Introspection, TokenFacts};

/// Why nothing was learned about a token: the server did not say. It holds no text of the answer.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum IntrospectionFailed {
    /// The server does not take us for who we say we are (401): the configuration is wrong, not the token.
    NotAuthenticated,
    /// The server does not let us ask (403).
    NotAllowed,
    /// Another status than 200.
    Status(StatusCode),
    /// Not JSON. A signed answer (RFC 9701), which nobody asked for, is not either.
    MediaType,
    /// Not an introspection answer.
    Document(DocumentError),
}

impl IntrospectionFailed {
    /// Whether it may be over by itself. What is not is the operator's to mend, here or there.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Status(status) => {
                status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
            }
            _ => false,
        }
    }
}

impl IntrospectionFailed {
    /// Whether the endpoint may be somewhere else by now, so that the metadata is worth another look.
    #[must_use]
    pub fn may_have_moved(&self) -> bool {
        match self {
            Self::Status(status) => {
                status.is_redirection() || matches!(status.as_u16(), 404 | 405 | 410)
            }
            _ => false,
        }
    }
}

impl fmt::Display for IntrospectionFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAuthenticated => f.write_str(
                "the authorization server does not take this resource server's word for who it is",
            ),
            Self::NotAllowed => {
                f.write_str("the authorization server does not let this resource server ask")
            }
            Self::Status(status) => write!(f, "the introspection endpoint answered {status}"),
            Self::MediaType => f.write_str("the introspection endpoint did not answer with JSON"),
            Self::Document(error) => write!(f, "no introspection answer: {error}"),
        }
    }
}

impl core::error::Error for IntrospectionFailed {}

/// What an authorization server's answer comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Introspected {
    /// The token works, as far as its server is concerned.
    Yes(Believed),
    /// It does not.
    No(NotTaken),
}

/// Why a token is as good as unknown: for the log.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum NotTaken {
    /// It is unknown, expired, revoked, or none of our business: the server does not say which (RFC 7662 §2.2).
    Inactive,
    /// The server says that another one issued it.
    ForeignIssuer,
    /// It begins to work later.
    NotYet,
    /// The answer names another kind of token in this member, such as a refresh token or an ID token.
    NotAccessToken {
        /// `token_use` or `typ`.
        member: &'static str,
    },
    /// It is shown in a way that is not spoken here.
    TokenType,
    /// It is bound to something that is not checked here.
    Confirmation,
    /// The server does not say which client it was given to.
    NoClient,
    /// The server does not say whose it is: neither `sub` nor `username` is there.
    NoSubject,
    /// The server says whose it is in another member than `sub`, or than the one that
    /// [`with_subject_claim`](Introspection::with_subject_claim) names.
    SubjectElsewhere,
    /// It is for more than 100 recipients.
    Audience,
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAccessToken { member } => {
                return write!(
                    f,
                    "the answer names another kind of token than an access token in `{member}`: \
                     the client has to send its access token"
                );
            }
            Self::Inactive => "the token is not active",
            Self::ForeignIssuer => "the token is of another issuer",
            Self::NotYet => "the token does not work yet",
            Self::TokenType => "the token is of a type that is not spoken here",
            Self::Confirmation => "the token is bound to something that is not checked here",
            Self::NoClient => "the answer does not name the client: `client_id` is missing",
            Self::NoSubject => {
                "the answer does not name the user: `sub` is missing; \
                 where the server names users in another member, name it by `with_subject_claim`"
            }
            Self::SubjectElsewhere => {
                "the answer names the user, but not in the member that is read (`sub`): \
                 name the right one by `with_subject_claim`, such as `username`"
            }
            Self::Audience => "the token is for too many recipients",
        })
    }
}

impl Introspection {
    /// Reads the answer to a question that was asked at `now` or later.
    ///
    /// # Errors
    ///
    /// [`IntrospectionFailed`] when it says neither yes nor no.
    pub fn read(
        &self,
        answer: &Response<Bytes>,
        now: UnixTime,
    ) -> Result<Introspected, IntrospectionFailed> {
        // SEC-154
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => return Err(IntrospectionFailed::NotAuthenticated),
            StatusCode::FORBIDDEN => return Err(IntrospectionFailed::NotAllowed),
            status => return Err(IntrospectionFailed::Status(status)),
        }
        if media_type(answer.headers()) != "application/json" {
            return Err(IntrospectionFailed::MediaType);
        }
        let read = match IntrospectionAnswer::from_json(answer.body()) {
            // Beside a no nothing else counts (RFC 7662 §2.2), such as the empty texts that some servers write there.
            Err(DocumentError::Member { .. }) if says_no(answer.body()) => {
                return Ok(Introspected::No(NotTaken::Inactive));
            }
            read => read.map_err(IntrospectionFailed::Document)?,
        };
        Ok(match self.judge(read, now) {
            Ok(facts) => Introspected::Yes(Believed::new(Arc::new(facts), self.window, now)),
            Err(why) => Introspected::No(why),
        })
    }

    fn judge(&self, answer: IntrospectionAnswer, now: UnixTime) -> Result<TokenFacts, NotTaken> {
        if !answer.active {
            return Err(NotTaken::Inactive);
        }
        if answer.iss.as_ref().is_some_and(|issuer| *issuer != self.issuer) {
            return Err(NotTaken::ForeignIssuer);
        }
        if answer.nbf.is_some_and(|begin| now.plus(SKEW) < begin) {
            return Err(NotTaken::NotYet);
        }
        if let Some(member) = other_kind(&answer) {
            return Err(NotTaken::NotAccessToken { member });
        }
        let jkt = confirmed_key(&answer)?;
        let client_id = answer.client_id.ok_or(NotTaken::NoClient)?;
        let is_unnamed = answer.sub.is_none() && answer.username.is_none();
        let is_said = |name: &Option<String>| name.as_ref().is_some_and(|name| !name.is_empty());
        let names_user = is_said(&answer.sub) || is_said(&answer.username);
        let named = match &*self.subject_claim {
            "sub" => answer.sub,
            "username" => answer.username,
            other => answer.extra.get(other).and_then(Value::as_str).map(str::to_owned),
        };
        let subject = match named {
            Some(subject) if !subject.is_empty() => subject,
            None if is_unnamed && self.takes_unnamed => client_id.as_str().to_owned(),
            _ if names_user => return Err(NotTaken::SubjectElsewhere),
            _ => return Err(NotTaken::NoSubject),
        };
        let audience = match (answer.aud, &self.sole_resource) {
            (None, Some(resource)) => vec![resource.clone()],
            (audience, _) => {
                let audience = audience.unwrap_or_default();
                self.audiences.recipients(&audience).ok_or(NotTaken::Audience)?
            }
        };
        Ok(TokenFacts {
            subject,
            client_id,
            issuer: self.issuer.clone(),
            scopes: answer.scope.unwrap_or_default(),
            audience,
            expires_at: answer.exp,
            jkt,
        })
    }
}

/// Whether a JSON object says that the token is not active.
fn says_no(object: &[u8]) -> bool {
    let object = serde_json::from_slice::<Value>(object).ok();
    object.and_then(|object| object.get("active")?.as_bool()) == Some(false)
}

/// Returns the member that names another kind of token than an access token.
///
/// The endpoint knows refresh tokens too (RFC 7662 §2.1). Neither member is registered, and `null` says nothing:
///
/// | member | names an access token | names another | written by |
/// |---|---|---|---|
/// | `token_use` | `access_token`, `access` | `refresh_token`, `id` | Ory Hydra, Appwrite; gateways that show claims of Amazon Cognito |
/// | `typ` | `Bearer`, `DPoP`, `JWT`, `at+jwt`, `application/at+jwt` | `Refresh`, `Offline`, `ID` | Keycloak, and servers that show the header of a JWT |
fn other_kind(answer: &IntrospectionAnswer) -> Option<&'static str> {
    let known: [(&'static str, &[&str]); 2] = [
        ("token_use", &["access_token", "access"]),
        ("typ", &["Bearer", "DPoP", "JWT", "at+jwt", "application/at+jwt"]),
    ];
    let is_other = |&(member, names): &(&'static str, &[&str])| {
        let value = answer.extra.get(member).filter(|value| !value.is_null());
        value.is_some_and(|value| {
            let is = |kind: &str| names.iter().any(|name| name.eq_ignore_ascii_case(kind));
            !value.as_str().is_some_and(is)
        })
    };
    known.iter().find(|known| is_other(known)).map(|(member, _)| *member)
}

/// The key that the token is bound to, if to any (RFC 9449 §6.2, RFC 7800 §3.1).
fn confirmed_key(answer: &IntrospectionAnswer) -> Result<Option<Thumbprint>, NotTaken> {
    let is_dpop = match answer.token_type.as_deref() {
        None => false,
        Some(name) if name.eq_ignore_ascii_case("Bearer") => false,
        // Duende IdentityServer writes the kind of token here, and not how it is presented.
        Some("access_token") => false,
        Some(name) if name.eq_ignore_ascii_case("DPoP") => true,
        Some(_) => return Err(NotTaken::TokenType),
    };
    let bound = bound_key(answer.extra.get("cnf")).map_err(|_| NotTaken::Confirmation)?;
    if is_dpop && bound.is_none() { Err(NotTaken::Confirmation) } else { Ok(bound) }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use http::header::CONTENT_TYPE;
    use oauth_types::{ClientId, Issuer, ResourceUri, Secret};
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

    fn read_as(
        status: u16,
        media_type: &str,
        body: &str,
    ) -> Result<Introspected, IntrospectionFailed> {
        introspection().read(&answer(status, media_type, body), NOW)
    }

    fn read(body: &str) -> Result<Introspected, IntrospectionFailed> {
        read_as(200, "application/json", body)
    }

    /// What a good answer with these members instead comes to; `null` takes one away.
    fn changed(members: &Value) -> Introspected {
        let mut body = json!({"active": true, "iss": "https://as.example", "sub": "alice",
            "client_id": "c", "aud": "https://rs.example/mcp", "scope": "read", "exp": 1_000_600});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        read(&body.to_string()).unwrap()
    }

    #[track_caller]
    fn facts(members: &Value) -> TokenFacts {
        match changed(members) {
            Introspected::Yes(believed) => (**believed.facts()).clone(),
            Introspected::No(why) => panic!("{members}: {why}"),
        }
    }

    #[track_caller]
    fn refused(members: &Value) -> NotTaken {
        match changed(members) {
            Introspected::Yes(_) => panic!("{members}"),
            Introspected::No(why) => why,
        }
    }

    #[test]
    fn sec_154_what_is_no_answer_says_neither_yes_nor_no() {
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

    #[test]
    fn sec_154_only_200_and_json_is_an_answer() {
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

    #[test]
    fn r_auth_3_an_answer_becomes_facts_and_nothing_is_made_up() {
        let all = facts(&json!({}));
        assert_eq!((&*all.subject, all.client_id.as_str()), ("alice", "c"));
        assert_eq!(all.issuer.as_str(), "https://as.example");
        assert_eq!(all.scopes.as_str(), "read");
        assert_eq!(all.audience, [ResourceUri::parse("https://rs.example/mcp").unwrap()]);
        assert_eq!(all.expires_at, Some(UnixTime::from_secs(1_000_600)));
        assert_eq!(all.jkt, None);
        // What is not said is not there, and is refused where it counts.
        let least = facts(&json!({"iss": null, "aud": null, "scope": null, "exp": null}));
        assert_eq!(least.issuer.as_str(), "https://as.example");
        assert!(least.audience.is_empty() && least.scopes.is_empty());
        assert_eq!(least.expires_at, None);
        assert!(facts(&json!({"scope": ""})).scopes.is_empty());
        let several = facts(&json!({"aud": ["account", "https://b.example/x", "urn:x", ""]}));
        assert_eq!(several.audience, [ResourceUri::parse("https://b.example/x").unwrap()]);
    }

    #[test]
    fn r_auth_1_r_auth_8_a_token_that_is_active_may_still_be_nobodys() {
        assert_eq!(refused(&json!({"active": false})), NotTaken::Inactive);
        let empty = json!({"active": false, "client_id": "", "iss": "", "scope": [], "exp": "0"});
        assert_eq!(refused(&empty), NotTaken::Inactive);
        for issuer in ["https://as.example/", "https://AS.example", "https://other.example"] {
            assert_eq!(refused(&json!({"iss": issuer})), NotTaken::ForeignIssuer, "{issuer}");
        }
        assert_eq!(refused(&json!({"nbf": 1_000_061})), NotTaken::NotYet);
        assert_eq!(facts(&json!({"nbf": 1_000_060})).subject, "alice");
        assert_eq!(refused(&json!({"client_id": null})), NotTaken::NoClient);
        let many = vec!["https://rs.example/mcp"; 101];
        assert_eq!(refused(&json!({"aud": many})), NotTaken::Audience);
        for nobody in [json!({"sub": null}), json!({"sub": ""})] {
            assert_eq!(refused(&nobody), NotTaken::NoSubject);
        }
    }

    #[test]
    fn r_auth_8_a_client_stands_for_itself_where_the_host_says_so_and_no_user_is_named() {
        let read = |body: Value| {
            let answer = answer(200, "application/json", &body.to_string());
            introspection().taking_unnamed_subjects().read(&answer, NOW).unwrap()
        };
        let Introspected::Yes(found) = read(json!({"active": true, "client_id": "c"})) else {
            panic!("the client's own token");
        };
        assert_eq!(found.facts().subject, "c");
        for (named, why) in [
            (json!({"username": "alice"}), NotTaken::SubjectElsewhere),
            (json!({"sub": ""}), NotTaken::NoSubject),
        ] {
            let mut body = json!({"active": true, "client_id": "c"});
            body.as_object_mut().unwrap().extend(named.as_object().unwrap().clone());
            assert_eq!(read(body), Introspected::No(why));
        }
    }

    #[test]
    fn r_auth_8_the_member_that_names_users_can_be_named_and_the_refusal_says_so() {
        // As django-oauth-toolkit answers: no `sub`, no `aud`.
        let body = json!({"active": true, "scope": "read", "exp": 1_000_600, "client_id": "c",
            "username": "alice", "uid": "u-7"});
        let read = |asking: Introspection, body: &Value| {
            asking.read(&answer(200, "application/json", &body.to_string()), NOW).unwrap()
        };
        let Introspected::No(why) = read(introspection(), &body) else { panic!("no `sub`") };
        assert_eq!(why, NotTaken::SubjectElsewhere);
        for said in ["`sub`", "with_subject_claim", "username"] {
            assert!(why.to_string().contains(said), "{why}");
        }
        let Introspected::No(why) =
            read(introspection(), &json!({"active": true, "client_id": "c"}))
        else {
            panic!("nobody")
        };
        assert_eq!(why, NotTaken::NoSubject);
        assert!(why.to_string().contains("`sub`"), "{why}");

        for (claim, subject) in [("username", "alice"), ("uid", "u-7")] {
            let asking = introspection().with_subject_claim(claim);
            let Introspected::Yes(found) = read(asking.clone(), &body) else { panic!("{claim}") };
            assert_eq!(found.facts().subject, subject);
            // A member of another form, or none, is nobody; it is not looked for elsewhere.
            for other in [json!(7), json!(""), json!(null), json!(["alice"])] {
                let mut body = body.clone();
                body[claim] = other;
                body["sub"] = json!("mallory");
                let found = asking.read(&answer(200, "application/json", &body.to_string()), NOW);
                assert!(!matches!(found, Ok(Introspected::Yes(_))), "{body}");
                let asking = asking.clone().taking_unnamed_subjects();
                let found = asking.read(&answer(200, "application/json", &body.to_string()), NOW);
                assert!(!matches!(found, Ok(Introspected::Yes(_))), "{body}");
            }
        }
        // The client's own token, where the host says that such tokens name nobody.
        let asking = introspection().with_subject_claim("username").taking_unnamed_subjects();
        let Introspected::Yes(found) = read(asking, &json!({"active": true, "client_id": "c"}))
        else {
            panic!("the client's own token");
        };
        assert_eq!(found.facts().subject, "c");
    }

    #[test]
    fn r_auth_3_names_of_the_resource_and_answers_without_an_audience_count_where_the_host_says_so()
    {
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
            let found =
                [introspection(), named(), sole()].map(|asking| is_own(asking, aud.clone()));
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
            assert_eq!(refused(&bad), NotTaken::Confirmation);
        }
        for other in ["mac", "N_A", "refresh_token", ""] {
            assert_eq!(refused(&json!({"token_type": other})), NotTaken::TokenType);
        }
    }

    #[test]
    fn sec_231_an_answer_about_another_kind_of_token_is_refused() {
        let refused_for = |member: &'static str, value: Value| {
            let why = refused(&json!({ member: value }));
            assert_eq!(why, NotTaken::NotAccessToken { member }, "{member}: {value}");
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
            assert_eq!(facts(&json!({ member: value })).subject, "alice");
        }
    }

    #[test]
    fn sec_155_an_answer_is_believed_for_half_a_minute_at_most() {
        let answer = json!({"active": true, "client_id": "c", "sub": "a", "exp": 1_000_600});
        let answer = self::answer(200, "application/json", &answer.to_string());
        for (chosen, seconds) in [(None, 10), (Some(0), 0), (Some(5), 5), (Some(3600), 30)] {
            let own = introspection();
            let own = match chosen {
                Some(window) => own.with_window(Duration::from_secs(window)),
                None => own,
            };
            let Introspected::Yes(found) = own.read(&answer, NOW).unwrap() else { panic!() };
            let after = |seconds| found.at(NOW.plus(Duration::from_secs(seconds))).is_some();
            assert!(seconds == 0 || after(seconds - 1), "{chosen:?}");
            assert!(!after(seconds), "{chosen:?}");
        }
    }
}
