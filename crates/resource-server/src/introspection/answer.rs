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
use oauth_types::{
    DocumentError, IntrospectionAnswer, Thumbprint, TokenFacts, UnixTime, media_type,
};
use serde_json::Value;

use crate::believed::Believed;
use crate::foreign::{SKEW, bound_key};
use crate::introspection::Introspection;

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
#[expect(clippy::exhaustive_enums, reason = "a token works or it does not (RFC 7662 §2.2)")]
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
        if media_type(answer.headers()).as_deref() != Some("application/json") {
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
        Ok(TokenFacts::new(subject, client_id, self.issuer.clone())
            .with_scopes(answer.scope.unwrap_or_default())
            .with_audience(audience)
            .with_expires_at(answer.exp)
            .with_jkt(jkt))
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
mod tests;
