//! An example of the crate as a process of its own, as a user starts it.

use std::{
    env,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// How long an example may take to say where it listens, or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running example. It is killed when dropped.
#[derive(Debug)]
pub struct Example {
    name: String,
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Example {
    /// The program of the example called `name`, built if it is not.
    ///
    /// # Panics
    ///
    /// If it does not build.
    pub fn build(name: &str) -> PathBuf {
        let mut cargo = Command::new(env!("CARGO"));
        // Variables that cargo sets for a test of its own package do not concern the one that is built; a crate that
        // reads them would be rebuilt each time.
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                cargo.env_remove(&*name);
            }
        }
        let output = cargo
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .args([
                "build",
                "--quiet",
                "--all-features",
                "--message-format=json-render-diagnostics",
            ])
            .args(["--example", name])
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo runs");
        assert!(
            output.status.success(),
            "expected the example {name} to build, cargo ended with {}",
            output.status
        );
        let messages = String::from_utf8(output.stdout).expect("cargo speaks UTF-8");
        messages
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .find_map(|message| {
                let ours = message.get("target")?.get("name")? == name;
                ours.then(|| Some(PathBuf::from(message.get("executable")?.as_str()?)))?
            })
            .unwrap_or_else(|| panic!("expected cargo to name the program of the example {name}, found none"))
    }

    /// A command for `program`, without the variables by which a user's own environment would configure it.
    pub fn command(program: &Path) -> Command {
        let mut command = Command::new(program);
        for name in [
            "BROWSER",
            "DISPLAY",
            "JUPYTER_CONFIG_DIR",
            "JUPYTER_PORT",
            "JUPYTER_RUNTIME_DIR",
            "JUPYTER_TOKEN",
            "JUPYTER_TOKEN_FILE",
            "WAYLAND_DISPLAY",
        ] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null());
        command
    }

    /// Starts `command`. What it writes is shown if the test fails.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn start(name: &str, mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let (sender, lines) = mpsc::channel();
        forward(child.stdout.take().expect("stdout is a pipe"), Some(sender));
        forward(child.stderr.take().expect("stderr is a pipe"), None);
        Self {
            name: name.to_owned(),
            child,
            lines,
        }
    }

    /// What follows `prefix` on the next line of its output that begins so.
    ///
    /// # Panics
    ///
    /// If there is no such line in time.
    pub fn line_after(&self, prefix: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            match self
                .lines
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    if let Some(rest) = line.strip_prefix(prefix) {
                        return rest.trim().to_owned();
                    }
                }
                Err(error) => panic!(
                    "expected {} to print a line {prefix:?}, found none: {error}",
                    self.name
                ),
            }
        }
    }

    /// Sends it `signal` (such as `TERM`) and waits for its end.
    ///
    /// # Panics
    ///
    /// If it does not end in time.
    pub fn signal(&mut self, signal: &str) -> ExitStatus {
        let sent = Command::new("kill")
            .args(["-s", signal, &self.child.id().to_string()])
            .status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "cannot send {signal} to {}",
            self.name
        );
        self.wait()
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// If it does not end in time.
    pub fn wait(&mut self) -> ExitStatus {
        wait(&mut self.child, PATIENCE)
            .unwrap_or_else(|| panic!("expected {} to end within {PATIENCE:?}, it still runs", self.name))
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Prints every line of `pipe`, and sends it to `lines`.
fn forward(pipe: impl Read + Send + 'static, lines: Option<mpsc::Sender<String>>) {
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            println!("  | {line}");
            let _ = lines.as_ref().map(|lines| lines.send(line));
        }
    });
}

/// Runs `command` to its end and gives back its status and what it wrote to stderr.
///
/// # Panics
///
/// If it cannot be started or does not end in time.
pub fn run(mut command: Command) -> (ExitStatus, String) {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let ended = wait(&mut child, PATIENCE);
    let _ = child.kill();
    let mut stderr = String::new();
    let read = child
        .stderr
        .take()
        .map(|mut pipe| pipe.read_to_string(&mut stderr));
    let status =
        ended.unwrap_or_else(|| panic!("expected {command:?} to end, it still runs; it wrote {stderr:?}"));
    assert!(matches!(read, Some(Ok(_))), "cannot read what {command:?} wrote");
    (status, stderr)
}

/// Returns `true` if `stderr` is one line with an error, and behind it only the usage if a flag was wrong.
pub fn is_clear_error(stderr: &str) -> bool {
    stderr.starts_with("error: ") && (stderr.lines().count() == 1 || stderr.contains("try '--help'"))
}

/// Waits for the end of `child`, no longer than `patience`.
pub fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let until = Instant::now() + patience;
    loop {
        match child.try_wait() {
            Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(20)),
            Ok(ended) => return ended,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => panic!("cannot wait for process {}: {error}", child.id()),
        }
    }
}
