//! Messages of all public errors, as `crates/ERRORS.md` lists them.

use client_auth::{DpopError, InvalidKeys, NoUsableMethod};
use error_table::table;
use http::StatusCode;
use oauth_types::{DocumentError, InvalidUri, MemberRule};

use crate::*;

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_error_says_what_to_do() {
    let missing = |member| DocumentError::Member { member, rule: MemberRule::Missing };
    let text = [
        table!(InvalidResource {
            InvalidResource::NoAuthorizationServer = InvalidResource::NoAuthorizationServer => "host's programmer", "pass an issuer to `Resource::new`";
            InvalidResource::Uri(_) = InvalidResource::Uri(InvalidUri::TooLong) => "host's programmer", "choose another identifier";
        }),
        table!(Denial {
            Denial { .. } = Denial::panicked() => "depends on the reason", "see `DenialReason`";
        }),
        table!(DenialReason {
            DenialReason::NoToken = DenialReason::NoToken => "client", "log in and send the token";
            DenialReason::MalformedHeader = DenialReason::MalformedHeader => "client's developer", "send one header with one token";
            DenialReason::UnknownToken = DenialReason::UnknownToken => "client", "get a new token";
            DenialReason::ForeignIssuer = DenialReason::ForeignIssuer => "client", "log in at the server of the metadata";
            DenialReason::BoundToken = DenialReason::BoundToken => "client's developer", "send a proof for each request";
            DenialReason::UnboundToken = DenialReason::UnboundToken => "client's developer", "send a proof with the token request too";
            DenialReason::Proof(_) = DenialReason::Proof(DpopError::Replayed) => "depends on the reason", "see `DpopError`";
            DenialReason::ProofsFull = DenialReason::ProofsFull => "client; host's programmer", "try again; pass a larger capacity to `SeenProofs::new`";
            DenialReason::ExpiredToken = DenialReason::ExpiredToken => "client", "refresh the token, or log in again";
            DenialReason::WrongAudience = DenialReason::WrongAudience => "client's developer", "name this resource in `resource`";
            DenialReason::InsufficientScope = DenialReason::InsufficientScope => "client", "log in again with the scopes of the challenge";
            DenialReason::UnreadableBody = DenialReason::UnreadableBody => "client's developer", "send a JSON-RPC message";
            DenialReason::ContradictingHeader = DenialReason::ContradictingHeader => "client's developer", "send the headers as in the body";
            DenialReason::ScopeUndecided = DenialReason::ScopeUndecided => "host's programmer", "correct the code that names the scopes";
            DenialReason::BodyTooLarge = DenialReason::BodyTooLarge => "client's developer, or host's programmer", "send less; raise the limit";
            DenialReason::BodyTooSlow = DenialReason::BodyTooSlow => "client's developer", "send the body without pauses";
            DenialReason::EncodedBody = DenialReason::EncodedBody => "client's developer", "leave `Content-Encoding` out";
            DenialReason::Panicked = DenialReason::Panicked => "host's programmer", "correct the code that panicked";
            DenialReason::ForeignSession = DenialReason::ForeignSession => "client", "open a session of its own";
            DenialReason::ForeignEvent = DenialReason::ForeignEvent => "client", "open the stream without `Last-Event-ID`";
            DenialReason::TooManySessions = DenialReason::TooManySessions => "client", "end a session, or wait";
            DenialReason::SessionsFull = DenialReason::SessionsFull => "client; host's programmer", "wait; pass a larger capacity to `OpenSessions::new`";
            DenialReason::StreamWithoutToken = DenialReason::StreamWithoutToken => "client", "log in, or send POST requests only";
            DenialReason::ForeignHost = DenialReason::ForeignHost => "host's programmer", "add the name to the `Resource`, if it is one";
            DenialReason::VerifierUnavailable = DenialReason::VerifierUnavailable => "client; operator", "try again; read the log";
        }),
        table!(NoIntrospection {
            NoIntrospection::ForeignMetadata = NoIntrospection::ForeignMetadata => "operator, then operator of the authorization server", "correct the issuer";
            NoIntrospection::NoEndpoint = NoIntrospection::NoEndpoint => "operator, or operator of the authorization server", "configure the endpoint; name it in the metadata";
            NoIntrospection::Endpoint(_) = NoIntrospection::Endpoint(InvalidUri::Fragment) => "operator, or operator of the authorization server", "configure the endpoint; correct the metadata";
            NoIntrospection::Method(_) = NoIntrospection::Method(NoUsableMethod::SecretNotAccepted) => "depends on the reason", "see `NoUsableMethod`";
        }),
        table!(IntrospectionFailed {
            IntrospectionFailed::NotAuthenticated = IntrospectionFailed::NotAuthenticated => "operator", "configure the issued identifier and secret";
            IntrospectionFailed::NotAllowed = IntrospectionFailed::NotAllowed => "operator of the authorization server", "permit introspection";
            IntrospectionFailed::Status(StatusCode::BAD_GATEWAY) = IntrospectionFailed::Status(StatusCode::BAD_GATEWAY) => "operator of the authorization server", "wait; correct the answer";
            IntrospectionFailed::Status(_) = IntrospectionFailed::Status(StatusCode::NOT_FOUND) => "operator", "check the endpoint";
            IntrospectionFailed::MediaType = IntrospectionFailed::MediaType => "operator of the authorization server", "answer in plain JSON";
            IntrospectionFailed::Document(_) = IntrospectionFailed::Document(missing("active")) => "operator of the authorization server", "correct the response";
        }),
        table!(IntrospectionRejected {
            IntrospectionRejected::Inactive = IntrospectionRejected::Inactive => "client", "get a new token";
            IntrospectionRejected::ForeignIssuer = IntrospectionRejected::ForeignIssuer => "operator", "compare `iss` with the configured issuer";
            IntrospectionRejected::NotYet = IntrospectionRejected::NotYet => "both operators", "compare the clocks";
            IntrospectionRejected::NotAccessToken { .. } = IntrospectionRejected::NotAccessToken { member: "token_use" } => "client's developer", "send the access token";
            IntrospectionRejected::TokenType = IntrospectionRejected::TokenType => "operator of the authorization server", "issue bearer or DPoP tokens";
            IntrospectionRejected::Confirmation = IntrospectionRejected::Confirmation => "operator of the authorization server", "bind tokens by DPoP, or not at all";
            IntrospectionRejected::NoClient = IntrospectionRejected::NoClient => "operator of the authorization server", "add `client_id`";
            IntrospectionRejected::NoSubject = IntrospectionRejected::NoSubject => "host's programmer", "call `with_subject_claim` or `with_unnamed_subjects`";
            IntrospectionRejected::SubjectElsewhere = IntrospectionRejected::SubjectElsewhere => "host's programmer", "call `with_subject_claim`";
            IntrospectionRejected::Audience = IntrospectionRejected::Audience => "operator of the authorization server", "issue tokens for fewer resources";
        }),
        table!(JwtRefused {
            JwtRefused::NotOurs = JwtRefused::NotOurs => "operator, or client's developer", "compare the issuers; send a token of this one";
            JwtRefused::NotSigned = JwtRefused::NotSigned => "client", "get a new token";
            JwtRefused::Type = JwtRefused::Type => "host's programmer", "call `with_profile`";
            JwtRefused::NotAccessToken = JwtRefused::NotAccessToken => "client's developer", "send the access token";
            JwtRefused::Claims = JwtRefused::Claims => "operator of the issuer", "correct the claims";
            JwtRefused::NoClient = JwtRefused::NoClient => "host's programmer", "call `with_client_claim`";
            JwtRefused::NoSubject = JwtRefused::NoSubject => "operator of the issuer", "add `sub`";
            JwtRefused::Confirmation = JwtRefused::Confirmation => "operator of the issuer", "bind tokens by DPoP, or not at all";
            JwtRefused::OutsideLifetime = JwtRefused::OutsideLifetime => "both operators", "compare the clocks; shorten the lifetime";
        }),
        table!(NoKeys {
            NoKeys::NoAnswer = NoKeys::NoAnswer => "operator", "check the network and the issuer";
            NoKeys::Status(_) = NoKeys::Status(StatusCode::BAD_GATEWAY) => "operator of the issuer", "wait; correct the answer";
            NoKeys::Document(_) = NoKeys::Document(missing("keys")) => "operator of the issuer", "publish a JWK Set";
            NoKeys::Keys(_) = NoKeys::Keys(InvalidKeys::NoUsableKey) => "operator of the issuer", "publish a usable key";
        }),
    ];
    insta::assert_snapshot!(text.concat());
}
