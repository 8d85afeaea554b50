//! A secret in a file, checked on the open descriptor.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::File,
    io::{ErrorKind, Read as _},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::secret::{
    SecretSource,
    directory::{ATTEMPTS, Directory, kept_changing, status},
    env_source::set,
    file_error::FileError,
    format::{LIMIT, SecretFormat, trimmed},
    permissions::{self, AllowedPermissions},
    value::{Secret, SecretError},
};

/// A file that may hold a secret.
///
/// A file that does not exist has nothing, and the next source is asked. A file that exists is used or refused,
/// and never replaced. The rules, each judged on the one open descriptor that is then read:
///
/// 1. It is a regular file; the path's last part is no symbolic link ([`follow_symlink`](Self::follow_symlink)).
/// 2. It belongs to the process's effective user or to root, and its owner may read it.
/// 3. It has no permission bit of group or others ([`allow_group_read`](Self::allow_group_read)), no set-id and
///    no sticky bit, and one hard link.
/// 4. Its directory belongs to the effective user or to root, and neither group nor others may write it unless
///    it is sticky ([`allow_shared_directory`](Self::allow_shared_directory)).
/// 5. It has at most 4096 octets, of the expected form: a text, or a key ([`hex`](Self::hex),
///    [`raw`](Self::raw)).
///
/// Secrets that an orchestrator mounts break 1 and 3 by design: [`container_secret`](Self::container_secret).
///
/// # Security
///
/// Directories above the file's own are not judged: who may rename one of them may exchange the whole tree, but
/// can put there only files that this user or root owns. Root, the file system's own server and backups read every
/// file.
///
/// # Example
///
/// ```
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
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileSource {
    /// What the file is called in errors.
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
    /// The text in the file at `path`: a token, a password. It must be UTF-8 and not empty; blanks and line
    /// ends around it are dropped.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self::at("secret file", PathSpec::Path(path.as_ref().to_owned()))
    }

    /// The cookie secret in the file at `path`: a key as hexadecimal digits, which JupyterHub writes and reads
    /// too. Often followed by [`or_create`](Self::or_create).
    pub fn cookie_secret(path: impl AsRef<Path>) -> Self {
        Self::at("cookie secret file", PathSpec::Path(path.as_ref().to_owned())).hex()
    }

    /// The text in the file whose path the environment variable `variable` holds.
    ///
    /// A variable that is unset or empty has nothing. One that names a file promises a secret: a missing file
    /// is an error then.
    pub fn from_env_path(variable: impl Into<String>) -> Self {
        Self::at("secret file", PathSpec::Variable(variable.into()))
    }

    /// The token of a Jupyter Server: the text in the file that `JUPYTER_TOKEN_FILE` names.
    ///
    /// As [`from_env_path`](Self::from_env_path): a missing or an empty file is an error, and never switches
    /// authentication off.
    pub fn jupyter_token() -> Self {
        Self::at("token file", PathSpec::Variable("JUPYTER_TOKEN_FILE".to_owned()))
    }

    fn at(what: &'static str, place: PathSpec) -> Self {
        Self {
            what,
            place,
            content: SecretFormat::Text,
            allowed: AllowedPermissions::default(),
            create: false,
            delete: false,
        }
    }

    /// Default: a text. Takes a key of 32 to 1024 octets as hexadecimal digits of either case, blanks and line
    /// ends around them dropped; its octets must have at least 8 different values.
    #[must_use]
    pub fn hex(mut self) -> Self {
        self.content = SecretFormat::Hex;
        self
    }

    /// Default: a text. Takes a key of 32 to 1024 octets exactly as they are, a line feed at the end included;
    /// they must have at least 8 different values. A Jupyter Server's `jupyter_cookie_secret` is read this way.
    #[must_use]
    pub fn raw(mut self) -> Self {
        self.content = SecretFormat::Raw;
        self
    }

    /// Default: a missing file has nothing. Creates it instead: 32 octets of the system's generator as
    /// hexadecimal digits, with a line feed.
    ///
    /// The file has mode 0600 from its birth, whatever the umask, and comes into being whole or not at all. Of
    /// many processes that start at once one creates it, and all read that one. The directory must exist. A
    /// file that exists and is refused is never replaced. A process killed at the wrong moment may leave a file
    /// `.secret-….new` beside it, which nobody reads and which can be deleted.
    #[must_use]
    pub fn or_create(mut self) -> Self {
        self.create = true;
        self
    }

    /// Default: the file stays. Deletes it after it was read and found good; for a file that hands a secret
    /// over once.
    ///
    /// If it cannot be deleted, or is no longer the one that was read, that is an error and the secret is not
    /// used: of two processes that read it at once, one gets the secret. A symbolic link is refused, even with
    /// [`follow_symlink`](Self::follow_symlink), because what it points to would stay.
    #[must_use]
    pub fn delete_after_read(mut self) -> Self {
        self.delete = true;
        self
    }

    /// Default: any permission of the group is refused. Lets the group read (mode 0640), for a key that several
    /// accounts share.
    #[must_use]
    pub fn allow_group_read(mut self) -> Self {
        self.allowed.group_read();
        self
    }

    /// Default: a symbolic link as the path's last part is refused. Follows it; all other rules hold for the
    /// file it points to, and the rules on the directory for the link's own. A link to nothing is an error.
    ///
    /// The link must belong to the effective user or to root, and so must every further link on the way to the file. In
    /// a sticky directory such as `/tmp` other users can create links.
    #[must_use]
    pub fn follow_symlink(mut self) -> Self {
        self.allowed.symlink = true;
        self
    }

    /// Default: a directory that belongs to another user, or that group or others may write and that is not
    /// sticky, is refused. Takes the file from any directory.
    ///
    /// # Security
    ///
    /// Who may write the directory can take the file away, and put another there that this user or root owns.
    #[must_use]
    pub fn allow_shared_directory(mut self) -> Self {
        self.allowed.shared_directory = true;
        self
    }

    /// Default: strict. For a secret that an orchestrator mounts, such as a Kubernetes secret or one below
    /// `/run/secrets`: follows a symbolic link and lets everybody read (mode 0644 or 0444).
    ///
    /// # Security
    ///
    /// For containers, where no other user is. Owner, writers, links and directory are still judged.
    #[must_use]
    pub fn container_secret(mut self) -> Self {
        self.allowed.all_read();
        self.follow_symlink()
    }

    /// The path that `value`, what the variable holds, names.
    fn path_in(value: Option<OsString>) -> Result<Option<PathBuf>, FileError> {
        let Some(value) = set(value) else { return Ok(None) };
        match trimmed(value.as_bytes()) {
            [] => Err(FileError::Content(
                "expected a path, found blanks alone".to_owned(),
            )),
            path => Ok(Some(OsStr::from_bytes(path).into())),
        }
    }

    /// The secret in the file that `value` names, what `variable` holds.
    fn load_from(&self, variable: &str, value: Option<OsString>) -> Result<Option<Secret>, SecretError> {
        match Self::path_in(value).map_err(|fault| fault.of(&format!("variable {variable}")))? {
            None => Ok(None),
            Some(path) => self
                .load_or_advise(&path)
                .and_then(|secret| secret.map(Some).ok_or(FileError::Missing("does not exist")))
                .map_err(|fault| fault.of(&self.describe(&path, Some(variable)))),
        }
    }

    /// The secret in the file at `path`. The refusal of a file that may be a container's names the setter that takes it.
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

    /// The secret in the file at `path`, created if it must be.
    fn load_at(&self, path: &Path) -> Result<Option<Secret>, FileError> {
        let mut allowed = self.allowed;
        allowed.symlink &= !self.delete;
        let (folder, name) = split(path);
        let Some(directory) = Directory::open(folder, allowed)? else {
            return match self.create {
                true => Err(FileError::System(
                    "has no directory to be created in",
                    Errno::NOENT,
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
        Err(kept_changing())
    }

    /// The secret in the open file, once it has passed all the rules.
    fn read(
        &self,
        mut file: File,
        directory: &Directory,
        name: &OsStr,
        allowed: AllowedPermissions,
    ) -> Result<Secret, FileError> {
        let mut stat = status(&file)?;
        if stat.st_nlink == 2 {
            directory.finish_creation(&stat)?;
            stat = status(&file)?;
        }
        permissions::check_file(&stat, allowed)?;
        let octets = octets(&mut file)?;
        let secret = self.content.read(&octets).map_err(FileError::Content)?;
        if self.delete {
            directory.remove(name, &stat)?;
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
    /// What the file holds, or `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// `Permissions` if a rule on its kind, owner, mode, links or directory is broken; `Malformed` if the
    /// content is not of the expected form; `Missing` if a variable or a symbolic link names a file that does
    /// not exist; `System` if it cannot be opened, read, created or deleted.
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

/// The directory and the name in it. A path that ends in no name is the directory itself, and refused as one.
fn split(path: &Path) -> (&Path, &OsStr) {
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) if folder.as_os_str().is_empty() => (Path::new("."), name),
        (Some(folder), Some(name)) => (folder, name),
        _ if path.as_os_str().is_empty() => (Path::new("."), OsStr::new(".")),
        _ => (path, OsStr::new(".")),
    }
}

/// All the octets of the file, which must not be more than the limit.
fn octets(file: &mut File) -> Result<Zeroizing<Vec<u8>>, FileError> {
    // One buffer of the greatest size: growing would leave copies of the secret behind.
    let mut octets = Zeroizing::new(vec![0; LIMIT + 1]);
    let mut length = 0;
    while let Some(free) = octets.get_mut(length..).filter(|free| !free.is_empty()) {
        match file.read(free) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
                return Err(FileError::System("cannot be read", errno));
            }
        }
    }
    if length > LIMIT {
        return Err(FileError::Content(format!(
            "expected at most {LIMIT} octets, found more"
        )));
    }
    octets.truncate(length);
    Ok(octets)
}

#[cfg(test)]
mod tests;
