//! A secret in a file, checked on the open descriptor.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::File,
    io::{ErrorKind, Read as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::secret::{
    SecretSource,
    allowed_permissions::AllowedPermissions,
    env_source::set,
    file_error::{ATTEMPTS, FileError},
    format::{LIMIT, SecretFormat},
    system::Directory,
    value::{Secret, SecretError},
};

/// A file that may hold a secret.
///
/// If the file does not exist, the source has no value, and the next source is tried. A file that exists is used or
/// rejected, and never replaced. The rules are checked on the one open descriptor that is then read:
///
/// 1. It is a regular file, and the path is not a symbolic link ([`follow_symlink`](Self::follow_symlink)).
/// 2. It belongs to the effective user of the process or to root, and its owner may read it.
/// 3. It has no permission bit for group or others ([`allow_group_read`](Self::allow_group_read)), no set-id and no
///    sticky bit, and one hard link.
/// 4. Its directory belongs to the effective user or to root, and neither group nor others may write it unless it is
///    sticky ([`allow_shared_directory`](Self::allow_shared_directory)).
/// 5. It has at most 4096 bytes of the expected form: a text, or a key ([`hex`](Self::hex), [`raw`](Self::raw)).
///
/// Secrets that an orchestrator mounts break 1 and 3 by design: [`container_secret`](Self::container_secret). On Windows, rules
/// 2 to 4 cannot be checked, so every file is rejected
/// ([`allow_unchecked_permissions`](Self::allow_unchecked_permissions)).
///
/// # Security
///
/// Directories above that of the file are not checked: a user who may rename one of them can replace the whole tree,
/// but only with files that this user or root owns. Root, the server of a network file system and backups can read
/// every file.
///
/// # Example
///
/// ```
/// # #[cfg(unix)] {
/// use std::{fs, os::unix::fs::PermissionsExt};
///
/// use portcullis::{secret::SecretSource, FileSource};
///
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("password");
/// let source = FileSource::new(&path);
/// assert!(source.load()?.is_none());
///
/// fs::write(&path, "correct horse battery staple\n")?;
/// fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
/// let error = source.load().unwrap_err().to_string();
/// assert!(error.contains("password is readable by others (mode 0644), expected 0600"));
///
/// fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
/// assert_eq!(source.load()?.expect("a secret").expose_str(), Some("correct horse battery staple"));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileSource {
    /// The name of the file in errors.
    what: &'static str,
    place: PathSpec,
    content: SecretFormat,
    allowed: AllowedPermissions,
    create: bool,
    delete: bool,
}

#[derive(Clone, Debug)]
enum PathSpec {
    Path(PathBuf),
    /// The environment variable that holds the path.
    Variable(String),
}

impl FileSource {
    /// Creates a source of the text in the file at `path`: a token, a password. It must be UTF-8 and not empty;
    /// spaces and line ends around it are removed.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self::at("secret file", PathSpec::Path(path.as_ref().to_owned()))
    }

    /// Creates a source of the cookie secret in the file at `path`: a key as hexadecimal digits, as in JupyterHub.
    /// Often followed by [`or_create`](Self::or_create).
    pub fn cookie_secret(path: impl AsRef<Path>) -> Self {
        Self::at("cookie secret file", PathSpec::Path(path.as_ref().to_owned())).hex()
    }

    /// Creates a source of the text in the file whose path is in the environment variable `variable`.
    ///
    /// If the variable is unset or empty, the source has no value. If the variable is set and the file is missing,
    /// that is an error.
    pub fn from_env_path(variable: impl Into<String>) -> Self {
        Self::at("secret file", PathSpec::Variable(variable.into()))
    }

    /// Creates a source of the token of a Jupyter Server: the text in the file that `JUPYTER_TOKEN_FILE` names.
    ///
    /// As with [`from_env_path`](Self::from_env_path), a missing or an empty file is an error, and never disables
    /// authentication.
    pub fn jupyter_token() -> Self {
        Self::at("token file", PathSpec::Variable("JUPYTER_TOKEN_FILE".to_owned()))
    }

    fn at(what: &'static str, place: PathSpec) -> Self {
        Self {
            what,
            place,
            content: SecretFormat::Text,
            allowed: AllowedPermissions::strict("FileSource::allow_unchecked_permissions"),
            create: false,
            delete: false,
        }
    }

    /// Reads a key of 32 to 1024 bytes as hexadecimal digits of either case, with spaces and line ends around them
    /// removed.
    ///
    /// By default, the content is a text. The bytes must have at least 8 different values.
    #[must_use]
    pub fn hex(mut self) -> Self {
        self.content = SecretFormat::Hex;
        self
    }

    /// Reads a key of 32 to 1024 bytes exactly as they are, including a line feed at the end.
    ///
    /// By default, the content is a text. The bytes must have at least 8 different values. The
    /// `jupyter_cookie_secret` of a Jupyter Server is read this way.
    #[must_use]
    pub fn raw(mut self) -> Self {
        self.content = SecretFormat::Raw;
        self
    }

    /// Creates a missing file: 32 bytes of the system's random generator as hexadecimal digits, with a line feed.
    ///
    /// By default, a missing file has no value. On Unix, the file has mode 0600 from the start, whatever the umask, and is
    /// created completely or not at all. If many processes start at once, one creates it, and all read that one. The
    /// directory must exist. A file that exists and is rejected is never replaced. A process that is killed at the
    /// wrong moment may leave a file `.secret-….new` next to it, which is not used and can be deleted.
    #[must_use]
    pub fn or_create(mut self) -> Self {
        self.create = true;
        self
    }

    /// Deletes the file after it was read and accepted, for a file that passes a secret once.
    ///
    /// By default, the file stays. If it cannot be deleted, or is no longer the one that was read, that is an error
    /// and the secret is not used: of two processes that read it at once, one gets the secret. A symbolic link is
    /// rejected, even with [`follow_symlink`](Self::follow_symlink), because its target would stay.
    #[must_use]
    pub fn delete_after_read(mut self) -> Self {
        self.delete = true;
        self
    }

    /// Lets the group read the file (mode 0640), for a key that several accounts share.
    ///
    /// By default, any permission of the group is rejected.
    #[must_use]
    pub fn allow_group_read(mut self) -> Self {
        self.allowed.group_read = true;
        self
    }

    /// Follows a symbolic link.
    ///
    /// By default, it is rejected. All other rules apply to the file that it points to, and the rules on the
    /// directory to that of the link. A link to nothing is an error.
    ///
    /// The link must belong to the effective user or to root, and so must every further link on the path to the file.
    /// In a sticky directory such as `/tmp` other users can create links.
    #[must_use]
    pub fn follow_symlink(mut self) -> Self {
        self.allowed.symlink = true;
        self
    }

    /// Accepts the file in any directory.
    ///
    /// By default, a directory that belongs to another user, or that group or others may write and that is not
    /// sticky, is rejected.
    ///
    /// # Security
    ///
    /// A user who may write the directory can remove the file, and replace it by another that this user or root owns.
    #[must_use]
    pub fn allow_shared_directory(mut self) -> Self {
        self.allowed.shared_directory = true;
        self
    }

    /// Accepts the file on a system where this crate cannot check who may read or change it, such as Windows.
    ///
    /// By default, a file there is rejected, and none is created. On Unix all rules are checked, so this setter changes
    /// nothing.
    ///
    /// # Security
    ///
    /// Use it for a directory that only its owner has access to, such as one in the user's profile. Of the rules above,
    /// only 1 and 5 are checked.
    #[must_use]
    pub fn allow_unchecked_permissions(mut self) -> Self {
        self.allowed.unchecked = true;
        self
    }

    /// Accepts a secret that an orchestrator mounts, such as a Kubernetes secret or one in `/run/secrets`: follows a
    /// symbolic link, and allows all users to read (mode 0644 or 0444).
    ///
    /// Off by default.
    ///
    /// # Security
    ///
    /// For containers, which have no other users. Owner, writers, links and directory are still checked.
    #[must_use]
    pub fn container_secret(mut self) -> Self {
        self.allowed.all_read = true;
        self.follow_symlink()
    }

    /// Returns the path in `value`, the value of the variable.
    fn path_in(value: Option<OsString>) -> Result<Option<PathBuf>, FileError> {
        let Some(value) = set(value) else { return Ok(None) };
        // A path that is not Unicode is not one that was typed, so there is no line end to remove.
        match value
            .to_str()
            .map(|text| text.trim_matches([' ', '\t', '\r', '\n']))
        {
            Some("") => Err(FileError::Content(
                "expected a path, found only whitespace".to_owned(),
            )),
            Some(path) => Ok(Some(path.into())),
            None => Ok(Some(value.into())),
        }
    }

    /// Loads the secret in the file that `value`, the value of `variable`, names.
    fn load_from(&self, variable: &str, value: Option<OsString>) -> Result<Option<Secret>, SecretError> {
        match Self::path_in(value).map_err(|fault| fault.of(&format!("variable {variable}")))? {
            None => Ok(None),
            Some(path) => self
                .load_or_advise(&path)
                .and_then(|secret| secret.map(Some).ok_or(FileError::Missing("does not exist")))
                .map_err(|fault| fault.of(&self.describe(&path, Some(variable)))),
        }
    }

    /// Loads the secret in the file at `path`. The error of a file that a container may have mounted names the setter
    /// that accepts it.
    fn load_or_advise(&self, path: &Path) -> Result<Option<Secret>, FileError> {
        self.load_at(path).map_err(|fault| match fault {
            FileError::Permissions(text)
                if !self.delete && self.clone().container_secret().load_at(path).is_ok() =>
            {
                let cure = "call `FileSource::container_secret` if Docker or Kubernetes mounts it";
                FileError::Permissions(format!("{text}: {cure}"))
            }
            fault => fault,
        })
    }

    /// Loads the secret in the file at `path`, which is created if necessary.
    fn load_at(&self, path: &Path) -> Result<Option<Secret>, FileError> {
        let mut allowed = self.allowed;
        allowed.symlink &= !self.delete;
        let (folder, name) = split(path);
        let Some(directory) = Directory::open(folder, allowed)? else {
            return match self.create {
                true => Err(FileError::system(
                    "has no directory to be created in",
                    ErrorKind::NotFound,
                )),
                false => Ok(None),
            };
        };
        for _ in 0..ATTEMPTS {
            if let Some(file) = directory.open_file(name, allowed)? {
                return self.read(file, &directory, name, allowed).map(Some);
            }
            if !self.create {
                return Ok(None);
            }
            directory.create(name)?;
        }
        Err(FileError::kept_changing())
    }

    /// Reads the secret in the open file after all rules are checked.
    fn read(
        &self,
        mut file: File,
        directory: &Directory,
        name: &OsStr,
        allowed: AllowedPermissions,
    ) -> Result<Secret, FileError> {
        let status = directory.check(&file, allowed)?;
        let bytes = bytes(&mut file)?;
        let secret = self.content.read(&bytes).map_err(FileError::Content)?;
        if self.delete {
            directory.remove(name, &status)?;
        }
        Ok(secret)
    }

    fn describe(&self, path: &Path, variable: Option<&str>) -> String {
        let (what, path) = (self.what, path.display());
        match variable {
            Some(variable) => format!("{what} {path} (named by {variable})"),
            None => format!("{what} {path}"),
        }
    }
}

impl SecretSource for FileSource {
    /// Returns the content of the file, or `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// Returns `Permissions` if a rule on its kind, owner, mode, links or directory is broken; `Malformed` if the
    /// content does not have the expected form; `Missing` if a variable or a symbolic link names a file that does not
    /// exist; `System` if it cannot be opened, read, created or deleted.
    fn load(&self) -> Result<Option<Secret>, SecretError> {
        match &self.place {
            PathSpec::Path(path) => self
                .load_or_advise(path)
                .map_err(|fault| fault.of(&self.describe(path, None))),
            PathSpec::Variable(variable) => self.load_from(variable, env::var_os(variable)),
        }
    }

    fn name(&self) -> String {
        match &self.place {
            PathSpec::Path(path) => self.describe(path, None),
            PathSpec::Variable(variable) => match Self::path_in(env::var_os(variable)) {
                Ok(Some(path)) => self.describe(&path, Some(variable)),
                _ => format!("{} named by variable {variable}", self.what),
            },
        }
    }
}

/// Returns the directory and the name in it. A path without a last name is the directory itself, and is rejected.
fn split(path: &Path) -> (&Path, &OsStr) {
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) if folder.as_os_str().is_empty() => (Path::new("."), name),
        (Some(folder), Some(name)) => (folder, name),
        _ if path.as_os_str().is_empty() => (Path::new("."), OsStr::new(".")),
        _ => (path, OsStr::new(".")),
    }
}

/// Reads all bytes of the file, at most the limit.
fn bytes(file: &mut File) -> Result<Zeroizing<Vec<u8>>, FileError> {
    // One buffer of the maximum size: growing would leave copies of the secret in memory.
    let mut bytes = Zeroizing::new(vec![0; LIMIT + 1]);
    let mut length = 0;
    while let Some(free) = bytes.get_mut(length..).filter(|free| !free.is_empty()) {
        match file.read(free) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(FileError::system("cannot be read", error)),
        }
    }
    if length > LIMIT {
        return Err(FileError::Content(format!(
            "expected at most {LIMIT} bytes, found more"
        )));
    }
    bytes.truncate(length);
    Ok(bytes)
}

#[cfg(all(test, unix))]
mod tests;
