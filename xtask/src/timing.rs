//! `cargo xtask timing`: timing side channels, measured by tests/timing and judged here.

use std::collections::BTreeMap;

use xshell::cmd;

use crate::workspace::{Error, Workspace, announce, none_of};

const MANIFEST: &str = "tests/timing/Cargo.toml";
/// Number of runs; a case fails if it exceeds its limit in each, because noise can disturb one.
const RUNS: usize = 3;
/// Maximum of Welch's t for two inputs that differ in a secret; the threshold of dudect.
const MAX_T: f64 = 4.5;
/// Maximum difference between known and unknown clients, or between their methods.
///
/// In standard deviations of one decision on this machine. A check that is left out makes several.
const MAX_TAU: f64 = 0.75;

/// Runs all cases, or those whose name contains `only`, with that many samples each.
pub(crate) fn run(workspace: &Workspace, samples: u64, only: Option<&str>) -> Result<(), Error> {
    let sh = &workspace.sh;
    let samples = samples.to_string();
    let mut best: BTreeMap<String, Measured> = BTreeMap::new();
    for number in 1..=RUNS {
        announce(&format!("timing, run {number} of {RUNS}"));
        let run = cmd!(
            sh,
            "cargo run --quiet --release --locked --manifest-path {MANIFEST} -- {samples} {only...}"
        );
        for line in run.quiet().read()?.lines() {
            let Some((case, measured)) = read(line) else { continue };
            println!("{case:<20} t {:>9.2}  tau {:>7.4}", measured.t, measured.tau);
            let best = best.entry(case.to_owned()).or_insert(measured);
            if measured.judged(case).0 < best.judged(case).0 {
                *best = measured;
            }
        }
    }
    if best.is_empty() {
        return Err("no case has this name".into());
    }
    none_of(&best.iter().filter_map(|(case, measured)| measured.finding(case)).collect::<Vec<_>>())
}

/// Checks that the cases build.
///
/// `cargo xtask ci` measures nothing, because that needs an idle machine.
pub(crate) fn build(workspace: &Workspace) -> Result<(), Error> {
    let (sh, target) = (&workspace.sh, &workspace.target);
    // The shared target folder already has most dependencies, the cryptographic library in C among them.
    cmd!(sh, "cargo check --quiet --locked --manifest-path {MANIFEST} --target-dir {target}")
        .quiet()
        .run()?;
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Measured {
    t: f64,
    tau: f64,
}

impl Measured {
    /// Returns the figure that is judged for this case, and its limit.
    fn judged(self, case: &str) -> (f64, f64) {
        let is_class = ["client_known", "client_method"].iter().any(|name| case.starts_with(name));
        if is_class { (self.tau.abs(), MAX_TAU) } else { (self.t.abs(), MAX_T) }
    }

    fn finding(self, case: &str) -> Option<String> {
        let (value, limit) = self.judged(case);
        (value > limit).then(|| format!("{case}: {value:.2} in the best of {RUNS} runs"))
    }
}

/// Parses a case and its figures from a line of the harness.
fn read(line: &str) -> Option<(&str, Measured)> {
    let case = line.strip_prefix("bench ")?.split_whitespace().next()?;
    let figure = |name: &str| -> Option<f64> {
        let (_, rest) = line.split_once(name)?;
        // A figure that is not finite is no measurement, so the case counts as not run.
        rest.split(',').next()?.trim().parse().ok().filter(|figure: &f64| figure.is_finite())
    };
    Some((case, Measured { t: figure("max t = ")?, tau: figure("max tau = ")? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_harness_is_read_and_judged() {
        let line =
            "bench state  ... : n == +0.9M, max t = -6.72, max tau = -0.00732, (5/tau)^2 = 467135";
        let (case, measured) = read(line).unwrap();
        assert_eq!((case, measured), ("state", Measured { t: -6.72, tau: -0.00732 }));
        assert_eq!(measured.finding("state").unwrap(), "state: 6.72 in the best of 3 runs");
        assert_eq!(measured.finding("client_known_es256"), None);
        assert!(Measured { t: 9.0, tau: 0.8 }.finding("client_method").is_some());
        assert_eq!(read("bench state seeded with 0x12"), None);
        assert_eq!(read("bench state ... : n == 0M, max t = NaN, max tau = inf, x"), None);
    }
}
