//! Rows of `crates/ERRORS.md`, for the unit test `error_messages` of each crate.
//!
//! That test stands inside the crate, because only there a `match` over a `#[non_exhaustive]` enum has to be complete.

use core::error::Error;

/// Lists the errors of one type; a variant that is missing does not compile.
#[macro_export]
macro_rules! table {
    ($type:ty { $($pattern:pat = $error:expr => $actor:literal, $action:literal;)+ }) => {{
        const _: fn(&$type) = |error| match error { $($pattern)|+ => {} };
        [$($crate::row(stringify!($pattern), &$error, $actor, $action)),+].concat()
    }};
}

/// Returns the row of an error: its pattern, its message with those of its sources, who must act and what to do.
///
/// # Panics
///
/// If the message ends with a full stop or has several lines.
#[must_use]
pub fn row(pattern: &str, error: &dyn Error, actor: &str, action: &str) -> String {
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
