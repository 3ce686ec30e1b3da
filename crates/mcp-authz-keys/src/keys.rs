//! The file, and how it changes.
//!
//! A line a key: its number, which no other has, a space, and 32 bytes in base64url. The first one signs; the others still
//! verify.

use core::fmt;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use authorization_server::{ServerKey, ServerKeys};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth_types::Entropy;
use tempfile::{NamedTempFile, PersistError};
use zeroize::Zeroizing;

use crate::leftovers;
use crate::mounted::{self, MountRule};
use crate::private_file::{self, NotPrivate, sync_folder};

/// Most keys of a file: the one that signs, and those whose families are not over yet.
const KEPT: usize = 8;

/// How often a rotation looks again at a file that another process has replaced meanwhile.
const TURNS: usize = 1000;

/// Why there are no keys.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The file is gone, and the database holds families that only its keys can refresh. Bring it back from where it was
    /// kept, or log every user out and make a new one with [`rotate_server_key`].
    Missing,
    /// Others may read it: its mode has to be 0600.
    OpenToOthers,
    /// It belongs to another user, who may change it: give it to the user as whom the server runs.
    OtherOwner {
        /// The number of that user.
        owner: u32,
        /// The number of the user as whom the server runs.
        process: u32,
    },
    /// Its path ends in a symbolic link: name the file itself. Where the system mounts it so, as Kubernetes does, read it
    /// with [`read_mounted_keys`].
    Link,
    /// A step on the way to a mounted file breaks a rule ([`read_mounted_keys`]).
    Mount {
        /// The folder, link or file.
        path: PathBuf,
        /// The rule that it breaks.
        rule: MountRule,
    },
    /// It does not hold keys as this crate writes them, or two of the same number.
    Malformed,
    /// The system's random source failed.
    NoEntropy,
    /// The file system's error.
    Io(io::Error),
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => {
                "the file of server keys is gone: without it every user of this database is logged out"
            }
            Self::OpenToOthers => "others may read the file of server keys: make it 0600",
            Self::OtherOwner { owner, process } => {
                return write!(
                    f,
                    "the file of server keys belongs to user {owner}, and the server runs as user {process}: \
                     give it to user {process}, or run the server as user {owner}"
                );
            }
            Self::Link => {
                "the path of the file of server keys ends in a symbolic link: give the path of the file itself, or \
                 read a file that the system mounts so with read_mounted_keys"
            }
            Self::Mount { path, rule } => {
                return write!(f, "on the way to the file of server keys, {} {rule}", path.display());
            }
            Self::Malformed => "the file of server keys holds something else",
            Self::NoEntropy => "the system's random source failed",
            Self::Io(error) => return error.fmt(f),
        })
    }
}

impl core::error::Error for KeyFileError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for KeyFileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<NotPrivate> for KeyFileError {
    fn from(refused: NotPrivate) -> Self {
        match refused {
            NotPrivate::OpenToOthers => Self::OpenToOthers,
            NotPrivate::OtherOwner { owner, process } => Self::OtherOwner { owner, process },
            NotPrivate::Link => Self::Link,
            NotPrivate::Io(error) => Self::Io(error),
        }
    }
}

/// One line of the file.
struct Line {
    id: u8,
    key: Entropy<32>,
}

impl Line {
    /// A new key of this number.
    fn new(id: u8) -> Result<Self, KeyFileError> {
        #[expect(clippy::disallowed_methods, reason = "here is where the random source is")]
        let key = Entropy::fill(getrandom::fill).map_err(|_| KeyFileError::NoEntropy)?;
        Ok(Self { id, key })
    }
}

/// The keys of the file, which is made if it is not there and `is_missed` is false: if nobody has a refresh token yet. Of
/// several processes that start at the same time one makes it, and all read the same.
///
/// # Errors
///
/// [`KeyFileError`]
pub fn read_or_make(file: impl AsRef<Path>, is_missed: bool) -> Result<ServerKeys, KeyFileError> {
    let file = file.as_ref();
    leftovers::remove(folder_of(file), file);
    let lines = match read(file) {
        Err(KeyFileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            if is_missed {
                return Err(KeyFileError::Missing);
            }
            match write(&[Line::new(1)?], file, NamedTempFile::persist_noclobber) {
                // Somebody was faster.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                outcome => outcome?,
            }
            read(file)?
        }
        outcome => outcome?,
    };
    to_keys(lines)
}

/// The keys of a file that the system mounts for this process, as Kubernetes, Docker and systemd do with secrets: it
/// belongs to the superuser, its group may read it, and links lead to it. It is never made or changed here.
///
/// No other user can replace a step of the path, links included: see [`MountRule`].
///
/// ```no_run
/// # fn keys() -> Result<(), mcp_authz_keys::KeyFileError> {
/// let keys = mcp_authz_keys::read_mounted_keys("/run/auth-keys/server.keys")?;
/// // Config::new(issuer, resources, scopes, keys)
/// # let _ = keys;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`KeyFileError::Missing`], [`KeyFileError::Mount`], [`KeyFileError::Malformed`], [`KeyFileError::Io`]
pub fn read_mounted_keys(file: impl AsRef<Path>) -> Result<ServerKeys, KeyFileError> {
    match mounted::open(file.as_ref()).and_then(parse) {
        Ok(lines) => to_keys(lines),
        Err(KeyFileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            Err(KeyFileError::Missing)
        }
        Err(error) => Err(error),
    }
}

fn to_keys(lines: Vec<Line>) -> Result<ServerKeys, KeyFileError> {
    let mut keys = lines.into_iter().map(|line| ServerKey::new(line.id, line.key));
    let current = keys.next().ok_or(KeyFileError::Malformed)?;
    Ok(keys.fold(ServerKeys::new(current), ServerKeys::with_retired))
}

/// Puts a new key before those of the file, or into a new one. What the others signed is still taken, until there are
/// more than eight. Servers use it from their next start. Of several processes that do so at the same time each adds a key
/// (on Unix).
///
/// # Errors
///
/// [`KeyFileError`]; the file is as it was.
pub fn rotate_server_key(file: impl AsRef<Path>) -> Result<(), KeyFileError> {
    let file = file.as_ref();
    leftovers::remove(folder_of(file), file);
    for _ in 0..TURNS {
        let old = match private_file::open(private_file::options().read(true), file) {
            Ok(old) => old,
            Err(NotPrivate::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                match write(&[Line::new(1)?], file, NamedTempFile::persist_noclobber) {
                    // Another process was faster.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                    outcome => return Ok(outcome?),
                }
            }
            Err(error) => return Err(error.into()),
        };
        // Held until the new file is in its place, because rotations at the same time would lose each other's key.
        if private_file::lock(&old, file)? {
            let lines = with_new_key(parse(old.try_clone()?)?)?;
            return Ok(write(&lines, file, NamedTempFile::persist)?);
        }
    }
    Err(io::Error::other("the file of server keys is replaced again and again: end what does that")
        .into())
}

/// Puts a new key before these.
fn with_new_key(mut lines: Vec<Line>) -> Result<Vec<Line>, KeyFileError> {
    // The next number that no key of the file has: a number says which key signed.
    let last = lines.first().map_or(0, |line| line.id);
    let id = (1..=u8::MAX)
        .map(|step| last.wrapping_add(step))
        .find(|id| lines.iter().all(|line| line.id != *id))
        .ok_or(KeyFileError::Malformed)?;
    lines.insert(0, Line::new(id)?);
    lines.truncate(KEPT);
    Ok(lines)
}

/// For its owner alone from the first byte on, and never half written.
fn write<'a>(
    lines: &[Line],
    file: &'a Path,
    persist: impl FnOnce(NamedTempFile, &'a Path) -> Result<File, PersistError>,
) -> io::Result<()> {
    let mut text = Zeroizing::new(String::new());
    for line in lines {
        let key = Zeroizing::new(URL_SAFE_NO_PAD.encode(line.key.as_bytes()));
        text.push_str(&line.id.to_string());
        text.push(' ');
        text.push_str(&key);
        text.push('\n');
    }
    let mut new = leftovers::new_file(folder_of(file))?;
    new.write_all(text.as_bytes())?;
    new.as_file().sync_all()?;
    persist(new, file).map_err(|error| error.error)?;
    sync_folder(file)
}

fn folder_of(file: &Path) -> &Path {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

fn read(file: &Path) -> Result<Vec<Line>, KeyFileError> {
    parse(private_file::open(private_file::options().read(true), file)?)
}

/// Returns `true` if the file holds keys as this crate writes them.
pub(crate) fn holds_keys(file: File) -> bool {
    parse(file).is_ok()
}

fn parse(file: File) -> Result<Vec<Line>, KeyFileError> {
    let mut text = Zeroizing::new(String::with_capacity(4096));
    file.take(4096).read_to_string(&mut text)?;
    let lines: Option<Vec<Line>> = text.lines().map(line).collect();
    let is_good = |lines: &Vec<Line>| {
        let ids: BTreeSet<u8> = lines.iter().map(|line| line.id).collect();
        !ids.is_empty() && ids.len() == lines.len()
    };
    lines.filter(is_good).ok_or(KeyFileError::Malformed)
}

fn line(text: &str) -> Option<Line> {
    let (id, key) = text.split_once(' ')?;
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(key).ok()?);
    Some(Line { id: id.parse().ok()?, key: Entropy::new(bytes.as_slice().try_into().ok()?) })
}
