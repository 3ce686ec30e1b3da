//! Rust files, split by line into code and comments, body and unit tests, without a parser.

use std::path::Path;

use xshell::Shell;

use crate::workspace::{Error, Workspace};

/// Rust file of the workspace.
pub(super) struct Source {
    /// Path relative to the workspace, with forward slashes.
    pub(super) path: String,
    text: String,
    /// Number of lines above the unit tests.
    body: usize,
}

impl Source {
    pub(super) fn new(path: String, text: String) -> Self {
        let body = unit_tests(&text).unwrap_or_else(|| text.lines().count());
        Self { path, text, body }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines()
    }

    /// Returns the lines above the unit tests.
    pub(super) fn body(&self) -> impl Iterator<Item = &str> {
        self.text.lines().take(self.body)
    }

    /// Returns the text above the unit tests.
    pub(super) fn body_text(&self) -> String {
        self.body().flat_map(|line| [line, "\n"]).collect()
    }

    pub(super) fn is_in(&self, home: &str) -> bool {
        self.path.split('/').next() == Some(home)
    }

    /// Returns `true` if this is code that users of a crate run.
    pub(super) fn is_library_code(&self) -> bool {
        self.is_in("crates") && self.path.split('/').nth(2) == Some("src") && !self.is_test_file()
    }

    /// Returns the module that this file is, if it belongs to a published crate.
    pub(super) fn module(&self) -> Option<Module<'_>> {
        let (krate, file) = self.path.strip_prefix("crates/")?.split_once("/src/")?;
        let names: Vec<&str> = file.strip_suffix(".rs")?.split('/').collect();
        Some(Module { krate, names: if names == ["lib"] { Vec::new() } else { names } })
    }

    fn is_test_file(&self) -> bool {
        self.path.split('/').any(|part| part == "tests" || part == "tests.rs")
    }
}

/// Module of a crate under `crates/`.
pub(super) struct Module<'a> {
    /// Folder of the crate.
    pub(super) krate: &'a str,
    /// Names below the crate's root; empty for the root.
    pub(super) names: Vec<&'a str>,
}

impl Module<'_> {
    pub(super) fn is_root(&self) -> bool {
        self.names.is_empty()
    }
}

/// Reads every Rust file below `homes`, except for build output.
pub(super) fn collect(workspace: &Workspace, homes: &[&str]) -> Result<Vec<Source>, Error> {
    let mut sources = Vec::new();
    for home in homes {
        let home = workspace.root.join(home);
        if workspace.sh.path_exists(&home) {
            walk(&workspace.sh, workspace.root.as_std_path(), home.as_std_path(), &mut sources)?;
        }
    }
    Ok(sources)
}

fn walk(sh: &Shell, root: &Path, folder: &Path, sources: &mut Vec<Source>) -> Result<(), Error> {
    for entry in sh.read_dir(folder)? {
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        if entry.is_dir() {
            if name != "target" && !name.starts_with('.') {
                walk(sh, root, &entry, sources)?;
            }
        } else if name.ends_with(".rs") {
            let path = entry.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
            sources.push(Source::new(path, sh.read_file(&entry)?));
        }
    }
    Ok(())
}

/// Returns the line of the `#[cfg(test)]` of an inline module.
///
/// One above a `use` or a `mod name;` does not count.
fn unit_tests(text: &str) -> Option<usize> {
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().enumerate().find_map(|(at, line)| {
        if !line.starts_with("#[cfg(test)]") && !line.starts_with("#[cfg(all(test,") {
            return None;
        }
        let mut below = lines.iter().skip(at + 1);
        let item = below.find(|line| !line.starts_with('#') && !line.starts_with("//"))?;
        (item.contains("mod ") && item.ends_with('{')).then_some(at)
    })
}

/// Returns the part of a line before its comment.
pub(super) fn code(line: &str) -> &str {
    line.get(..comment_at(line)).unwrap_or_default()
}

/// Returns the comment of a line; doc comments count.
pub(super) fn comment(line: &str) -> &str {
    line.get(comment_at(line)..).unwrap_or_default()
}

/// Returns the start of the comment in a line, or the length of the line.
///
/// A comment starts a line or follows a blank, unlike the slashes of `https://`.
fn comment_at(line: &str) -> usize {
    line.match_indices("//")
        .map(|(at, _)| at)
        .find(|&at| {
            line.get(..at).is_some_and(|before| before.is_empty() || before.ends_with([' ', '\t']))
        })
        .unwrap_or(line.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_no_comment() {
        let line = r#"    let issuer = "https://as.example"; // C-ISS-5"#;
        assert_eq!(code(line).trim(), r#"let issuer = "https://as.example";"#);
        assert_eq!(comment(line), "// C-ISS-5");
        assert_eq!(comment("//! head"), "//! head");
        assert_eq!(comment("no comment"), "");
    }

    #[test]
    fn unit_tests_start_at_their_module() {
        assert_eq!(unit_tests("code\n#[cfg(test)]\nmod tests {\n}\n"), Some(1));
        assert_eq!(unit_tests("#[cfg(test)]\n#[expect(x)]\nmod tests {\n}\n"), Some(0));
        assert_eq!(unit_tests("#[cfg(test)]\nmod tests;\nfn code() {\n}\n"), None);
        assert_eq!(unit_tests("#[cfg(test)]\nuse a::b;\nfn code() {\n}\n"), None);
    }

    #[test]
    fn a_file_has_a_body_and_tests() {
        let text = "code\n#[cfg(test)]\nmod tests {\n}\n";
        let unit = Source::new("crates/a/src/b.rs".to_owned(), text.to_owned());
        assert!(unit.is_library_code());
        assert_eq!(unit.body().count(), 1);

        for path in ["tests/src/world.rs", "crates/a/src/b/tests.rs"] {
            let file = Source::new(path.to_owned(), "a\nb\n".to_owned());
            assert!(!file.is_library_code(), "{path}");
            assert_eq!(file.body().count(), 2);
        }
    }
}
