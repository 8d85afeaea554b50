//! The directory of a secret file, opened once: all that is done to the file is done relative to it.

use std::{ffi::OsStr, fs::File, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat},
    io::{Errno, retry_on_intr},
};

use crate::source::{
    fault::Fault,
    permissions::{self, Allowed},
};

/// How often a file that appears and disappears is tried again before it is an error.
pub(super) const ATTEMPTS: usize = 16;

/// An open directory, so that no swap of a directory in the path can lead elsewhere.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) descriptor: OwnedFd,
}

impl Directory {
    /// The directory at `path`, if its owner and mode are good; `None` if it does not exist.
    pub(super) fn open(path: &Path, allowed: Allowed) -> Result<Option<Self>, Fault> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = match retry_on_intr(|| rustix::fs::openat(CWD, path, flags, Mode::empty())) {
            Ok(descriptor) => descriptor,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(Fault::System("has a directory that cannot be opened", errno)),
        };
        permissions::check_directory(&status(&descriptor)?, path, allowed)?;
        Ok(Some(Self { descriptor }))
    }

    /// The file `name` for reading, not yet checked; `None` if there is none.
    pub(super) fn open_file(&self, name: &OsStr, allowed: Allowed) -> Result<Option<File>, Fault> {
        // Without NONBLOCK a named pipe would hold up the start for ever.
        let mut flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        if !allowed.symlink {
            flags |= OFlags::NOFOLLOW;
        }
        for _ in 0..ATTEMPTS {
            let errno =
                match retry_on_intr(|| rustix::fs::openat(&self.descriptor, name, flags, Mode::empty())) {
                    Ok(descriptor) => return Ok(Some(descriptor.into())),
                    Err(errno) => errno,
                };
            // Refused already: the look at the name only finds the words for it.
            match (errno, self.status_of(name)) {
                (Errno::NOENT, Ok(None)) => return Ok(None),
                (Errno::NOENT, Ok(Some(stat))) if is_symlink(&stat) => {
                    return Err(Fault::Missing("is a symbolic link to nothing"));
                }
                (Errno::NOENT, Ok(Some(_))) => {}
                (errno, Ok(Some(stat))) => {
                    return Err(match permissions::not_regular(&stat) {
                        Some(wrong) if !(allowed.symlink && is_symlink(&stat)) => Fault::Permissions(wrong),
                        _ => Fault::System("cannot be opened", errno),
                    });
                }
                (errno, _) => return Err(Fault::System("cannot be opened", errno)),
            }
        }
        Err(unsteady())
    }

    /// Removes the file `name`, if it is still the one that `read` tells of.
    pub(super) fn remove(&self, name: &OsStr, read: &Stat) -> Result<(), Fault> {
        let gone = || Fault::Permissions("was removed by another while it was read".to_owned());
        match self.status_of(name)? {
            None => return Err(gone()),
            Some(now) if !is_same(&now, read) => {
                let replaced = "was replaced by another file while it was read";
                return Err(Fault::Permissions(replaced.to_owned()));
            }
            Some(_) => {}
        }
        match rustix::fs::unlinkat(&self.descriptor, name, AtFlags::empty()) {
            Ok(()) => self.sync(),
            Err(Errno::NOENT) => Err(gone()),
            Err(errno) => Err(Fault::System("cannot be deleted after it was read", errno)),
        }
    }

    /// What stands under `name` itself, links not followed.
    pub(super) fn status_of(&self, name: &OsStr) -> Result<Option<Stat>, Fault> {
        match rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Fault::System("cannot be looked at", errno)),
        }
    }

    /// Makes what was added or removed last through a power cut.
    pub(super) fn sync(&self) -> Result<(), Fault> {
        match rustix::fs::fsync(&self.descriptor) {
            // Some file systems have nothing to do for a directory, and say so.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(errno) => Err(Fault::System("has a directory that cannot be synced", errno)),
        }
    }
}

/// What an open descriptor tells of its file.
pub(super) fn status(descriptor: impl std::os::fd::AsFd) -> Result<Stat, Fault> {
    rustix::fs::fstat(descriptor).map_err(|errno| Fault::System("cannot be looked at", errno))
}

/// Whether both tell of the same file.
pub(super) fn is_same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// The file came and went, as often as it was looked for.
pub(super) fn unsteady() -> Fault {
    Fault::System("comes and goes, and was never there to be read", Errno::NOENT)
}

fn is_symlink(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
}
