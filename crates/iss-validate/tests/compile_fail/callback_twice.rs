//! Tries once more with the same callback.

use iss_validate::{Callback, Expected};

fn main() {
    let _: fn(&Expected) = |expected| {
        let callback = Callback::from_query("code=abc");
        let _ = callback.validate(expected);
        let _ = callback.validate(expected);
    };
}
