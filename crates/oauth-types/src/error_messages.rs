//! Messages of all public errors, as `crates/ERRORS.md` lists them.

use error_table::table;
use http::StatusCode;

use crate::*;

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_error_says_what_to_do() {
    let url = EndpointUrl::parse("https://as.example/metadata").unwrap();
    let issuer = Issuer::parse("https://other.example").unwrap();
    let missing = || DocumentError::Member { member: "issuer", rule: MemberRule::Missing };
    let text = [
        table!(InvalidUri {
            InvalidUri::Syntax = InvalidUri::Syntax => "author of the URI", "write the whole URI, or the host alone where one is asked for";
            InvalidUri::TooLong = InvalidUri::TooLong => "author of the URI", "shorten it";
            InvalidUri::NoHost = InvalidUri::NoHost => "author of the URI", "name the host";
            InvalidUri::AmbiguousHost = InvalidUri::AmbiguousHost => "author of the URI", "use a plain name or address";
            InvalidUri::PlainHttp = InvalidUri::PlainHttp => "author of the URI", "use https; for a private host in development see `allow_http_for_development`";
            InvalidUri::PublicHost = InvalidUri::PublicHost => "host's programmer", "allow http for private hosts only";
            InvalidUri::NotHttps = InvalidUri::NotHttps => "author of the URI", "use https";
            InvalidUri::Scheme = InvalidUri::Scheme => "author of the URI", "use the scheme for this purpose";
            InvalidUri::Userinfo = InvalidUri::Userinfo => "author of the URI", "leave the part before `@` out";
            InvalidUri::Port = InvalidUri::Port => "author of the URI", "correct the port";
            InvalidUri::Query = InvalidUri::Query => "author of the URI", "leave the query out";
            InvalidUri::Fragment = InvalidUri::Fragment => "author of the URI", "leave the part after `#` out";
            InvalidUri::EmptySegment = InvalidUri::EmptySegment => "author of the URI", "write one slash";
            InvalidUri::DotSegment = InvalidUri::DotSegment => "author of the URI", "write the path without it";
            InvalidUri::ReservedParameter = InvalidUri::ReservedParameter => "client's developer", "rename the parameter of the redirect URI";
        }),
        table!(InvalidClientId {
            InvalidClientId::Empty = InvalidClientId::Empty => "client's developer", "send the issued identifier";
            InvalidClientId::TooLong = InvalidClientId::TooLong => "client's developer", "send the issued identifier";
            InvalidClientId::Control = InvalidClientId::Control => "client's developer", "send the issued identifier";
            InvalidClientId::Url(_) = InvalidClientId::Url(InvalidUri::Fragment) => "client's developer", "correct the URL of the metadata document";
            InvalidClientId::NoPath = InvalidClientId::NoPath => "client's developer", "publish the document below a path";
            InvalidClientId::Unusual = InvalidClientId::Unusual => "client's developer", "write the URL as browsers show it";
        }),
        table!(InvalidSubject {
            InvalidSubject::Empty = InvalidSubject::Empty => "host's programmer", "pass the user's identifier";
            InvalidSubject::TooLong = InvalidSubject::TooLong => "host's programmer", "pass a shorter identifier";
        }),
        table!(InvalidScope {
            InvalidScope::Empty = InvalidScope::Empty => "author of the scopes", "name a scope";
            InvalidScope::Character { .. } = InvalidScope::Character { at: 5 } => "author of the scopes", "remove the character";
            InvalidScope::TooLarge = InvalidScope::TooLarge => "author of the scopes", "name fewer scopes";
        }),
        table!(InvalidPkce {
            InvalidPkce::Length = InvalidPkce::Length => "client's developer", "make a verifier with `CodeVerifier::new`";
            InvalidPkce::Character = InvalidPkce::Character => "client's developer", "make a verifier with `CodeVerifier::new`";
        }),
        table!(InvalidThumbprint {
            InvalidThumbprint = InvalidThumbprint => "sender", "compute it by RFC 7638 with SHA-256";
        }),
        table!(InvalidClaimName {
            InvalidClaimName::Empty = InvalidClaimName::Empty => "host's programmer", "leave the empty name out";
            InvalidClaimName::TooLong = InvalidClaimName::TooLong => "host's programmer", "correct the name";
            InvalidClaimName::TooMany = InvalidClaimName::TooMany => "host's programmer", "name the claims that handlers read";
            InvalidClaimName::Reserved { .. } = ClaimNames::new(["sub"]).unwrap_err() => "host's programmer", "read the verified value";
        }),
        table!(ClaimError {
            ClaimError::Absent = ClaimError::Absent => "host's programmer, or operator", "name the claim at the verifier, and have the authorization server send it";
            ClaimError::OtherType = ClaimError::OtherType => "host's programmer", "read the claim as the type that the server sends";
            ClaimError::TooLarge = ClaimError::TooLarge => "operator", "have the authorization server send less, such as the groups of this resource";
        }),
        table!(FormError {
            FormError::TooLong = FormError::TooLong => "sender", "send less";
            FormError::TooManyPairs = FormError::TooManyPairs => "sender", "send fewer parameters";
            FormError::ValueTooLong = FormError::ValueTooLong => "sender", "send a shorter value";
            FormError::Escape = FormError::Escape => "sender", "encode the form (RFC 6749 appendix B)";
            FormError::Utf8 = FormError::Utf8 => "sender", "encode the form (RFC 6749 appendix B)";
        }),
        table!(Repeated {
            Repeated { .. } = Repeated { name: "state" } => "sender", "send the parameter once";
        }),
        table!(MalformedChallenge {
            MalformedChallenge = MalformedChallenge => "operator of the server", "correct `WWW-Authenticate`; other challenges count";
        }),
        table!(InvalidChallenge {
            InvalidChallenge::Malformed = InvalidChallenge::Malformed => "author of the text", "write one challenge";
            InvalidChallenge::OtherScheme = InvalidChallenge::OtherScheme => "author of the text", "write a `Bearer` challenge";
            InvalidChallenge::RepeatedParameter = InvalidChallenge::RepeatedParameter => "author of the text", "write each parameter once";
        }),
        table!(InvalidRealm {
            InvalidRealm = InvalidRealm => "host's programmer", "choose a realm of such characters";
        }),
        table!(InvalidErrorCode {
            InvalidErrorCode = InvalidErrorCode => "sender", "use a code of the OAuth registry";
        }),
        table!(InvalidTime {
            InvalidTime::BeforeEpoch = InvalidTime::BeforeEpoch => "operator of the machine", "set the clock";
            InvalidTime::TooLate = InvalidTime::TooLate => "host's programmer", "use an earlier time";
        }),
        table!(DocumentError {
            DocumentError::TooLarge = DocumentError::TooLarge => "publisher of the document", "shorten it";
            DocumentError::NotAnObject = DocumentError::NotAnObject => "publisher of the document", "send one JSON object, each member once";
            DocumentError::Member { .. } = missing() => "publisher of the document", "correct the member that is named";
        }),
        table!(MemberRule {
            MemberRule::Missing = MemberRule::Missing => "publisher of the document", "add the member";
            MemberRule::Type { .. } = MemberRule::Type { found: "a number", expected: "a text" } => "publisher of the document", "write a value of the type";
            MemberRule::Uri(_) = MemberRule::Uri(InvalidUri::PlainHttp) => "publisher of the document", "correct the URI";
            MemberRule::ClientId(_) = MemberRule::ClientId(InvalidClientId::Empty) => "publisher of the document", "correct the identifier";
            MemberRule::Scope(_) = MemberRule::Scope(InvalidScope::Empty) => "publisher of the document", "correct the scopes";
            MemberRule::Parameter { .. } = MemberRule::Parameter { name: "code" } => "publisher of the document", "take the parameter out of the endpoint's query";
            MemberRule::Value { .. } = MemberRule::Value { expected: "`Bearer`" } => "publisher of the document", "write a value that is named";
        }),
        table!(InvalidClientIdMetadata {
            InvalidClientIdMetadata::TooLarge = InvalidClientIdMetadata::TooLarge => "client's developer", "shorten the document";
            InvalidClientIdMetadata::Document(_) = InvalidClientIdMetadata::Document(missing()) => "client's developer", "correct the member that is named";
            InvalidClientIdMetadata::OtherClient = InvalidClientIdMetadata::OtherClient => "client's developer", "write the URL into `client_id`";
            InvalidClientIdMetadata::Secret = InvalidClientIdMetadata::Secret => "client's developer", "replace the secret, because it was published";
            InvalidClientIdMetadata::NoRedirectUri = InvalidClientIdMetadata::NoRedirectUri => "client's developer", "list `redirect_uris`";
        }),
        table!(MetadataNotFound {
            MetadataNotFound { .. } = MetadataNotFound { failure: None, is_absent: true } => "user, then operator of the server", "check the address; publish the metadata";
        }),
        table!(MetadataFailure {
            MetadataFailure::Status(_) = MetadataFailure::Status(StatusCode::BAD_GATEWAY) => "operator of the server", "correct the answer";
            MetadataFailure::Document { .. } = MetadataFailure::Document { url: url.clone(), error: missing() } => "operator of the server", "correct the document";
            MetadataFailure::IssuerMismatch { .. } = MetadataFailure::IssuerMismatch { received: issuer } => "operator of the server", "correct `issuer`, or the configured one";
            MetadataFailure::ResourceMismatch { .. } = MetadataFailure::ResourceMismatch { url } => "operator of the server", "correct `resource`, or the address";
        }),
    ];
    insta::assert_snapshot!(text.concat());
}
