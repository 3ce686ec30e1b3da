//! A power cut at any instant: whatever was not flushed is there, or not, or in part.
//!
//! The worker of `crash` runs under strace, which writes down each change of a file, each flush and each answer, in
//! their order. From that, disks are made as they may be after a cut, and a store is opened on each.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use futures::executor::block_on;

use crate::crash::{Answered, judge, note, worker_command};
use crate::samples::*;

const CUTS: usize = 1000;
const SECTOR: usize = 512;

/// What happened to the disk, or was said.
#[derive(Clone, Debug)]
enum Event {
    Write {
        file: PathBuf,
        at: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        file: PathBuf,
        length: usize,
    },
    Removed {
        file: PathBuf,
    },
    /// Of a file, or of the folder.
    Flushed {
        file: PathBuf,
    },
    Answered {
        line: String,
    },
}

/// The events of a worker that ends by itself.
fn record(place: &Place) -> Vec<Event> {
    let trace = place.path("trace");
    let worker = worker_command(&place.path("store"), 0, 16);
    let status = Command::new("strace")
        .args(["-f", "-y", "-xx", "-s", "65536", "-o"])
        .arg(&trace)
        .args(["-e", "trace=openat,pwrite64,write,fsync,fdatasync,ftruncate,unlink"])
        .arg(worker.get_program())
        .args(worker.get_args())
        .envs(worker.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("strace is there")
        .wait_with_output();
    assert!(status.unwrap().status.success());
    let text = fs::read_to_string(trace).unwrap();
    // A call that another thread interrupts stands in two lines.
    let mut begun: BTreeMap<&str, String> = BTreeMap::new();
    let mut events = Vec::new();
    for line in text.lines() {
        let (thread, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        if let Some(call) = call.strip_suffix(" <unfinished ...>") {
            // Bytes may be on the disk before the call returns, and an answer may be read.
            if call.starts_with("pwrite64") || call.starts_with("write") {
                events.extend(event(call));
            } else {
                begun.insert(thread, call.to_owned());
            }
        } else if call.starts_with("<... ") {
            let rest = call.split_once("resumed>").unwrap().1;
            events.extend(begun.remove(thread).and_then(|call| event(&(call + rest))));
        } else {
            events.extend(event(call));
        }
    }
    events.retain(|event| match event {
        Event::Answered { .. } => true,
        Event::Write { file, .. }
        | Event::Truncate { file, .. }
        | Event::Removed { file }
        | Event::Flushed { file } => {
            file.starts_with(place.path("store")) && !file.to_string_lossy().ends_with("-shm")
        }
    });
    events
}

fn event(call: &str) -> Option<Event> {
    let (name, rest) = call.split_once('(')?;
    if call.contains(" = -1 ") {
        return None;
    }
    let file = || Some(PathBuf::from(text(rest.split_once('<')?.1.split_once('>')?.0)));
    let quoted = || Some(bytes(rest.split_once('"')?.1.split_once('"')?.0));
    let number = |word: &str| word.trim().trim_end_matches(')').parse::<usize>().ok();
    match name {
        "pwrite64" => {
            let (_, numbers) = rest.rsplit_once('"')?;
            let numbers = numbers.split(')').next()?;
            let at = numbers.split(", ").last().and_then(number)?;
            Some(Event::Write { file: file()?, at, bytes: quoted()? })
        }
        "write" => {
            let line = String::from_utf8(quoted()?).ok()?;
            line.contains("answered ").then_some(Event::Answered { line })
        }
        "fsync" | "fdatasync" => Some(Event::Flushed { file: file()? }),
        "ftruncate" => {
            let length = rest.split_once(", ")?.1.split(')').next().and_then(number)?;
            Some(Event::Truncate { file: file()?, length })
        }
        "unlink" => {
            let path = String::from_utf8(quoted()?).ok()?;
            Some(Event::Removed { file: path.into() })
        }
        _ => None,
    }
}

/// `\x2f` and its like.
fn bytes(escaped: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&escaped[at + 2..at + 4], 16).unwrap();
    (0..escaped.len()).step_by(4).map(byte).collect()
}

/// The same where it is not sure that all of it is escaped.
fn text(path: &str) -> String {
    if path.starts_with("\\x") { String::from_utf8(bytes(path)).unwrap() } else { path.to_owned() }
}

/// Random enough, and the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// A file, and what happened to it since it was flushed.
#[derive(Clone, Default)]
struct OnDisk {
    /// `None` while it is not there, or if nobody can know.
    safe: Option<Vec<u8>>,
    pending: Vec<Event>,
}

impl OnDisk {
    fn apply(content: &mut Option<Vec<u8>>, event: &Event, length: usize) {
        match event {
            Event::Write { at, bytes, .. } => {
                let content = content.get_or_insert_default();
                let end = at + length;
                content.resize(content.len().max(end), 0);
                content[*at..end].copy_from_slice(&bytes[..length]);
            }
            Event::Truncate { length, .. } => content.get_or_insert_default().resize(*length, 0),
            Event::Removed { .. } => *content = None,
            Event::Flushed { .. } | Event::Answered { .. } => {}
        }
    }

    fn flush(&mut self) {
        for event in std::mem::take(&mut self.pending) {
            let length = if let Event::Write { bytes, .. } = &event { bytes.len() } else { 0 };
            Self::apply(&mut self.safe, &event, length);
        }
    }

    /// What may be found after a cut.
    fn after_cut(&self, dice: &mut Dice) -> Option<Vec<u8>> {
        let mut content = self.safe.clone();
        // Often nothing of it came through, or all.
        let mood = dice.below(4);
        for event in &self.pending {
            let kept = match mood {
                0 => false,
                1 => true,
                _ => dice.below(2) == 0,
            };
            if !kept {
                continue;
            }
            let length = match event {
                Event::Write { bytes, .. } if mood == 3 => {
                    (dice.below(bytes.len() / SECTOR + 1) * SECTOR).min(bytes.len())
                }
                Event::Write { bytes, .. } => bytes.len(),
                _ => 0,
            };
            Self::apply(&mut content, event, length);
        }
        content
    }
}

/// The disk as it goes along.
#[derive(Clone, Default)]
struct Disk {
    files: BTreeMap<PathBuf, OnDisk>,
    answered: BTreeMap<u64, Answered>,
}

impl Disk {
    fn take(&mut self, event: &Event, folder: &Path, is_flushed: fn(&Path) -> bool) {
        match event {
            Event::Answered { line } => line.lines().for_each(|line| {
                note(&mut self.answered, line);
            }),
            // What was removed is gone for sure when the folder is flushed.
            Event::Flushed { file } if file == folder => {
                for own in self.files.values_mut() {
                    if own.pending.iter().any(|event| matches!(event, Event::Removed { .. })) {
                        own.flush();
                    }
                }
            }
            Event::Flushed { file } if is_flushed(file) => {
                self.files.entry(file.clone()).or_default().flush();
            }
            Event::Flushed { .. } => {}
            Event::Write { file, .. } | Event::Truncate { file, .. } | Event::Removed { file } => {
                self.files.entry(file.clone()).or_default().pending.push(event.clone());
            }
        }
    }

    /// Cuts the power, starts a server on what is left, and says what it lacks.
    fn cut(&self, dice: &mut Dice) -> Result<(), String> {
        let place = Place::new();
        for (file, own) in &self.files {
            if let Some(content) = own.after_cut(dice) {
                let path = place.path(file.file_name().unwrap().to_str().unwrap());
                fs::write(&path, content).unwrap();
                make_private(&path);
            }
        }
        let opened = mcp_authz_sqlite::SqliteStore::open(place.database(), &settings());
        let store = opened.map_err(|error| format!("it does not open: {error}"))?;
        let raw = place.raw();
        let one = |query: &str| raw.query_row(query, [], |row| row.get::<_, String>(0));
        let sound = one("PRAGMA integrity_check").map_err(|error| error.to_string())?;
        if sound != "ok" {
            return Err(sound);
        }
        let halves = "SELECT count(*) || '' FROM codes WHERE redeemed IS NOT NULL AND NOT EXISTS \
                      (SELECT 1 FROM families WHERE number = redeemed)";
        if one(halves).unwrap() != "0" {
            return Err("a code is used, and its family is not there".to_owned());
        }
        for (number, own) in &self.answered {
            let mut query = raw
                .prepare_cached(
                    "SELECT redeemed IS NOT NULL, generation, revoked FROM codes \
                     LEFT JOIN families ON number = redeemed WHERE digest = ?1",
                )
                .unwrap();
            let found = query.query_row([code(*number).digest.as_bytes()], |row| {
                let found: (bool, Option<u32>, Option<bool>) =
                    (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(found)
            });
            let (redeemed, generation, revoked) = found.map_err(|_| format!("{number} is lost"))?;
            let holds = (redeemed || !own.is_redeemed)
                && u64::from(generation.unwrap_or(0)) >= own.generation
                && (revoked == Some(true) || !own.is_revoked);
            if !holds {
                return Err(format!("{number}: of {own:?} something is lost"));
            }
        }
        // And it goes on from there, for the last of them.
        if let Some(last) = self.answered.keys().last() {
            block_on(judge(&store, &self.answered, last.saturating_sub(8)));
        }
        Ok(())
    }
}

#[cfg(unix)]
fn make_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Cuts at evenly spread events, and says what was lost by each.
fn cuts(
    events: &[Event],
    folder: &Path,
    count: usize,
    is_flushed: fn(&Path) -> bool,
) -> Vec<String> {
    let (mut dice, mut disk, mut losses) = (Dice(1), Disk::default(), Vec::new());
    let mut done = 0;
    for (at, event) in events.iter().enumerate() {
        disk.take(event, folder, is_flushed);
        while done < count && at * count >= done * events.len() {
            if let Err(loss) = disk.cut(&mut dice) {
                losses.push(format!("event {at} of {}: {loss}", events.len()));
            }
            done += 1;
        }
    }
    losses
}

/// SEC-201
#[test]
#[ignore = "needs strace, and a minute"]
fn a_power_cut_at_1000_points_loses_nothing_and_doubles_nothing() {
    let place = Place::new();
    let folder = place.path("store");
    fs::create_dir(&folder).unwrap();
    let events = record(&place);
    let answers = events.iter().filter(|event| matches!(event, Event::Answered { .. })).count();
    let flushes = events.iter().filter(|event| matches!(event, Event::Flushed { .. })).count();
    assert!(answers > 500 && flushes > 50, "{answers} {flushes}");
    let losses = cuts(&events, &folder, CUTS, |_| true);
    assert!(losses.is_empty(), "{losses:#?}");

    // The same disk, had it flushed as seldom as with synchronous=NORMAL: what this test is worth.
    let losses =
        cuts(&events, &folder, CUTS / 10, |file| !file.to_string_lossy().ends_with("-wal"));
    assert!(losses.len() > 10, "{losses:#?}");
    writeln!(
        std::io::stdout().lock(),
        "{} events, {flushes} flushes, {answers} answers: nothing lost by {CUTS} cuts; without \
         flushes of the log, something by {} of {}",
        events.len(),
        losses.len(),
        CUTS / 10
    )
    .unwrap();
}
