//! The file of a configuration that decides who gets in: who may write it, and one writer at a time.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::Path,
    thread,
    time::Duration,
};

use rustix::{
    fs::{CWD, FlockOperation, Mode, OFlags, flock, openat},
    io::{Errno, retry_on_intr},
    process::geteuid,
};
use zeroize::Zeroizing;

use crate::secret::{
    AllowedPermissions, PrivateDir,
    value::{SecretError, SecretErrorKind},
};

/// How often the lock is tried before it is an error, and the pause in between.
const ATTEMPTS: u32 = 500;
const PAUSE: Duration = Duration::from_millis(20);

/// A file that was read.
pub(super) struct Content {
    pub(super) text: Zeroizing<Vec<u8>>,
    /// Its permission bits.
    pub(super) mode: u32,
}

/// The content of the file at `path`; `None` if there is none. Symbolic links are followed.
///
/// # Errors
///
/// `SecretErrorKind::Permissions` if others may write the file or a directory that leads to it, or it is no regular
/// file; `Malformed` if it is longer than `limit`; `System` if it cannot be read.
pub(super) fn read(path: &Path, limit: u64) -> Result<Option<Content>, SecretError> {
    let cannot =
        |error: io::Error| SecretError::system(format!("{} cannot be read: {error}", path.display()), error);
    let named = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            folder(path)?;
            return Ok(None);
        }
        Err(error) => return Err(cannot(error)),
    };
    if named.is_symlink() {
        // Who may put a link there chooses the file.
        folder(path)?;
        let user = geteuid().as_raw();
        if named.uid() != user && named.uid() != 0 {
            return Err(refused(
                path,
                &format!(
                    "is a symbolic link of user {}, expected one of user {user} or root",
                    named.uid()
                ),
            ));
        }
    }
    let target = fs::canonicalize(path).map_err(cannot)?;
    let metadata = target.symlink_metadata().map_err(cannot)?;
    let content = match (folder(&target)?, target.file_name()) {
        (Some(folder), Some(name)) => folder.read(name, limit),
        _ => None,
    };
    match content {
        Some(content) => Ok(Some(Content {
            text: content.bytes,
            mode: metadata.mode() & 0o777,
        })),
        None if metadata.is_file() && metadata.len() > limit => Err(SecretError::new(
            SecretErrorKind::Malformed,
            format!("{}: expected at most {limit} bytes, found more", path.display()),
        )),
        None => Err(refused(path, &found(&metadata, &target))),
    }
}

/// The directory of `path`, if it has one.
pub(super) fn directory(path: &Path) -> Option<&Path> {
    let parent = path.parent()?;
    Some(if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    })
}

/// The directory of `path`, which no other user may write; `None` if there is none.
fn folder(path: &Path) -> Result<Option<PrivateDir>, SecretError> {
    directory(path).map_or(Ok(None), |path| {
        PrivateDir::open(path, AllowedPermissions::default())
    })
}

/// What is wrong with a file that [`PrivateDir::read`] refused, and the remedy.
fn found(metadata: &fs::Metadata, path: &Path) -> String {
    let kind = metadata.file_type();
    let what = if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if !kind.is_file() {
        "a device"
    } else {
        let user = geteuid().as_raw();
        if metadata.uid() != user && metadata.uid() != 0 {
            return format!("belongs to user {}, expected user {user} or root", metadata.uid());
        }
        return format!(
            "may be changed by others: found mode {:04o} and {} hard links, expected 0600 or 0644 and one: run \
             `chmod 600 {}`",
            metadata.mode() & 0o7777,
            metadata.nlink(),
            path.display()
        );
    };
    format!("is {what}, expected a regular file")
}

fn refused(path: &Path, what: &str) -> SecretError {
    SecretError::new(SecretErrorKind::Permissions, format!("{} {what}", path.display()))
}

/// Waits until this program is the only one to change the file `name` of `directory`, for as long as the value
/// lives.
///
/// # Errors
///
/// `SecretErrorKind::System` if there can be no lock there, or another program does not release it.
pub(super) fn lock(directory: &Path, name: &str) -> Result<File, SecretError> {
    // A file next to it: the file itself is replaced, and its lock with it.
    let path = directory.join(format!(".{name}.lock"));
    let cannot = |errno: Errno| {
        let what = match errno {
            Errno::WOULDBLOCK => "is held by another program: wait for its end or end it",
            _ => "cannot be locked",
        };
        let error = io::Error::from(errno);
        SecretError::system(format!("{} {what}: {error}", path.display()), error)
    };
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = retry_on_intr(|| openat(CWD, &path, flags, Mode::RUSR | Mode::WUSR)).map_err(cannot)?;
    for _ in 0..ATTEMPTS {
        match retry_on_intr(|| flock(&file, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => return Ok(file.into()),
            Err(Errno::WOULDBLOCK) => thread::sleep(PAUSE),
            Err(errno) => return Err(cannot(errno)),
        }
    }
    Err(cannot(Errno::WOULDBLOCK))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use rustix::fs::{FileType, mknodat};
    use tempfile::TempDir;

    use super::*;

    fn folder_with(mode: u32) -> TempDir {
        let folder = tempfile::tempdir().expect("a directory");
        let file = folder.path().join("file");
        fs::write(&file, "text").expect("written");
        set_mode(&file, mode);
        folder
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    }

    fn error(path: &Path) -> String {
        let error = read(path, 100).err().expect("refused");
        assert_eq!(error.kind(), SecretErrorKind::Permissions, "{error}");
        error.to_string()
    }

    #[test]
    fn a_file_that_others_may_write_is_refused_and_one_that_they_may_read_is_not() {
        for (mode, good) in [
            (0o600, true),
            (0o640, true),
            (0o644, true),
            (0o660, false),
            (0o606, false),
            (0o666, false),
        ] {
            let folder = folder_with(mode);
            let path = folder.path().join("file");
            match read(&path, 100) {
                Ok(content) => {
                    let content = content.expect("there");
                    assert_eq!((&**content.text, content.mode, good), (&b"text"[..], mode, true));
                }
                Err(error) => {
                    let error = error.to_string();
                    assert!(!good, "{error}");
                    let (mode, remedy) = (
                        format!("mode {mode:04o}"),
                        format!("chmod 600 {}", path.display()),
                    );
                    assert!(error.contains(&mode) && error.contains(&remedy), "{error}");
                }
            }
        }
    }

    #[test]
    fn a_directory_that_others_may_write_is_refused_for_the_file_and_for_a_link_to_it() {
        let (open, closed) = (folder_with(0o600), folder_with(0o600));
        set_mode(open.path(), 0o777);
        assert!(error(&open.path().join("file")).contains("is writable by others (mode 0777)"));
        assert!(error(&open.path().join("missing")).contains("is writable by others"));

        symlink(closed.path().join("file"), open.path().join("link")).expect("linked");
        assert!(error(&open.path().join("link")).contains("is writable by others"));
        symlink(open.path().join("file"), closed.path().join("link")).expect("linked");
        assert!(error(&closed.path().join("link")).contains("is writable by others"));

        set_mode(open.path(), 0o1777);
        assert!(read(&open.path().join("link"), 100).expect("good").is_some());
    }

    #[test]
    fn what_is_no_regular_file_is_refused_and_not_waited_for() {
        let folder = folder_with(0o600);
        let pipe = folder.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("made");
        symlink("pipe", folder.path().join("link")).expect("linked");
        for name in ["pipe", "link"] {
            let error = error(&folder.path().join(name));
            assert!(
                error.ends_with("is a named pipe, expected a regular file"),
                "{error}"
            );
        }
        assert!(error(folder.path()).ends_with("is a directory, expected a regular file"));
    }

    #[test]
    fn a_file_or_a_link_of_another_user_is_refused() {
        if !geteuid().is_root() {
            return;
        }
        let folder = folder_with(0o600);
        set_mode(folder.path(), 0o1777);
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        symlink("file", &link).expect("linked");
        std::os::unix::fs::lchown(&link, Some(65534), None).expect("given away");
        assert!(error(&link).contains("is a symbolic link of user 65534"));
        chown(&file, Some(65534), None).expect("given away");
        assert!(error(&file).contains("belongs to user 65534"));
    }

    #[test]
    fn one_program_at_a_time_has_the_lock() {
        let folder = folder_with(0o600);
        let held = lock(folder.path(), "file").expect("locked");
        let other = File::open(folder.path().join(".file.lock")).expect("there");
        let try_lock = || flock(&other, FlockOperation::NonBlockingLockExclusive);
        assert_eq!(try_lock(), Err(Errno::WOULDBLOCK));
        drop(held);
        assert_eq!(try_lock(), Ok(()));
    }
}
