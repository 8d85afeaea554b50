//! What else the system knows about files and processes.

#[cfg(feature = "jupyter")]
use std::fs::DirBuilder;
use std::{fs, io, path::Path};

#[cfg(feature = "jupyter")]
use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};

#[cfg(feature = "sqlite")]
use crate::secret::allowed_permissions::AllowedPermissions;

/// The device and the inode of a file.
#[cfg(feature = "jupyter")]
pub(crate) type FileIdentity = (u64, u64);

/// Identifies the file at `path`; links are not followed.
#[cfg(feature = "jupyter")]
pub(crate) fn identity(path: &Path) -> io::Result<FileIdentity> {
    use std::os::unix::fs::MetadataExt as _;

    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Makes the directory at `path` for its owner alone (mode 0700), and those above it, unless they are there.
#[cfg(feature = "jupyter")]
pub(crate) fn create_directories(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;

    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Whether the process `pid` runs, as any user.
#[cfg(feature = "jupyter")]
pub(crate) fn process_is_running(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| !matches!(test_kill_process(pid), Err(Errno::SRCH)))
}

/// Creates the file of a database for its owner alone, if there is none. Returns what is wrong with who may write it.
#[cfg(feature = "sqlite")]
pub(crate) fn create_database(path: &Path, _: AllowedPermissions) -> io::Result<Result<(), String>> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};

    // An existing file is not opened here: to close it would drop the locks that another store of this process holds on it.
    let mut new = fs::OpenOptions::new();
    match new.write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
    if mode & 0o022 == 0 {
        return Ok(Ok(()));
    }
    Ok(Err(format!(
        "has mode {mode:04o}, expected one that only its owner can write, because a program that writes to it can make \
         tokens; run `chmod 600 {}`",
        path.display()
    )))
}
