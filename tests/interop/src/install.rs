//! The peers on this machine: found, or installed.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
};

/// Debian's Chromium.
const CHROMIUM: &str = "/usr/bin/chromium";

/// The folder with what drives the browser.
pub fn browser_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("browser")
}

/// Makes sure that Chromium, node and what drives the one by the other are there, once in a process.
///
/// # Panics
///
/// If something is missing and cannot be installed: the message says what to install.
pub fn browser() {
    debian_package("chromium", CHROMIUM);
    node();
}

/// The folder with what npm installed, such as `.bin/configurable-http-proxy`; it is there after this.
///
/// # Panics
///
/// If something is missing and cannot be installed: the message says what to install.
pub fn node() -> PathBuf {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(node_modules);
    folder().join("node_modules")
}

/// The folder with the programs of the Python peers, such as `jupyter`; they are there after this.
///
/// # Panics
///
/// If something is missing and cannot be installed: the message says what to install.
pub fn python() -> PathBuf {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(virtual_environment);
    folder().join(".venv/bin")
}

/// The folder with the programs of PostgreSQL's newest version here, such as `initdb`; they are there after this.
///
/// # Panics
///
/// If they are missing and cannot be installed: the message says what to install.
pub fn postgres() -> PathBuf {
    let newest = || {
        let versions = std::fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .filter_map(Result::ok);
        let programs = versions.map(|version| version.path().join("bin"));
        programs.filter(|programs| programs.join("initdb").exists()).max()
    };
    newest().unwrap_or_else(|| {
        debian_package("postgresql", "/usr/lib/postgresql");
        newest().expect("Debian's package postgresql has an initdb")
    })
}

/// Returns the program of a Redis or Valkey server, after it has installed one where there is none.
///
/// # Panics
///
/// If it is missing and cannot be installed: the message says what to install.
pub fn redis_server() -> &'static str {
    let programs = ["/usr/bin/valkey-server", "/usr/bin/redis-server"];
    let installed = programs.into_iter().find(|program| Path::new(program).exists());
    installed.unwrap_or_else(|| {
        debian_package("redis-server", programs[1]);
        programs[1]
    })
}

/// Makes sure that `program` of the Debian package `name` is there.
///
/// # Panics
///
/// If it is missing and cannot be installed: the message says what to install.
pub fn debian_package(name: &str, program: &str) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _installing = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if !Path::new(program).exists() {
        install_debian_package(
            name,
            &format!("these tests need {program}: apt-get install {name}"),
        );
    }
}

fn install_debian_package(name: &str, advice: &str) {
    let root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout == b"0\n");
    assert!(root, "{name} is missing and only root can install it; {advice}");
    for arguments in [
        &["update", "-q"][..],
        &[
            "install",
            "-q",
            "-y",
            "-o",
            "DPkg::Lock::Timeout=300",
            "--no-install-recommends",
            name,
        ],
    ] {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        run(command, advice);
    }
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn node_modules() {
    let (wanted, installed) = ("package-lock.json", "node_modules/installed.json");
    if is_same(wanted, installed) {
        return;
    }
    let mut command = Command::new("npm");
    // Its scripts would download browsers of its own; we drive the system's.
    command
        .args(["ci", "--ignore-scripts", "--loglevel=error"])
        .current_dir(folder());
    run(
        command,
        "the tests against browsers and Jupyter's clients need node 20 or newer and npm",
    );
    copy(wanted, installed);
}

fn virtual_environment() {
    let (wanted, installed) = ("requirements.txt", ".venv/installed.txt");
    if is_same(wanted, installed) {
        return;
    }
    let advice =
        "the tests against Jupyter need Python 3.10 or newer with its venv: apt-get install python3-venv";
    if !Command::new("python3")
        .args(["-c", "import ensurepip, venv"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
    {
        install_debian_package("python3-venv", advice);
    }
    let mut command = Command::new("python3");
    command
        .args(["-m", "venv", "--clear", ".venv"])
        .current_dir(folder());
    run(command, advice);
    let mut command = Command::new(folder().join(".venv/bin/pip"));
    command
        .args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
            wanted,
        ])
        .current_dir(folder());
    run(command, "the tests against Jupyter need its packages from PyPI");
    copy(wanted, installed);
}

fn is_same(wanted: &str, installed: &str) -> bool {
    let read = |name: &str| std::fs::read(folder().join(name)).ok();
    let installed = read(installed);
    installed.is_some() && installed == read(wanted)
}

fn copy(wanted: &str, installed: &str) {
    if let Err(error) = std::fs::copy(folder().join(wanted), folder().join(installed)) {
        panic!("cannot write {installed}: {error}");
    }
}

fn run(mut command: Command, advice: &str) {
    progress(&format!("{command:?}"));
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    match status {
        Ok(status) => assert!(status.success(), "{command:?} ended with {status}; {advice}"),
        Err(error) => panic!("{command:?}: {error}; {advice}"),
    }
}

/// Writes a line that shows past the test harness's capture: peers take a while.
pub fn progress(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "interop: {line}");
}
