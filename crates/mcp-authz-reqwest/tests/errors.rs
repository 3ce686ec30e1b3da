//! Error types: each implements `Error` and can be sent to another thread.

use core::error::Error as _;

use mcp_authz_reqwest::{Error, IdentityError, StoreError, VisitError};

const fn is_error<E: core::error::Error + Send + Sync + 'static>() {}

const _: () = {
    is_error::<Error>();
    is_error::<IdentityError>();
    is_error::<StoreError>();
    is_error::<VisitError>();
};

#[test]
fn an_error_says_in_its_text_what_the_one_inside_it_says() {
    for (error, inner) in [
        (Error::Store(StoreError), StoreError.to_string()),
        (Error::Identity(IdentityError), IdentityError.to_string()),
        (Error::Visit(VisitError::Timeout), VisitError::Timeout.to_string()),
    ] {
        assert_eq!(error.to_string(), inner);
        assert!(error.source().is_none(), "a chain of errors would tell it twice");
    }
}
