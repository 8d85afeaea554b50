//! The directory of a secret file, opened once: all that is done to the file is done relative to it.

use std::{
    ffi::OsStr,
    fs::File,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, Stat},
    io::{Errno, retry_on_intr},
};

use crate::secret::{
    file_error::FileError,
    permissions::{self, AllowedPermissions},
};

/// How often a file that appears and disappears is tried again before it is an error.
pub(super) const ATTEMPTS: usize = 16;

/// An open directory, so that no swap of a directory in the path can lead elsewhere.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) descriptor: OwnedFd,
}

impl Directory {
    /// Opens the directory at `path`, if its owner and mode are allowed; `None` if it does not exist.
    pub(super) fn open(path: &Path, allowed: AllowedPermissions) -> Result<Option<Self>, FileError> {
        let opened = open_folder(CWD, path.as_os_str(), OFlags::empty())?;
        if let Some(opened) = &opened {
            permissions::check_directory(&status(&opened.descriptor)?, path, allowed)?;
        }
        Ok(opened)
    }

    /// The directory `name` in this one, not checked; `None` if there is none.
    pub(super) fn open_folder(&self, name: &OsStr) -> Result<Option<Self>, FileError> {
        open_folder(&self.descriptor, name, OFlags::NOFOLLOW)
    }

    /// The file `name` for reading, not yet checked; `None` if there is none.
    pub(super) fn open_file(
        &self,
        name: &OsStr,
        allowed: AllowedPermissions,
    ) -> Result<Option<File>, FileError> {
        if allowed.symlink
            && self
                .status_of(name)?
                .is_some_and(|stat| permissions::is_symlink(&stat))
        {
            // An orchestrator that exchanges a mounted secret takes the old files away while they are looked for.
            let mut followed = self.follow(name);
            for _ in 1..ATTEMPTS {
                if !matches!(followed, Err(FileError::Missing(_))) {
                    break;
                }
                followed = self.follow(name);
            }
            return followed.map(Some);
        }
        self.open_here(name)
    }

    /// The file `name` for reading, no link followed.
    pub(super) fn open_here(&self, name: &OsStr) -> Result<Option<File>, FileError> {
        // Without NONBLOCK a named pipe would block the start forever.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        for _ in 0..ATTEMPTS {
            let errno =
                match retry_on_intr(|| rustix::fs::openat(&self.descriptor, name, flags, Mode::empty())) {
                    Ok(descriptor) => return Ok(Some(descriptor.into())),
                    Err(errno) => errno,
                };
            // Refused already: the look at the name only finds the words for it.
            match (errno, self.status_of(name)) {
                (Errno::NOENT, Ok(None)) => return Ok(None),
                (Errno::NOENT, Ok(Some(_))) => {}
                (errno, Ok(Some(stat))) => {
                    return Err(match permissions::not_regular(&stat) {
                        Some(wrong) => FileError::Permissions(wrong),
                        None => FileError::System("cannot be opened", errno),
                    });
                }
                (errno, _) => return Err(FileError::System("cannot be opened", errno)),
            }
        }
        Err(kept_changing())
    }

    /// Removes the file `name`, if it is still the one that `read` describes.
    pub(super) fn remove(&self, name: &OsStr, read: &Stat) -> Result<(), FileError> {
        let gone = || FileError::Permissions("was removed by another while it was read".to_owned());
        match self.status_of(name)? {
            None => return Err(gone()),
            Some(now) if !is_same(&now, read) => {
                let replaced = "was replaced by another file while it was read";
                return Err(FileError::Permissions(replaced.to_owned()));
            }
            Some(_) => {}
        }
        match rustix::fs::unlinkat(&self.descriptor, name, AtFlags::empty()) {
            Ok(()) => self.sync(),
            Err(Errno::NOENT) => Err(gone()),
            Err(errno) => Err(FileError::System("cannot be deleted after it was read", errno)),
        }
    }

    /// What stands under `name` itself, links not followed.
    pub(super) fn status_of(&self, name: &OsStr) -> Result<Option<Stat>, FileError> {
        match rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(FileError::System("cannot be looked at", errno)),
        }
    }

    /// Makes what was added or removed last through a power cut.
    pub(super) fn sync(&self) -> Result<(), FileError> {
        match rustix::fs::fsync(&self.descriptor) {
            // Some file systems have nothing to do for a directory, and say so. A directory that this process may not
            // read cannot be synced by it.
            Ok(()) | Err(Errno::INVAL | Errno::BADF) => Ok(()),
            Err(errno) => Err(FileError::System("has a directory that cannot be synced", errno)),
        }
    }
}

/// The metadata of the file behind an open descriptor.
pub(super) fn status(descriptor: impl AsFd) -> Result<Stat, FileError> {
    rustix::fs::fstat(descriptor).map_err(|errno| FileError::System("cannot be looked at", errno))
}

/// Whether both describe the same file.
pub(super) fn is_same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// The file came and went, as often as it was looked for.
pub(super) fn kept_changing() -> FileError {
    FileError::System("comes and goes, and was never there to be read", Errno::NOENT)
}

/// Opens a directory for what is done relative to it. That takes the permission to search it (mode 0711), not the one to
/// read it.
fn open_folder(from: impl AsFd, path: &OsStr, flags: OFlags) -> Result<Option<Directory>, FileError> {
    let flags = flags | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open =
        |access| retry_on_intr(|| rustix::fs::openat(from.as_fd(), path, flags | access, Mode::empty()));
    let opened = match open(OFlags::RDONLY) {
        // A descriptor for searching alone can be neither listed nor synced, so it is the second choice.
        Err(Errno::ACCESS) => open(SEARCH),
        opened => opened,
    };
    match opened {
        Ok(descriptor) => Ok(Some(Directory { descriptor })),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(FileError::System("has a directory that cannot be opened", errno)),
    }
}

/// Opens a directory for searching alone, where the system has that.
#[cfg(any(target_os = "android", target_os = "freebsd", target_os = "linux"))]
const SEARCH: OFlags = OFlags::PATH;
#[cfg(not(any(target_os = "android", target_os = "freebsd", target_os = "linux")))]
const SEARCH: OFlags = OFlags::RDONLY;
