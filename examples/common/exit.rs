//! A start that fails: one clear line, and exit status 2.

use std::{error::Error, future::Future, process::ExitCode};

use clap::Parser;

use super::log;

/// Why the program cannot go on, in one line: what was expected, what was found, and where.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Reads the command line, runs the program to its end, and turns a failure into a line and a status.
pub(crate) fn run<A: Parser, F>(program: fn(A) -> F) -> ExitCode
where
    F: Future<Output = Result<(), Failure>>,
{
    let arguments = match A::try_parse() {
        Ok(arguments) => arguments,
        // `--help` and `--version` are "errors" of clap as well.
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => return fail(first_paragraph(&error.to_string()).trim_start_matches("error: ")),
    };
    let ended = match tokio::runtime::Runtime::new() {
        Ok(runtime) => {
            let ended = runtime.block_on(program(arguments));
            // Whoever still holds a connection open does not hold up the end.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(error.into()),
    };
    let code = match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure.to_string()),
    };
    log::flush();
    code
}

fn fail(line: &str) -> ExitCode {
    log::line(format_args!("error: {line}"));
    log::flush();
    ExitCode::from(2)
}

/// clap explains at length; its first paragraph, on one line, says what is wrong.
fn first_paragraph(text: &str) -> String {
    let lines = text.lines().take_while(|line| !line.trim().is_empty());
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}
