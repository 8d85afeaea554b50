//! Instructions as valgrind's callgrind counts them: no ptrace needed, and no SHA-NI or AVX-512 seen.

use std::{
    env,
    hint::black_box,
    io::ErrorKind,
    process::{self, Command},
};

use super::{Counter, Failure, TUNABLES};
use crate::case::{Case, Send};

/// The flag that makes this program the child.
pub(super) const CHILD: &str = "--child-under-callgrind";
/// The function between whose beginning and end callgrind counts.
const COUNTED: &str = "counted_by_callgrind";
/// What one block of SHA-256 costs in software above what it costs by SHA-NI.
const SOFTWARE_BLOCK: u64 = 3_377 - 217;

pub(super) struct Callgrind;

impl Counter for Callgrind {
    fn name(&self) -> &'static str {
        "instructions of one request under callgrind, SHA-256 in software"
    }

    fn budget(&self, case: &Case) -> Option<u64> {
        Some(case.budget()? + case.blocks() * SOFTWARE_BLOCK)
    }

    fn count(&self, case: &Case, rounds: usize) -> Result<u64, Failure> {
        let failed = |why: String| Failure::Failed(why);
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(format!("--toggle-collect=*{COUNTED}*"))
            .arg(env::current_exe().map_err(|error| failed(error.to_string()))?)
            .args([CHILD, case.name(), &rounds.to_string()])
            .envs([TUNABLES])
            .output();
        let output = match output {
            Ok(output) => output,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Failure::Forbidden(
                    "there is no valgrind on this machine".to_owned(),
                ));
            }
            Err(error) => return Err(failed(error.to_string())),
        };
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            let assertion = said.lines().find(|line| line.contains("assertion"));
            return Err(failed(format!(
                "{}, {}",
                output.status,
                assertion.unwrap_or("no assertion")
            )));
        }
        said.lines()
            .find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
            .filter(|count| *count > 0)
            .ok_or_else(|| failed("callgrind names no count".to_owned()))
    }
}

/// The child's side: counted while it is inside of [`counted_by_callgrind`].
pub(super) fn child(case: &Case, rounds: usize) -> ! {
    case.run(rounds, &mut |send| {
        counted_by_callgrind(send);
        process::exit(0);
    });
    unreachable!("a case calls its window");
}

#[inline(never)]
fn counted_by_callgrind(send: Send<'_>) {
    send();
    // Without something left to do, the call would be a jump and this function over before it.
    black_box(());
}
