//! A start that fails: one clear line, and exit status 2.

use std::{error::Error, future::Future, process::ExitCode};

use clap::{Args as _, FromArgMatches as _, Parser};

use super::log::{self, LogFlags};

/// Why the program cannot go on, in one line: what was expected, what was found, and where.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Reads the command line, runs the program to its end, and turns a failure into a line and a status.
pub(crate) fn run<A: Parser, F>(program: fn(A) -> F) -> ExitCode
where
    F: Future<Output = Result<(), Failure>>,
{
    run_to_end(program(A::parse()))
}

/// The same for a server: it has a log, and flags for it.
pub(crate) fn serve<A: Parser, F>(program: fn(A) -> F) -> ExitCode
where
    F: Future<Output = Result<(), Failure>>,
{
    let matches = LogFlags::augment_args(A::command()).get_matches();
    let parsed =
        LogFlags::from_arg_matches(&matches).and_then(|log| Ok((log, A::from_arg_matches(&matches)?)));
    let (log, arguments) = parsed.unwrap_or_else(|error| error.exit());
    log.init();
    run_to_end(program(arguments))
}

fn run_to_end(program: impl Future<Output = Result<(), Failure>>) -> ExitCode {
    let ended = match tokio::runtime::Runtime::new() {
        Ok(runtime) => {
            let ended = runtime.block_on(program);
            // Open connections must not delay the exit.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(error.into()),
    };
    let code = match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log::line(format_args!("error: {failure}"));
            ExitCode::from(2)
        }
    };
    log::flush();
    code
}
