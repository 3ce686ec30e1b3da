//! Credential store in a folder, one file for each record.

use core::fmt;
use std::fs::{self, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use client_flow::{CredentialKey, StoredCredentials};
use futures::future::BoxFuture;
use oauth_types::{ResourceUri, SecretDigest};
use tracing::warn;
use zeroize::Zeroizing;

use super::folder::{make_private, private, remove_leftovers, replace, sync_folder};
use super::{all_for, latest_for};
use crate::store::{CredentialStore, StoreError, StoreLock};

/// Time between two tries of a lock that another program holds.
const PAUSE: Duration = Duration::from_millis(25);
/// Maximum number of tries: 8 minutes in all, longer than one login's exchanges.
const TRIES: usize = 8 * 60 * 40;

/// Credential store in a folder that only its user may read (0700, files 0600).
///
/// Each record has a file of its own. A new version is written beside the old one, flushed to the disk and renamed, so
/// that a reader finds the old or the new one, and a crash loses neither. Files that a killed program left half written
/// are removed when the folder is opened again. Several programs may share the folder: they exchange tokens one after
/// the other, under a lock that ends with the program that holds it.
///
/// A folder from [`open`](Self::open) holds the secrets in plain text, as those of most command-line programs do. With
/// `with_keyring` (feature `keyring`), the files are encrypted with a key that the operating system keeps.
pub struct FileCredentials {
    folder: PathBuf,
    form: Arc<Form>,
}

/// Encoding of records in their files.
enum Form {
    Plain,
    #[cfg(feature = "keyring")]
    Sealed(super::keyring::Key),
}

impl FileCredentials {
    /// Opens a folder, and creates it if it does not exist.
    ///
    /// # Errors
    ///
    /// The file system's error; [`io::ErrorKind::PermissionDenied`] when others may read the folder, when it belongs to
    /// another user (who could replace its records), or when its path ends in a symbolic link.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use mcp_authz_reqwest::FileCredentials;
    ///
    /// let store = FileCredentials::open("/home/ann/.config/my-client/credentials")?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn open(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        make_private(&folder)?;
        remove_leftovers(&folder)?;
        Ok(Self { folder, form: Arc::new(Form::Plain) })
    }

    /// Opens a folder of encrypted files, with a key from the system's keyring.
    ///
    /// The key belongs to this application. The keyring is Keychain on macOS, Credential Manager on Windows, and the
    /// Secret Service elsewhere. Blocks while the system asks its user to unlock the keyring.
    ///
    /// # Errors
    ///
    /// The errors of [`open`](Self::open), and the keyring's errors.
    #[cfg(feature = "keyring")]
    pub fn with_keyring(folder: impl Into<PathBuf>, application: &str) -> io::Result<Self> {
        Self::sealed(folder.into(), || super::keyring::Key::of_system(application))
    }

    /// Opens a folder of encrypted files, with a key from a keyring of your choice.
    ///
    /// # Errors
    ///
    /// The errors of [`with_keyring`](Self::with_keyring).
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

    fn record_file(&self, key: &CredentialKey) -> PathBuf {
        let name = [key.issuer.as_str(), key.resource.as_str()].join("\n");
        self.folder.join(format!("{}.json", file_name(&name)))
    }
}

impl CredentialStore for FileCredentials {
    fn load<'a>(
        &'a self,
        key: &'a CredentialKey,
    ) -> BoxFuture<'a, Result<Option<StoredCredentials>, StoreError>> {
        let (file, form) = (self.record_file(key), Arc::clone(&self.form));
        blocking(move || form.read(&file))
    }

    fn find<'a>(
        &'a self,
        server: &'a ResourceUri,
    ) -> BoxFuture<'a, Result<Option<StoredCredentials>, StoreError>> {
        let (folder, server) = (self.folder.clone(), server.clone());
        let form = Arc::clone(&self.form);
        blocking(move || Ok(latest_for(&server, form.read_all(&folder)?)))
    }

    fn records<'a>(
        &'a self,
        server: &'a ResourceUri,
    ) -> BoxFuture<'a, Result<Vec<StoredCredentials>, StoreError>> {
        let (folder, server) = (self.folder.clone(), server.clone());
        let form = Arc::clone(&self.form);
        blocking(move || Ok(all_for(&server, form.read_all(&folder)?).collect()))
    }

    fn remove<'a>(&'a self, key: &'a CredentialKey) -> BoxFuture<'a, Result<(), StoreError>> {
        let (file, folder) = (self.record_file(key), self.folder.clone());
        blocking(move || match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => sync_folder(&folder),
        })
    }

    fn save<'a>(&'a self, record: &'a StoredCredentials) -> BoxFuture<'a, Result<(), StoreError>> {
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
                    // Polled, because a thread that waits for the lock would outlive a caller that is dropped.
                    Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
                    Err(TryLockError::Error(error)) => return Err(failed(&error)),
                }
            }
            warn!("another program holds the credential folder for too long");
            Err(StoreError)
        })
    }
}

/// Returns a file name that reveals nothing and is valid on every file system.
fn file_name(text: &str) -> String {
    SecretDigest::of(text).as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Form {
    #[expect(clippy::disallowed_methods, reason = "the adapter is where the files are")]
    fn read(&self, file: &Path) -> io::Result<Option<StoredCredentials>> {
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

    /// Reads the records of a folder, in the order in which they were saved.
    ///
    /// Damaged records are skipped, so that the others remain usable.
    fn read_all(&self, folder: &Path) -> io::Result<impl Iterator<Item = StoredCredentials>> {
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

/// Runs blocking work on a thread for it.
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
    // Only the kind is logged, because a parser's error quotes its input.
    warn!(kind = %error.kind(), "the credential folder cannot be used");
    StoreError
}
