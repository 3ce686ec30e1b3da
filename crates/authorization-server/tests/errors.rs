//! Types that stand in an `Err`: each is an error, in words.

use core::error::Error;

use authorization_server::store::StoreError;
use authorization_server::{AssertionError, Cause, ConsentError, PageError, Refusal, UnreadBody};
use client_auth::{ClientAuthError, DpopError, Reason};

const fn is_error<E: Error + Send + Sync + 'static>() {}

const _: () = {
    is_error::<Cause>();
    is_error::<Refusal>();
    is_error::<PageError>();
    is_error::<UnreadBody>();
    is_error::<StoreError>();
    is_error::<ConsentError>();
    is_error::<AssertionError>();
    is_error::<ClientAuthError>();
    is_error::<DpopError>();
    is_error::<Reason>();
};

#[test]
fn a_cause_is_told_in_words() {
    for cause in [
        Cause::Parameter("code_verifier"),
        Cause::RepeatedParameter,
        Cause::QueryInUrl,
        Cause::UnknownGrant,
        Cause::Client(Reason::WrongSecret),
        Cause::Proof(DpopError::OtherKey),
        Cause::Assertion(AssertionError::Replayed),
        Cause::Consent(ConsentError::OtherBrowser),
        Cause::Store(StoreError::Unavailable),
    ] {
        let (text, debug) = (cause.to_string(), format!("{cause:?}"));
        assert!(text.contains(' ') && text != debug && !text.contains("::"), "{text}");
    }
    assert_ne!(
        Cause::Client(Reason::WrongSecret).to_string(),
        Cause::Client(Reason::ExpiredSecret).to_string(),
        "the log tells what the client is not told"
    );
}
