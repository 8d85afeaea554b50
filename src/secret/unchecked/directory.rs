//! A directory of secret files whose permissions are unknown.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, Metadata, OpenOptions},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use zeroize::Zeroizing;

use crate::{
    random,
    secret::{allowed_permissions::AllowedPermissions, file_error::FileError},
};

/// The length of a new secret, and of the random part of a temporary name, in bytes.
const SECRET: usize = 32;
const UNIQUE: usize = 16;

/// The directory at a path, and whether unchecked files are allowed in it.
#[derive(Debug)]
pub(in crate::secret) struct Directory {
    path: PathBuf,
    allowed: AllowedPermissions,
}

/// What distinguishes a file from the one before: there is no stable API for more.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::secret) struct FileStatus {
    changed: Option<SystemTime>,
    length: u64,
}

impl From<&Metadata> for FileStatus {
    fn from(metadata: &Metadata) -> Self {
        Self {
            changed: metadata.modified().ok(),
            length: metadata.len(),
        }
    }
}

impl Directory {
    /// The directory at `path`; `None` if it does not exist.
    pub(in crate::secret) fn open(
        path: &Path,
        allowed: AllowedPermissions,
    ) -> Result<Option<Self>, FileError> {
        match fs::metadata(path) {
            Ok(_) => Ok(Some(Self {
                path: path.to_owned(),
                allowed,
            })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileError::system("has a directory that cannot be opened", error)),
        }
    }

    /// The file `name` for reading; `None` if there is none.
    pub(in crate::secret) fn open_file(
        &self,
        name: &OsStr,
        allowed: AllowedPermissions,
    ) -> Result<Option<File>, FileError> {
        let path = self.path.join(name);
        let cannot = |error| FileError::system("cannot be opened", error);
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(cannot(error)),
        };
        self.require_unchecked()?;
        if metadata.is_symlink() && !allowed.symlink {
            return Err(FileError::Permissions(
                "is a symbolic link, expected a regular file".to_owned(),
            ));
        }
        match fs::metadata(&path) {
            // Before it is opened: a pipe would block.
            Ok(metadata) if !metadata.is_file() => Err(not_regular()),
            Ok(_) => File::open(&path).map(Some).map_err(cannot),
            Err(error) if error.kind() == ErrorKind::NotFound && metadata.is_symlink() => {
                Err(FileError::Missing("is a symbolic link to nothing"))
            }
            Err(error) => Err(cannot(error)),
        }
    }

    /// Checks that the open file is a regular one, and returns what identifies it.
    pub(in crate::secret) fn check(
        &self,
        file: &File,
        _: AllowedPermissions,
    ) -> Result<FileStatus, FileError> {
        let metadata = file
            .metadata()
            .map_err(|error| FileError::system("cannot be looked at", error))?;
        if metadata.is_file() {
            Ok((&metadata).into())
        } else {
            Err(not_regular())
        }
    }

    /// Creates the file `name` with a new secret, complete or not at all. An existing file is not changed.
    pub(in crate::secret) fn create(&self, name: &OsStr) -> Result<(), FileError> {
        let temporary: OsString = format!(".secret-{}.new", random::hex::<UNIQUE>()).into();
        let secret = Zeroizing::new(format!("{}\n", &*Zeroizing::new(random::hex::<SECRET>())));
        let file = self.write_new(&temporary, secret.as_bytes())?;
        let synced = file.sync_all();
        drop(file);
        // A link is made only if the name is free, unlike a new name for the file.
        let linked = synced.and_then(|()| fs::hard_link(self.path.join(&temporary), self.path.join(name)));
        self.unlink(&temporary);
        match linked {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(cannot_create(error)),
            _ => Ok(()),
        }
    }

    /// The names of all that is in it, in any order.
    #[cfg(feature = "jupyter")]
    pub(in crate::secret) fn names(&self) -> Result<Vec<OsString>, FileError> {
        self.require_unchecked()?;
        let names = fs::read_dir(&self.path).and_then(|entries| {
            let names = entries.map(|entry| Ok(entry?.file_name()));
            names.collect()
        });
        names.map_err(|error| FileError::system("cannot be listed", error))
    }

    /// Creates the file `name` with this content. After an error there is no such file.
    pub(in crate::secret) fn write_new(&self, name: &OsStr, content: &[u8]) -> Result<File, FileError> {
        self.require_unchecked()?;
        let path = self.path.join(name);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(cannot_create)?;
        match file.write_all(content) {
            Ok(()) => Ok(file),
            Err(error) => {
                drop(file);
                self.unlink(name);
                Err(cannot_create(error))
            }
        }
    }

    /// Renames `old` to `new`, and replaces what was there.
    #[cfg(feature = "jupyter")]
    pub(in crate::secret) fn rename(&self, old: &OsStr, new: &OsStr) -> Result<(), FileError> {
        fs::rename(self.path.join(old), self.path.join(new)).map_err(cannot_create)
    }

    /// Makes the content of the file `name` survive a power cut.
    #[cfg(feature = "jupyter")]
    pub(in crate::secret) fn sync_file(&self, name: &OsStr) -> Result<(), FileError> {
        // Windows syncs only what may be written.
        let file = OpenOptions::new().write(true).open(self.path.join(name));
        file.and_then(|file| file.sync_all()).map_err(cannot_create)
    }

    /// A directory cannot be synced by the standard library.
    #[cfg(feature = "jupyter")]
    pub(in crate::secret) fn sync(&self) -> Result<(), FileError> {
        Ok(())
    }

    /// Removes the name `name`. A failure is ignored: another process may have removed it.
    pub(in crate::secret) fn unlink(&self, name: &OsStr) {
        let _ = fs::remove_file(self.path.join(name));
    }

    /// Removes the file `name`, if it is still the one that `read` describes.
    pub(in crate::secret) fn remove(&self, name: &OsStr, read: &FileStatus) -> Result<(), FileError> {
        let path = self.path.join(name);
        let failed = |error: io::Error| match error.kind() {
            ErrorKind::NotFound => {
                FileError::Permissions("was removed by another while it was read".to_owned())
            }
            _ => FileError::system("cannot be deleted after it was read", error),
        };
        let now = fs::symlink_metadata(&path).map_err(failed)?;
        if FileStatus::from(&now) != *read {
            let replaced = "was replaced by another file while it was read";
            return Err(FileError::Permissions(replaced.to_owned()));
        }
        fs::remove_file(&path).map_err(failed)
    }

    fn require_unchecked(&self) -> Result<(), FileError> {
        self.allowed.require_unchecked().map_err(FileError::Permissions)
    }
}

fn cannot_create(error: io::Error) -> FileError {
    FileError::system("cannot be created", error)
}

fn not_regular() -> FileError {
    FileError::Permissions("is of another kind, expected a regular file".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTER: &str = "FileSource::allow_unchecked_permissions";

    fn open(path: &Path, unchecked: bool) -> Directory {
        let allowed = AllowedPermissions {
            unchecked,
            ..AllowedPermissions::strict(SETTER)
        };
        Directory::open(path, allowed).expect("good").expect("there")
    }

    fn read(directory: &Directory, name: &str) -> Result<Option<(String, FileStatus)>, String> {
        let name = OsStr::new(name);
        let file = directory.open_file(name, directory.allowed).map_err(text)?;
        file.map(|file| {
            let status = directory.check(&file, directory.allowed).map_err(text)?;
            Ok((io::read_to_string(file).expect("text"), status))
        })
        .transpose()
    }

    fn text(error: FileError) -> String {
        error.of("file").to_string()
    }

    #[test]
    fn without_the_setter_no_file_is_read_and_none_created() {
        let folder = tempfile::tempdir().expect("a directory");
        let directory = open(folder.path(), false);
        assert_eq!(
            read(&directory, "secret"),
            Ok(None),
            "a missing file is no secret"
        );
        let name = OsStr::new("secret");
        let written = directory.write_new(name, b"canary").map(drop);
        for refused in [directory.create(name), written] {
            assert!(text(refused.expect_err("refused")).contains(SETTER));
        }
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 0);
        fs::write(folder.path().join("secret"), "canary").expect("written");
        let refused = read(&directory, "secret").expect_err("refused");
        assert_eq!(
            refused,
            format!(
                "file is on a system where the access of other users cannot be checked: make sure that only its owner \
                 has access, then call `{SETTER}`"
            )
        );
    }

    #[test]
    fn with_the_setter_a_secret_is_created_once_and_alone() {
        let folder = tempfile::tempdir().expect("a directory");
        let directory = open(folder.path(), true);
        let name = OsStr::new("secret");
        directory.create(name).expect("created");
        let (first, _) = read(&directory, "secret").expect("good").expect("there");
        assert_eq!((first.len(), first.ends_with('\n')), (65, true));
        directory.create(name).expect("not changed");
        let (second, status) = read(&directory, "secret").expect("good").expect("there");
        assert_eq!(first, second);
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1);

        fs::write(folder.path().join("secret"), "another").expect("replaced");
        let replaced = directory.remove(name, &status).expect_err("another");
        assert!(text(replaced).contains("was replaced by another file"));
        let (_, status) = read(&directory, "secret").expect("good").expect("there");
        directory.remove(name, &status).expect("removed");
        assert!(text(directory.remove(name, &status).expect_err("gone")).contains("was removed by another"));
    }

    #[test]
    fn a_directory_is_no_secret_file() {
        let folder = tempfile::tempdir().expect("a directory");
        fs::create_dir(folder.path().join("secret")).expect("made");
        let refused = read(&open(folder.path(), true), "secret").expect_err("refused");
        assert_eq!(refused, "file is of another kind, expected a regular file");
    }
}
