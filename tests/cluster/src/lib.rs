//! PostgreSQL server for tests, in a temporary folder; it ends with the test process.
//!
//! Debian's package `postgresql` has to be installed, without a running server. Commits are flushed to the disk, as in
//! production (`fsync`), so an immediate shutdown is a crash.

#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "it starts servers, and looks where they are")]

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Password over TCP of the only user, who owns everything.
const PASSWORD: &str = "cluster-password";

/// Shell script that stops the server and removes its folder when its input ends.
///
/// The input ends with the test process, even if that is killed.
const GUARD: &str = "trap '' INT TERM HUP; cat >/dev/null; \
    \"$1/pg_ctl\" -D \"$2/data\" -m immediate -w stop >/dev/null 2>&1; rm -rf \"$2\"";

/// Running server with its databases.
#[derive(Debug)]
pub struct Cluster {
    programs: PathBuf,
    folder: PathBuf,
    /// User and group of the server, if the tests run as root, which PostgreSQL refuses.
    user: Option<(u32, u32)>,
    port: u16,
    settings: String,
    databases: AtomicU32,
    guard: Child,
}

impl Cluster {
    /// Starts a server, which takes a second or two.
    ///
    /// # Errors
    ///
    /// When PostgreSQL is not installed or does not start; the error has its message.
    pub fn start() -> io::Result<Self> {
        Self::start_with(&[])
    }

    /// Starts a server with settings of `postgresql.conf`.
    ///
    /// # Errors
    ///
    /// Those of [`start`](Self::start).
    pub fn start_with(settings: &[(&str, &str)]) -> io::Result<Self> {
        let programs = programs()?;
        let user = other_user()?;
        let folder = tempfile::Builder::new().prefix("cluster").tempdir()?.keep();
        if let Some((uid, gid)) = user {
            chown(&folder, Some(uid), Some(gid))?;
        }
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "sh"]).arg(&programs).arg(&folder);
        let guard = as_user(&mut guard, user).current_dir("/").stdin(Stdio::piped()).spawn()?;
        // Another process can take the port before the server does, but that is very unlikely.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut text = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} \
             -c max_connections=400",
            folder.display()
        );
        for (name, value) in settings {
            text.push_str(&format!(" -c {name}={value}"));
        }
        let databases = AtomicU32::new(0);
        let cluster = Self { programs, folder, user, port, settings: text, databases, guard };
        cluster.initialize()?;
        cluster.start_again()?;
        Ok(cluster)
    }

    /// Returns the server that the tests of a process share; the first call starts it.
    ///
    /// # Panics
    ///
    /// When it cannot be started, with the reason.
    #[expect(clippy::panic, reason = "a test without its server has failed")]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| Self::start().unwrap_or_else(|error| panic!("{error}")))
    }

    fn initialize(&self) -> io::Result<()> {
        let password = self.folder.join("password");
        // The server runs as another user and reads it, in a folder that is closed to all others.
        fs::write(&password, PASSWORD)?;
        fs::set_permissions(&password, Permissions::from_mode(0o644))?;
        let mut initdb = self.program("initdb");
        initdb.args(["--username=postgres", "--encoding=UTF8", "--locale=C", "--no-instructions"]);
        initdb.args(["--auth-local=trust", "--auth-host=scram-sha-256", "--pgdata"]);
        initdb.arg(self.data()).arg("--pwfile").arg(&password);
        run(&mut initdb).map(drop)
    }

    /// Returns the URL over TCP of the database that exists from the start.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Returns the URL of this database over TCP.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// Returns the URL of this database over a socket in the folder.
    #[must_use]
    pub fn socket_url_of(&self, database: &str) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{folder}:{}/{database}", self.port)
    }

    /// Creates an empty database; returns its URL.
    ///
    /// # Errors
    ///
    /// When PostgreSQL reports an error.
    pub fn fresh_database(&self) -> io::Result<String> {
        let name = format!("fresh{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(self.url_of(&name))
    }

    /// Returns the output of `psql`: one line for each row, `|` between columns.
    ///
    /// # Errors
    ///
    /// When PostgreSQL reports an error.
    pub fn sql(&self, database: &str, statements: &str) -> io::Result<String> {
        let mut psql = self.program("psql");
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-c"]);
        psql.arg(statements).arg("-h").arg(&self.folder).arg("-p").arg(self.port.to_string());
        run(&mut psql)
    }

    /// Returns a dump of a database by `pg_dump`, as an attacker could steal it.
    ///
    /// # Errors
    ///
    /// When PostgreSQL reports an error.
    pub fn dump(&self, database: &str) -> io::Result<String> {
        let mut dump = self.program("pg_dump");
        dump.args(["-U", "postgres", "-d", database]);
        dump.arg("-h").arg(&self.folder).arg("-p").arg(self.port.to_string());
        let dump = run(&mut dump)?;
        // Two lines of each dump have random letters.
        let is_same =
            |line: &&str| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict");
        Ok(dump.lines().filter(is_same).collect::<Vec<_>>().join("\n"))
    }

    /// Returns the port on the loopback interface, which is the same after each start.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the data folder, for changes while the server is down.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Crashes the server: connections break and nothing is flushed.
    ///
    /// # Errors
    ///
    /// When PostgreSQL reports an error.
    pub fn shut_down_at_once(&self) -> io::Result<()> {
        self.stop("immediate")
    }

    /// Stops the server in order, with a message to each connection.
    ///
    /// # Errors
    ///
    /// When PostgreSQL reports an error.
    pub fn shut_down(&self) -> io::Result<()> {
        self.stop("fast")
    }

    fn stop(&self, mode: &str) -> io::Result<()> {
        let mut control = self.program("pg_ctl");
        run(control.arg("-D").arg(self.data()).args(["-m", mode, "-w", "stop"])).map(drop)
    }

    /// Restarts the stopped server and waits until it answers.
    ///
    /// # Errors
    ///
    /// When PostgreSQL reports an error.
    pub fn start_again(&self) -> io::Result<()> {
        let mut control = self.program("pg_ctl");
        control.arg("-D").arg(self.data()).arg("-l").arg(self.folder.join("log"));
        control.args(["-w", "-t", "60", "-o", &self.settings, "start"]);
        run(&mut control).map(drop).map_err(|error| {
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            io::Error::other(format!("{error}\n{log}"))
        })
    }

    /// Suspends every process of the server until it is [thawed](Self::thaw).
    ///
    /// Connections stay open without answers.
    ///
    /// # Errors
    ///
    /// When its processes are not found.
    pub fn freeze(&self) -> io::Result<()> {
        self.signal("-STOP")
    }

    /// Resumes the server.
    ///
    /// # Errors
    ///
    /// When its processes are not found.
    pub fn thaw(&self) -> io::Result<()> {
        self.signal("-CONT")
    }

    fn signal(&self, signal: &str) -> io::Result<()> {
        let file = fs::read_to_string(self.data().join("postmaster.pid"))?;
        let parent = file.lines().next().unwrap_or_default();
        // The parent comes first, so that it starts and ends no others meanwhile.
        run(Command::new("kill").args([signal, parent]))?;
        let children = run(Command::new("ps").args(["-o", "pid=", "--ppid", parent]))?;
        for child in children.split_whitespace() {
            // A connection may have ended since its process was listed.
            run(Command::new("kill").args([signal, child])).map(drop).or_else(|error| {
                if Path::new("/proc").join(child).exists() { Err(error) } else { Ok(()) }
            })?;
        }
        Ok(())
    }

    fn program(&self, name: &str) -> Command {
        let mut program = Command::new(self.programs.join(name));
        as_user(&mut program, self.user).current_dir(&self.folder).env("LC_ALL", "C");
        program
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A frozen server cannot stop.
        let _ = self.thaw();
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

fn as_user(command: &mut Command, user: Option<(u32, u32)>) -> &mut Command {
    match user {
        Some((uid, gid)) => command.uid(uid).gid(gid),
        None => command,
    }
}

/// Returns the user of a server that root starts: `postgres` of the package, or `nobody`.
fn other_user() -> io::Result<Option<(u32, u32)>> {
    let number = |arguments: &[&str]| -> io::Result<u32> {
        let printed = run(Command::new("id").args(arguments))?;
        printed.trim().parse().map_err(io::Error::other)
    };
    if number(&["-u"])? != 0 {
        return Ok(None);
    }
    let of = |name| -> io::Result<_> { Ok((number(&["-u", name])?, number(&["-g", name])?)) };
    of("postgres").or_else(|_| of("nobody")).map(Some)
}

/// Returns the folder of PostgreSQL's programs: from the path, or Debian's newest version.
fn programs() -> io::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|version| {
            let version = version.ok()?;
            let number = version.file_name().to_str()?.parse().ok()?;
            Some((number, version.path().join("bin")))
        })
        .collect();
    versions.sort();
    folders.extend(versions.into_iter().rev().map(|(_, folder)| folder));
    let has_all = |folder: &PathBuf| {
        ["initdb", "pg_ctl", "pg_dump", "postgres", "psql"]
            .iter()
            .all(|name| is_program(&folder.join(name)))
    };
    folders.into_iter().find(has_all).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            "PostgreSQL is missing: install Debian's package `postgresql`",
        )
    })
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file())
}

/// Runs a program; returns its output, or an error with its standard error.
fn run(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let mut complaint = Vec::new();
    write!(complaint, "{command:?} ended with {}: ", output.status)?;
    complaint.extend(output.stderr);
    Err(io::Error::other(text(&complaint)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folder goes with the cluster.
    #[test]
    #[ignore = "needs PostgreSQL"]
    fn stored_data_survives_a_crash_of_the_cluster() {
        let cluster = Cluster::start().unwrap();
        let url = cluster.fresh_database().unwrap();
        assert!(url.ends_with("/fresh0"), "{url}");
        cluster.sql("fresh0", "CREATE TABLE t (x int); INSERT INTO t VALUES (7)").unwrap();
        cluster.shut_down_at_once().unwrap();
        assert!(cluster.sql("fresh0", "SELECT 1").is_err());
        cluster.start_again().unwrap();
        assert_eq!(cluster.sql("fresh0", "SELECT x FROM t").unwrap().trim(), "7");
        assert_eq!(cluster.sql("fresh0", "SHOW fsync").unwrap().trim(), "on");
        assert!(cluster.dump("fresh0").unwrap().contains("CREATE TABLE public.t"));
        cluster.freeze().unwrap();
        cluster.thaw().unwrap();
        cluster.freeze().unwrap();
        let folder = cluster.folder.clone();
        drop(cluster);
        assert!(!folder.exists());
    }
}
