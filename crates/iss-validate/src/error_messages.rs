//! Messages of all public errors, as `crates/ERRORS.md` lists them.

use core::error::Error;

use oauth_types::{AuthorizationErrorCode, ErrorDescription};

use crate::*;

/// Lists the errors of one type; a variant that is missing does not compile.
macro_rules! table {
    ($type:ty { $($pattern:pat = $error:expr => $actor:literal, $action:literal;)+ }) => {{
        const _: fn(&$type) = |error| match error { $($pattern)|+ => {} };
        [$(row(stringify!($pattern), &$error, $actor, $action)),+].concat()
    }};
}

/// Returns the row of an error: its pattern, its message with those of its sources, and the reader's part.
fn row(pattern: &str, error: &dyn Error, actor: &str, action: &str) -> String {
    let mut message = error.to_string();
    assert!(!message.ends_with('.') && !message.contains('\n'), "{message}");
    let mut source = error.source();
    while let Some(inner) = source {
        message += &format!(" ← {inner}");
        source = inner.source();
    }
    let message = message.replace('|', "\\|");
    format!("| `{pattern}` | {message} | {actor} | {action} |\n")
}

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
