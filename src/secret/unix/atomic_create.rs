//! Creates a secret file, complete or not at all, by one of any number of processes.
//!
//! The secret is written to a temporary file with a random name, synced, and then linked to its
//! own name, which the system does only if that name is free. So a reader sees no file or a complete one, and of
//! many writers one wins. A writer that is killed before the link leaves a temporary file that is never read; one
//! that is killed just after it leaves a second name of the valid file, which the next reader removes. Linking needs
//! nothing of the file system but hard links, so it also works on NFS, where no rename keeps an existing file.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Stat},
    io::Errno,
};
use zeroize::Zeroizing;

use crate::{
    random,
    secret::{
        file_error::FileError,
        unix::directory::{Directory, is_same},
    },
};

/// The length of a new secret, in bytes.
const SECRET: usize = 32;
/// The length of the random part of a temporary name, in bytes.
const UNIQUE: usize = 16;
const PREFIX: &str = ".secret-";
const SUFFIX: &str = ".new";

impl Directory {
    /// Creates the file `name` with a new secret: 32 random bytes as lowercase hexadecimal digits, and a line feed. If a
    /// file of this name exists by then, it is not changed.
    pub(in crate::secret) fn create(&self, name: &OsStr) -> Result<(), FileError> {
        let temporary = TempFile::new(self)?;
        let linked = rustix::fs::linkat(
            &self.descriptor,
            &temporary.name,
            &self.descriptor,
            name,
            AtFlags::empty(),
        );
        drop(temporary);
        match linked {
            Ok(()) => self.sync(),
            Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(cannot(errno)),
        }
    }

    /// Removes the temporary name of the file with this `stat`, if the process that created it has not removed it
    /// itself. Links of any other name stay, and stay a reason to reject the file.
    pub(super) fn finish_creation(&self, stat: &Stat) -> Result<(), FileError> {
        let unreadable = |errno| FileError::system("has a directory that cannot be listed", errno);
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(());
        }
        for entry in Dir::read_from(&self.descriptor).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if is_temporary(name) && self.status_of(name)?.is_some_and(|found| is_same(&found, stat)) {
                match rustix::fs::unlinkat(&self.descriptor, name, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(errno) => {
                        return Err(FileError::system(
                            "has a second name that cannot be removed",
                            errno,
                        ));
                    }
                }
            }
        }
        Ok(())
    }
}

/// A temporary file with a whole secret in it; its name goes with it.
struct TempFile<'a> {
    directory: &'a Directory,
    name: OsString,
}

impl<'a> TempFile<'a> {
    fn new(directory: &'a Directory) -> Result<Self, FileError> {
        let name: OsString = format!("{PREFIX}{}{SUFFIX}", random::hex::<UNIQUE>()).into();
        let secret = Zeroizing::new(format!("{}\n", &*Zeroizing::new(random::hex::<SECRET>())));
        let file = directory.write_new(&name, secret.as_bytes())?;
        let temporary = Self { directory, name };
        file.sync_all()
            .map_err(|error| FileError::system("cannot be created", error))?;
        Ok(temporary)
    }
}

impl Drop for TempFile<'_> {
    fn drop(&mut self) {
        // A reader of the linked file may have removed it first; and a name that stays does no harm.
        self.directory.unlink(&self.name);
    }
}

fn is_temporary(name: &OsStr) -> bool {
    name.to_str()
        .and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX))
        .is_some_and(|unique| {
            unique.len() == 2 * UNIQUE && unique.bytes().all(|digit| digit.is_ascii_hexdigit())
        })
}

fn cannot(errno: Errno) -> FileError {
    FileError::system("cannot be created", errno)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{MetadataExt as _, PermissionsExt as _},
        path::Path,
    };

    use super::*;
    use crate::secret::allowed_permissions::AllowedPermissions;

    fn open(path: &Path) -> Directory {
        Directory::open(path, AllowedPermissions::default())
            .expect("good")
            .expect("there")
    }

    fn names(path: &Path) -> Vec<OsString> {
        let entries = fs::read_dir(path).expect("a directory");
        entries
            .map(|entry| entry.expect("an entry").file_name())
            .collect()
    }

    #[test]
    fn a_new_file_is_whole_private_and_alone() {
        let folder = tempfile::tempdir().expect("a directory");
        open(folder.path()).create(OsStr::new("secret")).expect("created");
        let path = folder.path().join("secret");
        let metadata = fs::metadata(&path).expect("there");
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
        assert_eq!(metadata.nlink(), 1);
        let text = fs::read_to_string(&path).expect("text");
        let digits = text.strip_suffix('\n').expect("a line feed");
        assert_eq!(digits.len(), 64);
        assert!(
            digits
                .bytes()
                .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        );
        assert_eq!(names(folder.path()), ["secret"]);
    }

    #[test]
    fn what_stands_under_the_name_already_stays() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("secret");
        fs::write(&path, "first").expect("written");
        open(folder.path())
            .create(OsStr::new("secret"))
            .expect("no error");
        assert_eq!(fs::read_to_string(&path).expect("text"), "first");
        assert_eq!(names(folder.path()), ["secret"]);
    }

    #[test]
    fn nothing_is_created_behind_a_link() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("secret");
        std::os::unix::fs::symlink("elsewhere", &path).expect("linked");
        open(folder.path())
            .create(OsStr::new("secret"))
            .expect("no error");
        assert_eq!(names(folder.path()), ["secret"]);
    }

    #[test]
    fn the_name_that_a_killed_creator_left_is_taken_away_and_others_are_not() {
        let folder = tempfile::tempdir().expect("a directory");
        let directory = open(folder.path());
        let path = folder.path().join("secret");
        directory.create(OsStr::new("secret")).expect("created");
        let left = format!("{PREFIX}{}{SUFFIX}", random::hex::<UNIQUE>());
        fs::hard_link(&path, folder.path().join(&left)).expect("linked");
        let unrelated = format!("{PREFIX}{}{SUFFIX}", random::hex::<UNIQUE>());
        fs::write(folder.path().join(&unrelated), "half a secr").expect("written");
        fs::hard_link(&path, folder.path().join(".secret-copy.new")).expect("linked");

        let stat = directory
            .status_of(OsStr::new("secret"))
            .expect("looked at")
            .expect("there");
        directory.finish_creation(&stat).expect("finished");

        let mut found = names(folder.path());
        found.sort();
        let mut expected: Vec<OsString> = [".secret-copy.new", &unrelated, "secret"]
            .map(OsString::from)
            .into();
        expected.sort();
        assert_eq!(found, expected);
    }
}
