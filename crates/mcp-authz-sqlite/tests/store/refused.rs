//! Files that may not be written, now or from the start, because the system says so.
//!
//! The test starts itself as another process, which opens a store and does what it is told. The system's limit for the
//! size of files takes the room from it and gives it back; it counts for whoever runs the tests, as rights do not.

use std::fs;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use authorization_server::Store as _;
use futures::executor::block_on;
use mcp_authz_sqlite::SqliteStore;

use crate::samples::*;

const DATABASE: &str = "MCP_AUTHZ_SQLITE_REFUSED_DATABASE";

/// The process that is refused; a test by itself does nothing.
#[test]
#[ignore = "the other tests of this module start it"]
#[expect(clippy::print_stdout, reason = "its answers")]
fn worker() {
    let Ok(database) = std::env::var(DATABASE) else { return };
    let Ok(store) = SqliteStore::open(database, &settings()) else {
        println!("answered not opened");
        return;
    };
    println!("answered opened");
    let mut stored = Vec::new();
    for (number, _) in (0..).zip(std::io::stdin().lines()) {
        let is_stored = block_on(store.insert_family(family(number), NOW)).is_ok();
        stored.extend(is_stored.then_some(number));
        let is_well = block_on(store.check()).is_ok();
        let is_known = |number: &u64| {
            block_on(store.access(&access(*number, 0).digest, NOW)).is_ok_and(|it| it.is_some())
        };
        assert!(stored.iter().all(is_known));
        println!("answered {is_stored} {is_well}");
    }
}

/// A worker at this place.
struct Worker {
    child: Child,
    told: ChildStdin,
    says: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// One who obeys the rights of files, though it be root, and who is told of a limit instead of ended by it.
    fn start(place: &Place) -> Self {
        let is_root = fs::metadata(place.folder.path()).unwrap().uid() == 0;
        let obey = "setpriv --bounding-set=-dac_override,-dac_read_search";
        let own = if is_root { obey } else { "" };
        let mut child = Command::new("sh")
            .args(["-c", &format!("trap '' XFSZ; exec {own} \"$0\" \"$@\"")])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "refused::worker", "--ignored", "--nocapture"])
            .env(DATABASE, place.database())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let told = child.stdin.take().unwrap();
        let says = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, told, says }
    }

    fn answer(&mut self) -> String {
        let line = self.says.by_ref().map(Result::unwrap).find(|line| line.contains("answered "));
        line.expect("it answers").split_once("answered ").unwrap().1.to_owned()
    }

    /// Whether it stored a family, and whether its health check says that it can.
    fn stores(&mut self) -> (bool, bool) {
        writeln!(self.told).unwrap();
        let answer = self.answer();
        let (is_stored, is_well) = answer.split_once(' ').unwrap();
        (is_stored.parse().unwrap(), is_well.parse().unwrap())
    }

    /// The longest that its files may become.
    fn limit(&self, bytes: &str) {
        let limit = [format!("--pid={}", self.child.id()), format!("--fsize={bytes}:unlimited")];
        assert!(Command::new("prlimit").args(limit).status().unwrap().success());
    }

    fn end(mut self) {
        drop(self.told);
        assert!(self.child.wait().unwrap().success());
    }
}

/// SEC-203
#[test]
fn a_refused_write_issues_nothing_and_tokens_stay_known() {
    let place = Place::new();
    let mut worker = Worker::start(&place);
    assert_eq!(worker.answer(), "opened");
    assert_eq!(worker.stores(), (true, true));
    // As a disk that becomes full in the middle of a write.
    worker.limit("600001");
    let stored = (0..1000).take_while(|_| worker.stores() == (true, true)).count();
    assert!((2..1000).contains(&stored), "{stored}");
    // As one that may only be read.
    worker.limit("0");
    for _ in 0..3 {
        assert_eq!(worker.stores(), (false, false));
    }
    worker.limit("unlimited");
    for _ in 0..3 {
        assert_eq!(worker.stores(), (true, true));
    }
    worker.end();
}

/// SEC-203
#[test]
fn what_may_only_be_read_is_not_opened_and_stays_as_it_is() {
    let place = Place::new();
    block_on(place.open().insert_family(family(1), NOW)).unwrap();
    let mode = |path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let opened = || {
        let mut worker = Worker::start(&place);
        let answer = worker.answer();
        worker.end();
        answer
    };
    let (folder, database) = (place.folder.path(), place.database());
    let before = fs::read(&database).unwrap();
    mode(&*database, 0o400);
    assert_eq!(opened(), "not opened");
    assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
    mode(&*database, 0o600);
    mode(folder, 0o500);
    let refused = opened();
    mode(folder, 0o700);
    assert_eq!(refused, "not opened");
    assert_eq!(fs::read(&database).unwrap(), before);
    // It was not for another reason.
    assert_eq!(opened(), "opened");
}
