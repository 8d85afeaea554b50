//! The rules on who may read and change a secret file, checked on the metadata of an open descriptor.

use std::{ffi::OsStr, path::Path};

use rustix::{
    fs::{FileType, Mode, RawMode, Stat},
    process,
};

use crate::secret::{allowed_permissions::AllowedPermissions, file_error::FileError};

const GROUP_READS: RawMode = 0o040;
const OTHERS_READ: RawMode = 0o004;
const GROUP_WRITES: RawMode = 0o020;
const OTHERS_WRITE: RawMode = 0o002;
const GROUP_AND_OTHERS: RawMode = 0o077;
const OWNER_READS: RawMode = 0o400;
const SET_ID_AND_STICKY: RawMode = 0o7000;
const STICKY: RawMode = 0o1000;
const OWNER_READS_AND_WRITES: RawMode = 0o600;

impl AllowedPermissions {
    /// The permission bits of group and others that are allowed.
    fn bits(self) -> RawMode {
        match (self.all_read, self.group_read) {
            (true, _) => GROUP_READS | OTHERS_READ,
            (_, true) => GROUP_READS,
            (false, false) => 0,
        }
    }
}

/// What the rules look at.
#[derive(Clone, Copy, Debug)]
struct FileMetadata {
    kind: FileType,
    mode: RawMode,
    owner: u32,
    links: u64,
}

impl From<&Stat> for FileMetadata {
    fn from(stat: &Stat) -> Self {
        Self {
            kind: FileType::from_raw_mode(stat.st_mode),
            mode: Mode::from_raw_mode(stat.st_mode).as_raw_mode(),
            owner: stat.st_uid,
            #[allow(clippy::unnecessary_cast, reason = "its width differs from system to system")]
            links: stat.st_nlink as u64,
        }
    }
}

/// Whether the file may hold a secret.
pub(super) fn check_file(stat: &Stat, allowed: AllowedPermissions) -> Result<(), FileError> {
    check_file_metadata(stat.into(), allowed, process::geteuid().as_raw()).map_err(FileError::Permissions)
}

/// Whether the directory at `path` may hold one.
pub(super) fn check_directory(
    stat: &Stat,
    path: &Path,
    allowed: AllowedPermissions,
) -> Result<(), FileError> {
    if allowed.shared_directory {
        return Ok(());
    }
    check_directory_metadata(stat.into(), process::geteuid().as_raw())
        .map_err(|wrong| FileError::Permissions(format!("lies in {}, which {wrong}", path.display())))
}

/// Whether the symbolic link `name` may be followed.
pub(super) fn check_link(stat: &Stat, name: &OsStr) -> Result<(), FileError> {
    check_owner(stat.into(), process::geteuid().as_raw()).map_err(|wrong| {
        let name = name.display();
        FileError::Permissions(format!("leads over the symbolic link {name}, which {wrong}"))
    })
}

pub(super) fn is_symlink(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
}

/// What a file that cannot be opened is, if that is the reason.
pub(super) fn not_regular(stat: &Stat) -> Option<String> {
    wrong_kind(FileType::from_raw_mode(stat.st_mode))
}

fn check_file_metadata(file: FileMetadata, allowed: AllowedPermissions, user: u32) -> Result<(), String> {
    if let Some(wrong) = wrong_kind(file.kind) {
        return Err(wrong);
    }
    check_owner(file, user)?;
    let excess = file.mode & GROUP_AND_OTHERS & !allowed.bits();
    let wrong = if excess & OTHERS_WRITE != 0 {
        "is writable by others"
    } else if excess & GROUP_WRITES != 0 {
        "is writable by its group"
    } else if excess & OTHERS_READ != 0 {
        "is readable by others"
    } else if excess & GROUP_READS != 0 {
        "is readable by its group"
    } else if excess != 0 {
        "is executable by its group or others"
    } else if file.mode & SET_ID_AND_STICKY != 0 {
        "has a set-id or sticky bit"
    } else if file.mode & OWNER_READS == 0 {
        // Root could read it all the same; but the bit was removed to lock the file.
        "is not readable by its owner"
    } else if file.links != 1 {
        return Err(format!("has {} hard links, expected one", file.links));
    } else {
        return Ok(());
    };
    Err(format!(
        "{wrong} (mode {:04o}), expected {:04o}",
        file.mode,
        OWNER_READS_AND_WRITES | allowed.bits()
    ))
}

fn check_directory_metadata(directory: FileMetadata, user: u32) -> Result<(), String> {
    check_owner(directory, user)?;
    // In a sticky directory only the owner of a file, or of the directory, can remove or rename it.
    if directory.mode & STICKY != 0 {
        return Ok(());
    }
    let wrong = if directory.mode & OTHERS_WRITE != 0 {
        "is writable by others"
    } else if directory.mode & GROUP_WRITES != 0 {
        "is writable by its group"
    } else {
        return Ok(());
    };
    Err(format!(
        "{wrong} (mode {:04o}), expected {:04o}",
        directory.mode,
        directory.mode & !(GROUP_WRITES | OTHERS_WRITE)
    ))
}

fn check_owner(facts: FileMetadata, user: u32) -> Result<(), String> {
    if facts.owner == user || facts.owner == 0 {
        return Ok(());
    }
    let expected = match user {
        0 => "root".to_owned(),
        user => format!("user {user} or root"),
    };
    Err(format!("belongs to user {}, expected {expected}", facts.owner))
}

fn wrong_kind(kind: FileType) -> Option<String> {
    let found = match kind {
        FileType::RegularFile => return None,
        FileType::BlockDevice | FileType::CharacterDevice => "a device",
        FileType::Directory => "a directory",
        FileType::Fifo => "a named pipe",
        FileType::Socket => "a socket",
        FileType::Symlink => "a symbolic link",
        _ => "of an unknown kind",
    };
    Some(format!("is {found}, expected a regular file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: u32 = 1000;

    fn file(mode: RawMode) -> FileMetadata {
        FileMetadata {
            kind: FileType::RegularFile,
            mode,
            owner: USER,
            links: 1,
        }
    }

    #[test]
    fn of_all_modes_only_those_private_to_the_owner_pass() {
        for mode in 0..=0o7777 {
            let private = matches!(mode, 0o400 | 0o500 | 0o600 | 0o700);
            assert_eq!(
                check_file_metadata(file(mode), AllowedPermissions::default(), USER).is_ok(),
                private,
                "{mode:04o}"
            );
        }
    }

    #[test]
    fn each_allowance_adds_its_bits_and_no_more() {
        let group = AllowedPermissions {
            group_read: true,
            ..Default::default()
        };
        let all = AllowedPermissions {
            all_read: true,
            ..Default::default()
        };
        for mode in 0..=0o7777 {
            let owner_reads = mode & 0o7400 == 0o400;
            assert_eq!(
                check_file_metadata(file(mode), group, USER).is_ok(),
                owner_reads && matches!(mode & 0o077, 0 | 0o040),
                "{mode:04o}"
            );
            assert_eq!(
                check_file_metadata(file(mode), all, USER).is_ok(),
                owner_reads && matches!(mode & 0o077, 0 | 0o040 | 0o004 | 0o044),
                "{mode:04o}"
            );
        }
    }

    #[test]
    fn the_message_names_the_worst_error_the_mode_and_the_expected_one() {
        for (mode, message) in [
            (0o644, "is readable by others (mode 0644), expected 0600"),
            (0o640, "is readable by its group (mode 0640), expected 0600"),
            (0o660, "is writable by its group (mode 0660), expected 0600"),
            (0o666, "is writable by others (mode 0666), expected 0600"),
            (
                0o601,
                "is executable by its group or others (mode 0601), expected 0600",
            ),
            (0o4600, "has a set-id or sticky bit (mode 4600), expected 0600"),
            (0o200, "is not readable by its owner (mode 0200), expected 0600"),
        ] {
            assert_eq!(
                check_file_metadata(file(mode), AllowedPermissions::default(), USER).expect_err("refused"),
                message
            );
        }
        let group = AllowedPermissions {
            group_read: true,
            ..Default::default()
        };
        assert_eq!(
            check_file_metadata(file(0o644), group, USER).expect_err("refused"),
            "is readable by others (mode 0644), expected 0640"
        );
    }

    #[test]
    fn the_owner_is_this_user_or_root() {
        for (owner, user, message) in [
            (USER, USER, None),
            (0, USER, None),
            (0, 0, None),
            (
                1001,
                USER,
                Some("belongs to user 1001, expected user 1000 or root"),
            ),
            (USER, 0, Some("belongs to user 1000, expected root")),
        ] {
            let facts = FileMetadata { owner, ..file(0o600) };
            for result in [
                check_file_metadata(facts, AllowedPermissions::default(), user),
                check_directory_metadata(facts, user),
            ] {
                assert_eq!(result.err().as_deref(), message, "owner {owner}, user {user}");
            }
        }
    }

    #[test]
    fn one_hard_link_is_enough() {
        for links in [0, 2, 5] {
            let facts = FileMetadata { links, ..file(0o600) };
            assert_eq!(
                check_file_metadata(facts, AllowedPermissions::default(), USER).expect_err("refused"),
                format!("has {links} hard links, expected one")
            );
        }
    }

    #[test]
    fn of_all_kinds_only_a_regular_file_passes() {
        for (kind, found) in [
            (FileType::BlockDevice, "a device"),
            (FileType::CharacterDevice, "a device"),
            (FileType::Directory, "a directory"),
            (FileType::Fifo, "a named pipe"),
            (FileType::Socket, "a socket"),
            (FileType::Symlink, "a symbolic link"),
            (FileType::Unknown, "of an unknown kind"),
        ] {
            let facts = FileMetadata { kind, ..file(0o600) };
            assert_eq!(
                check_file_metadata(facts, AllowedPermissions::default(), USER).expect_err("refused"),
                format!("is {found}, expected a regular file")
            );
        }
    }

    #[test]
    fn only_directories_that_no_other_user_may_write_or_sticky_ones_are_allowed() {
        for mode in 0..=0o7777 {
            let facts = FileMetadata {
                kind: FileType::Directory,
                ..file(mode)
            };
            let safe = mode & 0o1000 != 0 || mode & 0o022 == 0;
            assert_eq!(check_directory_metadata(facts, USER).is_ok(), safe, "{mode:04o}");
        }
        let facts = FileMetadata {
            kind: FileType::Directory,
            ..file(0o775)
        };
        assert_eq!(
            check_directory_metadata(facts, USER).expect_err("refused"),
            "is writable by its group (mode 0775), expected 0755"
        );
    }
}
