//! Introspection responses: from the HTTP response to facts about the token (RFC 7662 §2.2).
//!
//! Checks of the response:
//!
//! | check, in this order | requirement | otherwise |
//! |---|---|---|
//! | the server accepts the credentials and permits the request | RFC 7662 §2.3 | `NotAuthenticated`, `NotAllowed` |
//! | the status is 200; redirects are not followed | | `Status` |
//! | the media type is JSON; a signed response (RFC 9701) is not read | RFC 7662 §2.2 | `MediaType` |
//! | the body is an object, and `active` a JSON boolean | SEC-154 | `Document` |
//!
//! Checks of the token; [`Presented`](crate::Presented) makes all others:
//!
//! | check, in this order | requirement | otherwise |
//! |---|---|---|
//! | the token is active | SEC-154 | `Inactive` |
//! | `iss`, if present, is this issuer, byte for byte | RFC 7662 §2.2 | `ForeignIssuer` |
//! | `nbf`, if present, is reached, with 60 seconds of tolerance | RFC 7662 §2.2 | `NotYet` |
//! | `token_use` and `typ`, if present, name an access token | SEC-231 | `NotAccessToken` |
//! | `token_type`, if present, is a bearer or DPoP token | RFC 6749 §7.1 | `TokenType` |
//! | `cnf`, if present, has the thumbprint of a key and nothing else | RFC 9449 §6.2 | `Confirmation` |
//! | `client_id` is present | R-AUTH-8 | `NoClient` |
//! | `sub` or [the configured member][claim] is present | R-AUTH-8 | `NoSubject`, `SubjectElsewhere` |
//! | the audience has at most 100 members | | `Audience` |
//!
//! [claim]: Introspection::with_subject_claim

use core::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use oauth_types::{
    AccessTokenInfo, DocumentError, IntrospectionResponse, Subject, Thumbprint, UnixTime,
    media_type,
};
use serde_json::Value;

use crate::cache_duration::CacheDuration;
use crate::foreign::{SKEW, bound_key};
use crate::introspection::Introspection;

/// Errors after which nothing is known about a token; they contain no text of the response.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum IntrospectionFailed {
    /// The server rejects the credentials of this resource server (401); check the configuration.
    NotAuthenticated,
    /// The server does not permit this resource server to introspect tokens (403).
    NotAllowed,
    /// The status is not 200.
    Status(StatusCode),
    /// The media type is not JSON; a signed response (RFC 9701) has another one.
    MediaType,
    /// The body is not an introspection response.
    Document(DocumentError),
}

impl IntrospectionFailed {
    /// Returns `true` if a later request may succeed.
    ///
    /// Otherwise an operator must correct the configuration.
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
    /// Returns `true` if the endpoint may have moved, so that the metadata should be fetched again.
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
                "the introspection endpoint answered 401 instead of 200: configure the client identifier and secret \
                 that the authorization server issued to this resource server",
            ),
            Self::NotAllowed => f.write_str(
                "the introspection endpoint answered 403 instead of 200: the authorization server's operator has to \
                 permit this resource server to introspect tokens",
            ),
            Self::Status(status) => {
                write!(f, "the introspection endpoint answered {} instead of 200: ", status.as_u16())?;
                f.write_str(if self.is_passing() {
                    "the authorization server's operator has to correct that, unless it passes with time"
                } else {
                    "check the URL of the endpoint, then ask the authorization server's operator"
                })
            }
            Self::MediaType => f.write_str(
                "the introspection endpoint did not answer with `application/json`: the authorization server's \
                 operator has to let it, because signed responses (RFC 9701) are not read",
            ),
            Self::Document(error) => write!(
                f,
                "the introspection response is malformed ({error}): the authorization server's operator has to \
                 correct it (RFC 7662 §2.2)"
            ),
        }
    }
}

impl core::error::Error for IntrospectionFailed {}

/// Result of an introspection.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a token works or it does not (RFC 7662 §2.2)")]
pub enum Introspected {
    /// The token is valid at its authorization server.
    Yes(CacheDuration),
    /// The token is not accepted.
    No(IntrospectionRejected),
}

/// Reasons to treat a token as unknown, for logs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum IntrospectionRejected {
    /// The token is unknown, expired, revoked, or for another server (RFC 7662 §2.2).
    Inactive,
    /// The response names another issuer.
    ForeignIssuer,
    /// The token is not valid yet (`nbf`).
    NotYet,
    /// The response names another kind of token, such as a refresh token or an ID token.
    NotAccessToken {
        /// The member that names it: `token_use` or `typ`.
        member: &'static str,
    },
    /// The token type is neither bearer nor DPoP.
    TokenType,
    /// The token is bound to something that cannot be checked here.
    Confirmation,
    /// The response has no `client_id`.
    NoClient,
    /// The response names no user: `sub` and `username` are absent.
    NoSubject,
    /// The response names the user in a member other than the configured one.
    ///
    /// The member is `sub`, or the one set by [`with_subject_claim`](Introspection::with_subject_claim).
    SubjectElsewhere,
    /// The audience has more than 100 members.
    Audience,
}

impl fmt::Display for IntrospectionRejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAccessToken { member } => {
                return write!(
                    f,
                    "the introspection response names another kind of token than an access token in `{member}`: \
                     the client has to send its access token"
                );
            }
            Self::Inactive => {
                "the token is unknown, expired, revoked, or for another server (`active` is false): the client has to \
                 get a new token for this server"
            }
            Self::ForeignIssuer => {
                "the introspection response names another issuer than the configured one: compare `iss` with it, byte \
                 for byte"
            }
            Self::NotYet => {
                "the token is not valid yet (`nbf`): compare the clocks of this server and the authorization server"
            }
            Self::TokenType => {
                "`token_type` is neither `Bearer` nor `DPoP`: the authorization server's operator has to issue tokens \
                 of one of these types"
            }
            Self::Confirmation => {
                "`cnf` is not the thumbprint of one key (`jkt`), or a DPoP token has none: the authorization server's \
                 operator has to bind tokens by DPoP (RFC 9449 §6.2), or not at all"
            }
            Self::NoClient => {
                "the introspection response does not name the client: the authorization server's operator has to add \
                 `client_id` (RFC 7662 §2.2)"
            }
            Self::NoSubject => {
                "the introspection response does not name the user (`sub`): name the member that does by `with_subject_claim`; \
                 for clients that act without a user, see `with_unnamed_subjects`"
            }
            Self::SubjectElsewhere => {
                "the introspection response names the user in another member than the one that is read (`sub`): name \
                 the right one by `with_subject_claim`, such as `username`"
            }
            Self::Audience => {
                "the audience of the token has more than 100 members: the authorization server's operator has to \
                 issue tokens for fewer resources"
            }
        })
    }
}

impl core::error::Error for IntrospectionRejected {}

impl Introspection {
    /// Reads the response to a request that was sent at `now` or later.
    ///
    /// # Errors
    ///
    /// [`IntrospectionFailed`] if the response does not tell whether the token is active.
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
        let read = match IntrospectionResponse::from_json(answer.body()) {
            // With `active: false` all other members are ignored (RFC 7662 §2.2), because some servers send malformed
            // ones.
            Err(DocumentError::Member { .. }) if says_no(answer.body()) => {
                return Ok(Introspected::No(IntrospectionRejected::Inactive));
            }
            read => read.map_err(IntrospectionFailed::Document)?,
        };
        Ok(match self.judge(read, now) {
            Ok(facts) => Introspected::Yes(CacheDuration::new(Arc::new(facts), self.window, now)),
            Err(why) => Introspected::No(why),
        })
    }

    fn judge(
        &self,
        answer: IntrospectionResponse,
        now: UnixTime,
    ) -> Result<AccessTokenInfo, IntrospectionRejected> {
        if !answer.active {
            return Err(IntrospectionRejected::Inactive);
        }
        if answer.iss.as_ref().is_some_and(|issuer| *issuer != self.issuer) {
            return Err(IntrospectionRejected::ForeignIssuer);
        }
        if answer.nbf.is_some_and(|begin| now.saturating_add(SKEW) < begin) {
            return Err(IntrospectionRejected::NotYet);
        }
        if let Some(member) = other_kind(&answer) {
            return Err(IntrospectionRejected::NotAccessToken { member });
        }
        let jkt = confirmed_key(&answer)?;
        let claims = self.extra_claims.select(|name| match name {
            "username" => answer.username.clone().map(Value::String),
            "jti" => answer.jti.clone().map(Value::String),
            other => answer.extra.get(other).cloned(),
        });
        let client_id = answer.client_id.ok_or(IntrospectionRejected::NoClient)?;
        let is_unnamed = answer.sub.is_none() && answer.username.is_none();
        let is_said = |name: &Option<String>| name.as_ref().is_some_and(|name| !name.is_empty());
        let names_user = is_said(&answer.sub) || is_said(&answer.username);
        let named = match &*self.subject_claim {
            "sub" => answer.sub,
            "username" => answer.username,
            other => answer.extra.get(other).and_then(Value::as_str).map(str::to_owned),
        };
        let subject = match named.map(Subject::try_from) {
            Some(Ok(subject)) => subject,
            None if is_unnamed && self.takes_unnamed => Subject::from(&client_id),
            _ if names_user => return Err(IntrospectionRejected::SubjectElsewhere),
            _ => return Err(IntrospectionRejected::NoSubject),
        };
        let audience = match (answer.aud, &self.sole_resource) {
            (None, Some(resource)) => vec![resource.clone()],
            (audience, _) => {
                let audience = audience.unwrap_or_default();
                self.audiences.recipients(&audience).ok_or(IntrospectionRejected::Audience)?
            }
        };
        Ok(AccessTokenInfo::new(subject, client_id, self.issuer.clone())
            .with_scopes(answer.scope.unwrap_or_default())
            .with_audience(audience)
            .with_expires_at(answer.exp)
            .with_jkt(jkt)
            .with_claims(claims))
    }
}

/// Returns `true` if a JSON object has `active: false`.
fn says_no(object: &[u8]) -> bool {
    let object = serde_json::from_slice::<Value>(object).ok();
    object.and_then(|object| object.get("active")?.as_bool()) == Some(false)
}

/// Returns the member that names another kind of token than an access token.
///
/// The endpoint also accepts refresh tokens (RFC 7662 §2.1). Neither member is registered; `null` counts as absent.
///
/// | member | access token | another kind | sent by |
/// |---|---|---|---|
/// | `token_use` | `access_token`, `access` | `refresh_token`, `id` | Ory Hydra, Appwrite; claims of Amazon Cognito |
/// | `typ` | `Bearer`, `DPoP` | `Refresh`, `Offline`, `ID` | Keycloak |
/// | `typ` | `JWT`, `at+jwt`, `application/at+jwt` | | servers that return the JWT header |
fn other_kind(answer: &IntrospectionResponse) -> Option<&'static str> {
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

/// Returns the thumbprint of the key that the token is bound to, if any (RFC 9449 §6.2, RFC 7800 §3.1).
fn confirmed_key(
    answer: &IntrospectionResponse,
) -> Result<Option<Thumbprint>, IntrospectionRejected> {
    let is_dpop = match answer.token_type.as_deref() {
        None => false,
        Some(name) if name.eq_ignore_ascii_case("Bearer") => false,
        // Duende IdentityServer sends the kind of token here, not how the token is presented.
        Some("access_token") => false,
        Some(name) if name.eq_ignore_ascii_case("DPoP") => true,
        Some(_) => return Err(IntrospectionRejected::TokenType),
    };
    let bound =
        bound_key(answer.extra.get("cnf")).map_err(|_| IntrospectionRejected::Confirmation)?;
    if is_dpop && bound.is_none() { Err(IntrospectionRejected::Confirmation) } else { Ok(bound) }
}

#[cfg(test)]
mod tests;
