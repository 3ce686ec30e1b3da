//! Test functions of a file: their names, which are short, and the first lines of their documentation.
//!
//! `syn` reads the file as tokens instead of items, so that tests inside of a macro (`proptest!`) are found too.

use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Expr, Ident, Lit, Meta, Token, braced, bracketed, parenthesized, token};

use crate::tidy::source::Source;
use crate::workspace::Error;

/// Reason of an ignored test that `cargo xtask test` leaves out and `cargo xtask ci` runs.
const RUN_BY_CI: &str = "needs PostgreSQL";

/// Characters that the name of a test may have.
const LONGEST_NAME: usize = 60;

/// Test function that CI runs.
pub(super) struct TestFunction {
    /// Path of its file.
    pub(super) path: String,
    pub(super) name: String,
    /// First line of its documentation; empty if it has none.
    pub(super) summary: String,
}

/// Returns the test functions of a file that CI runs, ignored or not.
pub(super) fn of(source: &Source) -> Result<Vec<TestFunction>, Error> {
    let mut found = Vec::new();
    (|input: ParseStream<'_>| walk(input, &mut found))
        .parse_str(source.text())
        .map_err(|error| format!("{}: {error}", source.path))?;
    let test = |(name, summary)| TestFunction { path: source.path.clone(), name, summary };
    Ok(found.into_iter().map(test).collect())
}

/// Returns a finding for each test with a name that is too long.
pub(super) fn findings(tests: &[TestFunction]) -> Vec<String> {
    let long = tests.iter().filter(|test| test.name.len() > LONGEST_NAME);
    long.map(|TestFunction { path, name, .. }| {
        format!("{path}: the name of the test {name} has more than {LONGEST_NAME} characters")
    })
    .collect()
}

fn walk(input: ParseStream<'_>, found: &mut Vec<(String, String)>) -> syn::Result<()> {
    let mut attributes = Vec::new();
    while !input.is_empty() {
        if input.peek(Token![#]) && input.peek2(token::Bracket) {
            input.parse::<Token![#]>()?;
            let content;
            bracketed!(content in input);
            // A pattern of a macro does not parse as an attribute and is skipped.
            attributes.extend(content.parse::<Meta>());
            while !content.is_empty() {
                skip(&content)?;
            }
        } else if input.peek(Token![fn]) && input.peek2(Ident::peek_any) {
            input.parse::<Token![fn]>()?;
            let name = Ident::parse_any(input)?.to_string();
            if is_test(&attributes) {
                found.push((name, summary(&attributes)));
            }
            attributes.clear();
        } else if input.peek(Token![async]) {
            input.parse::<Token![async]>()?;
        } else {
            attributes.clear();
            let content;
            if input.peek(token::Brace) {
                braced!(content in input);
            } else if input.peek(token::Paren) {
                parenthesized!(content in input);
            } else if input.peek(token::Bracket) {
                bracketed!(content in input);
            } else {
                skip(input)?;
                continue;
            }
            walk(&content, found)?;
        }
    }
    Ok(())
}

fn skip(input: ParseStream<'_>) -> syn::Result<()> {
    input.step(|cursor| {
        let (_, rest) = cursor.token_tree().ok_or_else(|| cursor.error("a token is missing"))?;
        Ok(((), rest))
    })
}

fn is_test(attributes: &[Meta]) -> bool {
    let is_ignored = |meta: &Meta| {
        meta.path().is_ident("ignore") && text(meta).is_none_or(|reason| reason != RUN_BY_CI)
    };
    let last = |meta: &Meta| meta.path().segments.last().map(|segment| segment.ident.to_string());
    attributes.iter().any(|meta| last(meta).as_deref() == Some("test"))
        && !attributes.iter().any(is_ignored)
}

fn summary(attributes: &[Meta]) -> String {
    let mut lines = attributes.iter().filter(|meta| meta.path().is_ident("doc"));
    lines.next().and_then(text).unwrap_or_default()
}

/// Returns the text of `name = "text"`.
fn text(meta: &Meta) -> Option<String> {
    let Meta::NameValue(pair) = meta else { return None };
    let Expr::Lit(literal) = &pair.value else { return None };
    let Lit::Str(text) = &literal.lit else { return None };
    Some(text.value())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_and_summaries(text: &str) -> Vec<(String, String)> {
        let source = Source::new("tests/a.rs".to_owned(), text.to_owned());
        of(&source).unwrap().into_iter().map(|it| (it.name, it.summary)).collect()
    }

    #[test]
    fn a_test_has_an_attribute_and_is_not_ignored() {
        let text = r##"
            #[test]
            fn plain() {}
            #[tokio::test(flavor = "current_thread")]
            // why
            async fn on_a_runtime() {}
            #[test] fn on_one_line() {}
            #[test]
            #[expect(
                lint,
                reason = "x"
            )]
            fn below_a_long_attribute() {}
            #[test]
            #[ignore = "slow"]
            fn ignored() {}
            #[test]
            #[ignore]
            fn ignored_without_a_reason() {}
            #[test]
            #[ignore = "needs PostgreSQL"]
            fn run_by_ci() {}
            // #[test]
            fn helper(callback: fn(u8) -> u8) {}
            const TEXT: &str = "#[test] fn quoted() {}";
            macro_rules! patterns { ($(#[$doc:meta])*) => { $(#[$doc])* struct A; } }
            mod inner {
                proptest! {
                    #![proptest_config(x)]
                    #[test]
                    fn in_a_macro(it in any()) {}
                }
            }"##;
        let names: Vec<String> = names_and_summaries(text).into_iter().map(|it| it.0).collect();
        assert_eq!(
            names,
            [
                "plain",
                "on_a_runtime",
                "on_one_line",
                "below_a_long_attribute",
                "run_by_ci",
                "in_a_macro"
            ]
        );
    }

    #[test]
    fn the_summary_is_the_first_line_of_documentation() {
        let text = "/// C-ISS-5: refused.\n/// C-ISS-6\n#[test]\nfn a() {}\n// C-ISS-7\n#[test]\nfn b() {}";
        let expected = [("a", " C-ISS-5: refused."), ("b", "")];
        assert_eq!(
            names_and_summaries(text),
            expected.map(|(name, line)| (name.into(), line.into()))
        );
    }

    #[test]
    fn a_name_of_more_than_60_characters_is_a_finding() {
        let (short, long) = ("a".repeat(LONGEST_NAME), "b".repeat(LONGEST_NAME + 1));
        let text = format!("#[test]\nfn {short}() {{}}\n#[test]\nfn {long}() {{}}\n");
        let tests = of(&Source::new("tests/a.rs".to_owned(), text)).unwrap();
        let expected =
            format!("tests/a.rs: the name of the test {long} has more than 60 characters");
        assert_eq!(findings(&tests), [expected]);
    }
}
