//! A directory where programs of one user leave files for each other.

use std::{
    ffi::{OsStr, OsString},
    io::Read as _,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::secret::{
    allowed_permissions::AllowedPermissions,
    system::{Directory, FileStatus},
    value::SecretError,
};

/// A directory that no other user may write, or a sticky one, and the files of this user or root in it.
#[derive(Debug)]
pub(crate) struct PrivateDir {
    directory: Directory,
    path: PathBuf,
    allowed: AllowedPermissions,
}

/// What a file held when it was read.
pub(crate) struct FileContent {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    status: FileStatus,
}

impl PrivateDir {
    /// The directory at `path`; `None` if there is none.
    ///
    /// # Errors
    ///
    /// `SecretErrorKind::Permissions` if others may change what is in it, or that cannot be checked, `System` for what the system refused.
    pub(crate) fn open(path: &Path, allowed: AllowedPermissions) -> Result<Option<Self>, SecretError> {
        let directory = Directory::open(path, allowed)
            .map_err(|fault| fault.of(&path.join("*").display().to_string()))?;
        Ok(directory.map(|directory| Self {
            directory,
            path: path.to_owned(),
            // The owner decides who may read it; only write access makes the content untrustworthy.
            allowed: AllowedPermissions {
                all_read: true,
                ..allowed
            },
        }))
    }

    /// The names of all that is in it, sorted.
    ///
    /// # Errors
    ///
    /// `SecretErrorKind::System`.
    pub(crate) fn names(&self) -> Result<Vec<OsString>, SecretError> {
        let names = self.directory.names();
        let mut names = names.map_err(|fault| fault.of(&self.path.display().to_string()))?;
        names.sort();
        Ok(names)
    }

    /// The content of the file `name`; `None` if it was removed, is no regular file of this user or root, may be changed
    /// by others, or has more than `limit` bytes.
    pub(crate) fn read(&self, name: &OsStr, limit: u64) -> Option<FileContent> {
        let file = self.directory.open_file(name, self.allowed).ok()??;
        let status = self.directory.check(&file, self.allowed).ok()?;
        let mut bytes = Zeroizing::new(Vec::new());
        let length = file.take(limit + 1).read_to_end(&mut bytes).ok()?;
        (length as u64 <= limit).then_some(FileContent { bytes, status })
    }

    /// Removes the file `name`, if it is still the one that `content` was read from. A failure to remove it is ignored:
    /// the next process tries again.
    pub(crate) fn remove(&self, name: &OsStr, content: &FileContent) {
        let _ = self.directory.remove(name, &content.status);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use super::*;

    #[test]
    fn only_files_that_no_other_user_could_have_written_are_read() {
        let folder = tempfile::tempdir().expect("a directory");
        let at = |name: &str| folder.path().join(name);
        for (name, mode) in [
            ("own", 0o600),
            ("shown", 0o644),
            ("shared", 0o660),
            ("open", 0o602),
        ] {
            fs::write(at(name), "content").expect("written");
            fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).expect("set");
        }
        symlink(at("own"), at("link")).expect("linked");
        fs::create_dir(at("folder")).expect("made");
        let private = PrivateDir::open(folder.path(), AllowedPermissions::default())
            .expect("good")
            .expect("there");
        for (name, expected) in [
            ("own", true),
            ("shown", true),
            ("shared", false),
            ("open", false),
            ("link", false),
            ("folder", false),
            ("none", false),
        ] {
            let content = private.read(OsStr::new(name), 7);
            assert_eq!(content.is_some(), expected, "{name}");
        }
        assert!(private.read(OsStr::new("own"), 6).is_none(), "it is longer");
    }

    #[test]
    fn what_was_replaced_meanwhile_is_not_removed() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("info");
        let private = PrivateDir::open(folder.path(), AllowedPermissions::default())
            .expect("good")
            .expect("there");
        fs::write(&path, "old").expect("written");
        let old = private.read(OsStr::new("info"), 99).expect("read");
        fs::write(folder.path().join("new"), "new").expect("written");
        fs::rename(folder.path().join("new"), &path).expect("renamed");
        private.remove(OsStr::new("info"), &old);
        assert_eq!(fs::read(&path).expect("readable"), b"new");
        let new = private.read(OsStr::new("info"), 99).expect("read");
        private.remove(OsStr::new("info"), &new);
        assert!(!path.exists());
    }
}
