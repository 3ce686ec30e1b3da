//! Credentials in a folder of the user's.

use core::fmt;
use std::fs::{self, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use client_flow::{Record, RecordKey};
use futures::future::BoxFuture;
use oauth_types::{ResourceUri, SecretDigest};
use tracing::warn;
use zeroize::Zeroizing;

use super::folder::{make_private, private, remove_leftovers, replace, sync_folder};
use super::{all_for, latest_for};
use crate::store::{CredentialStore, StoreError, StoreLock};

/// How long between two tries of a lock that somebody else holds, and how many: longer than the exchanges of one
/// login take.
const PAUSE: Duration = Duration::from_millis(25);
const TRIES: usize = 8 * 60 * 40;

/// Keeps each record in a file of its own, in one folder that only the user may read (0700, files 0600).
///
/// A record is written beside the old one, flushed to the disk and put in its place by a rename, so whoever reads
/// finds the old or the new one and a crash loses neither. What a program leaves there that is killed meanwhile is removed
/// when the folder is opened again. Several programs may share the folder: they exchange
/// tokens one after the other, under a lock that ends with the program that holds it.
///
/// Opened by [`open`](Self::open), secrets stand in the files as they are, as those of most command-line programs
/// do. Opened by `with_keyring` (feature `keyring`), the files are sealed with a key that the operating system
/// keeps.
pub struct FileCredentials {
    folder: PathBuf,
    form: Arc<Form>,
}

/// How records stand in their files.
enum Form {
    Plain,
    #[cfg(feature = "keyring")]
    Sealed(super::keyring::Key),
}

impl FileCredentials {
    /// Takes this folder, and makes it if it is not there.
    ///
    /// # Errors
    ///
    /// The file system's error; [`io::ErrorKind::PermissionDenied`] when others may read the folder, when it belongs to
    /// another user (who could replace what is in it), or when its path ends in a symbolic link.
    pub fn open(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        make_private(&folder)?;
        remove_leftovers(&folder)?;
        Ok(Self { folder, form: Arc::new(Form::Plain) })
    }

    /// Takes this folder for files that are sealed with a key of this application, which the system's keyring
    /// keeps: Keychain on macOS, Credential Manager on Windows, the Secret Service elsewhere.
    ///
    /// Blocks while the system asks its user to unlock the keyring.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and the keyring's errors.
    #[cfg(feature = "keyring")]
    pub fn with_keyring(folder: impl Into<PathBuf>, application: &str) -> io::Result<Self> {
        Self::sealed(folder.into(), || super::keyring::Key::of_system(application))
    }

    /// The same with a keyring of the application's choice.
    ///
    /// # Errors
    ///
    /// As [`with_keyring`](Self::with_keyring).
    #[cfg(feature = "keyring")]
    pub fn with_key_store(
        folder: impl Into<PathBuf>,
        application: &str,
        store: &Arc<keyring_core::CredentialStore>,
    ) -> io::Result<Self> {
        Self::sealed(folder.into(), || super::keyring::Key::of(store, application))
    }

    #[cfg(feature = "keyring")]
    fn sealed(
        folder: PathBuf,
        key: impl FnOnce() -> io::Result<super::keyring::Key>,
    ) -> io::Result<Self> {
        make_private(&folder)?;
        remove_leftovers(&folder)?;
        let only_one =
            private().truncate(false).create(true).write(true).open(folder.join("key.lock"))?;
        only_one.lock()?;
        let form = Arc::new(Form::Sealed(key()?));
        Ok(Self { folder, form })
    }

    fn record_file(&self, key: &RecordKey) -> PathBuf {
        let name = [key.issuer.as_str(), key.resource.as_str()].join("\n");
        self.folder.join(format!("{}.json", file_name(&name)))
    }
}

impl CredentialStore for FileCredentials {
    fn load<'a>(&'a self, key: &'a RecordKey) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        let (file, form) = (self.record_file(key), Arc::clone(&self.form));
        blocking(move || form.read(&file))
    }

    fn find<'a>(
        &'a self,
        server: &'a ResourceUri,
    ) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        let (folder, server) = (self.folder.clone(), server.clone());
        let form = Arc::clone(&self.form);
        blocking(move || Ok(latest_for(&server, form.read_all(&folder)?)))
    }

    fn records<'a>(
        &'a self,
        server: &'a ResourceUri,
    ) -> BoxFuture<'a, Result<Vec<Record>, StoreError>> {
        let (folder, server) = (self.folder.clone(), server.clone());
        let form = Arc::clone(&self.form);
        blocking(move || Ok(all_for(&server, form.read_all(&folder)?).collect()))
    }

    fn remove<'a>(&'a self, key: &'a RecordKey) -> BoxFuture<'a, Result<(), StoreError>> {
        let (file, folder) = (self.record_file(key), self.folder.clone());
        blocking(move || match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => sync_folder(&folder),
        })
    }

    fn save<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), StoreError>> {
        let (file, folder) = (self.record_file(&record.account.key()), self.folder.clone());
        let (form, json) = (Arc::clone(&self.form), serde_json::to_vec(record).map(Zeroizing::new));
        blocking(move || {
            let json = form.write(&file, json?)?;
            replace(&folder, &file, &json)
        })
    }

    fn lock<'a>(&'a self, server: &'a ResourceUri) -> BoxFuture<'a, Result<StoreLock, StoreError>> {
        let file = self.folder.join(format!("{}.lock", file_name(server.as_str())));
        Box::pin(async move {
            let open = move || private().truncate(false).create(true).write(true).open(file);
            let file = blocking(open).await?;
            for _ in 0..TRIES {
                match file.try_lock() {
                    Ok(()) => return Ok(StoreLock::holding(file)),
                    // No thread waits for it: a caller who gives up leaves none behind.
                    Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
                    Err(TryLockError::Error(error)) => return Err(failed(&error)),
                }
            }
            warn!("another program holds the credential folder for too long");
            Err(StoreError)
        })
    }
}

/// A name that says nothing and fits every file system.
fn file_name(text: &str) -> String {
    SecretDigest::of(text).as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Form {
    #[expect(clippy::disallowed_methods, reason = "the adapter is where the files are")]
    fn read(&self, file: &Path) -> io::Result<Option<Record>> {
        let bytes = match fs::read(file) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let json = match self {
            Self::Plain => bytes,
            #[cfg(feature = "keyring")]
            Self::Sealed(key) => key.open(&name_of(file), &bytes)?,
        };
        Ok(Some(serde_json::from_slice(&json)?))
    }

    /// The records of a folder, in the order they were saved. One damaged record is no reason to have none.
    fn read_all(&self, folder: &Path) -> io::Result<impl Iterator<Item = Record>> {
        let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|kind| kind == "json") {
                files.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        files.sort();
        Ok(files.into_iter().filter_map(|(_, file)| self.read(&file).ok().flatten()))
    }

    fn write(&self, file: &Path, json: Zeroizing<Vec<u8>>) -> io::Result<Zeroizing<Vec<u8>>> {
        match self {
            Self::Plain => {
                let _ = file;
                Ok(json)
            }
            #[cfg(feature = "keyring")]
            Self::Sealed(key) => key.seal(&name_of(file), &json).map(Zeroizing::new),
        }
    }
}

#[cfg(feature = "keyring")]
#[expect(clippy::expect_used, reason = "files of a folder have names")]
fn name_of(file: &Path) -> String {
    let name = file.file_name().expect("the path is a folder's and a name");
    name.to_string_lossy().into_owned()
}

impl fmt::Debug for FileCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileCredentials").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Does what blocks where that disturbs nobody.
fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> BoxFuture<'static, Result<T, StoreError>> {
    Box::pin(async move {
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done.map_err(|error| failed(&error)),
            Err(_) => Err(StoreError),
        }
    })
}

fn failed(error: &io::Error) -> StoreError {
    // The kind alone: a parser's error quotes what it read.
    warn!(kind = %error.kind(), "the credential folder cannot be used");
    StoreError
}
