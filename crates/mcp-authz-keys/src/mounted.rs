//! Files that the system mounts for a program: secrets of Kubernetes, Docker and systemd.
//!
//! Such a file belongs to the superuser, may be read by a group, and in Kubernetes is reached by links that are
//! replaced when the secret changes (`key -> ..data/key`, `..data -> ..2026_11_30_…`). The path is followed step by
//! step:
//!
//! | check, of each step from the root | refused with |
//! |---|---|
//! | a folder, link or file belongs to the superuser or to the user of the process | [`MountRule::Owner`] |
//! | a link lies in a folder that others may not write to | [`MountRule::Link`] |
//! | a folder that others may write to is sticky | [`MountRule::Folder`] |
//! | the path ends in a file | [`MountRule::Kind`] |
//! | the open file may be written by its owner alone, and read by its owner and group | [`MountRule::Mode`] |
//! | at most 40 links are followed | [`MountRule::Links`] |
//!
//! By the first three, no other user can replace a step, so the file that is opened is the one that was checked. On a
//! file system that is mounted read-only no user may write, whatever the modes are; Kubernetes gives the folder of a
//! secret the mode 1777. On systems other than Unix a file has the rights of its folder, and nothing is checked.

use core::fmt;
use std::fs::File;
use std::path::Path;

use crate::keys::KeyFileError;
use crate::private_file::options;

/// Rules for each step of the path to a mounted file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum MountRule {
    /// A step belongs to the superuser or to the user that the process runs as.
    Owner {
        /// Number (UID) of the step's owner.
        owner: u32,
        /// Number (UID) of the user that the process runs as.
        process: u32,
    },
    /// A symbolic link lies in a folder that others may not write to.
    Link,
    /// A folder that others may write to is sticky, so that they cannot replace what is in it.
    Folder,
    /// The path ends in a file.
    Kind,
    /// The file may be written by its owner alone, and read by its owner and its group alone.
    Mode,
    /// At most 40 links lead to the file.
    Links,
}

impl fmt::Display for MountRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Owner { owner, process } => {
                return write!(
                    f,
                    "belongs to user {owner}, who may change it: give it to the superuser or to user {process}, as \
                     whom the server runs"
                );
            }
            Self::Link => {
                "is a symbolic link in a folder that others may write to: mount that folder read-only, or take away \
                 their right"
            }
            Self::Folder => {
                "is a folder that others may write to: mount it read-only, or take away their right"
            }
            Self::Kind => "is not a file: give the path of the file of keys",
            Self::Mode => {
                "may be read by others, or written by its group: make it 0440 (in Kubernetes defaultMode: 0440 with \
                 an fsGroup), or 0400"
            }
            Self::Links => {
                "is one symbolic link more than the 40 that are followed: remove the circle, if they lead in one"
            }
        })
    }
}

impl core::error::Error for MountRule {}

/// Opens a mounted file.
pub(crate) fn open(path: &Path) -> Result<File, KeyFileError> {
    let path = system::follow(path)?;
    // Checked first, because opening a special file may block.
    if !path.symlink_metadata()?.is_file() {
        return Err(KeyFileError::Mount { path, rule: MountRule::Kind });
    }
    let file = options().read(true).open(&path)?;
    match system::judge_file(&file.metadata()?) {
        Ok(()) => Ok(file),
        Err(rule) => Err(KeyFileError::Mount { path, rule }),
    }
}

#[cfg(unix)]
mod system {
    use std::collections::VecDeque;
    use std::ffi::OsString;
    use std::fs::Metadata;
    use std::io;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::{Component, Path, PathBuf};

    use rustix::fs::StatVfsMountFlags;

    use super::MountRule;
    use crate::keys::KeyFileError;

    /// Most links that are followed, as in Linux.
    const MAX_LINKS: usize = 40;

    /// Returns the path with all links resolved, after each step has passed the rules.
    pub(super) fn follow(path: &Path) -> Result<PathBuf, KeyFileError> {
        let mut reached = PathBuf::from("/");
        judge_step(&reached)?;
        let mut steps = steps(&std::path::absolute(path)?);
        let mut links = 0;
        while let Some(step) = steps.pop_front() {
            if step == ".." {
                // The path so far contains no link, so `..` is its parent in the text.
                reached.pop();
                continue;
            }
            let next = reached.join(step);
            if !judge_step(&next)?.is_symlink() {
                reached = next;
                continue;
            }
            links += 1;
            let rule = if links > MAX_LINKS { MountRule::Links } else { MountRule::Link };
            if links > MAX_LINKS || !is_closed(&reached, &reached.symlink_metadata()?)? {
                return Err(KeyFileError::Mount { path: next, rule });
            }
            let target = next.read_link()?;
            if target.is_absolute() {
                reached = PathBuf::from("/");
            }
            for step in self::steps(&target).into_iter().rev() {
                steps.push_front(step);
            }
        }
        Ok(reached)
    }

    fn steps(path: &Path) -> VecDeque<OsString> {
        let named =
            |step: &Component<'_>| matches!(step, Component::Normal(_) | Component::ParentDir);
        path.components().filter(named).map(|step| step.as_os_str().to_owned()).collect()
    }

    /// Checks the owner of a folder, link or file, and the mode of a folder.
    fn judge_step(path: &Path) -> Result<Metadata, KeyFileError> {
        let found = path.symlink_metadata()?;
        let refused = |rule| Err(KeyFileError::Mount { path: path.to_owned(), rule });
        if let Err(rule) = judge_owner(found.uid(), rustix::process::geteuid().as_raw()) {
            return refused(rule);
        }
        let is_sticky = found.mode() & 0o1000 != 0;
        if found.is_dir() && !is_sticky && !is_closed(path, &found)? {
            return refused(MountRule::Folder);
        }
        Ok(found)
    }

    /// Returns `true` if no other user can write to the folder.
    fn is_closed(path: &Path, folder: &Metadata) -> io::Result<bool> {
        Ok(folder.mode() & 0o022 == 0
            || rustix::fs::statvfs(path)?.f_flag.contains(StatVfsMountFlags::RDONLY))
    }

    /// Checks the owner, kind and mode of the open file.
    pub(super) fn judge_file(file: &Metadata) -> Result<(), MountRule> {
        judge_owner(file.uid(), rustix::process::geteuid().as_raw())?;
        if !file.is_file() {
            return Err(MountRule::Kind);
        }
        if file.mode() & 0o027 != 0 { Err(MountRule::Mode) } else { Ok(()) }
    }

    /// Checks the owner of a step for a process of this user.
    pub(super) const fn judge_owner(owner: u32, process: u32) -> Result<(), MountRule> {
        if owner == 0 || owner == process {
            return Ok(());
        }
        Err(MountRule::Owner { owner, process })
    }
}

#[cfg(not(unix))]
mod system {
    use std::fs::Metadata;
    use std::path::{Path, PathBuf};

    use super::MountRule;
    use crate::keys::KeyFileError;

    pub(super) fn follow(path: &Path) -> Result<PathBuf, KeyFileError> {
        Ok(path.to_owned())
    }

    pub(super) fn judge_file(file: &Metadata) -> Result<(), MountRule> {
        if file.is_file() { Ok(()) } else { Err(MountRule::Kind) }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::MountRule;
    use super::system::judge_owner;

    /// SEC-224
    #[test]
    fn steps_belong_to_the_superuser_or_to_the_user_of_the_process() {
        for (owner, process) in [(0, 0), (0, 1000), (1000, 1000)] {
            assert_eq!(judge_owner(owner, process), Ok(()));
        }
        for (owner, process) in [(1000, 0), (1001, 1000), (65534, 0)] {
            assert_eq!(judge_owner(owner, process), Err(MountRule::Owner { owner, process }));
        }
    }
}
