//! Messages of all public errors, as `crates/ERRORS.md` lists them.

use error_table::table;
use tokio_postgres::Config;

use crate::*;

#[test]
fn every_error_says_what_to_do() {
    let refused = "postgres://db.example:port/auth".parse::<Config>().unwrap_err();
    let text = [
        table!(OpenError {
            OpenError::Url = OpenError::Url => "operator", "correct the URL";
            OpenError::NeedsTls = OpenError::NeedsTls => "host's programmer, or operator", "enable `rustls`; set `sslmode`";
            OpenError::Certificates = OpenError::Certificates => "operator", "pass or install certificates";
            OpenError::NewerSchema { .. } = OpenError::NewerSchema { found: 9, known: 8 } => "operator", "run the later release";
            OpenError::NotAStore = OpenError::NotAStore => "operator", "give another database";
            OpenError::Unsafe(_) = OpenError::Unsafe("fsync") => "operator", "turn the setting on";
            OpenError::ReadOnly = OpenError::ReadOnly => "operator", "connect to the primary";
            OpenError::Unfit(_) = OpenError::Unfit("the database server is older than PostgreSQL 13: upgrade it") => "operator", "change what the message names";
            OpenError::Late = OpenError::Late => "operator", "check the server and other programs";
            OpenError::Postgres(_) = OpenError::Postgres(refused) => "operator", "check URL, server and role";
        }),
        table!(InvalidSynchronous {
            InvalidSynchronous::Unsafe = InvalidSynchronous::Unsafe => "operator", "set on or remote_apply";
            InvalidSynchronous::Unknown = InvalidSynchronous::Unknown => "operator", "set on or remote_apply";
        }),
    ];
    insta::assert_snapshot!(text.concat());
}
