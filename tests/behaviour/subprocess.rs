//! This test binary once more, as another process.

use std::{
    env,
    process::{Command, Stdio},
};

const TASK: &str = "PORTCULLIS_CHILD_TASK";

/// A process that runs the test `name` of `module` alone, and finds `task` in it. What it has to say comes out
/// of its standard error: the other output is the test harness's.
pub(crate) fn command(module: &str, name: &str, task: &str) -> Command {
    let module = module.split_once("::").map_or(module, |(_, module)| module);
    let mut command = Command::new(env::current_exe().expect("the test binary has a path"));
    command
        .args(["--exact", &format!("{module}::{name}"), "--nocapture"])
        .env(TASK, task)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// What this process was started for, if it is such a child.
pub(crate) fn task() -> Option<String> {
    env::var(TASK).ok()
}
