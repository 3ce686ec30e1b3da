//! `cargo xtask cost`: instructions of the hot paths of tests/cost, compared with the figures kept there.

use std::collections::BTreeMap;

use xshell::cmd;

use crate::workspace::{Error, Workspace, none_of};

/// Figures that are kept: the compiler in the first line, then a path and its instructions in each.
const KEPT: &str = "tests/cost/instructions.txt";
/// Most that a path may take beyond its kept figure, in percent.
const TOLERANCE: u64 = 5;
/// The same for figures that another compiler made.
const TOLERANCE_OF_ANOTHER_COMPILER: u64 = 20;

/// Counts the instructions of each path and compares them with the kept figures, or keeps them.
pub(crate) fn run(workspace: &Workspace, bless: bool) -> Result<(), Error> {
    let sh = &workspace.sh;
    if cmd!(sh, "valgrind --version").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        return Err("valgrind is missing: it counts the instructions".into());
    }
    cmd!(sh, "cargo build --quiet --release --locked -p cost --bin cost").quiet().run()?;
    let program = workspace.target.join("release/cost");
    let compiler = cmd!(sh, "rustc --version").quiet().read()?;
    let mut counted = BTreeMap::new();
    for line in cmd!(sh, "{program}").quiet().read()?.lines() {
        let (path, runs) = line.split_once(' ').ok_or("the program lists paths and their runs")?;
        let runs: u64 = runs.parse()?;
        let tool = ["--tool=callgrind", "--collect-atstart=no", "--callgrind-out-file=/dev/null"];
        let output =
            cmd!(sh, "valgrind {tool...} --toggle-collect=cost::counted* {program} {path}");
        let output = output.quiet().read_stderr()?;
        let total = output.lines().find_map(|line| line.split_once("Collected : ")?.1.parse().ok());
        // Callgrind counts 0 if it does not find the function, for example after a change of its name.
        let total = total.filter(|total: &u64| *total > 0);
        let total = total.ok_or_else(|| format!("callgrind counted nothing: {output}"))?;
        counted.insert(path.to_owned(), total / runs);
    }
    if bless {
        sh.write_file(KEPT, write(&compiler, &counted))?;
        return Ok(());
    }
    let kept = sh.read_file(KEPT)?;
    let tolerance = match kept.starts_with(&format!("# {compiler}\n")) {
        true => TOLERANCE,
        false => TOLERANCE_OF_ANOTHER_COMPILER,
    };
    let kept = read(&kept);
    for (path, count) in &counted {
        println!("{path:<24} {count:>8}  kept {:>8}", kept.get(path).copied().unwrap_or(0));
    }
    none_of(&findings(&kept, &counted, tolerance)).map_err(|error| {
        format!("{error}\nIf this is meant: `cargo xtask cost --bless`, and why in the commit")
            .into()
    })
}

fn write(compiler: &str, counted: &BTreeMap<String, u64>) -> String {
    let lines = counted.iter().map(|(path, count)| format!("{path} {count}\n"));
    format!("# {compiler}\n{}", lines.collect::<String>())
}

fn read(kept: &str) -> BTreeMap<String, u64> {
    let lines = kept.lines().filter_map(|line| line.split_once(' '));
    lines.filter_map(|(path, count)| Some((path.to_owned(), count.parse().ok()?))).collect()
}

/// Returns the paths that take more than they did, those that take less than half, and those without a figure.
///
/// A path that takes less than half may not do its work any more.
fn findings(
    kept: &BTreeMap<String, u64>,
    counted: &BTreeMap<String, u64>,
    tolerance: u64,
) -> Vec<String> {
    let judge = |(path, count): (&String, &u64)| match kept.get(path) {
        None => Some(format!("{path} has no kept figure")),
        Some(before) if *count > before + before * tolerance / 100 => {
            Some(format!("{path} takes {count} instructions; it took {before}"))
        }
        Some(before) if *count < before / 2 => Some(format!(
            "{path} takes only {count} instructions; it took {before}: check that it does its work"
        )),
        Some(_) => None,
    };
    let gone = kept.keys().filter(|path| !counted.contains_key(*path));
    let gone = gone.map(|path| format!("{path} is kept and no longer counted"));
    counted.iter().filter_map(judge).chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(text: &str) -> BTreeMap<String, u64> {
        read(text)
    }

    #[test]
    fn a_path_that_takes_a_twentieth_more_is_found() {
        let kept = figures("# rustc 1.0\ntoken 1000\nform 200\n");
        assert_eq!(findings(&kept, &figures("token 1050\nform 100"), 5), Vec::<String>::new());
        let found = findings(&kept, &figures("token 499"), 5);
        assert!(found[0].contains("takes only 499 instructions; it took 1000"), "{found:?}");
        let found = findings(&kept, &figures("token 1051\nnew 1"), 5);
        assert_eq!(
            found,
            [
                "new has no kept figure",
                "token takes 1051 instructions; it took 1000",
                "form is kept and no longer counted",
            ]
        );
    }

    #[test]
    fn what_is_written_is_read() {
        let kept = figures("token 1000\nform 200\n");
        assert_eq!(read(&write("rustc 1.0", &kept)), kept);
    }
}
