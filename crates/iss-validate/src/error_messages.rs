//! Messages of all public errors, as `crates/ERRORS.md` lists them.

use error_table::{row, table};
use oauth_types::{AuthorizationErrorCode, ErrorDescription};

use crate::*;

#[test]
fn every_error_says_what_to_do() {
    const _: fn(Rejection) = |rejection| match rejection {
        Rejection::Malformed
        | Rejection::Repeated(_)
        | Rejection::IssuerMissing
        | Rejection::IssuerMismatch
        | Rejection::IssuerNotRecorded
        | Rejection::StateMismatch
        | Rejection::Contradiction => {}
    };
    let rows = [
        (Rejection::Malformed, "user, then operator of the server", "log in again"),
        (Rejection::Repeated("state"), "user, then operator of the server", "log in again"),
        (Rejection::IssuerMissing, "operator of the server", "send `iss`, or do not promise it"),
        (Rejection::IssuerMismatch, "user", "log in again from the program itself"),
        (Rejection::IssuerNotRecorded, "host's programmer", "record the issuer"),
        (Rejection::StateMismatch, "user", "log in again"),
        (Rejection::Contradiction, "user, then operator of the server", "log in again"),
    ];
    let mut text: String = rows
        .map(|(rejection, actor, action)| {
            row(
                &format!("CallbackRejected: {rejection:?}"),
                &CallbackRejected::new(rejection),
                actor,
                action,
            )
        })
        .concat();
    for (code, actor, action) in [
        ("invalid_request", "operator of the server", "say what the server expects"),
        ("unauthorized_client", "operator of the server", "allow the client"),
        ("access_denied", "user", "log in again and agree"),
        ("unsupported_response_type", "operator of the server", "allow codes"),
        ("invalid_scope", "host's programmer", "request other scopes"),
        ("invalid_target", "user, then operator of the server", "check the address"),
        ("login_required", "user", "log in"),
        ("consent_required", "user", "log in and agree"),
        ("server_error", "caller, after a while", "try again"),
        ("temporarily_unavailable", "caller, after a while", "try again"),
        ("of_this_server", "operator of the server", "say what the code means"),
    ] {
        let denied = AuthorizationError {
            code: AuthorizationErrorCode::parse(code).unwrap(),
            description: Some(ErrorDescription::new("the server's reason")),
        };
        text += &row(&format!("AuthorizationError: {code}"), &denied, actor, action);
    }
    let denied =
        AuthorizationError { code: AuthorizationErrorCode::AccessDenied, description: None };
    text += &table!(AuthorizationError {
        AuthorizationError { .. } = denied => "user", "log in again and agree";
    });
    insta::assert_snapshot!(text);
}
