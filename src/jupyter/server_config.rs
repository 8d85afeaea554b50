//! A Jupyter server's configuration, of which the password's hash matters here.

use std::{
    ffi::OsStr,
    fmt, fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    jupyter::{config_directory, config_file, create_directory},
    password::PasswordHash,
    secret::{
        AllowedPermissions, PrivateFile,
        value::{SecretError, SecretErrorKind},
    },
};

/// The names of the hash, the one that wins first: a class's own section, the one its family shares, and what
/// both were called before.
const NAMES: [(&str, &str); 3] = [
    ("PasswordIdentityProvider", "hashed_password"),
    ("IdentityProvider", "hashed_password"),
    ("ServerApp", "password"),
];

/// More than any configuration written by hand.
const LIMIT: u64 = 1024 * 1024;

/// The file `jupyter_server_config.json`, to which `jupyter server password` writes: the password's hash is read
/// and set, all else in it is left as it is.
///
/// ```text
/// {"IdentityProvider": {"hashed_password": "argon2:$argon2id$v=19$m=10240,t=10,p=8$…"}}
/// ```
///
/// The hash is read under its present name and under those it had before (`PasswordIdentityProvider`,
/// `ServerApp.password`), and written under the present one.
///
/// # Security
///
/// `Debug` prints the type's name only: settings may hold tokens and keys in addition to the hash.
///
/// # Example
///
/// ```
/// use portcullis::{PasswordHash, Secret, jupyter::ServerConfig};
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join(ServerConfig::FILE);
///
/// let mut config = ServerConfig::read(&path)?;
/// config.set_password(&PasswordHash::hash(&Secret::from("purple tricycle nine"))?)?;
/// config.write()?;
///
/// let hash = ServerConfig::read(&path)?.password()?.expect("it was set");
/// assert!(hash.verify(&Secret::from("purple tricycle nine")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ServerConfig {
    path: PathBuf,
    settings: Map<String, Value>,
    /// The hash that was set and is not written yet.
    change: Option<PasswordHash>,
    /// The permission bits that the file had when it was read; 0 if there was none.
    mode: u32,
}

impl ServerConfig {
    /// What the file is called in its directory.
    pub const FILE: &str = "jupyter_server_config.json";

    /// The file at `path`; without settings if there is none.
    ///
    /// Who may write the file sets the password, so it must be a regular file of this user or root that no other user
    /// may write, and so must its directory be; others may read it ([`warnings`](Self::warnings)). A symbolic link
    /// is followed to a file for which all this holds.
    ///
    /// # Errors
    ///
    /// `SecretErrorKind::Permissions` if others may write the file or its directory, or it is no regular file;
    /// `Malformed` if it is no JSON object or longer than 1 MiB; `System` if it cannot be read. On Windows, where who may
    /// write it cannot be checked, a file that exists is `Permissions`.
    pub fn read(path: impl Into<PathBuf>) -> Result<Self, SecretError> {
        let mut this = Self {
            path: path.into(),
            settings: Map::new(),
            change: None,
            mode: 0,
        };
        let Some(config_file::Content { text, mode }) = config_file::read(&this.path, LIMIT)? else {
            return Ok(this);
        };
        // The parser's own message may quote what it found, and that may be the hash.
        this.settings = match serde_json::from_slice(&text) {
            Ok(Value::Object(settings)) => settings,
            Ok(_) => return Err(this.error(&"expected a JSON object, found another value")),
            Err(error) => {
                return Err(this.error(&format_args!(
                    "expected JSON, found something else in line {} column {}",
                    error.line(),
                    error.column()
                )));
            }
        };
        this.mode = mode;
        Ok(this)
    }

    /// The file of this user, in [`config_directory`].
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read) and [`config_directory`].
    pub fn read_default() -> Result<Self, SecretError> {
        Self::read(config_directory()?.join(Self::FILE))
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The hash that is set, if one is; Jupyter writes an empty text for none.
    ///
    /// # Errors
    ///
    /// `SecretErrorKind::Malformed` if what is set is no hash.
    pub fn password(&self) -> Result<Option<PasswordHash>, SecretError> {
        let Some((place, value)) = self.current_password_value() else {
            return Ok(None);
        };
        let text = value.as_str().ok_or_else(|| {
            self.error(&format_args!(
                "{place}: expected the text of a password hash, found another value"
            ))
        })?;
        let hash = text
            .parse()
            .map_err(|error| self.error(&format_args!("{place}: {error}")))?;
        Ok(Some(hash))
    }

    /// What the owner of a password should hear, a line each: that the hash is a weak one, or that others may read
    /// it.
    pub fn warnings(&self) -> Vec<String> {
        let Some((place, value)) = self.current_password_value() else {
            return Vec::new();
        };
        let path = self.path.display();
        let hash = value.as_str().and_then(|text| text.parse::<PasswordHash>().ok());
        let mut warnings = Vec::new();
        if hash.is_some_and(|hash| hash.is_weak()) {
            warnings.push(format!(
                "{path}: {place}: the hash is weak, set the password again"
            ));
        }
        if self.mode & 0o077 != 0 {
            warnings.push(format!(
                "{path}: others may read the password hash (mode {:04o}), expected 0600",
                self.mode
            ));
        }
        warnings
    }

    fn current_password_value(&self) -> Option<(String, &Value)> {
        NAMES.iter().find_map(|(section, name)| {
            let value = self.settings.get(*section)?.get(*name)?;
            (!value.is_null() && value.as_str() != Some("")).then(|| (format!("{section}.{name}"), value))
        })
    }

    /// Sets the hash under its present name, and removes the old names, under which an older hash would still be valid.
    ///
    /// # Errors
    ///
    /// `SecretErrorKind::Malformed` if one of the sections is no JSON object; nothing is changed then.
    pub fn set_password(&mut self, hash: &PasswordHash) -> Result<(), SecretError> {
        for (section, _) in NAMES {
            if self.settings.get(section).is_some_and(|value| !value.is_object()) {
                return Err(self.error(&format_args!(
                    "{section}: expected a JSON object, found another value"
                )));
            }
        }
        for (section, name) in NAMES {
            if let Some(Value::Object(section)) = self.settings.get_mut(section) {
                section.remove(name);
            }
        }
        let section = self
            .settings
            .entry("IdentityProvider")
            .or_insert_with(|| Map::new().into());
        section["hashed_password"] = hash.expose().into();
        self.change = Some(hash.clone());
        Ok(())
    }

    /// Writes a new file next to the old one and renames it over the old one: a reader finds the one or the other at any
    /// time, and only the owner may read it (mode 0600). Its directory is created if it is missing. If the path is a
    /// symbolic link, the file that it leads to is replaced.
    ///
    /// What other programs wrote since the file was read stays: it is read again, and only the password is changed.
    /// Of two processes that write at once by this method one waits for the other, by a lock on `.<name>.lock` in the same
    /// directory.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read), and on Windows always `Permissions`; `SecretErrorKind::System` for what the system refused, and if another program
    /// has held the lock for 10 seconds.
    pub fn write(&self) -> Result<(), SecretError> {
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let (directory, name) = match (
            config_file::directory(&path),
            path.file_name().and_then(OsStr::to_str),
        ) {
            (Some(directory), Some(name)) => (directory, name),
            _ => return Err(self.error(&"expected the path of a file, found no name in it")),
        };
        create_directory(directory)?;
        let _lock = config_file::lock(directory, name)?;
        let mut now = Self::read(&self.path)?;
        if let Some(hash) = &self.change {
            now.set_password(hash)?;
        }
        let mut text = Zeroizing::new(Vec::with_capacity(1024));
        serde_json::to_writer_pretty(&mut *text, &now.settings).expect("what was read as JSON is written so");
        text.push(b'\n');
        let allowed = AllowedPermissions::default();
        PrivateFile::create(directory, ".jupyter_server_config-", ".new", &text, allowed)?.keep_as(name)
    }

    fn error(&self, what: &dyn fmt::Display) -> SecretError {
        SecretError::new(
            SecretErrorKind::Malformed,
            format!("{}: {what}", self.path.display()),
        )
    }
}

impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerConfig")
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const HASH: &str = "sha256:0123456789ab:5f2f7ee8d1b1c7e3a6c0ba0f2d8d0b3a7f0a2d3f1c4b5a69788796a5b4c3d2e1";

    fn config(folder: &Path, content: &str) -> ServerConfig {
        let path = folder.join(ServerConfig::FILE);
        fs::write(&path, content).expect("written");
        ServerConfig::read(path).expect(content)
    }

    #[test]
    fn a_password_replaces_every_older_one_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a directory");
        let hash: PasswordHash = HASH.parse().expect("a hash");
        let expected = |rest: &str| format!(r#"{{"IdentityProvider":{{"hashed_password":"{HASH}"{rest}"#);
        for (before, after) in [
            ("{}", "}}"),
            (
                r#"{"IdentityProvider":{"hashed_password":"argon2:old","token":"t"},"ServerApp":{"port":1}}"#,
                r#","token":"t"},"ServerApp":{"port":1}}"#,
            ),
            (
                r#"{"PasswordIdentityProvider":{"hashed_password":"a","x":1},"ServerApp":{"password":"b"}}"#,
                r#"},"PasswordIdentityProvider":{"x":1},"ServerApp":{}}"#,
            ),
        ] {
            let mut config = config(folder.path(), before);
            config.set_password(&hash).expect(before);
            assert_eq!(
                Value::Object(config.settings).to_string(),
                expected(after),
                "{before}"
            );
        }
        let odd = r#"{"PasswordIdentityProvider":{"hashed_password":"a"},"ServerApp":[]}"#;
        let mut config = config(folder.path(), odd);
        let error = config.set_password(&hash).expect_err("no section").to_string();
        assert!(
            error.ends_with("ServerApp: expected a JSON object, found another value"),
            "{error}"
        );
        assert_eq!(
            Value::Object(config.settings).to_string(),
            odd,
            "nothing is changed"
        );
    }

    #[test]
    fn what_others_wrote_since_the_file_was_read_stays() {
        let folder = tempfile::tempdir().expect("a directory");
        let mut early = config(folder.path(), r#"{"ServerApp":{"port":1,"password":"old"}}"#);
        early
            .set_password(&HASH.parse().expect("a hash"))
            .expect("sections");
        let path = early.path().to_owned();
        let writer = {
            // It waits for the lock, however early it comes.
            let _held = config_file::lock(folder.path(), ServerConfig::FILE).expect("locked");
            let writer = std::thread::spawn(move || early.write());
            fs::write(&path, r#"{"ServerApp":{"port":2,"password":"old"},"Other":{}}"#).expect("written");
            writer
        };
        writer.join().expect("no panic").expect("written");
        let now = ServerConfig::read(path).expect("good");
        let expected = format!(
            r#"{{"IdentityProvider":{{"hashed_password":"{HASH}"}},"Other":{{}},"ServerApp":{{"port":2}}}}"#
        );
        assert_eq!(Value::Object(now.settings).to_string(), expected);
    }

    #[test]
    fn the_path_of_a_link_and_a_bare_name_lead_to_a_file() {
        let folder = tempfile::tempdir().expect("a directory");
        let target = folder.path().join("deep/target.json");
        fs::create_dir(folder.path().join("deep")).expect("made");
        fs::write(&target, "{}").expect("written");
        std::os::unix::fs::symlink("deep/target.json", folder.path().join("link.json")).expect("linked");
        let mut config = ServerConfig::read(folder.path().join("link.json")).expect("read");
        config
            .set_password(&HASH.parse().expect("a hash"))
            .expect("no sections");
        config.write().expect("written");
        assert!(fs::read_to_string(&target).expect("text").contains(HASH));
        assert!(folder.path().join("link.json").is_symlink());

        let nameless = ServerConfig::read("..");
        assert_eq!(
            nameless.expect_err("a directory").kind(),
            SecretErrorKind::Permissions
        );
    }
}
