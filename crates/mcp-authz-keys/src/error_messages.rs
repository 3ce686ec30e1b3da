//! Messages of all public errors, as `crates/ERRORS.md` lists them.

use std::io;
use std::path::PathBuf;

use error_table::table;

use crate::private_file::NotPrivate;
use crate::*;

#[test]
fn every_error_says_what_to_do() {
    let io = || io::Error::other("disk quota exceeded");
    let path = PathBuf::from("/run/auth-keys/server.keys");
    let text = [
        table!(KeyFileError {
            KeyFileError::Missing = KeyFileError::Missing => "operator", "restore the file, or mount it";
            KeyFileError::OpenToOthers = KeyFileError::OpenToOthers => "operator", "change the mode to 0600";
            KeyFileError::OtherOwner { .. } = KeyFileError::OtherOwner { owner: 1000, process: 999 } => "operator", "change the owner, or the user of the server";
            KeyFileError::Link = KeyFileError::Link => "operator, or host's programmer", "give the path of the file; call `read_mounted_keys`";
            KeyFileError::Mount { .. } = KeyFileError::Mount { path, rule: MountRule::Mode } => "operator", "see `MountRule`";
            KeyFileError::Malformed = KeyFileError::Malformed => "operator", "restore the file";
            KeyFileError::NoEntropy = KeyFileError::NoEntropy => "operator", "try again, then check the system";
            KeyFileError::Contended = KeyFileError::Contended => "operator", "end what replaces the file";
            KeyFileError::Io(_) = KeyFileError::Io(io()) => "operator", "check path, folder and disk";
        }),
        table!(MountRule {
            MountRule::Owner { .. } = MountRule::Owner { owner: 1000, process: 999 } => "operator", "change the owner of the step";
            MountRule::Link = MountRule::Link => "operator", "mount the folder read-only, or change its mode";
            MountRule::Folder = MountRule::Folder => "operator", "mount the folder read-only, or change its mode";
            MountRule::Kind = MountRule::Kind => "operator", "give the path of the file";
            MountRule::Mode = MountRule::Mode => "operator", "change the mode to 0440 or 0400";
            MountRule::Links = MountRule::Links => "operator", "remove the circle of links";
        }),
        table!(NotPrivate {
            NotPrivate::OpenToOthers = NotPrivate::OpenToOthers => "operator", "change the mode to 0600";
            NotPrivate::OtherOwner { .. } = NotPrivate::OtherOwner { owner: 1000, process: 999 } => "operator", "change the owner, or the user of the process";
            NotPrivate::Link = NotPrivate::Link => "operator", "give the path of the file";
            NotPrivate::Io(_) = NotPrivate::Io(io()) => "operator", "check path, folder and disk";
        }),
    ];
    insta::assert_snapshot!(text.concat());
}
