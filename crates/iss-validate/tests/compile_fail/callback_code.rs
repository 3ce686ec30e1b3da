//! Makes up a code.

use iss_validate::ValidatedCode;
use oauth_types::Secret;

fn main() {
    let _ = ValidatedCode { code: Secret::new("abc"), issuer: None };
}
