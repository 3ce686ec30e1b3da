//! Messages of all public errors, as `crates/ERRORS.md` lists them.

use core::time::Duration;
use std::io;

use client_flow::{
    EndpointMoved, FlowError, FlowErrorKind, FlowStage, TransportErrorKind, Tried, Verdict,
    endpoint_redirect, judge,
};
use error_table::{row, table};
use http::header::{LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use oauth_types::{ResourceUri, UnixTime};
use scope_stepup::{InsufficientScope, Ledger, Operation, Policy, StepUpMode, WindowLimit};

use crate::*;

fn moved() -> EndpointMoved {
    let server = ResourceUri::canonical("https://rs.example/mcp").unwrap();
    let to = (LOCATION, HeaderValue::from_static("https://new.example/mcp"));
    let response = (StatusCode::TEMPORARY_REDIRECT, &HeaderMap::from_iter([to]));
    endpoint_redirect(&server, server.as_str(), Tried::default(), response).unwrap_err()
}

fn insufficient() -> Box<InsufficientScope> {
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"files:write\"";
    let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))]);
    let policy = Policy::default().with_mode(StepUpMode::StaticToken);
    let operation = Operation::tool("write-file");
    let answer = (StatusCode::FORBIDDEN, &headers);
    match judge(None, &Ledger::new(), &policy, &operation, Tried::default(), answer) {
        Verdict::GiveUp(error) => error,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn every_error_says_what_to_do() {
    let answer = FlowErrorKind::Status(StatusCode::SERVICE_UNAVAILABLE);
    let flow = FlowError::new(FlowStage::Refresh, answer);
    let windows = TooManyWindows {
        limit: WindowLimit::new(3, Duration::from_secs(600)),
        until: UnixTime::from_secs(1_800_000_000),
    };
    let taken = Error::CallbackPort { port: 8000, kind: io::ErrorKind::AddrInUse };
    let forbidden = Error::CallbackPort { port: 80, kind: io::ErrorKind::PermissionDenied };
    let late = Error::NoResponse { within: Duration::from_secs(60) };
    let text = [
        table!(Error {
            Error::Transport(_) = Error::Transport(TransportErrorKind::Refused.into()) => "depends on the kind", "see `TransportErrorKind`";
            Error::NoResponse { .. } = late => "host's programmer", "raise the deadline, if tools take longer";
            Error::Flow(_) = Error::Flow(flow) => "depends on the kind", "see `FlowErrorKind`";
            Error::Visit(_) = Error::Visit(VisitError::Declined) => "user", "see `VisitError`";
            Error::CallbackPort { .. } = taken => "user, or host's programmer", "free the port, or use another one";
            Error::Identity(_) = Error::Identity(IdentityError) => "operator of the client", "see `IdentityError`";
            Error::Store(_) = Error::Store(StoreError) => "operator of the client", "see `StoreError`";
            Error::InsufficientScope(_) = Error::InsufficientScope(insufficient()) => "depends on the reason", "see `InsufficientScope`";
            Error::Unauthorized = Error::Unauthorized => "operator of the client, then of the MCP server", "replace the token; accept tokens of the authorization server";
            Error::RetryLimitReached = Error::RetryLimitReached => "operator of the MCP server", "correct its authorization";
            Error::EndpointMoved(_) = Error::EndpointMoved(moved()) => "user", "use the new address if it is trusted";
            Error::ForeignOrigin = Error::ForeignOrigin => "host's programmer", "make a client for that server";
            Error::Request = Error::Request => "host's programmer", "correct URL, header or body";
            Error::BodyNotReplayable = Error::BodyNotReplayable => "host's programmer", "pass the body as bytes";
            Error::UnusableToken = Error::UnusableToken => "operator of the client", "pass the token without control characters";
            Error::NotSigned = Error::NotSigned => "host's programmer", "check the proof key";
            Error::NoEntropy = Error::NoEntropy => "operator of the machine", "repair the random source";
            Error::HttpClient = Error::HttpClient => "operator of the client, or host's programmer", "install certificates; enable `rustls`";
            Error::Proxy = Error::Proxy => "operator of the client", "correct the address of the proxy";
            Error::RedirectUri = Error::RedirectUri => "host's programmer", "configure the redirect URI of the user agent";
            Error::TooManyWindows(_) = Error::TooManyWindows(windows) => "user", "wait, or log in by hand";
            Error::LoginEnded = Error::LoginEnded => "caller", "send the request again";
            Error::Panicked = Error::Panicked => "host's programmer", "correct the code that panicked";
            Error::Stopped = Error::Stopped => "host's programmer", "keep the runtime running";
        }),
        row(
            "Error::CallbackPort: PermissionDenied",
            &forbidden,
            "user, or host's programmer",
            "use another port",
        ),
        table!(TooManyWindows {
            TooManyWindows { .. } = windows => "user", "wait, or log in by hand";
        }),
        table!(VisitError {
            VisitError::NoBrowser = VisitError::NoBrowser => "user, or host's programmer", "run it where a browser is; pass a user agent";
            VisitError::Declined = VisitError::Declined => "user", "begin another login";
            VisitError::Timeout = VisitError::Timeout => "user", "begin another login";
        }),
        table!(IdentityError {
            IdentityError = IdentityError => "operator of the client", "supply a valid token";
        }),
        table!(StoreError {
            StoreError = StoreError => "operator of the client", "make the store readable and writable";
        }),
    ];
    insta::assert_snapshot!(text.concat());
}

/// A failure of the HTTP client keeps its advice in a flow.
#[test]
fn each_kind_of_http_failure_has_its_own_in_a_flow() {
    use mcp_authz_http::{HttpError, HttpErrorKind};

    for kind in [
        HttpErrorKind::Url,
        HttpErrorKind::LocalAddress,
        HttpErrorKind::PublicAddress,
        HttpErrorKind::Busy,
        HttpErrorKind::Name,
        HttpErrorKind::Refused,
        HttpErrorKind::Tls,
        HttpErrorKind::Proxy,
        HttpErrorKind::Connect,
        HttpErrorKind::Timeout,
        HttpErrorKind::Interrupted,
        HttpErrorKind::TooLarge,
    ] {
        let in_flow = error::transport(HttpError::from(kind)).kind();
        assert_eq!(format!("{in_flow:?}"), format!("{kind:?}"));
    }
}
