//! A start that fails: one clear line, and exit status 2.

use std::{error::Error, future::Future, process::ExitCode};

use clap::{Parser, error::ErrorKind};

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
        // `--help` and `--version` are "errors" of clap as well; without a command the help says which there are.
        Err(error)
            if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand =>
        {
            error.exit()
        }
        Err(error) => return fail(&in_one_line(&error.to_string())),
    };
    let ended = match tokio::runtime::Runtime::new() {
        Ok(runtime) => {
            let ended = runtime.block_on(program(arguments));
            // Open connections must not delay the exit.
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

/// clap explains at length: its first paragraph says what is wrong, and a tip what was meant.
fn in_one_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim);
    let wrong: Vec<_> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let wrong = wrong.join(" ");
    let wrong = wrong.trim_start_matches("error: ");
    match lines.find_map(|line| line.strip_prefix("tip: ")) {
        Some(tip) => format!("{wrong}; {tip}"),
        None => format!("{wrong}; see --help"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, Parser)]
    struct Arguments {
        #[arg(long)]
        port: Option<u16>,
    }

    #[test]
    fn a_wrong_flag_is_reported_in_one_line_with_a_suggestion() {
        for (arguments, expected) in [
            (
                ["x", "--Port", "1"],
                "unexpected argument '--Port' found; a similar argument exists: '--port'",
            ),
            (["x", "--port", "1"], ""),
            (
                ["x", "--port", "a"],
                "invalid value 'a' for '--port <PORT>': invalid digit found in string; see --help",
            ),
            (
                ["x", "hub.toml", "y"],
                "unexpected argument 'hub.toml' found; see --help",
            ),
        ] {
            let told = Arguments::try_parse_from(arguments).map_err(|error| in_one_line(&error.to_string()));
            match told {
                Ok(arguments) => assert_eq!((arguments.port, expected), (Some(1), "")),
                Err(told) => assert_eq!(told, expected),
            }
        }
    }
}
