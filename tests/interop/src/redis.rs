//! A Redis or Valkey server that listens on a socket in its own folder.

use std::{
    fs,
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::install;

/// A server with an empty database, which writes each change to the disk before it answers. It ends with this value.
pub struct Redis {
    folder: TempDir,
    server: Child,
}

impl Redis {
    /// Starts a new server.
    ///
    /// # Panics
    ///
    /// If it is not installed and cannot be, or does not start: the message says what is missing.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("redis")
            .tempdir()
            .expect("a folder");
        let server = Self::spawn(&folder);
        Self { folder, server }
    }

    /// Kills the server: what it has answered is on the disk.
    pub fn kill(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = fs::remove_file(self.folder.path().join("socket"));
    }

    /// Starts it again after [`Redis::kill`].
    pub fn restart(&mut self) {
        self.server = Self::spawn(&self.folder);
    }

    /// Sends it `signal`, such as `STOP`.
    ///
    /// # Panics
    ///
    /// If it cannot be sent.
    pub fn signal(&self, signal: &str) {
        let id = self.server.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(sent.is_ok_and(|status| status.success()), "cannot send {signal}");
    }

    /// Returns the URL of its database.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.folder.path().join("socket").display())
    }

    fn spawn(folder: &TempDir) -> Child {
        let mut command = Command::new(install::redis_server());
        command.args(["--port", "0", "--unixsocket", "socket", "--save", ""]);
        command.args([
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--logfile",
            "log",
        ]);
        command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let server = command.spawn().expect("the server starts");
        let (socket, log): (PathBuf, _) = (folder.path().join("socket"), folder.path().join("log"));
        let until = Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(&socket).is_err() {
            let log = || fs::read_to_string(&log).unwrap_or_default();
            assert!(Instant::now() < until, "{command:?} does not listen\n{}", log());
            thread::sleep(Duration::from_millis(20));
        }
        server
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
