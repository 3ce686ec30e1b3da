//! What must not compile: reading a callback before it is validated.

#![cfg(test)]

/// C-ISS-6
#[test]
fn nothing_of_a_callback_is_read_before_it_is_validated() {
    let cases = trybuild::TestCases::new();
    // This one validates first and compiles: it is for no other reason that the others do not.
    cases.pass("tests/compile_fail/validated.rs");
    cases.compile_fail("tests/compile_fail/callback_*.rs");
}
