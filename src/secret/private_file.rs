//! A file that hands a secret to a program of the same user, and goes away again.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::{
    random,
    secret::{
        allowed_permissions::AllowedPermissions, file_error::FileError, system::Directory, value::SecretError,
    },
};

/// The length of the random part of the name, in bytes.
const UNIQUE: usize = 16;

/// A file that its owner alone can read (mode 0600), under a random name; removed when dropped.
///
/// Its directory is one that no other user may write, or a sticky one such as `/tmp`, so that no other user can put
/// another file in its place.
#[derive(Debug)]
pub(crate) struct PrivateFile {
    directory: Directory,
    name: OsString,
    path: PathBuf,
    kept: bool,
}

impl PrivateFile {
    /// The file `<prefix><32 random digits><suffix>` in the directory at `path`, holding `content`.
    ///
    /// # Errors
    ///
    /// `SecretErrorKind::Missing` without that directory, `Permissions` if others may change what is in it, or
    /// the file system has no modes, `System` for what the system refused.
    pub(crate) fn create(
        path: &Path,
        prefix: &str,
        suffix: &str,
        content: &[u8],
        allowed: AllowedPermissions,
    ) -> Result<Self, SecretError> {
        let name: OsString = format!("{prefix}{}{suffix}", random::hex::<UNIQUE>()).into();
        let path = std::path::absolute(path)
            .map(|path| path.join(&name))
            .map_err(|error| SecretError::system(format!("{}: {error}", path.display()), error))?;
        let named = path.display().to_string();
        Self::write(path, name, content, allowed).map_err(|fault| fault.of(&named))
    }

    fn write(
        path: PathBuf,
        name: OsString,
        content: &[u8],
        allowed: AllowedPermissions,
    ) -> Result<Self, FileError> {
        let Some(directory) = path.parent() else {
            return Err(FileError::Missing("has no directory"));
        };
        let directory = Directory::open(directory, allowed)?
            .ok_or(FileError::Missing("has no directory to be created in"))?;
        directory.write_new(&name, content)?;
        Ok(Self {
            directory,
            name,
            path,
            kept: false,
        })
    }

    /// Renames the file to `name`, replacing an existing one: a reader finds the old content or the complete new
    /// one. Still removed when dropped.
    #[cfg(feature = "jupyter")]
    pub(crate) fn renamed(mut self, name: &str) -> Result<Self, SecretError> {
        self.directory
            .rename(&self.name, name.as_ref())
            .map_err(|fault| fault.of(&self.path.with_file_name(name).display().to_string()))?;
        self.path.set_file_name(name);
        self.name = name.into();
        Ok(self)
    }

    /// Leaves the file where it is, for good: it outlasts the value, and a power cut.
    #[cfg(feature = "jupyter")]
    pub(crate) fn keep_as(self, name: &str) -> Result<(), SecretError> {
        let named = self.path.with_file_name(name).display().to_string();
        self.directory
            .sync_file(&self.name)
            .map_err(|fault| fault.of(&named))?;
        let mut this = self.renamed(name)?;
        this.kept = true;
        this.directory.sync().map_err(|fault| fault.of(&named))
    }

    /// Where it lies, from the root.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PrivateFile {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // Another process may have removed it, and its content is valid for a short time only.
        self.directory.unlink(&self.name);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{
        fs,
        os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    };

    use super::*;
    use crate::secret::SecretErrorKind;

    #[test]
    fn the_file_is_the_owners_alone_and_goes_with_its_value() {
        let folder = tempfile::tempdir().expect("a directory");
        let one = PrivateFile::create(
            folder.path(),
            "launch-",
            ".html",
            b"secret",
            AllowedPermissions::default(),
        )
        .expect("created");
        let two = PrivateFile::create(
            folder.path(),
            "launch-",
            ".html",
            b"secret",
            AllowedPermissions::default(),
        )
        .expect("created");
        assert_ne!(one.path(), two.path());
        let name = one.path().file_name().expect("a name").to_string_lossy();
        assert!(name.starts_with("launch-") && name.ends_with(".html") && name.len() == 44);
        let metadata = fs::metadata(one.path()).expect("there");
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
        assert_eq!(metadata.nlink(), 1);
        assert_eq!(fs::read(one.path()).expect("readable"), b"secret");
        drop((one, two));
        assert_eq!(fs::read_dir(folder.path()).expect("a directory").count(), 0);
    }

    #[cfg(feature = "jupyter")]
    #[test]
    fn a_renamed_file_takes_the_place_of_another_and_a_kept_one_stays() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("info.json");
        let create = || {
            PrivateFile::create(
                folder.path(),
                ".info-",
                ".new",
                b"new",
                AllowedPermissions::default(),
            )
            .expect("created")
        };
        for kept in [false, true] {
            fs::write(&path, "old").expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
            if kept {
                create().keep_as("info.json").expect("kept");
            } else {
                let file = create().renamed("info.json").expect("renamed");
                assert_eq!(file.path(), path);
                assert_eq!(fs::read(&path).expect("readable"), b"new");
            }
            let names = fs::read_dir(folder.path()).expect("a directory").count();
            assert_eq!((path.exists(), names), (kept, usize::from(kept)));
        }
        assert_eq!(fs::read(&path).expect("readable"), b"new");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "the old file's mode goes with it");
    }

    #[test]
    fn a_directory_that_others_may_write_or_that_is_not_there_is_refused() {
        let folder = tempfile::tempdir().expect("a directory");
        let create = |path: &Path| {
            let error =
                PrivateFile::create(path, "a", "b", b"", AllowedPermissions::default()).expect_err("refused");
            (error.kind(), error.to_string())
        };
        for mode in [0o777, 0o775, 0o722] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).expect("set");
            let (kind, text) = create(folder.path());
            assert_eq!(kind, SecretErrorKind::Permissions, "{mode:o}: {text}");
        }
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).expect("set");
        PrivateFile::create(folder.path(), "a", "b", b"", AllowedPermissions::default())
            .expect("a sticky one will do");
        let (kind, text) = create(&folder.path().join("none"));
        assert_eq!(kind, SecretErrorKind::Missing, "{text}");
        assert!(text.ends_with("has no directory to be created in"), "{text}");
    }
}
