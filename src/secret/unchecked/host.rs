//! What the standard library knows about files and processes.

#[cfg(feature = "jupyter")]
use std::time::SystemTime;
use std::{fs, io, path::Path};

#[cfg(feature = "sqlite")]
use crate::secret::allowed_permissions::AllowedPermissions;

/// The time of the last change of a file, and its length: there is no stable API for more.
#[cfg(feature = "jupyter")]
pub(crate) type FileIdentity = (SystemTime, u64);

/// Identifies the file at `path`; links are not followed.
#[cfg(feature = "jupyter")]
pub(crate) fn identity(path: &Path) -> io::Result<FileIdentity> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.modified()?, metadata.len()))
}

/// Makes the directory at `path` and those above it, unless they are there. They inherit who has access.
#[cfg(feature = "jupyter")]
pub(crate) fn create_directories(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Whether `pid` may be a process: the standard library cannot find out whether it runs.
#[cfg(feature = "jupyter")]
pub(crate) fn process_is_running(pid: u32) -> bool {
    pid != 0
}

/// Creates the file of a database, if there is none and unchecked files are allowed. Returns why they are not.
#[cfg(feature = "sqlite")]
pub(crate) fn create_database(path: &Path, allowed: AllowedPermissions) -> io::Result<Result<(), String>> {
    if let Err(refused) = allowed.require_unchecked() {
        return Ok(Err(refused));
    }
    match fs::OpenOptions::new().write(true).create_new(true).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(Ok(())),
    }
}
