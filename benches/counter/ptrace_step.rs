//! Instructions counted one by one, by stepping a child process through them.
//!
//! This counts what the processor at hand executes, SHA-NI and AVX-512 included, on machines that offer no hardware
//! counters. A repeated string instruction counts once per repetition.

use std::process;

use super::{Counter, Failure};
use crate::case::Case;

/// The flag that makes this program the child.
pub(super) const CHILD: &str = "--child-stepped";
/// The child's way to say that it may not be traced.
const FORBIDDEN: i32 = 77;

pub(super) struct Stepping;

impl Counter for Stepping {
    fn name(&self) -> &'static str {
        "native instructions of one request, single-stepped"
    }

    fn budget(&self, case: &Case) -> Option<u64> {
        case.budget()
    }

    fn count(&self, case: &Case, rounds: usize) -> Result<u64, Failure> {
        tracing::count(case.name(), rounds)
    }
}

/// The child's side: stops before and after what is counted.
pub(super) fn child(case: &Case, rounds: usize) -> ! {
    if !tracing::ask_to_be_traced() {
        process::exit(FORBIDDEN);
    }
    case.run(rounds, &mut |send| {
        tracing::stop();
        send();
        tracing::stop();
        process::exit(0);
    });
    unreachable!("a case calls its window");
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tracing {
    use std::{
        env,
        error::Error,
        process::{Command, Stdio},
        sync::Once,
    };

    use nix::{
        errno::Errno,
        sched::{CpuSet, sched_getaffinity, sched_setaffinity},
        sys::{
            personality::{self, Persona},
            ptrace,
            signal::{Signal, raise},
            wait::{WaitStatus, waitpid},
        },
        unistd::Pid,
    };

    use super::{CHILD, FORBIDDEN, Failure};
    use crate::counter::TUNABLES;

    /// More steps than any case takes: a child that never comes to its second stop.
    const LIMIT: u64 = 10_000_000;

    pub(super) fn ask_to_be_traced() -> bool {
        ptrace::traceme().is_ok()
    }

    pub(super) fn stop() {
        raise(Signal::SIGSTOP).expect("a process may stop itself");
    }

    pub(super) fn count(name: &str, rounds: usize) -> Result<u64, Failure> {
        settle();
        let child = Command::new(env::current_exe().map_err(failed)?)
            .args([CHILD, name, &rounds.to_string()])
            .envs([TUNABLES])
            // A failed assertion would else be stepped through a backtrace.
            .env("RUST_BACKTRACE", "0")
            .stdout(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let pid = Pid::from_raw(i32::try_from(child.id()).map_err(failed)?);
        match waitpid(pid, None).map_err(failed)? {
            WaitStatus::Stopped(_, Signal::SIGSTOP) => {}
            WaitStatus::Exited(_, FORBIDDEN) => {
                let why = "this machine lets no process be traced (ptrace); try --callgrind";
                return Err(Failure::Forbidden(why.to_owned()));
            }
            other => return Err(failed(format!("{other:?} before its window"))),
        }
        let steps = ptrace::setoptions(pid, ptrace::Options::PTRACE_O_EXITKILL)
            .map_err(forbidden)
            .and_then(|()| steps(pid));
        // Whatever became of it, nothing it does from here on is of interest.
        let _ = ptrace::kill(pid).and_then(|()| waitpid(pid, None));
        steps
    }

    /// The steps from the first stop to the second.
    fn steps(pid: Pid) -> Result<u64, Failure> {
        let mut signal = None;
        for steps in 0..LIMIT {
            ptrace::step(pid, signal.take()).map_err(forbidden)?;
            match waitpid(pid, None).map_err(failed)? {
                WaitStatus::Stopped(_, Signal::SIGTRAP) => {}
                WaitStatus::Stopped(_, Signal::SIGSTOP) => return Ok(steps),
                WaitStatus::Stopped(_, other) => signal = Some(other),
                other => return Err(failed(format!("{other:?} inside its window"))),
            }
        }
        Err(failed(format!("no end after {LIMIT} steps")))
    }

    /// Gives every child the same addresses, as other ones move a count by a few instructions, and keeps parent
    /// and child on one processor, which makes a step several times faster. A failure is ignored.
    fn settle() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            if let Ok(persona) = personality::get() {
                let _ = personality::set(persona | Persona::ADDR_NO_RANDOMIZE);
            }
            let ours = Pid::from_raw(0);
            if let Ok(allowed) = sched_getaffinity(ours) {
                let last = (0..CpuSet::count()).rfind(|number| allowed.is_set(*number).unwrap_or(false));
                let mut one = CpuSet::new();
                let _ = last.map(|number| one.set(number).and_then(|()| sched_setaffinity(ours, &one)));
            }
        });
    }

    fn failed(why: impl Into<Box<dyn Error>>) -> Failure {
        Failure::Failed(why.into().to_string())
    }

    fn forbidden(error: Errno) -> Failure {
        Failure::Forbidden(format!(
            "no process can be single-stepped here ({error}); try --callgrind"
        ))
    }
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod tracing {
    use super::Failure;

    pub(super) fn ask_to_be_traced() -> bool {
        false
    }

    pub(super) fn stop() {}

    pub(super) fn count(_: &str, _: usize) -> Result<u64, Failure> {
        let why = "stepping is written for Linux on x86_64 and aarch64; try --callgrind";
        Err(Failure::Forbidden(why.to_owned()))
    }
}
