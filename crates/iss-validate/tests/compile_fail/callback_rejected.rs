//! Reads what was refused.

use iss_validate::{Callback, Expected};

fn main() {
    let _: fn(&Expected) = |expected| {
        let rejected = Callback::from_query("error=call+555").validate(expected).unwrap_err();
        let _ = rejected.received_issuer;
    };
}
