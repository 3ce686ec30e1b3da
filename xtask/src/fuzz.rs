//! `cargo xtask fuzz`: every target of tests/fuzz for some seconds, with vectors and documents as seeds.

use std::collections::BTreeSet;

use cargo_metadata::camino::Utf8PathBuf;
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::process::on_each_core;
use crate::workspace::{Error, Workspace, announce, none_of};

const HOME: &str = "tests/fuzz";
const VECTORS: &str = "tests/vectors";
const DOCUMENTS: &[&str] = &["tests/peers/documents/typescript", "tests/peers/documents/python"];

/// Runs all targets, or one, for that many seconds each, one per core at a time.
pub(crate) fn run(workspace: &Workspace, seconds: u64, only: Option<&str>) -> Result<(), Error> {
    let sh = &workspace.sh;
    if let Some(missing) = missing(sh) {
        return Err(missing.into());
    }
    let targets = targets(sh)?;
    if let Some(only) = only
        && !targets.iter().any(|target| target == only)
    {
        return Err(format!("no target {only}; there are {}", targets.join(", ")).into());
    }
    let seeds = seeds(sh)?;
    announce("build the fuzz targets");
    // Without a sanitizer, because the code has no `unsafe` and runs several times as fast.
    let build = cmd!(sh, "cargo +nightly fuzz build --fuzz-dir {HOME} --sanitizer none");
    let output = build.quiet().ignore_status().output()?;
    if !output.status.success() {
        return Err(tail(&String::from_utf8_lossy(&output.stderr), 60).into());
    }
    let chosen = targets.into_iter().filter(|target| only.is_none_or(|only| only == target));
    // One target per core, because each is a single busy thread.
    let findings =
        on_each_core(sh, chosen, |sh, target| run_target(sh, &seeds, seconds, &target).err());
    none_of(&findings.into_iter().flatten().collect::<Vec<_>>())
}

/// Runs one target with the seeds and the corpus of earlier runs.
fn run_target(
    sh: &Shell,
    seeds: &BTreeSet<String>,
    seconds: u64,
    target: &str,
) -> Result<(), String> {
    let corpus = Utf8PathBuf::from(HOME).join("corpus").join(target);
    let failed = |error: xshell::Error| format!("{target}: {error}");
    sh.create_dir(&corpus).map_err(failed)?;
    for (number, seed) in seeds.iter().enumerate() {
        sh.write_file(corpus.join(format!("seed-{number}")), seed).map_err(failed)?;
    }
    let time = format!("-max_total_time={seconds}");
    let fuzz = cmd!(
        sh,
        "cargo +nightly fuzz run --fuzz-dir {HOME} --sanitizer none {target} -- {time} -max_len=4096 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1"
    );
    let output = fuzz.quiet().ignore_status().output().map_err(failed)?;
    let log = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{target} found something\n{}", tail(&log, 40)));
    }
    let executed =
        log.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let executed = executed.map(str::trim).filter(|executed| *executed != "0");
    let executed = executed.ok_or_else(|| format!("{target} did not run\n{}", tail(&log, 40)))?;
    println!("{target:<20} {executed} executions");
    Ok(())
}

/// Returns an error message if a tool is missing.
fn missing(sh: &Shell) -> Option<&'static str> {
    if !has_nightly(sh) {
        return Some("fuzzing needs a nightly toolchain: `rustup toolchain install nightly`");
    }
    if !answers(sh, &["fuzz", "--version"]) {
        return Some("cargo-fuzz is missing: `cargo install --locked cargo-fuzz`, or `.ci/run`");
    }
    None
}

pub(crate) fn has_nightly(sh: &Shell) -> bool {
    answers(sh, &["+nightly", "--version"])
}

fn answers(sh: &Shell, args: &[&str]) -> bool {
    cmd!(sh, "cargo {args...}").quiet().ignore_stdout().ignore_stderr().run().is_ok()
}

fn targets(sh: &Shell) -> Result<Vec<String>, Error> {
    let files = sh.read_dir(format!("{HOME}/fuzz_targets"))?;
    let name = |file: std::path::PathBuf| file.file_stem()?.to_str().map(str::to_owned);
    Ok(files.into_iter().filter_map(name).collect())
}

/// Returns every text of the vectors, alone and in pairs, and every recorded document.
fn seeds(sh: &Shell) -> Result<BTreeSet<String>, Error> {
    let mut seeds = BTreeSet::new();
    for file in
        sh.read_dir(VECTORS)?.iter().filter(|file| file.extension() == Some("json".as_ref()))
    {
        let rows: Vec<Value> = serde_json::from_str(&sh.read_file(file)?)?;
        for row in rows {
            let mut texts = Vec::new();
            collect(row.get("input").unwrap_or(&Value::Null), &mut texts);
            // Targets that compare two texts read them from two lines.
            seeds.extend(texts.windows(2).map(|pair| pair.join("\n")));
            seeds.extend(texts);
        }
    }
    for folder in DOCUMENTS {
        for file in sh.read_dir(folder)? {
            seeds.insert(sh.read_file(file)?);
        }
    }
    Ok(seeds)
}

fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(members) => members.values().for_each(|member| collect(member, texts)),
        _ => {}
    }
}

fn tail(log: &str, lines: usize) -> String {
    let lines_of_log: Vec<&str> = log.lines().collect();
    lines_of_log
        .iter()
        .skip(lines_of_log.len().saturating_sub(lines))
        .copied()
        .collect::<Vec<_>>()
        .join("\n")
}
