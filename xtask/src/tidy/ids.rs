//! Requirement and attack IDs: their catalogues and their proofs.
//!
//! `C-ISS-5` is proved by a test with `C-ISS-5` in the first line of its documentation and a comment with `C-ISS-5` at
//! the code that enforces it. Row 28 of the attack catalogue has the ID `SEC-028`. It is proved by a test with
//! `SEC-028` in that line. A test may carry several IDs.

use std::collections::BTreeSet;

use crate::tidy::source::{Source, comment};
use crate::tidy::test_functions::TestFunction;
use crate::workspace::Error;

/// Files and proof rules of one kind of ID.
pub(super) struct Rule {
    pub(super) title: &'static str,
    /// Catalogue file that defines the IDs.
    pub(super) table: &'static str,
    /// File that lists the unproved IDs.
    pub(super) open: &'static str,
    /// Function that reads the IDs from the catalogue.
    pub(super) read: fn(&str) -> Vec<String>,
    /// `true` if the enforcing code has to name the ID too.
    pub(super) needs_mark: bool,
}

/// Proofs of one ID that the source tree has.
pub(super) struct Proof {
    pub(super) id: String,
    pub(super) test: bool,
    pub(super) mark: bool,
}

/// All IDs of one kind, in the order of their catalogue file.
pub(super) struct Catalogue {
    ids: Vec<String>,
}

impl Catalogue {
    pub(super) fn new(read: fn(&str) -> Vec<String>, table: &str) -> Result<Self, Error> {
        let ids = read(table);
        let distinct: BTreeSet<&String> = ids.iter().collect();
        if ids.is_empty() || distinct.len() != ids.len() {
            return Err("a catalogue is empty or holds an ID twice".into());
        }
        Ok(Self { ids })
    }

    /// Returns one proof for each ID; a test or mark with an unknown ID is a finding.
    pub(super) fn proofs(
        &self,
        sources: &[&Source],
        tests: &[TestFunction],
        findings: &mut Vec<String>,
    ) -> Vec<Proof> {
        let proved = tests.iter().flat_map(|test| {
            let ids = self.in_comment(&test.summary).into_iter();
            ids.map(|id| (id, &test.path))
        });
        let tests: BTreeSet<(String, &String)> = proved.collect();
        let mut marks = BTreeSet::new();
        for source in sources {
            for line in source.body().filter(|_| source.is_library_code()) {
                let ids = self.in_comment(comment(line)).into_iter();
                marks.extend(ids.map(|id| (id, &source.path)));
            }
        }
        for (id, path) in tests.iter().chain(&marks) {
            if !self.ids.contains(id) {
                findings.push(format!("{path}: no catalogue knows {id}"));
            }
        }
        let proof = |id: &String| Proof {
            id: id.clone(),
            test: tests.iter().any(|(it, _)| it == id),
            mark: marks.iter().any(|(it, _)| it == id),
        };
        self.ids.iter().map(proof).collect()
    }

    /// Returns every word of a comment that has the shape of an ID, known or unknown.
    fn in_comment(&self, comment: &str) -> Vec<String> {
        let words = comment.split(|it: char| !it.is_ascii_alphanumeric() && it != '-');
        words
            .filter(|word| {
                word.rsplit_once('-').is_some_and(|(family, number)| {
                    is_number(number) && self.families().iter().any(|it| is_alike(it, family))
                })
            })
            .map(str::to_owned)
            .collect()
    }

    /// Returns the families of the IDs: `C-ISS` of `C-ISS-5`, `SEC` of `SEC-028`.
    fn families(&self) -> BTreeSet<&str> {
        let families = self.ids.iter().filter_map(|id| id.rsplit_once('-'));
        families.map(|(family, _)| family).collect()
    }
}

/// Returns the first column of a table, without its header row.
pub(super) fn requirements(table: &str) -> Vec<String> {
    let rows = table.lines().skip(1);
    rows.filter_map(|row| row.split('\t').next())
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Returns `SEC-028` for each row `| 28 | AS | … |` of Markdown tables.
pub(super) fn attacks(table: &str) -> Vec<String> {
    let numbers = table.lines().filter_map(|line| {
        let (number, _) = line.strip_prefix('|')?.split_once('|')?;
        number.trim().parse::<u16>().ok()
    });
    numbers.map(|number| format!("SEC-{number:03}")).collect()
}

/// Returns `true` if `family` has the first word of `known`, and as many words in capitals.
fn is_alike(known: &str, family: &str) -> bool {
    known.split('-').next() == family.split('-').next()
        && known.split('-').count() == family.split('-').count()
        && family.chars().all(|it| it.is_ascii_uppercase() || it == '-')
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|it| it.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::test_functions;

    fn catalogue() -> Catalogue {
        let table = "id\tlevel\nC-ISS-1\tMUST\nC-ISS-10\tMUST\nA-TOKEN-1\tMUST\n";
        Catalogue::new(requirements, table).unwrap()
    }

    #[test]
    fn a_mark_is_a_whole_word_of_a_comment() {
        let catalogue = catalogue();
        assert_eq!(
            catalogue.in_comment("// C-ISS-10, A-TOKEN-1: the issuer (C-NEW-7)."),
            ["C-ISS-10", "A-TOKEN-1", "C-NEW-7"]
        );
        assert!(catalogue.in_comment("// SHA-256, RFC-6749, C-ISS-1a, X-ISS-1").is_empty());
    }

    #[test]
    fn proofs_need_the_right_place_and_a_known_id() {
        let file = |path: &str, text: &str| Source::new(path.to_owned(), text.to_owned());
        let core = file(
            "crates/a/src/b.rs",
            "// C-ISS-1\n#[cfg(test)]\nmod tests {\n/// C-ISS-10\n#[test]\nfn a() {} // C-ISS-10\n}\n",
        );
        let outside =
            file("tests/c.rs", "// C-ISS-10\n/// C-ISS-1, C-ISS-2: x\n#[test]\nfn a() {}\n");
        let tests = [&core, &outside].map(|it| test_functions::of(it).unwrap());
        let tests: Vec<TestFunction> = tests.into_iter().flatten().collect();
        let mut findings = Vec::new();
        let proofs = catalogue().proofs(&[&core, &outside], &tests, &mut findings);
        let found: Vec<_> = proofs.iter().map(|it| (it.test, it.mark)).collect();
        assert_eq!(found, [(true, true), (true, false), (false, false)]);
        assert_eq!(findings, ["tests/c.rs: no catalogue knows C-ISS-2"]);
    }

    #[test]
    fn a_catalogue_holds_each_id_once() {
        assert!(Catalogue::new(requirements, "id\nC-ISS-1\nC-ISS-1\n").is_err());
        assert!(Catalogue::new(attacks, "no table").is_err());
    }
}
