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
    let denied = AuthorizationError {
        code: AuthorizationErrorCode::InvalidScope,
        description: Some(ErrorDescription::new("unknown scope")),
    };
    text += &table!(AuthorizationError {
        AuthorizationError { .. } = denied => "depends on the code (RFC 6749 §4.1.2.1)", "read the server's description";
    });
    insta::assert_snapshot!(text);
}
