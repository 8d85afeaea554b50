//! The directory of a secret file, opened once: all that is done to the file is done relative to it.

use std::{
    ffi::OsStr,
    fs::File,
    io::Write as _,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, Stat},
    io::{Errno, retry_on_intr},
};

use crate::secret::{
    allowed_permissions::AllowedPermissions,
    file_error::{ATTEMPTS, FileError},
    unix::permissions,
};

/// An open directory, so that no swap of a directory in the path can lead elsewhere.
#[derive(Debug)]
pub(in crate::secret) struct Directory {
    pub(super) descriptor: OwnedFd,
}

impl Directory {
    /// Opens the directory at `path`, if its owner and mode are allowed; `None` if it does not exist.
    pub(in crate::secret) fn open(
        path: &Path,
        allowed: AllowedPermissions,
    ) -> Result<Option<Self>, FileError> {
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
    pub(in crate::secret) fn open_file(
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
                        None => FileError::system("cannot be opened", errno),
                    });
                }
                (errno, _) => return Err(FileError::system("cannot be opened", errno)),
            }
        }
        Err(FileError::kept_changing())
    }

    /// Checks the open file by all rules, and returns what identifies it.
    pub(in crate::secret) fn check(
        &self,
        file: &File,
        allowed: AllowedPermissions,
    ) -> Result<Stat, FileError> {
        let mut stat = status(file)?;
        if stat.st_nlink == 2 {
            self.finish_creation(&stat)?;
            stat = status(file)?;
        }
        permissions::check_file(&stat, allowed)?;
        Ok(stat)
    }

    /// The names of all that is in it, in any order.
    #[cfg(feature = "jupyter")]
    pub(in crate::secret) fn names(&self) -> Result<Vec<std::ffi::OsString>, FileError> {
        use std::os::unix::ffi::OsStrExt as _;

        let unreadable = |errno| FileError::system("cannot be listed", errno);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.descriptor).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            names.push(OsStr::from_bytes(entry.file_name().to_bytes()).to_owned());
        }
        Ok(names)
    }

    /// Creates the file `name` with this content, for its owner alone (mode 0600). After an error there is no such file.
    pub(in crate::secret) fn write_new(&self, name: &OsStr, content: &[u8]) -> Result<File, FileError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let private = Mode::RUSR | Mode::WUSR;
        let descriptor = retry_on_intr(|| rustix::fs::openat(&self.descriptor, name, flags, private))
            .map_err(cannot_create)?;
        let write = || {
            // A umask can only have taken bits away. Give back the owner's.
            rustix::fs::fchmod(&descriptor, private).map_err(cannot_create)?;
            // Where the file system has no modes or owners of its own, better no file than one that is refused.
            permissions::check_file(&status(&descriptor)?, AllowedPermissions::default())?;
            let mut file = File::from(descriptor);
            file.write_all(content)
                .map_err(|error| FileError::system("cannot be created", error))?;
            Ok(file)
        };
        write().inspect_err(|_| self.unlink(name))
    }

    /// Renames `old` to `new`, and replaces what was there.
    #[cfg(feature = "jupyter")]
    pub(in crate::secret) fn rename(&self, old: &OsStr, new: &OsStr) -> Result<(), FileError> {
        rustix::fs::renameat(&self.descriptor, old, &self.descriptor, new).map_err(cannot_create)
    }

    /// Makes the content of the file `name` survive a power cut.
    #[cfg(feature = "jupyter")]
    pub(in crate::secret) fn sync_file(&self, name: &OsStr) -> Result<(), FileError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.descriptor, name, flags, Mode::empty())
            .and_then(rustix::fs::fsync)
            .map_err(cannot_create)
    }

    /// Removes the name `name`. A failure is ignored: another process may have removed it.
    pub(in crate::secret) fn unlink(&self, name: &OsStr) {
        let _ = rustix::fs::unlinkat(&self.descriptor, name, AtFlags::empty());
    }

    /// Removes the file `name`, if it is still the one that `read` describes.
    pub(in crate::secret) fn remove(&self, name: &OsStr, read: &Stat) -> Result<(), FileError> {
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
            Err(errno) => Err(FileError::system("cannot be deleted after it was read", errno)),
        }
    }

    /// What stands under `name` itself, links not followed.
    pub(in crate::secret) fn status_of(&self, name: &OsStr) -> Result<Option<Stat>, FileError> {
        match rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(FileError::system("cannot be looked at", errno)),
        }
    }

    /// Makes what was added or removed last through a power cut.
    pub(in crate::secret) fn sync(&self) -> Result<(), FileError> {
        match rustix::fs::fsync(&self.descriptor) {
            // Some file systems have nothing to do for a directory, and say so. A directory that this process may not
            // read cannot be synced by it.
            Ok(()) | Err(Errno::INVAL | Errno::BADF) => Ok(()),
            Err(errno) => Err(FileError::system("has a directory that cannot be synced", errno)),
        }
    }
}

fn cannot_create(errno: Errno) -> FileError {
    FileError::system("cannot be created", errno)
}

/// The metadata of the file behind an open descriptor.
pub(super) fn status(descriptor: impl AsFd) -> Result<Stat, FileError> {
    rustix::fs::fstat(descriptor).map_err(|errno| FileError::system("cannot be looked at", errno))
}

/// Whether both describe the same file.
pub(super) fn is_same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
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
        Err(errno) => Err(FileError::system("has a directory that cannot be opened", errno)),
    }
}

/// Opens a directory for searching alone, where the system has that.
#[cfg(any(target_os = "android", target_os = "freebsd", target_os = "linux"))]
const SEARCH: OFlags = OFlags::PATH;
#[cfg(not(any(target_os = "android", target_os = "freebsd", target_os = "linux")))]
const SEARCH: OFlags = OFlags::RDONLY;
