//! File of server keys: format, reading, creation and rotation.
//!
//! Each line is a key: its number, unique in the file, a space, and 32 bytes in base64url. The first key signs; the
//! others only verify.

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

/// Most keys in a file: the one that signs, and the retired ones that verify earlier refresh tokens.
const KEPT: usize = 8;

/// Most attempts of a rotation while other processes keep replacing the file.
const TURNS: usize = 1000;

/// Reason why no server keys could be read or written.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The file is missing, and the database holds grants that only its keys can refresh.
    ///
    /// Restore it from a backup, or log every user out and make a new one with [`rotate_server_key`].
    Missing,
    /// The file can be read or written by other users; its mode has to be 0600.
    OpenToOthers,
    /// The file belongs to another user, who may change it; give it to the user that the server runs as.
    OtherOwner {
        /// Number (UID) of that user.
        owner: u32,
        /// Number (UID) of the user that the server runs as.
        process: u32,
    },
    /// The path ends in a symbolic link; give the path of the file itself.
    ///
    /// If the system mounts the file in this way, as Kubernetes does, read it with [`read_mounted_keys`].
    Link,
    /// A step of the path to a mounted file breaks a rule of [`read_mounted_keys`].
    Mount {
        /// Folder, link or file that breaks the rule.
        path: PathBuf,
        /// Rule that is broken.
        rule: MountRule,
    },
    /// The file does not hold keys in the format of this crate, or two have one number.
    Malformed,
    /// The system's random source failed.
    NoEntropy,
    /// The file is replaced again and again, so that it could not be locked.
    Contended,
    /// The file system returned an error.
    Io(io::Error),
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => {
                "the file of server keys is missing: restore it from a backup, or mount it; a new one from \
                 `rotate_server_key` logs every user out"
            }
            Self::OpenToOthers => {
                "other users may read or write the file of server keys: make it 0600"
            }
            Self::OtherOwner { owner, process } => {
                return write!(
                    f,
                    "the file of server keys belongs to user {owner}, and the server runs as user {process}: \
                     give it to user {process}, or run the server as user {owner}"
                );
            }
            Self::Link => {
                "the path of the file of server keys ends in a symbolic link: give the path of the file itself, or \
                 read a file that the system mounts so with `read_mounted_keys`"
            }
            Self::Mount { path, rule } => {
                return write!(f, "on the way to the file of server keys, {} {rule}", path.display());
            }
            Self::Malformed => {
                "the file of server keys does not hold keys with a number each: restore it from a backup"
            }
            Self::NoEntropy => {
                "the system's random source failed: try again, and check the system if that lasts"
            }
            Self::Contended => {
                "the file of server keys is replaced again and again: end what does that, and try again"
            }
            Self::Io(_) => {
                "the file of server keys cannot be read or written: check its path, its folder and the disk"
            }
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

/// Key of one line of the file.
struct Line {
    id: u8,
    key: Entropy<32>,
}

impl Line {
    /// Creates a new random key with this number.
    fn new(id: u8) -> Result<Self, KeyFileError> {
        #[expect(clippy::disallowed_methods, reason = "here is where the random source is")]
        let key = Entropy::fill(getrandom::fill).map_err(|_| KeyFileError::NoEntropy)?;
        Ok(Self { id, key })
    }
}

/// Action if the file of server keys does not exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a file that is missing is created or refused")]
pub enum MissingFile {
    /// Creates the file, because no refresh token has been issued yet.
    Make,
    /// Fails with [`KeyFileError::Missing`], because refresh tokens in circulation were made with its keys.
    Refuse,
}

/// Reads the keys of a file, and creates the file if it does not exist and `missing` allows that.
///
/// Pass [`MissingFile::Refuse`] as soon as any refresh token has been issued. If several processes start at the same
/// time, one creates the file, and all read the same keys.
///
/// ```no_run
/// use mcp_authz_keys::{MissingFile, read_or_make};
///
/// # fn keys(has_refresh_tokens: bool) -> Result<(), mcp_authz_keys::KeyFileError> {
/// let missing = if has_refresh_tokens { MissingFile::Refuse } else { MissingFile::Make };
/// let keys = read_or_make("/var/lib/auth/server.keys", missing)?;
/// # let _ = keys;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`KeyFileError::Missing`] when the file does not exist and must not be created; any variant except
/// [`KeyFileError::Mount`] when the file cannot be read or created.
pub fn read_or_make(
    file: impl AsRef<Path>,
    missing: MissingFile,
) -> Result<ServerKeys, KeyFileError> {
    let file = file.as_ref();
    leftovers::remove(folder_of(file), file);
    let lines = match read(file) {
        Err(KeyFileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            if missing == MissingFile::Refuse {
                return Err(KeyFileError::Missing);
            }
            match write(&[Line::new(1)?], file, NamedTempFile::persist_noclobber) {
                // Another process has created the file meanwhile.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                outcome => outcome?,
            }
            read(file)?
        }
        outcome => outcome?,
    };
    to_keys(lines)
}

/// Reads the keys of a file that the system mounts for this process.
///
/// Kubernetes, Docker and systemd mount secrets in this way. Such a file belongs to the superuser, its group may read
/// it, and links lead to it. It is never created or changed here. No other user can replace a step of the path, links
/// included: see [`MountRule`].
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
/// [`KeyFileError::Missing`] when the file does not exist, [`KeyFileError::Mount`] when a step of its path breaks a
/// rule, [`KeyFileError::Malformed`] when it does not hold keys, [`KeyFileError::Io`] when it cannot be read.
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

/// Adds a new key in front of those of the file, or creates the file with one.
///
/// Tokens that the other keys signed stay valid, up to eight keys. Servers use the new key from their next start. If
/// several processes rotate at the same time, each adds a key (on Unix).
///
/// # Errors
///
/// [`KeyFileError`] when the file cannot be read, locked or replaced, or has no free number; it is then unchanged.
pub fn rotate_server_key(file: impl AsRef<Path>) -> Result<(), KeyFileError> {
    let file = file.as_ref();
    leftovers::remove(folder_of(file), file);
    for _ in 0..TURNS {
        let old = match private_file::open(private_file::options().read(true), file) {
            Ok(old) => old,
            Err(NotPrivate::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                match write(&[Line::new(1)?], file, NamedTempFile::persist_noclobber) {
                    // Another process has created the file meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                    outcome => return Ok(outcome?),
                }
            }
            Err(error) => return Err(error.into()),
        };
        // The lock is held until the new file is in place, because concurrent rotations would lose each other's key.
        if private_file::lock(&old, file)? {
            let lines = with_new_key(parse(old.try_clone()?)?)?;
            return Ok(write(&lines, file, NamedTempFile::persist)?);
        }
    }
    Err(KeyFileError::Contended)
}

/// Adds a new key in front of these.
fn with_new_key(mut lines: Vec<Line>) -> Result<Vec<Line>, KeyFileError> {
    // Chooses the next number that no key of the file has, because the number in a token names the key that signed
    // it.
    let last = lines.first().map_or(0, |line| line.id);
    let id = (1..=u8::MAX)
        .map(|step| last.wrapping_add(step))
        .find(|id| lines.iter().all(|line| line.id != *id))
        .ok_or(KeyFileError::Malformed)?;
    lines.insert(0, Line::new(id)?);
    lines.truncate(KEPT);
    Ok(lines)
}

/// Writes the file, accessible to its owner alone from the first byte on, and replaces it as a whole.
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

/// Returns `true` if the file holds keys in the format of this crate.
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
