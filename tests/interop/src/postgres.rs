//! A PostgreSQL server for one test, reached by a socket in its own folder.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::install;

/// A server with an empty database. It ends with this value.
pub struct Postgres {
    programs: PathBuf,
    folder: TempDir,
}

impl Postgres {
    /// A new server, started.
    ///
    /// # Panics
    ///
    /// If it is not installed and cannot be, or does not start: the message says what is missing.
    pub fn start() -> Self {
        let programs = install::postgres();
        let folder = tempfile::Builder::new()
            .prefix("postgres")
            .tempdir()
            .expect("a folder");
        // The server refuses to run as root, so the folder is its user's.
        if is_root() {
            let owned = Command::new("chown").arg("postgres").arg(folder.path()).status();
            assert!(
                owned.is_ok_and(|status| status.success()),
                "Debian's package makes the user postgres"
            );
        }
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).expect("its own folder");
        let server = Self { programs, folder };
        let data = server.data();
        server.run(
            "initdb",
            &[
                "--auth=trust",
                "--username=hub",
                "--encoding=UTF8",
                "--no-sync",
                "-D",
                &data,
            ],
        );
        server.begin();
        server
    }

    /// Starts the server again after [`Postgres::stop`].
    pub fn begin(&self) {
        let folder = self.folder.path().display();
        let options = format!("-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off");
        let (data, log) = (self.data(), self.folder.path().join("log").display().to_string());
        self.run(
            "pg_ctl",
            &["start", "--wait", "-s", "-D", &data, "-l", &log, "-o", &options],
        );
    }

    /// Stops it as if the power went.
    pub fn stop(&self) {
        self.run(
            "pg_ctl",
            &["stop", "--wait", "-s", "-m", "immediate", "-D", &self.data()],
        );
    }

    /// The connection string of `database`.
    pub fn config(&self, database: &str) -> String {
        format!("host={} user=hub dbname={database}", self.folder.path().display())
    }

    /// What comes of a statement in `database`: a line a row, its columns apart by tabs.
    ///
    /// # Panics
    ///
    /// If the statement fails.
    pub fn sql(&self, database: &str, statement: &str) -> String {
        let mut psql = self.command("psql");
        psql.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-F",
            "\t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "hub",
            "-d",
            database,
        ]);
        psql.arg("-h").arg(self.folder.path()).args(["-c", statement]);
        let output = psql.output().expect("psql runs");
        let (found, errors) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{statement}: {errors}");
        found.into_owned()
    }

    /// Dumps the database `from` by `pg_dump`, and restores the dump as a new database `to`.
    ///
    /// # Panics
    ///
    /// If either fails.
    pub fn copy(&self, from: &str, to: &str) {
        self.sql("postgres", &format!("CREATE DATABASE {to}"));
        let folder = self.folder.path().display().to_string();
        let file = format!("{folder}/{from}.sql");
        let at = ["-U", "hub", "-h", &folder, "-d"];
        self.run("pg_dump", &[&at[..], &[from, "-f", &file]].concat());
        let quietly = ["-X", "-q", "-v", "ON_ERROR_STOP=1"];
        self.run("psql", &[&quietly, &at[..], &[to, "-f", &file]].concat());
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = self.command(program);
        let output = command
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        assert!(
            output.is_ok_and(|status| status.success()),
            "{command:?} failed\n{}",
            log()
        );
    }

    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = match is_root() {
            true => {
                let mut command = Command::new("runuser");
                command.args(["-u", "postgres", "--"]).arg(program);
                command
            }
            false => Command::new(program),
        };
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .current_dir("/")
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = Path::new(&self.data()).join("postmaster.pid");
        if data.exists() {
            let _ = self
                .command("pg_ctl")
                .args(["stop", "--wait", "-s", "-m", "immediate", "-D", &self.data()])
                .stderr(Stdio::null())
                .status();
        }
    }
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout == b"0\n")
}
