//! The peers on this machine: found, or installed.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
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
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        chromium();
        node_modules();
    });
}

fn chromium() {
    if Path::new(CHROMIUM).exists() {
        return;
    }
    let advice = "the browser tests need Chromium: apt-get install chromium";
    let root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout == b"0\n");
    assert!(
        root,
        "{CHROMIUM} is missing and only root can install it; {advice}"
    );
    for arguments in [
        &["update", "-q"][..],
        &[
            "install",
            "-q",
            "-y",
            "-o",
            "DPkg::Lock::Timeout=300",
            "--no-install-recommends",
            "chromium",
        ],
    ] {
        progress(&format!("apt-get {}", arguments.join(" ")));
        let status = Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        match status {
            Ok(status) => assert!(
                status.success(),
                "apt-get {arguments:?} ended with {status}; {advice}"
            ),
            Err(error) => panic!("apt-get: {error}; {advice}"),
        }
    }
}

fn node_modules() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    if folder.join("node_modules/playwright-core/package.json").exists() {
        return;
    }
    progress("npm ci: playwright-core");
    // Its scripts would download browsers of its own; we drive the system's.
    let status = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--loglevel=error"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    match status {
        Ok(status) => assert!(
            status.success(),
            "npm ci in {} ended with {status}",
            folder.display()
        ),
        Err(error) => panic!("npm: {error}; the browser tests need node 20 or newer and npm"),
    }
}

/// A line that shows past the test harness's capture: installing takes a while.
fn progress(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "interop: {line}");
}
