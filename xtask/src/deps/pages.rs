//! Number of dependencies of each core, as the README of its crate states it.

use xshell::Shell;

use crate::deps::closure::{Features, closure};
use crate::workspace::{Error, Workspace, none_of};

/// Beginning of the line that states the numbers.
const START: &str = "Normal dependencies: ";

/// Compares the line of each README with the dependencies, or rewrites it.
pub(super) fn check(workspace: &Workspace, cores: &[&str], bless: bool) -> Result<(), Error> {
    let sh = &workspace.sh;
    let mut findings = Vec::new();
    for package in workspace.crates().filter(|package| cores.contains(&package.name.as_str())) {
        let name = package.name.as_str();
        let line = line(sh, name, !package.features.is_empty())?;
        println!("deps: {name}: {line}");
        let path = format!("crates/{name}/README.md");
        let page = sh.read_file(&path)?;
        match with_line(&page, &line) {
            None => findings.push(format!("{path} lacks a line that starts with `{START}`")),
            Some(wanted) if wanted == page => {}
            Some(wanted) if bless => sh.write_file(&path, wanted)?,
            Some(_) => findings.push(format!("{path} does not say `{line}`")),
        }
    }
    none_of(&findings)
}

fn line(sh: &Shell, name: &str, has_features: bool) -> Result<String, Error> {
    let without = closure(sh, name, Features::Default)?.len();
    if !has_features {
        return Ok(format!("{START}{without} crates (counted by `cargo xtask deps`)."));
    }
    let with_all = closure(sh, name, Features::All)?.len();
    Ok(format!(
        "{START}{without} crates without features, {with_all} with all (counted by `cargo xtask deps`)."
    ))
}

/// Returns the page with the line replaced; `None` unless it has exactly one such line.
fn with_line(page: &str, line: &str) -> Option<String> {
    let mut lines = page.lines().filter(|old| old.starts_with(START.trim_end()));
    let (old, None) = (lines.next()?, lines.next()) else {
        return None;
    };
    Some(page.replacen(old, line, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_page_is_replaced_and_nothing_else() {
        let page = "# x\n\nNormal dependencies: 2 crates.\n\nText.\n";
        let wanted = "# x\n\nNormal dependencies: 3 crates.\n\nText.\n";
        assert_eq!(with_line(page, "Normal dependencies: 3 crates.").as_deref(), Some(wanted));
    }

    #[test]
    fn a_page_has_exactly_one_line() {
        assert_eq!(with_line("# x\n", "Normal dependencies: 3"), None);
        let two = "Normal dependencies: 1\nNormal dependencies: 2\n";
        assert_eq!(with_line(two, "Normal dependencies: 3"), None);
    }
}
