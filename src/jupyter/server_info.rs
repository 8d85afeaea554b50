//! A running server, as Jupyter's tools know it.

use std::{
    borrow::Cow,
    fmt, fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    process,
};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    jupyter::create_directory,
    request::base_url::BaseUrl,
    secret::{
        AllowedPermissions, FileIdentity, PrivateDir, PrivateFile, identity, process_is_running,
        value::{Secret, SecretError},
    },
    token::Token,
};

/// More than any server writes.
const LIMIT: u64 = 64 * 1024;
const SETTER: &str = "ServerInfo::allow_unchecked_permissions";

/// A running server, as `jupyter server list` and `jupyter server stop` know it: the content of
/// `jpserver-<pid>.json` in the runtime directory (jupyter_server, `ServerApp.server_info`).
///
/// ```text
/// {"base_url": "/", "hostname": "127.0.0.1", "password": false, "pid": 4711, "port": 8888, "root_dir": "/home/me",
///  "secure": false, "sock": "", "token": "…", "url": "http://127.0.0.1:8888/", "version": "2.21.1"}
/// ```
///
/// `jupyter server stop` posts to `api/shutdown` below the URL, with the token of the file in `Authorization:
/// token …`. A server that has a password and no token puts one there that opens nothing else.
///
/// # Security
///
/// The file holds the token in clear, so it is its owner's alone. `Debug` prints the type's name only.
///
/// # Example
///
/// ```
/// use portcullis::{BaseUrl, Token, jupyter::ServerInfo};
/// # let directory = tempfile::tempdir()?;
/// # let directory = directory.path();
///
/// let info = ServerInfo::new("127.0.0.1:8888".parse()?, &BaseUrl::default())
///     .with_token(Token::generate())
///     .with_root_dir("/srv/notebooks");
/// let file = info.write(directory)?;
///
/// let running = ServerInfo::list_running(directory)?;
/// assert_eq!(running[0].url(), "http://127.0.0.1:8888/");
///
/// // Removed with its value, when the server ends.
/// drop(file);
/// assert!(ServerInfo::list_running(directory)?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ServerInfo {
    base_url: String,
    hostname: String,
    password: bool,
    pid: u32,
    port: u16,
    root_dir: String,
    secure: bool,
    sock: String,
    token: Option<Token>,
    url: String,
    version: String,
    allowed: AllowedPermissions,
}

impl ServerInfo {
    /// This process, listening at `address`, with its pages below `base_url`.
    pub fn new(address: SocketAddr, base_url: &BaseUrl) -> Self {
        let mut this = Self {
            base_url: base_url.as_str().to_owned(),
            hostname: address.ip().to_string(),
            password: false,
            pid: process::id(),
            port: address.port(),
            root_dir: String::new(),
            secure: false,
            sock: String::new(),
            token: None,
            url: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            allowed: AllowedPermissions::strict(SETTER),
        };
        this.set_url();
        this
    }

    /// Default: the address that the server listens at. The name by which clients reach it.
    #[must_use]
    pub fn with_hostname(mut self, hostname: &str) -> Self {
        hostname.clone_into(&mut self.hostname);
        self.set_url();
        self
    }

    /// Default: no. Whether logging in takes a password.
    #[must_use]
    pub fn with_password(mut self, password: bool) -> Self {
        self.password = password;
        self
    }

    /// Default: none. The directory whose files the server shows.
    #[must_use]
    pub fn with_root_dir(mut self, root_dir: impl AsRef<Path>) -> Self {
        self.root_dir = root_dir.as_ref().to_string_lossy().into_owned();
        self
    }

    /// Default: plain HTTP. Whether the server speaks TLS.
    #[must_use]
    pub fn with_tls(mut self, tls: bool) -> Self {
        self.secure = tls;
        self.set_url();
        self
    }

    /// Default: none. What opens the server to this user's programs, or at least stops it.
    #[must_use]
    pub fn with_token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// Default: the version of this crate. The server's version.
    #[must_use]
    pub fn with_version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// Lets [`write`](Self::write) write the file on a system where this crate cannot check who may read or change it, such
    /// as Windows.
    ///
    /// By default, no file is written there. On Unix this setter changes nothing.
    ///
    /// # Security
    ///
    /// Use it for a directory that only its owner has access to, such as [`runtime_directory`](crate::jupyter::runtime_directory)
    /// in the user's profile.
    #[must_use]
    pub fn allow_unchecked_permissions(mut self) -> Self {
        self.allowed.unchecked = true;
        self
    }

    fn set_url(&mut self) {
        let scheme = if self.secure { "https" } else { "http" };
        // "Every address" is not one to go to.
        let host = match self.hostname.parse() {
            Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) => "127.0.0.1".into(),
            Ok(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => "[::1]".into(),
            Ok(IpAddr::V6(address)) => format!("[{address}]").into(),
            Ok(IpAddr::V4(_)) | Err(_) => Cow::Borrowed(&*self.hostname),
        };
        self.url = format!("{scheme}://{host}:{}{}", self.port, self.base_url);
    }

    /// Writes `jpserver-<pid>.json` in `directory`, which is made if it is missing. The file is removed when the
    /// value is dropped: keep that until the server ends.
    ///
    /// A reader finds no file or the whole one (mode 0600). What a process of the same number left there is
    /// replaced.
    ///
    /// # Errors
    ///
    /// `SecretErrorKind::Permissions` if others may change what is in the directory, or that cannot be checked on this
    /// system, `System` for what the system refused.
    pub fn write(&self, directory: impl AsRef<Path>) -> Result<ServerInfoFile, SecretError> {
        let directory = directory.as_ref();
        create_directory(directory)?;
        let mut content = Zeroizing::new(Vec::with_capacity(1024));
        serde_json::to_writer_pretty(&mut *content, &ServerInfoJson::of(self))
            .expect("texts and numbers are JSON");
        let file = PrivateFile::create(directory, ".jpserver-", ".new", &content, self.allowed)?;
        let name = format!("jpserver-{}.json", self.pid);
        let path = file.path().with_file_name(&name);
        // Read under the temporary name: a server with the same process number may replace the other at once.
        let written = identity(file.path())
            .map_err(|error| SecretError::system(format!("{}: {error}", path.display()), error))?;
        file.keep_as(&name)?;
        Ok(ServerInfoFile { path, written })
    }

    /// The servers of this user that run now, by port: every `jpserver-*.json` in `directory`, Jupyter's and
    /// this crate's. None if there is no such directory.
    ///
    /// As Jupyter's own tools do it, a file whose process is gone is removed, and one that cannot be read, or
    /// is no such description, is passed over. So is a file that others could have written.
    ///
    /// # Errors
    ///
    /// `SecretErrorKind::Permissions` if others may change what is in the directory: they could have a program
    /// send the token elsewhere. The same on Windows, where that cannot be checked. `System` for what the system refused.
    pub fn list_running(directory: impl AsRef<Path>) -> Result<Vec<Self>, SecretError> {
        let setter = "ServerInfo::list_running_unchecked` instead of `ServerInfo::list_running";
        Self::list(directory.as_ref(), AllowedPermissions::strict(setter))
    }

    /// Does the same as [`list_running`](Self::list_running), also on a system where this crate cannot check who may change
    /// the files, such as Windows. On Unix the two are equal.
    ///
    /// # Errors
    ///
    /// Those of [`list_running`](Self::list_running).
    ///
    /// # Security
    ///
    /// Use it for a directory that only its owner has access to, such as [`runtime_directory`](crate::jupyter::runtime_directory)
    /// in the user's profile.
    pub fn list_running_unchecked(directory: impl AsRef<Path>) -> Result<Vec<Self>, SecretError> {
        let mut allowed = AllowedPermissions::default();
        allowed.unchecked = true;
        Self::list(directory.as_ref(), allowed)
    }

    fn list(directory: &Path, allowed: AllowedPermissions) -> Result<Vec<Self>, SecretError> {
        let Some(folder) = PrivateDir::open(directory, allowed)? else {
            return Ok(Vec::new());
        };
        let mut running = Vec::new();
        for name in folder.names()? {
            let is_info_file = name
                .to_str()
                .is_some_and(|name| name.starts_with("jpserver-") && name.ends_with(".json"));
            let Some(content) = is_info_file.then(|| folder.read(&name, LIMIT)).flatten() else {
                continue;
            };
            match Self::parse(&content.bytes) {
                Some(info) if info.is_running() => running.push(info),
                Some(_) => folder.remove(&name, &content),
                None => {}
            }
        }
        running.sort_by_key(|info| (info.port, info.pid));
        Ok(running)
    }

    /// What `bytes` describe; `None` if that is no server.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let file: ServerInfoJson<'_> = serde_json::from_slice(bytes).ok()?;
        Some(Self {
            base_url: file.base_url.into_owned(),
            hostname: file.hostname.into_owned(),
            password: file.password,
            pid: file.pid,
            port: file.port,
            root_dir: file.root_dir.into_owned(),
            secure: file.secure,
            sock: file.sock.into_owned(),
            token: Token::from_secret(Secret::from(&*file.token)).ok(),
            url: file.url.into_owned(),
            version: file.version.into_owned(),
            allowed: AllowedPermissions::strict(SETTER),
        })
    }

    /// Whether the process still runs, as any user. On Windows, where this cannot be determined, every process counts as
    /// running.
    pub fn is_running(&self) -> bool {
        process_is_running(self.pid)
    }

    /// Where its pages are, such as `http://127.0.0.1:8888/`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port; 0 for a server that listens at a socket of the file system.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The directory whose files it shows.
    pub fn root_dir(&self) -> &str {
        &self.root_dir
    }

    /// Whether logging in takes a password. Jupyter's servers say so of a deprecated setting alone.
    pub fn has_password(&self) -> bool {
        self.password
    }

    /// What opens it, or at least stops it; `None` if there is nothing that a header could carry.
    pub fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// All of it as one line of JSON, the token in clear, as `jupyter server list --json` prints it.
    pub fn to_json(&self) -> Secret {
        let json = serde_json::to_vec(&ServerInfoJson::of(self)).expect("texts and numbers are JSON");
        json.into()
    }
}

impl fmt::Debug for ServerInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerInfo")
    }
}

/// The file that describes this server; removed when dropped, unless another server has replaced it.
#[derive(Debug)]
pub struct ServerInfoFile {
    path: PathBuf,
    /// The file that was written.
    written: FileIdentity,
}

impl ServerInfoFile {
    /// Where the file lies, from the root.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ServerInfoFile {
    fn drop(&mut self) {
        // Containers that share a directory may have processes of the same number.
        if identity(&self.path).is_ok_and(|found| found == self.written) {
            // What cannot be removed is removed by `ServerInfo::list_running` later.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The file's fields, in the order in which Jupyter writes them. A server that leaves one out is still one, as
/// long as it has its URL.
#[derive(Serialize, Deserialize)]
struct ServerInfoJson<'a> {
    #[serde(borrow, default)]
    base_url: Cow<'a, str>,
    #[serde(borrow, default)]
    hostname: Cow<'a, str>,
    #[serde(default)]
    password: bool,
    #[serde(default)]
    pid: u32,
    #[serde(default)]
    port: u16,
    #[serde(borrow, default)]
    root_dir: Cow<'a, str>,
    #[serde(default)]
    secure: bool,
    #[serde(borrow, default)]
    sock: Cow<'a, str>,
    #[serde(borrow, default)]
    token: Cow<'a, str>,
    #[serde(borrow)]
    url: Cow<'a, str>,
    #[serde(borrow, default)]
    version: Cow<'a, str>,
}

impl<'a> ServerInfoJson<'a> {
    fn of(info: &'a ServerInfo) -> Self {
        Self {
            base_url: (&*info.base_url).into(),
            hostname: (&*info.hostname).into(),
            password: info.password,
            pid: info.pid,
            port: info.port,
            root_dir: (&*info.root_dir).into(),
            secure: info.secure,
            sock: (&*info.sock).into(),
            token: info.token.as_ref().map_or("", Token::expose).into(),
            url: (&*info.url).into(),
            version: (&*info.version).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_one_to_go_to() {
        for (address, base, tls, expected) in [
            ("127.0.0.1:8888", "/", false, "http://127.0.0.1:8888/"),
            ("0.0.0.0:80", "/a/", true, "https://127.0.0.1:80/a/"),
            ("[::]:1", "/", false, "http://[::1]:1/"),
            ("[::1]:1", "/", false, "http://[::1]:1/"),
            ("192.0.2.1:1", "/", false, "http://192.0.2.1:1/"),
        ] {
            let base = base.parse().expect("a base");
            let info = ServerInfo::new(address.parse().expect("an address"), &base).with_tls(tls);
            assert_eq!(info.url(), expected, "{address}");
        }
        let info = ServerInfo::new("0.0.0.0:80".parse().expect("an address"), &BaseUrl::default());
        assert_eq!(info.with_hostname("localhost").url(), "http://localhost:80/");
    }

    #[test]
    fn what_is_no_server_is_none() {
        let parse = |text: &str| ServerInfo::parse(text.as_bytes());
        for text in [
            "",
            "{",
            "[]",
            "{}",
            "5",
            r#"{"url":5}"#,
            r#"{"url":"http://x/","port":70000}"#,
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
        let least = parse(r#"{"url":"http://x/","token":"two words","more":[1]}"#).expect("a server");
        assert_eq!(
            (least.url(), least.pid(), least.token().is_none()),
            ("http://x/", 0, true)
        );
        assert!(!least.is_running(), "no process has the number 0");
        let escaped =
            parse(r#"{"url":"http:\/\/x\/","token":"\u0061b","root_dir":"/\u00e9"}"#).expect("a server");
        assert_eq!(escaped.token().map(Token::expose), Some("ab"));
        assert_eq!((escaped.url(), escaped.root_dir()), ("http://x/", "/é"));
    }

    #[test]
    fn the_file_of_another_server_with_the_same_process_number_stays() {
        let folder = tempfile::tempdir().expect("a directory");
        let info = ServerInfo::new("127.0.0.1:1".parse().expect("an address"), &BaseUrl::default())
            .allow_unchecked_permissions();
        let first = info.write(folder.path()).expect("written");
        let second = info.write(folder.path()).expect("written over it");
        assert_eq!(first.path(), second.path());
        drop(first);
        assert!(second.path().exists(), "the second is still listed");
        let path = second.path().to_owned();
        drop(second);
        assert!(!path.exists());
    }
}
