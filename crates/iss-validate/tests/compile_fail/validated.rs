//! Validates, then reads.

use iss_validate::{Callback, Expected, Validated};

fn main() {
    let _: fn(&Expected) -> Option<String> = |expected| {
        let callback = Callback::from_query("code=abc");
        match callback.validate(expected) {
            Ok(Validated::Code(code)) => Some(code.as_secret().expose().to_owned()),
            Ok(Validated::Denied(error)) => Some(error.code.to_string()),
            Err(rejected) => Some(rejected.to_string()),
        }
    };
}
