//! Reads what came in.

use iss_validate::Callback;

fn main() {
    let callback = Callback::from_query("code=abc&error=call+555");
    let _ = callback.form;
}
