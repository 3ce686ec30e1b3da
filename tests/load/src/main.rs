//! Load: the share of its rate that good traffic keeps while hostile traffic is on.
//!
//! `cargo xtask load` runs it. Each round of a case has a new server in a process of its own ([`server`]): the router
//! of the authorization server and an rmcp server behind [`ProtectLayer`](mcp_authz_axum::ProtectLayer), both under
//! `serve` with its defaults. This process sends good traffic ([`good`]), another one hostile traffic ([`hostile`]),
//! and a fourth one is the web on which clients publish documents. A round measures, in this order:
//!
//! 1. the closed loop: units of good traffic a second, sixteen at once;
//! 2. the open loop: units sent at half of that rate, and the share that is answered rightly within a second;
//! 3. both again while hostile traffic is on.
//!
//! The open loop decides in every case, because the hostile program needs processors too, and what it takes from a
//! closed loop on the same machine says nothing about the server. Where hostile traffic only waits, the closed loop
//! decides as well, by right answers for each second that the server runs on a processor. The extra time that the
//! server runs is given as a share of one processor.

#![expect(
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a measurement, whose inputs are ours"
)]

mod good;
mod hostile;
mod server;
mod wire;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::good::{Good, Outcome};
use crate::hostile::Attack;
use crate::server::Options;

const CLOSED: Duration = Duration::from_secs(3);
const OPEN: Duration = Duration::from_secs(3);
/// Share of the closed loop's rate at which the open loop sends.
const SENT: f64 = 0.5;
/// Share of its rate that good traffic has to keep.
const KEPT: f64 = 0.9;

/// One kind of hostile traffic and the options of the attacked server.
struct Case {
    name: &'static str,
    attack: Attack,
    options: Options,
    /// `true` if hostile traffic only waits, so that the closed loop decides as well.
    is_passive: bool,
}

fn cases() -> Vec<Case> {
    let options = Options::default();
    let case = |name, attack, options, is_passive| Case { name, attack, options, is_passive };
    let idle = |addresses| Attack::Idle { connections: 10_000, addresses };
    vec![
        // Bounded as addresses of the internet are, which no test on one machine has.
        case("idle, one address", idle(1), Options { by_local_network: 256, ..options }, true),
        case("idle, one proxy", idle(1), options, true),
        case("idle, 100 addresses", idle(100), options, true),
        case("idle, 1024 descriptors", idle(100), Options { descriptors: 1024, ..options }, true),
        case("stalled bodies", Attack::Stalled { bodies: 60 }, options, true),
        case("sessions of one user", Attack::Sessions { wanted: 1_000 }, options, false),
        case("documents, one address", Attack::Documents { addresses: 1 }, options, false),
        case("documents, 250 addresses", Attack::Documents { addresses: 250 }, options, false),
    ]
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    wire::allow_descriptors(u64::MAX)?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["web"] => server::web().await,
        ["server", options @ ..] => server::run(Options::read(options)?).await,
        ["hostile", attack @ ..] => hostile::run(attack).await,
        options => measure(options).await,
    }
}

/// Figures of one round.
struct Round {
    kept: f64,
    kept_closed: f64,
    /// The same by what the server needs of the processors, which another program on the machine does not change.
    kept_by_cpu: f64,
    before: Outcome,
    under: Outcome,
    /// Time of processors beyond that of the round without hostile traffic, as a share of one.
    cost: f64,
    memory: u64,
    said: String,
}

async fn measure(options: &[&str]) -> anyhow::Result<()> {
    let after = |name| options.iter().skip_while(move |option| **option != name).nth(1);
    let rounds: usize = after("--rounds").map_or(Ok(3), |rounds| rounds.parse())?;
    let only = after("--only").copied().unwrap_or_default();
    let cases: Vec<_> = cases().into_iter().filter(|case| case.name.contains(only)).collect();
    let mut web = Process::start(&["web".to_owned()])?;
    let web = web.line("web ").map(|port| (port, web))?;
    let mut all: Vec<Vec<Round>> = cases.iter().map(|_| Vec::new()).collect();
    for number in 1..=rounds {
        for (index, (case, figures)) in cases.iter().zip(&mut all).enumerate() {
            let network = number * cases.len() + index;
            let round = round(case, network, &web.0).await.with_context(|| case.name)?;
            println!(
                "round {number}: {:<25} keeps {:.3} open, {:.3} closed, {:.3} by processor time; {} and {}; tried {}",
                case.name,
                round.kept,
                round.kept_closed,
                round.kept_by_cpu,
                round.before,
                round.under,
                round.said
            );
            figures.push(round);
        }
    }
    println!(
        "\n| hostile traffic | open loop | closed loop, by processor time | by rate | p99 | processor | memory |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut findings = Vec::new();
    for (case, rounds) in cases.iter().zip(&all) {
        let of = |figure: fn(&Round) -> f64| Spread::new(rounds.iter().map(figure).collect());
        let (open, closed) = (of(|round| round.kept), of(|round| round.kept_closed));
        let (late, cost) = (of(|round| round.under.p99_ms()), of(|round| round.cost));
        let memory = of(|round| round.memory as f64);
        let by_cpu = of(|round| round.kept_by_cpu);
        let (kept_by_cpu, by_cpu) = (by_cpu.median, by_cpu.to_string());
        println!(
            "| {} | {open} | {} | ({:.2}) | {:.0} ms | {:.0} % | {:.0} MiB |",
            case.name,
            if case.is_passive { by_cpu.clone() } else { format!("({by_cpu})") },
            closed.median,
            late.median,
            100.0 * cost.median,
            memory.median
        );
        if open.median < KEPT || (case.is_passive && kept_by_cpu < KEPT) {
            findings.push(format!("{}: open {open}, by processor time {by_cpu}", case.name));
        }
    }
    println!("\nMedians of {rounds} round(s), least to most; figures in brackets do not decide.");
    if !findings.is_empty() {
        bail!("good traffic keeps less than {KEPT} of its rate: {}", findings.join("; "));
    }
    Ok(())
}

async fn round(case: &Case, network: usize, web: &str) -> anyhow::Result<Round> {
    let mut server = Process::start(&case.options.arguments(web))?;
    let places = server.line("server ")?;
    let good = Arc::new(Good::set_up(&places, web).await?);
    good::closed_loop(&good, CLOSED / 2).await;
    let cpu = server.cpu_time();
    let [right, closed] = good::closed_loop(&good, CLOSED).await;
    let by_cpu = right / server.cpu_time().saturating_sub(cpu).as_secs_f64();
    let rate = closed * SENT;
    let cpu = server.cpu_time();
    let before = good::open_loop(&good, rate, OPEN).await;
    let cpu_before = server.cpu_time().saturating_sub(cpu);

    let token = good.token_of("mallory").await?;
    let mut hostile = Process::start(&case.attack.arguments(&places, web, &token, network))?;
    hostile.line("on")?;
    let cpu = server.cpu_time();
    let under = good::open_loop(&good, rate, OPEN).await;
    let cpu_under = server.cpu_time().saturating_sub(cpu);
    let memory = server.memory();
    let cpu = server.cpu_time();
    let [right, closed_under] = good::closed_loop(&good, CLOSED).await;
    let by_cpu_under = right / server.cpu_time().saturating_sub(cpu).as_secs_f64();
    let said = hostile.stop("tried ")?;
    Ok(Round {
        kept: under.share() / before.share(),
        kept_closed: closed_under / closed,
        kept_by_cpu: by_cpu_under / by_cpu,
        cost: (cpu_under.as_secs_f64() - cpu_before.as_secs_f64()) / OPEN.as_secs_f64(),
        before,
        under,
        memory,
        said,
    })
}

/// Median, minimum and maximum of some figures.
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn new(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
        let last = figures.len().saturating_sub(1);
        Self { median: at(figures.len() / 2), least: at(0), most: at(last) }
    }
}

impl core::fmt::Display for Spread {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(&format!("{:.3} ({:.3} to {:.3})", self.median, self.least, self.most))
    }
}

/// This program in another role, which ends with its input.
struct Process {
    child: Child,
    input: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
}

impl Process {
    fn start(arguments: &[String]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let input = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().context("no output")?);
        Ok(Self { child, input, lines })
    }

    /// Returns the rest of the next line, which has to begin with `prefix`.
    fn line(&mut self, prefix: &str) -> anyhow::Result<String> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        let rest = line.trim_end().strip_prefix(prefix);
        Ok(rest.with_context(|| format!("`{line}` instead of `{prefix}`"))?.to_owned())
    }

    fn stop(mut self, prefix: &str) -> anyhow::Result<String> {
        self.input = None;
        self.line(prefix)
    }

    /// Returns the processor time of all threads of the process.
    fn cpu_time(&self) -> Duration {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let nanos = threads.into_iter().flatten().flatten().filter_map(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            stat.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanos.sum())
    }

    /// Returns the memory of the process, in MiB.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: Option<u64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.unwrap_or_default() / 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until the process that started this one closes its input.
async fn until_stopped() {
    let ended =
        tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    drop(ended.await);
}

/// Fixed rate for the actions of one attacker or client.
struct Pace {
    start: Instant,
    rate: f64,
}

impl Pace {
    fn new(rate: f64) -> Self {
        Self { start: Instant::now(), rate }
    }

    /// Waits for the turn with this number.
    async fn turn(&self, number: usize) {
        let turn = self.start + Duration::from_secs_f64(number as f64 / self.rate);
        tokio::time::sleep_until(turn.into()).await;
    }
}
