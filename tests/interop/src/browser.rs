//! A scenario in a real browser.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use crate::{example, install};

/// How long a scenario may take.
const PATIENCE: Duration = Duration::from_secs(270);

/// Runs a scenario of the folder `browser`.
///
/// # Panics
///
/// If it fails, does not end in time, or there is no browser and none can be installed.
#[track_caller]
pub fn drive(scenario: &str, arguments: &[&str]) {
    drive_for(PATIENCE, scenario, arguments);
}

/// As [`drive`], for a scenario that may take longer.
///
/// # Panics
///
/// As [`drive`].
#[track_caller]
pub fn drive_for(patience: Duration, scenario: &str, arguments: &[&str]) {
    install::browser();
    let script = install::browser_folder().join(scenario);
    let mut node = Command::new("node")
        .arg(script)
        .args(arguments)
        .stdin(Stdio::null())
        .spawn()
        .expect("node runs");
    let ended = example::wait(&mut node, patience);
    if ended.is_none() {
        let _ = node.kill();
        let _ = node.wait();
    }
    let status =
        ended.unwrap_or_else(|| panic!("expected {scenario} to end within {patience:?}, it still runs"));
    assert!(
        status.success(),
        "{scenario} ended with {status}: its last line says what was expected and found"
    );
}
