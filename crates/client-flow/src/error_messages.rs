//! Messages of all public errors, as `crates/ERRORS.md` lists them.

#![cfg(all(feature = "dpop", feature = "sealed"))]

use client_auth::{ClientCredentials, NoUsableMethod};
use error_table::{row, table};
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, StatusCode};
use iss_validate::{AuthorizationError, Callback, CallbackRejected, Expected, Validated};
use oauth_types::{
    AuthorizationServerMetadata, ClientId, DocumentError, EndpointUrl, ErrorResponse,
    InvalidClientId, InvalidScope, InvalidUri, Issuer, MemberRule, ResourceUri, Secret, State,
    TokenErrorCode, UnixTime,
};

use crate::*;

fn issuer() -> Issuer {
    Issuer::parse("https://as.example").unwrap()
}

fn url(text: &str) -> EndpointUrl {
    EndpointUrl::parse(text).unwrap()
}

fn callback(query: &str) -> Result<Validated, CallbackRejected> {
    let state = State::from_secret(Secret::new("state-of-this-login"));
    Callback::from_query(query).validate(&Expected::new(issuer(), state))
}

fn denied() -> AuthorizationError {
    let query = "error=access_denied&state=state-of-this-login&iss=https%3A%2F%2Fas.example";
    match callback(query).unwrap() {
        Validated::Denied(error) => error,
        Validated::Code(_) => unreachable!("the query has an error"),
    }
}

fn refused(code: &str) -> FlowErrorKind {
    let code = TokenErrorCode::parse(code).unwrap();
    FlowErrorKind::Refused(ErrorResponse::new(code).with_description("the server's reason"))
}

fn rejected(status: StatusCode, code: Option<&str>) -> RegistrationError {
    let error = code.map(|code| ErrorResponse::new(code.parse().unwrap()));
    RegistrationError::Rejected { status, error, sent: Box::default() }
}

fn moved(location: Option<&'static str>) -> EndpointMoved {
    let server = ResourceUri::canonical("https://rs.example/mcp").unwrap();
    let location = location.map(|to| (LOCATION, HeaderValue::from_static(to)));
    let headers = HeaderMap::from_iter(location);
    let response = (StatusCode::TEMPORARY_REDIRECT, &headers);
    endpoint_redirect(&server, server.as_str(), Tried::default(), response).unwrap_err()
}

fn without_tokens() -> RestoreError {
    let mut metadata = AuthorizationServerMetadata::new(issuer());
    metadata.token_endpoint = Some(url("https://as.example/token"));
    let server =
        ServerEndpoints::of(&metadata, ServerProfile::new(), UnixTime::from_secs(0)).unwrap();
    let account = Account {
        resource: ResourceUri::parse("https://rs.example/mcp").unwrap(),
        server,
        client: ClientCredentials::public(ClientId::parse("client").unwrap()),
        resource_metadata: None,
        target: None,
        redirect_uri: None,
        registered_scope: None,
        unfinished_logins: 0,
        unproven_since: None,
    };
    Session::restore(StoredCredentials::new(account)).unwrap_err()
}

#[test]
fn every_error_says_what_to_do() {
    let text = [flow(), parts(), transport()];
    insta::assert_snapshot!(text.concat());
}

/// The name of the stage stands in front of these reasons, so they have no colon of their own.
#[test]
fn a_reason_behind_a_stage_has_no_colon() {
    let url = || url("https://as.example/metadata");
    let member = |rule| DocumentError::Member { member: "scope", rule };
    let rules = [
        InvalidUri::Syntax,
        InvalidUri::TooLong,
        InvalidUri::NoHost,
        InvalidUri::AmbiguousHost,
        InvalidUri::PlainHttp,
        InvalidUri::NotHttps,
        InvalidUri::Scheme,
        InvalidUri::Userinfo,
        InvalidUri::Port,
        InvalidUri::Fragment,
        InvalidUri::PublicHost,
        InvalidUri::Query,
        InvalidUri::EmptySegment,
        InvalidUri::DotSegment,
        InvalidUri::ReservedParameter,
    ];
    let documents = [
        DocumentError::TooLarge,
        DocumentError::NotAnObject,
        member(MemberRule::Missing),
        member(MemberRule::Type { found: "a number", expected: "a text" }),
        member(MemberRule::ClientId(InvalidClientId::Empty)),
        member(MemberRule::Scope(InvalidScope::Empty)),
        member(MemberRule::Parameter { name: "code" }),
        member(MemberRule::Value { expected: "`Bearer`" }),
        member(MemberRule::Uri(InvalidUri::PlainHttp)),
    ];
    let documents = documents.map(|error| FlowErrorKind::Document { url: url(), error });
    let kinds = (rules.map(FlowErrorKind::NamedUrl).into_iter().chain(documents))
        .chain([404, 503].map(|code| FlowErrorKind::Status(StatusCode::from_u16(code).unwrap())))
        .chain([refused("invalid_grant"), refused("of_this_server")]);
    for kind in kinds {
        let text = FlowError::new(FlowStage::ServerMetadata, kind).to_string();
        assert!(text.starts_with("authorization server metadata: "), "{text}");
        assert_eq!(text.matches(": ").count(), 1, "{text}");
    }
}

fn flow() -> String {
    let status = FlowErrorKind::Status(StatusCode::NOT_FOUND);
    let failed = FlowError::new(FlowStage::Refresh, status.clone());
    let document = FlowErrorKind::Document {
        url: url("https://as.example/metadata"),
        error: DocumentError::NotAnObject,
    };
    let discovery = DiscoveryError::NoServerMetadata { issuer: issuer() };
    let registration = RegistrationError::NotOffered { issuer: issuer() };
    let credentials = FlowErrorKind::Credentials(NoUsableMethod::SecretMissing);
    [
        table!(FlowError {
            FlowError { .. } = failed => "depends on the kind", "see `FlowErrorKind`; the stage stands in front where the text names only \"the server\"";
        }),
        table!(FlowErrorKind {
            FlowErrorKind::Transport(_) = FlowErrorKind::Transport(TransportErrorKind::Refused.into()) => "depends on the kind", "see `TransportErrorKind`";
            FlowErrorKind::Status(_) = status => "user, then operator of the server", "check the address; correct the answer";
            FlowErrorKind::Document { .. } = document => "operator of the server", "correct the document";
            FlowErrorKind::Discovery(_) = FlowErrorKind::Discovery(discovery) => "depends on the rule", "see `DiscoveryError`";
            FlowErrorKind::Registration(_) = FlowErrorKind::Registration(registration) => "depends on the rule", "see `RegistrationError`";
            FlowErrorKind::Callback(_) = FlowErrorKind::Callback(CallbackError::TooLate) => "user", "log in again";
            FlowErrorKind::Scope(_) = FlowErrorKind::Scope(InvalidScope::TooLarge) => "host's programmer", "request fewer scopes";
            FlowErrorKind::NamedUrl(_) = FlowErrorKind::NamedUrl(InvalidUri::NotHttps) => "operator of the server", "correct the URL in the server's metadata or challenge";
            FlowErrorKind::Denied(_) = FlowErrorKind::Denied(denied()) => "depends on the code", "see `AuthorizationError`";
            FlowErrorKind::Refused(_) = refused("invalid_grant") => "user", "log in again";
            FlowErrorKind::ServerUrl(_) = FlowErrorKind::ServerUrl(InvalidUri::NotHttps) => "user", "correct the address of the MCP server";
            FlowErrorKind::Credentials(_) = credentials => "host's programmer", "see `NoUsableMethod`";
            FlowErrorKind::Seal(_) = FlowErrorKind::Seal(SealError::UnknownLogin) => "depends on the rule", "see `SealError`";
            FlowErrorKind::NotSigned = FlowErrorKind::NotSigned => "host's programmer", "check the key and its algorithm";
            FlowErrorKind::NotLoaded = FlowErrorKind::NotLoaded => "operator of the client", "make the store readable and try again";
            FlowErrorKind::NoRefreshToken = FlowErrorKind::NoRefreshToken => "user", "log in again";
        }),
        refusals(),
    ]
    .concat()
}

/// Lists what each error code of a token endpoint asks for.
fn refusals() -> String {
    [
        ("invalid_request", "operator of the server", "say what the server expects"),
        ("invalid_client", "user, or operator of the client", "log in again; correct credentials"),
        ("unauthorized_client", "operator of the server", "allow this client the grant"),
        ("unsupported_grant_type", "operator of the server", "allow this client the grant"),
        ("invalid_scope", "host's programmer", "request scopes that the server grants"),
        ("invalid_target", "operator of the server", "issue tokens for the MCP server"),
        ("server_error", "caller, after a while", "try again"),
        ("temporarily_unavailable", "caller, after a while", "try again"),
        ("slow_down", "caller, after a while", "try again"),
        ("use_dpop_nonce", "operator of the client", "check clock and key"),
        ("invalid_dpop_proof", "operator of the client", "check clock and key"),
        ("bad_verification_code", "operator of the server", "say what the code means"),
    ]
    .map(|(code, actor, action)| {
        row(&format!("FlowErrorKind::Refused: {code}"), &refused(code), actor, action)
    })
    .concat()
}

/// Lists the reasons that have a type of their own.
#[expect(clippy::too_many_lines, reason = "a table")]
fn parts() -> String {
    let mismatch = DiscoveryError::IssuerMismatch {
        expected: issuer(),
        received: Issuer::parse("https://other.example").unwrap(),
    };
    let mix_up = DiscoveryError::MixUp {
        issuer: issuer(),
        authorization_endpoint: url("https://login.example/authorize"),
        token_endpoint: url("https://as.example/token"),
    };
    let elsewhere = DiscoveryError::LeadsToAnotherOrigin {
        issuer: issuer(),
        url: url("https://other.example/token"),
    };
    let metadata = url("https://rs.example/metadata");
    let local = url("https://127.0.0.1/metadata");
    let registration = url("https://other.example/register");
    [
        table!(DiscoveryError {
            DiscoveryError::NoResourceMetadata = DiscoveryError::NoResourceMetadata => "user, then operator of the MCP server", "check the address; publish the metadata";
            DiscoveryError::ResourceMismatch { .. } = DiscoveryError::ResourceMismatch { url: metadata } => "user, then operator of the MCP server", "check the address; correct `resource`";
            DiscoveryError::NoAuthorizationServer = DiscoveryError::NoAuthorizationServer => "operator of the MCP server; host's programmer until then", "list `authorization_servers`; pin the issuer";
            DiscoveryError::NoServerMetadata { .. } = DiscoveryError::NoServerMetadata { issuer: issuer() } => "operator of the server; host's programmer until then", "publish the metadata; name its URL in a `ServerProfile`";
            DiscoveryError::IssuerMismatch { .. } = mismatch => "operator of either server; host's programmer until then", "correct the issuer; pin the one that you trust";
            DiscoveryError::TenantPlaceholder { .. } = DiscoveryError::TenantPlaceholder { issuer: issuer() } => "host's programmer", "pin the issuer of the tenant";
            DiscoveryError::LeadsToLocalAddress { .. } = DiscoveryError::LeadsToLocalAddress { url: local } => "operator of the server, or host's programmer", "name a public address; allow local ones";
            DiscoveryError::LeadsToAnotherOrigin { .. } = elsewhere => "host's programmer", "name the documented metadata URL in a `ServerProfile`";
            DiscoveryError::MixUp { .. } = mix_up => "operator of the server; host's programmer until then", "promise `iss`; name the documented endpoint in a `ServerProfile`";
            DiscoveryError::NoEndpoint { .. } = DiscoveryError::NoEndpoint { issuer: issuer(), member: "token_endpoint" } => "operator of the server", "add the member";
            DiscoveryError::NoS256 { .. } = DiscoveryError::NoS256 { issuer: issuer() } => "operator of the server; host's programmer until then", "list S256; use a `ServerProfile`";
            DiscoveryError::NoBoundTokens { .. } = DiscoveryError::NoBoundTokens { issuer: issuer() } => "host's programmer, or operator of the server", "configure a key; support DPoP";
        }),
        row(
            "DiscoveryError::NoS256: Entra",
            &DiscoveryError::NoS256 { issuer: Issuer::parse("https://login.microsoftonline.com/tenant/v2.0").unwrap() },
            "host's programmer",
            "configure the `ServerProfile` that is named",
        ),
        table!(RegistrationError {
            RegistrationError::NotOffered { .. } = RegistrationError::NotOffered { issuer: issuer() } => "host's programmer", "configure credentials of the operator";
            RegistrationError::Elsewhere { .. } = RegistrationError::Elsewhere { issuer: issuer(), url: registration } => "operator of the server; host's programmer until then", "correct `registration_endpoint`; configure credentials";
            RegistrationError::Rejected { .. } = rejected(StatusCode::BAD_REQUEST, Some("invalid_client_metadata")) => "host's programmer", "change the metadata in `sent`";
        }),
        registrations(),
        table!(CallbackError {
            CallbackError::Rejected(_) = CallbackError::Rejected(callback("").unwrap_err()) => "depends on the rule", "see `CallbackRejected`";
            CallbackError::TooLate = CallbackError::TooLate => "user", "log in again";
            CallbackError::Replayed = CallbackError::Replayed => "user", "log in again if the first time brought no tokens";
        }),
        table!(SealError {
            SealError::NoSession = SealError::NoSession => "host's programmer", "pass the session's identifier";
            SealError::TooLong = SealError::TooLong => "host's programmer", "request fewer scopes";
            SealError::UnknownLogin = SealError::UnknownLogin => "user", "log in again in this browser";
        }),
        table!(RestoreError {
            RestoreError { .. } = without_tokens() => "user", "log in again";
        }),
        table!(EndpointMoved {
            EndpointMoved { .. } = moved(Some("https://new.example/mcp")) => "user", "use the new address if it is trusted";
        }),
        row("EndpointMoved: to http", &moved(Some("http://rs.example/mcp/")), "operator of the MCP server", "pass the scheme on"),
        row("EndpointMoved: without Location", &moved(None), "operator of the MCP server", "correct `Location`"),
    ]
    .concat()
}

/// Lists what the other replies of a registration endpoint ask for.
fn registrations() -> String {
    let caller = "caller, after a while";
    [
        (400, Some("invalid_redirect_uri"), "host's programmer", "configure another redirect URI"),
        (403, None, "host's programmer", "configure credentials of the operator"),
        (404, None, "host's programmer", "configure credentials of the operator"),
        (503, None, caller, "try again"),
        (400, Some("temporarily_unavailable"), caller, "try again"),
    ]
    .map(|(status, code, actor, action)| {
        let pattern = format!("RegistrationError::Rejected: {status}");
        row(&pattern, &rejected(StatusCode::from_u16(status).unwrap(), code), actor, action)
    })
    .concat()
}

fn transport() -> String {
    use TransportErrorKind::{
        Busy, Connect, Interrupted, LocalAddress, Name, Proxy, PublicAddress, Refused, Timeout,
        Tls, TooLarge, Url,
    };
    const _: fn(TransportErrorKind) = |kind| match kind {
        Name | Refused | Tls | Proxy | Connect | Timeout | Interrupted | LocalAddress
        | PublicAddress | Url | Busy | TooLarge => {}
    };
    [
        (Name, "user", "check the address and the network"),
        (Refused, "user, then operator of the server", "check the address; start the server"),
        (Tls, "operator of the server, or of the client", "correct or trust the certificate"),
        (Proxy, "operator of the client", "check the proxy"),
        (Connect, "user", "check the network and try again"),
        (Timeout, "user", "try again later"),
        (Interrupted, "user", "try again, and check the address"),
        (LocalAddress, "host's programmer", "allow local addresses, if the server is there"),
        (PublicAddress, "host's programmer", "use https, or a host of the private network"),
        (Url, "host's programmer", "use https"),
        (Busy, "user", "try again later"),
        (TooLarge, "user, then operator of the server", "check the address; shorten the document"),
    ]
    .map(|(kind, actor, action)| {
        assert!(!kind.to_string().contains(": "), "it follows the name of a stage or peer: {kind}");
        row(&format!("TransportError: {kind:?}"), &TransportError::new(kind), actor, action)
    })
    .concat()
}
