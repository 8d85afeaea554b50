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

use crate::{
    secret::{Secret, SecretError},
    source::{
        SecretSource,
        content::{Content, LIMIT, trimmed},
        directory::{ATTEMPTS, Directory, status, unsteady},
        env::set,
        fault::Fault,
        permissions::{self, Allowed},
    },
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
/// Secrets that an orchestrator mounts break 1 and 3 by design: [`mounted`](Self::mounted).
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
/// use portcullis::{FileSource, SecretSource};
///
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("password");
/// let source = FileSource::new(&path);
/// assert!(source.load()?.is_none());
///
/// fs::write(&path, "correct horse battery staple\n")?;
/// fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
/// let error = source.load().unwrap_err().to_string();
/// assert!(error.ends_with("password is readable by others (mode 0644), expected 0600"));
///
/// fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
/// assert_eq!(source.load()?.expect("a secret").expose_str(), Some("correct horse battery staple"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileSource {
    /// What the file is called in errors.
    what: &'static str,
    place: Place,
    content: Content,
    allowed: Allowed,
    create: bool,
    delete: bool,
}

#[derive(Clone, Debug)]
enum Place {
    Path(PathBuf),
    /// The environment variable that holds the path.
    Variable(String),
}

impl FileSource {
    /// The text in the file at `path`: a token, a password. It must be UTF-8 and not empty; blanks and line
    /// ends around it are dropped.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self::at("secret file", Place::Path(path.as_ref().to_owned()))
    }

    /// The cookie secret in the file at `path`: a key as hexadecimal digits, which JupyterHub writes and reads
    /// too. Often followed by [`or_create`](Self::or_create).
    pub fn cookie_secret(path: impl AsRef<Path>) -> Self {
        Self::at("cookie secret file", Place::Path(path.as_ref().to_owned())).hex()
    }

    /// The text in the file whose path the environment variable `variable` holds.
    ///
    /// A variable that is unset or empty has nothing. One that names a file promises a secret: a missing file
    /// is an error then.
    pub fn named_by(variable: impl Into<String>) -> Self {
        Self::at("secret file", Place::Variable(variable.into()))
    }

    /// The token of a Jupyter Server: the text in the file that `JUPYTER_TOKEN_FILE` names.
    ///
    /// As [`named_by`](Self::named_by): a missing or an empty file is an error, and never switches
    /// authentication off.
    pub fn jupyter_token() -> Self {
        Self::at("token file", Place::Variable("JUPYTER_TOKEN_FILE".to_owned()))
    }

    fn at(what: &'static str, place: Place) -> Self {
        Self {
            what,
            place,
            content: Content::Text,
            allowed: Allowed::default(),
            create: false,
            delete: false,
        }
    }

    /// Default: a text. Takes a key of 32 to 1024 octets as hexadecimal digits of either case, blanks and line
    /// ends around them dropped; its octets must have at least 8 different values.
    #[must_use]
    pub fn hex(mut self) -> Self {
        self.content = Content::Hex;
        self
    }

    /// Default: a text. Takes a key of 32 to 1024 octets exactly as they are, a line feed at the end included;
    /// they must have at least 8 different values. A Jupyter Server's `jupyter_cookie_secret` is read this way.
    #[must_use]
    pub fn raw(mut self) -> Self {
        self.content = Content::Raw;
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
    pub fn mounted(mut self) -> Self {
        self.allowed.all_read();
        self.follow_symlink()
    }

    /// The path that `value`, what the variable holds, names.
    fn path_in(value: Option<OsString>) -> Result<Option<PathBuf>, Fault> {
        let Some(value) = set(value) else { return Ok(None) };
        match trimmed(value.as_bytes()) {
            [] => Err(Fault::Content("expected a path, found blanks alone".to_owned())),
            path => Ok(Some(OsStr::from_bytes(path).into())),
        }
    }

    /// The secret in the file that `value` names, what `variable` holds.
    fn load_from(&self, variable: &str, value: Option<OsString>) -> Result<Option<Secret>, SecretError> {
        match Self::path_in(value).map_err(|fault| fault.of(&format!("variable {variable}")))? {
            None => Ok(None),
            Some(path) => self
                .load_at(&path)
                .and_then(|secret| secret.map(Some).ok_or(Fault::Missing("does not exist")))
                .map_err(|fault| fault.of(&self.describe(&path, Some(variable)))),
        }
    }

    /// The secret in the file at `path`, created if it must be.
    fn load_at(&self, path: &Path) -> Result<Option<Secret>, Fault> {
        let mut allowed = self.allowed;
        allowed.symlink &= !self.delete;
        let (folder, name) = split(path);
        let Some(directory) = Directory::open(folder, allowed)? else {
            return match self.create {
                true => Err(Fault::System("has no directory to be created in", Errno::NOENT)),
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
        Err(unsteady())
    }

    /// The secret in the open file, once it has passed all the rules.
    fn read(
        &self,
        mut file: File,
        directory: &Directory,
        name: &OsStr,
        allowed: Allowed,
    ) -> Result<Secret, Fault> {
        let mut stat = status(&file)?;
        if stat.st_nlink == 2 {
            directory.finish_creation(&stat)?;
            stat = status(&file)?;
        }
        permissions::check_file(&stat, allowed)?;
        let octets = octets(&mut file)?;
        let secret = self.content.read(&octets).map_err(Fault::Content)?;
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
            Place::Path(path) => self
                .load_at(path)
                .map_err(|fault| fault.of(&self.describe(path, None))),
            Place::Variable(variable) => self.load_from(variable, env::var_os(variable)),
        }
    }

    fn name(&self) -> String {
        match &self.place {
            Place::Path(path) => self.describe(path, None),
            Place::Variable(variable) => match Self::path_in(env::var_os(variable)) {
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
fn octets(file: &mut File) -> Result<Zeroizing<Vec<u8>>, Fault> {
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
                return Err(Fault::System("cannot be read", errno));
            }
        }
    }
    if length > LIMIT {
        return Err(Fault::Content(format!(
            "expected at most {LIMIT} octets, found more"
        )));
    }
    octets.truncate(length);
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use tempfile::TempDir;

    use super::*;
    use crate::secret::SecretErrorKind;

    fn folder() -> TempDir {
        tempfile::tempdir().expect("a directory")
    }

    /// A file of this content and mode in `folder`.
    fn write(folder: &TempDir, content: &str, mode: u32) -> PathBuf {
        let path = folder.path().join("secret");
        fs::write(&path, content).expect("written");
        chmod(&path, mode);
        path
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("changed");
    }

    #[track_caller]
    fn text(source: &FileSource) -> String {
        let secret = source.load().expect("taken").expect("there");
        secret.expose_str().expect("text").to_owned()
    }

    #[track_caller]
    fn refused(source: &FileSource, kind: SecretErrorKind, message: &str) {
        let error = source.load().expect_err("refused");
        let found = error.to_string();
        assert!(found.contains(message), "{found:?} does not say {message:?}");
        assert_eq!(error.kind(), kind, "{found}");
    }

    #[test]
    fn a_missing_file_or_directory_has_nothing() {
        let folder = folder();
        for path in ["missing", "no/such/directory"] {
            let path = folder.path().join(path);
            assert!(FileSource::new(path).load().expect("no error").is_none());
        }
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 0);
    }

    #[test]
    fn the_error_names_the_file_and_the_rule_and_not_the_content() {
        let folder = folder();
        let path = write(&folder, "canary", 0o644);
        let error = FileSource::cookie_secret(&path).load().expect_err("refused");
        assert_eq!(
            error.to_string(),
            format!(
                "cookie secret file {} is readable by others (mode 0644), expected 0600",
                path.display()
            )
        );
        chmod(&path, 0o600);
        let error = FileSource::cookie_secret(&path).load().expect_err("refused");
        assert_eq!(
            error.to_string(),
            format!(
                "cookie secret file {}: expected 64 to 2048 hexadecimal digits, found 6 octets, and the one at \
                 place 3 is no such digit",
                path.display()
            )
        );
        assert!(!format!("{error:?}").contains("canary"));
    }

    #[test]
    fn the_group_may_read_where_that_is_allowed_and_others_may_not() {
        let folder = folder();
        let path = write(&folder, "shared", 0o640);
        let source = FileSource::new(&path);
        let kind = SecretErrorKind::Permissions;
        refused(
            &source,
            kind,
            "is readable by its group (mode 0640), expected 0600",
        );
        assert_eq!(text(&source.clone().allow_group_read()), "shared");
        chmod(&path, 0o644);
        let source = source.allow_group_read();
        refused(&source, kind, "is readable by others (mode 0644), expected 0640");
    }

    #[test]
    fn a_link_is_followed_where_that_is_allowed() {
        let folder = folder();
        let path = write(&folder, "target", 0o600);
        let link = folder.path().join("link");
        symlink("secret", &link).expect("linked");
        let source = FileSource::new(&link);
        let kind = SecretErrorKind::Permissions;
        refused(&source, kind, "is a symbolic link, expected a regular file");
        let source = source.follow_symlink();
        assert_eq!(text(&source), "target");
        chmod(&path, 0o640);
        refused(&source, kind, "is readable by its group");
        fs::remove_file(&path).expect("removed");
        let kind = SecretErrorKind::Missing;
        refused(
            &source.clone().or_create(),
            kind,
            "link is a symbolic link to nothing",
        );
        refused(&source, kind, "link is a symbolic link to nothing");
        assert!(!path.exists());
    }

    #[test]
    fn a_mounted_secret_is_a_link_that_everybody_may_read_and_nobody_write() {
        let folder = folder();
        let path = write(&folder, "mounted", 0o644);
        let link = folder.path().join("link");
        symlink("secret", &link).expect("linked");
        let source = FileSource::new(&link).mounted();
        assert_eq!(text(&source), "mounted");
        for mode in [0o664, 0o646] {
            chmod(&path, mode);
            refused(&source, SecretErrorKind::Permissions, "is writable by");
        }
    }

    #[test]
    fn a_directory_others_may_write_is_taken_where_that_is_allowed() {
        let folder = folder();
        let path = write(&folder, "shared", 0o600);
        let source = FileSource::new(&path);
        chmod(folder.path(), 0o770);
        let message = format!(
            "secret lies in {}, which is writable by its group (mode 0770), expected 0750",
            folder.path().display()
        );
        refused(&source, SecretErrorKind::Permissions, &message);
        assert_eq!(text(&source.clone().allow_shared_directory()), "shared");
        chmod(folder.path(), 0o1777);
        assert_eq!(text(&source), "shared");
    }

    #[test]
    fn a_key_taken_as_it_is_keeps_its_line_end() {
        let folder = folder();
        let content = "dGhpcyBpcyBub3QgYSByZWFsIHNlY3JldCwgMzIgYnl0ZXM=\n";
        let path = write(&folder, content, 0o600);
        assert_eq!(text(&FileSource::cookie_secret(&path).raw()), content);
    }

    #[test]
    fn four_thousand_and_ninety_six_octets_are_read_and_no_more() {
        let folder = folder();
        let path = write(&folder, &"x".repeat(4096), 0o600);
        let source = FileSource::new(&path);
        assert_eq!(text(&source).len(), 4096);
        fs::write(&path, "x".repeat(4097)).expect("written");
        refused(
            &source,
            SecretErrorKind::Malformed,
            "expected at most 4096 octets, found more",
        );
    }

    #[test]
    fn a_missing_file_is_created_once_and_read_from_then_on() {
        let folder = folder();
        let path = folder.path().join("cookie_secret");
        let source = FileSource::cookie_secret(&path).or_create();
        let created = source.load().expect("created").expect("there");
        assert_eq!(created.len(), 32);
        assert!(created == source.load().expect("read").expect("there"));
        let as_text = text(&FileSource::new(&path));
        assert_eq!(as_text.len(), 64);
    }

    #[test]
    fn a_file_that_is_refused_is_never_replaced() {
        let folder = folder();
        for (content, mode) in [("", 0o600), ("changeme", 0o600), (&*"ab".repeat(32), 0o644)] {
            let path = write(&folder, content, mode);
            FileSource::cookie_secret(&path)
                .or_create()
                .load()
                .expect_err("refused");
            assert_eq!(fs::read_to_string(&path).expect("text"), content);
            assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1);
        }
    }

    #[test]
    fn no_directory_is_created() {
        let folder = folder();
        let path = folder.path().join("missing/secret");
        let source = FileSource::cookie_secret(path).or_create();
        refused(
            &source,
            SecretErrorKind::System,
            "has no directory to be created in",
        );
    }

    #[test]
    fn a_killed_creators_second_name_does_not_stop_the_next_start() {
        let folder = folder();
        let path = write(&folder, "whole", 0o600);
        let left = folder.path().join(".secret-00112233445566778899aabbccddeeff.new");
        fs::hard_link(&path, &left).expect("linked");
        assert_eq!(text(&FileSource::new(&path)), "whole");
        assert!(!left.exists());
        fs::hard_link(&path, folder.path().join("copy")).expect("linked");
        refused(
            &FileSource::new(&path),
            SecretErrorKind::Permissions,
            "has 2 hard links, expected one",
        );
    }

    #[test]
    fn a_handed_over_file_is_deleted_once_it_was_found_good() {
        let folder = folder();
        let path = write(&folder, "", 0o600);
        let source = FileSource::new(&path).delete_after_read();
        refused(
            &source,
            SecretErrorKind::Malformed,
            "expected a text, found nothing",
        );
        fs::write(&path, "handover\n").expect("written");
        chmod(&path, 0o604);
        refused(&source, SecretErrorKind::Permissions, "is readable by others");
        assert!(path.exists());
        chmod(&path, 0o600);
        assert_eq!(text(&source), "handover");
        assert!(!path.exists());
        assert!(source.load().expect("no error").is_none());
    }

    #[test]
    fn a_handed_over_file_behind_a_link_is_refused_and_stays() {
        let folder = folder();
        let path = write(&folder, "handover", 0o600);
        let link = folder.path().join("link");
        symlink("secret", &link).expect("linked");
        let source = FileSource::new(&link).follow_symlink().delete_after_read();
        refused(&source, SecretErrorKind::Permissions, "is a symbolic link");
        assert!(path.exists() && link.exists());
    }

    #[test]
    fn a_file_that_was_exchanged_while_it_was_read_is_not_deleted() {
        let folder = folder();
        let path = write(&folder, "first", 0o600);
        let directory = Directory::open(folder.path(), Allowed::default())
            .expect("good")
            .expect("there");
        let name = OsStr::new("secret");
        let read = directory.status_of(name).expect("looked at").expect("there");
        fs::rename(&path, folder.path().join("aside")).expect("moved");
        let gone = directory.remove(name, &read).expect_err("refused").of("file");
        assert_eq!(gone.to_string(), "file was removed by another while it was read");
        write(&folder, "second", 0o600);
        let replaced = directory.remove(name, &read).expect_err("refused").of("file");
        assert_eq!(
            replaced.to_string(),
            "file was replaced by another file while it was read"
        );
        assert!(path.exists());
    }

    #[test]
    fn a_variable_that_names_a_file_promises_a_secret() {
        let folder = folder();
        let path = write(&folder, "abc123\n", 0o600);
        let source = FileSource::jupyter_token();
        let load = |value: &str| source.load_from("JUPYTER_TOKEN_FILE", Some(value.into()));

        let nothing = source.load_from("JUPYTER_TOKEN_FILE", None).expect("no error");
        assert!(nothing.is_none());
        assert!(load("").expect("no error").is_none());
        let token = load(&format!("{} \n", path.display()))
            .expect("taken")
            .expect("there");
        assert_eq!(token.expose(), b"abc123");

        let blank = load("  ").expect_err("refused");
        assert_eq!(
            blank.to_string(),
            "variable JUPYTER_TOKEN_FILE: expected a path, found blanks alone"
        );
        let place = format!("token file {} (named by JUPYTER_TOKEN_FILE)", path.display());
        fs::write(&path, "\n").expect("written");
        let empty = load(path.to_str().expect("text")).expect_err("refused");
        assert_eq!(
            empty.to_string(),
            format!("{place}: expected a text, found blanks alone")
        );
        fs::remove_file(&path).expect("removed");
        let missing = load(path.to_str().expect("text")).expect_err("refused");
        assert_eq!(missing.to_string(), format!("{place} does not exist"));
        assert_eq!(missing.kind(), SecretErrorKind::Missing);
    }

    #[test]
    fn a_path_that_names_no_file_is_a_directory() {
        for path in ["", "/", ".", ".."] {
            let source = FileSource::new(path).allow_shared_directory().or_create();
            refused(
                &source,
                SecretErrorKind::Permissions,
                "is a directory, expected a regular file",
            );
        }
        assert_eq!(split(Path::new("secret")), (Path::new("."), OsStr::new("secret")));
        assert_eq!(
            split(Path::new("a/b/secret")),
            (Path::new("a/b"), OsStr::new("secret"))
        );
    }

    #[test]
    fn a_pipe_does_not_hold_up_the_start() {
        let folder = folder();
        let path = folder.path().join("pipe");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600));
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).expect("made");
        refused(
            &FileSource::new(&path),
            SecretErrorKind::Permissions,
            "is a named pipe, expected a regular file",
        );
    }
}
