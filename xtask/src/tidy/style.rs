//! File length, module heads and macros of unfinished work.

use crate::tidy::source::{Source, code};

/// Maximum number of lines above the unit tests; aim for half of it.
const CEILING: usize = 400;

/// Macros of unfinished work, which Clippy misses behind a disabled `cfg`.
const UNFINISHED: &[&str] = &["todo", "unimplemented", "dbg"];

pub(super) fn findings(source: &Source) -> Vec<String> {
    let path = &source.path;
    let mut findings = Vec::new();
    let lines = source.body().count();
    if lines > CEILING {
        findings.push(format!(
            "{path}: {lines} lines above its tests, the ceiling is {CEILING}: split it by concept"
        ));
    }
    if !has_head(source.body()) {
        findings.push(format!("{path}: does not begin with a `//!` line"));
    }
    if path.ends_with("/mod.rs") {
        findings.push(format!("{path}: name the file after its module"));
    }
    for (line, number) in source.lines().zip(1..) {
        for name in UNFINISHED.iter().filter(|name| calls(code(line), name)) {
            findings.push(format!("{path}:{number}: `{name}!`"));
        }
    }
    findings
}

/// Returns `true` if the first line after inner attributes is `//!`.
///
/// A README that is included as the crate page counts as well.
fn has_head<'a>(lines: impl Iterator<Item = &'a str>) -> bool {
    let mut in_attribute = false;
    for line in lines {
        let line = line.trim();
        if line.starts_with("#![doc = include_str!(") {
            return true;
        }
        if in_attribute || line.starts_with("#![") {
            in_attribute = !line.ends_with(']');
        } else if !line.is_empty() {
            return line.starts_with("//!");
        }
    }
    false
}

/// Returns `true` if `code` calls the macro `name`.
fn calls(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code.get(..at).unwrap_or_default();
        let after = code.get(at + name.len()..).unwrap_or_default();
        !before.ends_with(|it: char| it.is_alphanumeric() || it == '_')
            && ["!(", "![", "!{", "! {"].iter().any(|it| after.starts_with(it))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str, text: &str) -> Vec<String> {
        findings(&Source::new(path.to_owned(), text.to_owned()))
    }

    #[test]
    fn a_head_may_stand_below_inner_attributes() {
        for text in [
            "//! Head.\n",
            "\n#![no_main]\n\n//! Head.\n",
            "#![doc = include_str!(\"../README.md\")]\n\nmod a;\n",
            "#![expect(\n    lint,\n    reason = \"x\"\n)]\n//! Head.\n",
        ] {
            assert!(has_head(text.lines()), "{text}");
        }
        for text in ["", "// A comment.\n//! Late.\n", "use a::b;\n//! Late.\n"] {
            assert!(!has_head(text.lines()), "{text}");
        }
    }

    #[test]
    fn the_ceiling_counts_what_stands_above_the_tests() {
        let full = format!("//! Head.\n{}", "code\n".repeat(CEILING - 1));
        let tested = format!("{full}#[cfg(test)]\nmod tests {{\n{}}}\n", "code\n".repeat(9));
        assert_eq!(of("crates/a/src/b.rs", &tested), Vec::<String>::new());
        assert_eq!(of("tests/b.rs", &format!("{full}code\n")).len(), 1);
    }

    #[test]
    fn unfinished_work_is_found_in_code_only() {
        let [todo, dbg] = ["todo", "dbg"].map(|name| format!("{name}!(it)"));
        let text = format!("//! {todo}\nlet a = {dbg};\n#[cfg(test)]\nmod tests {{\n{todo}\n");
        assert_eq!(
            of("crates/a/src/b.rs", &text),
            ["crates/a/src/b.rs:2: `dbg!`", "crates/a/src/b.rs:5: `todo!`"]
        );
        assert!(!calls("my_todo!(it)", "todo"));
        assert!(!calls("todo(it)", "todo"));
    }

    #[test]
    fn a_module_file_carries_its_name() {
        assert_eq!(of("crates/a/src/b/mod.rs", "//! Head.\n").len(), 1);
        assert!(of("crates/a/src/b.rs", "//! Head.\n").is_empty());
    }
}
