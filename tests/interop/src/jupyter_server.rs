//! A real Jupyter Server, and the directories in which it and this crate's servers find each other.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    example::{self, Example},
    http::{Answer, try_request},
    install,
};

/// How long a Jupyter server may take to answer, or one of its tools to end.
const PATIENCE: Duration = Duration::from_secs(240);

/// A user's home: Jupyter's directories in it, and one with a notebook.
#[derive(Debug)]
pub struct Home(TempDir);

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Home {
    /// A new one.
    ///
    /// # Panics
    ///
    /// If it cannot be made.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        fs::create_dir(folder.path().join("notebooks")).expect("a directory");
        Self(folder)
    }

    /// The directory with the files of running servers.
    pub fn runtime(&self) -> PathBuf {
        self.0.path().join("runtime")
    }

    /// Where the configuration lies.
    pub fn config(&self) -> PathBuf {
        self.0.path().join("config")
    }

    /// What is served.
    pub fn notebooks(&self) -> PathBuf {
        let path = self.0.path().join("notebooks");
        path.canonicalize().expect("it was made")
    }

    /// A command for `program`, at home here and nowhere else.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Example::command(program);
        command
            .env("HOME", self.0.path())
            .env("JUPYTER_CONFIG_DIR", self.config())
            .env("JUPYTER_DATA_DIR", self.0.path().join("data"))
            .env("JUPYTER_RUNTIME_DIR", self.runtime())
            .env_remove("JUPYTER_SERVER_ALLOW_UNAUTHENTICATED_ACCESS")
            .current_dir(self.0.path());
        command
    }

    /// Runs `program` to its end.
    ///
    /// # Panics
    ///
    /// If it cannot be started, or does not end in time.
    #[track_caller]
    pub fn run(&self, program: &Path, arguments: &[&str]) -> Ended {
        self.start(program, arguments).ended()
    }

    /// Starts `program`, to wait for its end later.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[track_caller]
    pub fn start(&self, program: &Path, arguments: &[&str]) -> Running {
        install::progress(&format!("{} {}", program.display(), arguments.join(" ")));
        let child = self
            .command(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        Running(child)
    }
}

/// A program that was started, and is killed when dropped.
#[derive(Debug)]
pub struct Running(std::process::Child);

impl Running {
    /// Its end, and what it wrote, which must be little.
    ///
    /// # Panics
    ///
    /// If it does not end in time.
    #[track_caller]
    pub fn ended(mut self) -> Ended {
        use std::io::Read as _;

        let status = example::wait(&mut self.0, PATIENCE);
        let _ = self.0.kill();
        let mut text = String::new();
        if let Some(mut pipe) = self.0.stdout.take() {
            let _ = pipe.read_to_string(&mut text);
        }
        let mut errors = String::new();
        if let Some(mut pipe) = self.0.stderr.take() {
            let _ = pipe.read_to_string(&mut errors);
        }
        let status = status.unwrap_or_else(|| {
            panic!(
                "expected the program to end within {PATIENCE:?}, it still runs; it wrote {text:?} {errors:?}"
            )
        });
        Ended { status, text, errors }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program that has ended.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// What it wrote to its standard output.
    pub text: String,
    /// What it wrote to its standard error.
    pub errors: String,
}

impl Ended {
    /// What it wrote to its standard output, if it ended well.
    ///
    /// # Panics
    ///
    /// If it did not.
    #[track_caller]
    pub fn well(self) -> String {
        assert!(self.status.success(), "expected a good end, found {self:?}");
        self.text
    }
}

/// A Jupyter Server of the installed version, on loopback.
#[derive(Debug)]
pub struct JupyterServer {
    /// The process. It is killed when dropped.
    pub process: Example,
    /// Host and port.
    pub address: String,
}

impl JupyterServer {
    /// Starts one at `port`, and waits until it answers.
    ///
    /// # Panics
    ///
    /// If Jupyter is missing and cannot be installed, or does not answer in time.
    #[track_caller]
    pub fn start(home: &Home, port: u16, arguments: &[&str]) -> Self {
        let mut command = home.command(&install::python().join("jupyter-server"));
        command
            .args(["--no-browser", "--allow-root", "--ip=127.0.0.1"])
            .args([
                format!("--port={port}"),
                format!("--ServerApp.root_dir={}", home.notebooks().display()),
            ])
            .args(["--ServerApp.port_retries=0", "--ServerApp.log_level=WARN"])
            // Only the server itself is tested: its extensions take a while to start.
            .args(["--ServerApp.jpserver_extensions={'jupyterlab': False, 'jupyter_lsp': False, 'notebook_shim': False}"])
            .args(arguments);
        install::progress(&format!("a Jupyter Server starts at port {port}"));
        let mut process = Example::start("jupyter-server", command);
        let address = format!("127.0.0.1:{port}");
        let version = first_answer(&mut process, &address);
        assert_eq!(version.status, 200, "{}", version.head);
        Self { process, address }
    }
}

/// The answer to `GET /api` of a Jupyter server that was just started at `address`.
///
/// It listens before it answers, and on a busy machine it may reset a connection in between.
///
/// # Panics
///
/// If it ends, or does not answer in time.
#[track_caller]
pub fn first_answer(process: &mut Example, address: &str) -> Answer {
    let until = Instant::now() + PATIENCE;
    loop {
        let error = match try_request(address, "GET", "/api", &[]) {
            Ok(answer) => return answer,
            Err(error) => error,
        };
        assert!(
            process.is_running(),
            "expected the Jupyter server to run, it has ended"
        );
        assert!(
            Instant::now() < until,
            "expected the Jupyter server to answer, found: {error}"
        );
        thread::sleep(Duration::from_millis(100));
    }
}

/// A free port of the loopback address.
///
/// # Panics
///
/// If there is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}
