//! Manifest fields that the registry and its readers need.

use cargo_metadata::Package;
use serde_json::Value;

/// Maximum number of keywords, and of categories, on crates.io.
const MOST: usize = 5;

/// Maximum length of a keyword on crates.io.
const LONGEST: usize = 20;

/// Suitable categories of <https://crates.io/category_slugs>; the registry ignores unknown ones.
const CATEGORIES: [&str; 14] = [
    "asynchronous",
    "authentication",
    "caching",
    "cryptography",
    "data-structures",
    "database",
    "database-implementations",
    "encoding",
    "filesystem",
    "network-programming",
    "parser-implementations",
    "web-programming",
    "web-programming::http-client",
    "web-programming::http-server",
];

/// Returns a finding if a package outside of `crates/` could be published.
pub(super) fn is_kept_back(package: &Package) -> Option<String> {
    let kept = package.publish.as_ref().is_some_and(Vec::is_empty);
    (!kept).then(|| format!("{} is not under crates/ and lacks `publish = false`", package.name))
}

/// Returns a finding for each deficit in the manifest of a published crate.
pub(super) fn findings(package: &Package) -> Vec<String> {
    let name = package.name.as_str();
    let mut findings = Vec::new();
    let mut expect = |is_good: bool, what: &str| {
        if !is_good {
            findings.push(format!("{name}: {what}"));
        }
    };
    let description = package.description.as_deref().unwrap_or_default();
    expect(!description.is_empty(), "a `description` is missing");
    expect(!description.contains('?'), "the `description` is a question");
    expect(package.license.is_some(), "a `license` is missing");
    expect(package.repository.is_some(), "a `repository` is missing");
    expect(package.rust_version.is_some(), "a `rust-version` is missing");
    expect(package.readme.is_some(), "a `readme` is missing");
    let docs = format!("https://docs.rs/{name}");
    expect(
        package.documentation.as_ref() == Some(&docs),
        "`documentation` is not its page on docs.rs",
    );
    let keywords = &package.keywords;
    expect((1..=MOST).contains(&keywords.len()), "one to five `keywords`");
    expect(keywords.iter().all(|it| is_keyword(it)), "a keyword that the registry refuses");
    let categories = &package.categories;
    expect((1..=MOST).contains(&categories.len()), "one to five `categories`");
    let known = |it: &String| CATEGORIES.contains(&it.as_str());
    expect(
        categories.iter().all(known),
        "a category that xtask/src/package/manifest.rs does not list",
    );
    let docs = |member: &str| package.metadata.pointer(&format!("/docs/rs/{member}"));
    let all = docs("all-features").is_some_and(|it| it == true);
    expect(all, "docs.rs would not build all features");
    let args = docs("rustdoc-args").and_then(Value::as_array).into_iter().flatten();
    let marks = args.into_iter().any(|it| it == "docsrs");
    expect(marks, "docs.rs would not mark what a feature brings");
    findings
}

/// Returns `true` for a keyword that crates.io accepts.
///
/// A letter, then letters, digits, `_`, `-` and `+`.
fn is_keyword(text: &str) -> bool {
    text.len() <= LONGEST
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|it| it.is_ascii_alphanumeric() || "_-+".contains(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_have_the_form_that_the_registry_accepts() {
        for keyword in ["oauth", "sans-io", "www-authenticate", "rfc9207"] {
            assert!(is_keyword(keyword), "{keyword}");
        }
        for keyword in ["", "9207", "two words", "longer-than-twenty-chars", "ö"] {
            assert!(!is_keyword(keyword), "{keyword}");
        }
    }
}
