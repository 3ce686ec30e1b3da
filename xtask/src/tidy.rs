//! `cargo xtask tidy`: conventions of the source tree that the compiler does not check.

mod circles;
mod code_paths;
mod ids;
mod imports;
mod ledger;
mod paths;
mod source;
mod style;
mod summaries;
mod test_functions;

use crate::tidy::ids::{Catalogue, Rule};
use crate::tidy::source::Source;
use crate::workspace::{Error, Workspace, none_of};

/// Folders with Rust files of this workspace.
const HOMES: &[&str] = &["crates", "examples", "tests", "xtask"];

const REQUIREMENTS: Rule = Rule {
    title: "requirements",
    table: "tests/catalogue/requirements.tsv",
    open: "tests/catalogue/requirements-open.tsv",
    read: ids::requirements,
    needs_mark: true,
};

const ATTACKS: Rule = Rule {
    title: "attacks",
    table: "tests/catalogue/attacks.md",
    open: "tests/catalogue/attacks-open.tsv",
    read: ids::attacks,
    needs_mark: false,
};

pub(crate) fn run(workspace: &Workspace, bless: bool, verbose: bool) -> Result<(), Error> {
    let sources = source::collect(workspace, HOMES)?;
    let mut findings: Vec<String> = sources.iter().flat_map(style::findings).collect();
    findings.extend(paths::findings(workspace)?);
    findings.extend(imports::findings(&sources)?);
    findings.extend(circles::findings(&sources)?);
    findings.extend(summaries::findings(&workspace.sh, &sources, bless, verbose)?);
    // `xtask` is left out, because the samples in its unit tests prove nothing.
    let proving: Vec<&Source> = sources.iter().filter(|it| !it.is_in("xtask")).collect();
    let mut tests = Vec::new();
    for source in &proving {
        tests.extend(test_functions::of(source)?);
    }
    findings.extend(test_functions::findings(&tests));
    for rule in [REQUIREMENTS, ATTACKS] {
        let catalogue = Catalogue::new(rule.read, &workspace.sh.read_file(rule.table)?)?;
        let proofs = catalogue.proofs(&proving, &tests, &mut findings);
        findings.extend(ledger::settle(&workspace.sh, &rule, &proofs, bless, verbose)?);
    }
    none_of(&findings)
}
