//! Lists of the unproved IDs, each with its reason. They only shrink.

use std::collections::BTreeSet;

use xshell::Shell;

use crate::tidy::ids::{Proof, Rule};
use crate::workspace::Error;

/// Prints the counts; returns the differences between the open list and the proofs.
pub(super) fn settle(
    sh: &Shell,
    rule: &Rule,
    proofs: &[Proof],
    bless: bool,
    verbose: bool,
) -> Result<Vec<String>, Error> {
    let mut list = sh.read_file(rule.open)?;
    if bless {
        list = shrink(&list, rule, proofs);
        sh.write_file(rule.open, &list)?;
    }
    let open = proofs.iter().filter(|it| lacks(it, rule).is_some()).count();
    println!("{}: {} proved, {open} open of {}", rule.title, proofs.len() - open, proofs.len());
    if verbose {
        for proof in proofs {
            if let Some(lacks) = lacks(proof, rule) {
                let reason = rows(&list).find(|(id, _)| *id == proof.id);
                let reason = reason.map_or("not listed", |(_, reason)| reason);
                println!("  {:<12} lacks {lacks}: {reason}", proof.id);
            }
        }
    }
    Ok(disagreements(&list, rule, proofs))
}

fn disagreements(list: &str, rule: &Rule, proofs: &[Proof]) -> Vec<String> {
    let file = rule.open;
    let mut findings = Vec::new();
    let mut listed = BTreeSet::new();
    for (id, reason) in rows(list) {
        if !listed.insert(id) {
            findings.push(format!("{file}: {id} stands there twice"));
        }
        if reason.is_empty() {
            findings.push(format!("{file}: {id} has no reason"));
        }
        if !proofs.iter().any(|it| it.id == id) {
            findings.push(format!("{file}: {} knows no {id}", rule.table));
        }
    }
    for proof in proofs {
        let id = &proof.id;
        match (lacks(proof, rule), listed.contains(id.as_str())) {
            (None, true) => findings.push(format!("{file}: {id} is now proved, remove it")),
            (Some(lacks), false) => {
                findings.push(format!("{id} lacks {lacks}, and {file} does not list it"));
            }
            _ => {}
        }
    }
    findings
}

/// Returns the list without its proved rows; every other byte stays.
fn shrink(list: &str, rule: &Rule, proofs: &[Proof]) -> String {
    let proved = |line: &str| {
        let id = line.split('\t').next();
        let mut proofs = proofs.iter().filter(|it| lacks(it, rule).is_none());
        proofs.any(|it| Some(it.id.as_str()) == id)
    };
    list.split_inclusive('\n').filter(|line| !proved(line.trim_end())).collect()
}

fn lacks(proof: &Proof, rule: &Rule) -> Option<&'static str> {
    match (proof.test, proof.mark || !rule.needs_mark) {
        (true, true) => None,
        (true, false) => Some("a mark"),
        (false, true) => Some("a test"),
        (false, false) => Some("a test and a mark"),
    }
}

/// Returns the ID and the reason of each row below the header.
fn rows(list: &str) -> impl Iterator<Item = (&str, &str)> {
    let rows = list.lines().skip(1).filter(|row| !row.is_empty());
    rows.map(|row| row.split_once('\t').unwrap_or((row, "")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::ids::requirements;

    const RULE: Rule = Rule {
        title: "requirements",
        table: "table",
        open: "open",
        read: requirements,
        needs_mark: true,
    };

    fn proof(id: &str, test: bool, mark: bool) -> Proof {
        let id = id.to_owned();
        Proof { id, test, mark }
    }

    #[test]
    fn open_and_listed_agree_with_proved_and_not_listed() {
        let proofs = [proof("C-ISS-1", true, true), proof("C-ISS-2", true, false)];
        let list = "id\treason\nC-ISS-2\tnot built yet\n";
        assert_eq!(disagreements(list, &RULE, &proofs), Vec::<String>::new());
    }

    #[test]
    fn each_disagreement_is_named() {
        let proofs = [proof("C-ISS-1", true, true), proof("C-ISS-2", false, true)];
        let list = "id\treason\nC-ISS-1\tnot built yet\nC-ISS-9\t\nC-ISS-9\tx\n";
        assert_eq!(
            disagreements(list, &RULE, &proofs),
            [
                "open: C-ISS-9 has no reason",
                "open: table knows no C-ISS-9",
                "open: C-ISS-9 stands there twice",
                "open: table knows no C-ISS-9",
                "open: C-ISS-1 is now proved, remove it",
                "C-ISS-2 lacks a test, and open does not list it",
            ]
        );
    }

    #[test]
    fn an_attack_needs_a_test_only() {
        let attacks = Rule { needs_mark: false, ..RULE };
        assert_eq!(lacks(&proof("SEC-028", true, false), &attacks), None);
        assert_eq!(lacks(&proof("SEC-028", false, false), &attacks), Some("a test"));
    }

    #[test]
    fn a_blessing_only_removes() {
        let proofs = [proof("C-ISS-1", true, true), proof("C-ISS-10", false, false)];
        let list = "id\treason\nC-ISS-1\tx\nC-ISS-3\tunknown stays\n";
        assert_eq!(shrink(list, &RULE, &proofs), "id\treason\nC-ISS-3\tunknown stays\n");
    }
}
