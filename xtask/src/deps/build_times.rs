//! `cargo xtask deps --build-times`: duration of the first build of each core.

use std::time::Instant;

use xshell::{Shell, cmd};

use crate::workspace::{Error, Workspace};

/// Cargo's own `dev` profile, which users of the crates have, instead of that of this repository.
const PROFILE: &str =
    r#"--config profile.dev.debug=true --config 'profile.dev.package."*".debug=true'"#;

/// Builds each core alone in an empty folder and prints the duration.
///
/// In the `dev` profile and with default features. Downloads come first and do not count.
pub(super) fn measure(workspace: &Workspace, cores: &[&str]) -> Result<(), Error> {
    let sh = &workspace.sh;
    cmd!(sh, "cargo fetch --locked").quiet().run()?;
    let processors = std::thread::available_parallelism()?;
    println!("{}, {processors} processors", cmd!(sh, "rustc --version").quiet().read()?);
    println!("{:<22} {:>9} {:>15}", "core", "seconds", "processor time");
    let target = workspace.target.join("build-times");
    for core in cores {
        sh.remove_path(&target)?;
        let (seconds, processor) = build(sh, core, target.as_str())?;
        println!("{core:<22} {seconds:>9.1} {processor:>15.1}");
    }
    sh.remove_path(&target)?;
    Ok(())
}

/// Returns the elapsed seconds and the processor seconds.
///
/// The latter depend less on other programs.
fn build(sh: &Shell, core: &str, target: &str) -> Result<(f64, f64), Error> {
    let build = format!(
        "cargo build --locked --quiet --lib -p {core} --target-dir '{target}' {PROFILE} && times"
    );
    #[expect(clippy::disallowed_methods, reason = "a person reads how long it took")]
    let start = Instant::now();
    let times = cmd!(sh, "sh -c {build}")
        .env_remove("CARGO_PROFILE_DEV_DEBUG")
        .env_remove("CARGO_INCREMENTAL")
        .quiet()
        .read()?;
    let seconds = start.elapsed().as_secs_f64();
    let processor = processor_time(&times).ok_or_else(|| format!("`times` printed: {times}"))?;
    Ok((seconds, processor))
}

/// Adds the two times of the second line that the shell's `times` prints: user and system time of its children.
fn processor_time(times: &str) -> Option<f64> {
    let line = times.lines().nth(1)?;
    line.split_whitespace().map(seconds).sum()
}

/// Parses a duration such as `1m2.500s`.
fn seconds(time: &str) -> Option<f64> {
    let (minutes, seconds) = time.strip_suffix('s')?.split_once('m')?;
    Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_children_are_added() {
        let times = "0m0.000s 0m0.010s\n1m2.500s 0m1.250s\n";
        assert_eq!(processor_time(times), Some(63.75));
        assert_eq!(processor_time("0m0.000s 0m0.010s\n"), None);
        assert_eq!(processor_time("a\n1.5 s\n"), None);
    }
}
