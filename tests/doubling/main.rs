//! What strangers send costs what it is long, whatever is in it: twice as much of it costs at most two and a half times
//! as much to read. Counted and never timed, in bytes of memory and, where there is valgrind, in instructions.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "the test starts itself under valgrind")]

mod cases;

use core::fmt::Write as _;
use std::fs;
use std::process::Command;

use allocation_counter::measure;

use cases::{CASES, Case};

/// Each text is twice as long as the one before; the third is as long as anything that is read.
const LENGTHS: usize = 5;

/// The texts of a case.
fn texts(case: &Case) -> impl Iterator<Item = String> {
    let lengths = (0..LENGTHS).map(|number| (case.longest << number) >> 2);
    lengths.map(|length| {
        let room = length.saturating_sub(case.start.len() + case.end.len());
        let mut pieces = String::new();
        match case.piece.split_once('#') {
            // Another number in each.
            Some((before, after)) => {
                let mut numbers = 0..;
                while pieces.len() + case.piece.len() + 4 < room {
                    let _ = write!(pieces, "{before}{}{after}", numbers.next().unwrap_or(0));
                }
            }
            None => pieces = case.piece.repeat(room / case.piece.len()),
        }
        [case.start, &pieces, case.end].concat()
    })
}

/// What callgrind counts. Its name is known there.
#[inline(never)]
fn counted(case: &Case, text: &str) {
    (case.read)(text);
}

/// Compares the costs, of which so much does not depend on the length.
fn judge(start: u64, costs: impl Fn(&Case) -> Vec<u64>) {
    let mut steep = Vec::new();
    for case in CASES {
        let costs = costs(case);
        assert_eq!(costs.len(), LENGTHS);
        let is_steep = |pair: &[u64]| pair[1] > pair[0] * 5 / 2 + start;
        if costs.windows(2).any(is_steep) {
            steep.push(format!("{} of {:?}: {costs:?}", case.name, case.piece));
        }
    }
    assert!(steep.is_empty(), "{steep:#?}");
}

#[test]
fn sec_211_twice_the_input_allocates_at_most_two_and_a_half_times_as_much() {
    judge(4096, |case| {
        // What is made once is made now.
        (case.read)("");
        texts(case).map(|text| measure(|| counted(case, &text)).bytes_total).collect()
    });
}

/// What runs under valgrind; by itself it counts nothing.
#[test]
#[ignore = "the next test starts it"]
fn worker() {
    for case in CASES {
        (case.read)("");
        for text in texts(case) {
            counted(case, &text);
        }
    }
}

#[test]
#[ignore = "needs valgrind, and takes minutes"]
fn sec_211_twice_the_input_costs_at_most_two_and_a_half_times_the_instructions() {
    let folder = tempfile::tempdir().unwrap();
    let counts = folder.path().join("counts");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--dump-before=doubling::counted"])
        .arg("--dump-after=doubling::counted")
        .arg(format!("--callgrind-out-file={}", counts.display()))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "worker", "--ignored", "--test-threads=1"])
        .output()
        .expect("valgrind runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let files = (1..).map(|number| folder.path().join(format!("counts.{number}")));
    let files = files.map_while(|file| fs::read_to_string(file).ok());
    let costs: Vec<u64> = files.filter_map(|text| instructions(&text)).collect();
    assert_eq!(costs.len(), CASES.len() * LENGTHS);
    judge(50_000, |case| {
        let at = CASES.iter().position(|own| core::ptr::eq(own, case)).unwrap();
        costs[at * LENGTHS..][..LENGTHS].to_vec()
    });
}

/// What callgrind counted in a call, if this is what it wrote at its end.
fn instructions(counts: &str) -> Option<u64> {
    let line = |start: &str| counts.lines().find_map(|line| line.strip_prefix(start));
    line("desc: Trigger: ")?.starts_with("--dump-after").then_some(())?;
    line("totals: ")?.trim().parse().ok()
}
