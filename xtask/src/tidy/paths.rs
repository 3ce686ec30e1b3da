//! Paths in the README and the guides: each has to exist.

use crate::workspace::{Error, Workspace};

/// Pages, each with the folder of its relative paths.
const PAGES: &[(&str, &str)] = &[
    ("README.md", ""),
    (".github/CONTRIBUTING.md", ""),
    (".github/SECURITY.md", ""),
    ("crates/ARCHITECTURE.md", "crates"),
];

/// First folders of paths from the workspace root.
const HOMES: &[&str] = &["crates/", "examples/", "tests/", "xtask/"];

pub(super) fn findings(workspace: &Workspace) -> Result<Vec<String>, Error> {
    let mut findings = Vec::new();
    let is_there = |path: &str| workspace.sh.path_exists(workspace.root.join(path));
    for (page, home) in PAGES {
        for path in paths(&workspace.sh.read_file(workspace.root.join(page))?) {
            let is_from_root = HOMES.iter().any(|home| path.starts_with(home));
            let first = path.split('/').next().unwrap_or_default();
            // Any other path is relative to the topic of its sentence and cannot be checked.
            let is_from_home = !home.is_empty() && is_there(&format!("{home}/{first}"));
            let path = match (is_from_root, is_from_home) {
                (true, _) => path.to_owned(),
                (false, true) => format!("{home}/{path}"),
                (false, false) => continue,
            };
            if !is_there(&path) {
                findings.push(format!("{page}: {path} does not exist"));
            }
        }
    }
    Ok(findings)
}

/// Returns the code spans with a slash and without a pattern, a space or a URL.
fn paths(page: &str) -> impl Iterator<Item = &str> {
    let is_path = |span: &&str| {
        let in_path = |it: char| it.is_ascii_alphanumeric() || "/._-".contains(it);
        span.contains('/') && span.chars().all(in_path)
    };
    page.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).filter(is_path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_span_with_a_slash_and_no_pattern() {
        let page = "`a/b.rs` and `c.rs`, `d/`\n```sh\na/e\n```\n`interop_*/x`, `https://a/b`, `cargo -p a/b`";
        assert_eq!(paths(page).collect::<Vec<_>>(), ["a/b.rs", "d/"]);
    }
}
