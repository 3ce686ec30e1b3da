//! What strangers send costs what it is long, whatever is in it: twice as much of it costs at most two and a half times
//! as much to read. Counted and never timed, in bytes of memory and, where there is valgrind, in instructions.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "the test starts itself under valgrind")]

mod cases;

use core::fmt::Write as _;
use core::num::NonZero;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

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

/// SEC-211
#[test]
fn twice_the_input_allocates_at_most_2_5_times_as_much() {
    judge(4096, |case| {
        // What is made once is made now.
        (case.read)("");
        texts(case).map(|text| measure(|| counted(case, &text)).bytes_total).collect()
    });
}

/// The parts into which the workers divide the cases, and the one of this worker.
const PARTS: &str = "DOUBLING_PARTS";
const PART: &str = "DOUBLING_PART";

fn cases_of(part: usize, parts: usize) -> impl Iterator<Item = &'static Case> {
    CASES.iter().skip(part).step_by(parts)
}

/// What runs under valgrind; by itself it counts nothing.
#[test]
#[ignore = "the next test starts it"]
fn worker() {
    let number = |name| std::env::var(name).ok().and_then(|number| number.parse().ok());
    for case in cases_of(number(PART).unwrap_or(0), number(PARTS).unwrap_or(1)) {
        (case.read)("");
        for text in texts(case) {
            counted(case, &text);
        }
    }
}

/// SEC-211
#[test]
#[ignore = "needs valgrind, and takes minutes"]
fn twice_the_input_costs_at_most_2_5_times_the_instructions() {
    let folder = tempfile::tempdir().unwrap();
    // Valgrind uses one core.
    let parts = thread::available_parallelism().map_or(1, NonZero::get);
    let counts: Vec<_> =
        (0..parts).map(|part| folder.path().join(format!("counts-{part}"))).collect();
    let start = |(part, counts): (usize, &PathBuf)| {
        Command::new("valgrind")
            .args(["--tool=callgrind", "--dump-before=doubling::counted"])
            .arg("--dump-after=doubling::counted")
            .arg(format!("--callgrind-out-file={}", counts.display()))
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "worker", "--ignored", "--test-threads=1"])
            .envs([(PART, part.to_string()), (PARTS, parts.to_string())])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("valgrind runs")
    };
    let workers: Vec<_> = counts.iter().enumerate().map(start).collect();
    for worker in workers {
        let output = worker.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let costs: Vec<Vec<u64>> = counts.iter().map(|counts| all_instructions(counts)).collect();
    for (part, costs) in costs.iter().enumerate() {
        assert_eq!(costs.len(), cases_of(part, parts).count() * LENGTHS);
    }
    judge(50_000, |case| {
        let at = CASES.iter().position(|own| core::ptr::eq(own, case)).unwrap();
        costs[at % parts][at / parts * LENGTHS..][..LENGTHS].to_vec()
    });
}

/// What callgrind counted in each call, in the files whose names begin with this one.
fn all_instructions(counts: &Path) -> Vec<u64> {
    let files = (1..).map(|number| counts.with_extension(number.to_string()));
    let files = files.map_while(|file| fs::read_to_string(file).ok());
    files.filter_map(|text| instructions(&text)).collect()
}

/// What callgrind counted in a call, if this is what it wrote at its end.
fn instructions(counts: &str) -> Option<u64> {
    let line = |start: &str| counts.lines().find_map(|line| line.strip_prefix(start));
    line("desc: Trigger: ")?.starts_with("--dump-after").then_some(())?;
    line("totals: ")?.trim().parse().ok()
}
