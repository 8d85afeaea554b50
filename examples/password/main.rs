//! A password for a server: made, hashed and stored where Jupyter Server looks for it.
//!
//! ```text
//! cargo run --example password -- set
//! ```
//!
//! prompts twice and writes `jupyter_server_config.json`. `hash` prints the hash instead, for
//! `notebook_server --password-hash`; it prompts at a terminal, and reads one line of anything else.

use std::{
    env,
    io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use portcullis::{PasswordHash, Secret, jupyter::ServerConfig, password::PasswordPolicy};
use zeroize::Zeroizing;

use common::exit::{self, Failure};

#[path = "../common/mod.rs"]
mod common;

/// Make and store a password.
#[derive(Parser)]
#[command(version, arg_required_else_help = false)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Prompt twice, and write the hash to jupyter_server_config.json in $JUPYTER_CONFIG_DIR [default: ~/.jupyter].
    Set,
    /// Prompt twice, or read one line if the standard input is no terminal, and print the hash.
    Hash,
}

fn main() -> ExitCode {
    exit::run(run)
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.task {
        Task::Set => set(),
        Task::Hash => {
            let password = match io::stdin().is_terminal() {
                true => ask_twice()?,
                false => read_line()?,
            };
            let hash = hash(&password)?;
            Ok(writeln!(io::stdout(), "{}", hash.expose())?)
        }
    }
}

fn set() -> Result<(), Failure> {
    // The file is checked first, so that a broken one is reported before the user types a password.
    let mut config = ServerConfig::read_default()?;
    let password = ask_twice()?;
    config.set_password(&hash(&password)?)?;
    config.write()?;
    println!(
        "wrote {}: it holds from the next start of the server on",
        config.path().display()
    );
    Ok(())
}

/// A new password, typed twice.
fn ask_twice() -> Result<Secret, Failure> {
    let password = ask("Enter password: ")?;
    check(&password)?;
    if ask("Verify password: ")?.expose() != password.expose() {
        return Err("passwords do not match".into());
    }
    Ok(password)
}

/// What is typed at the terminal, without showing it.
fn ask(prompt: &str) -> Result<Secret, Failure> {
    rpassword::prompt_password(prompt)
        .map(Secret::from)
        .map_err(|error| format!("expected a terminal for the prompt, found none: {error}").into())
}

/// The first line of the standard input.
fn read_line() -> Result<Secret, Failure> {
    let mut line = Zeroizing::new(Vec::with_capacity(PasswordHash::MAX_PASSWORD_LEN + 2));
    io::stdin()
        .lock()
        .take(PasswordHash::MAX_PASSWORD_LEN as u64 + 2)
        .read_until(b'\n', &mut line)?;
    let text = line.strip_suffix(b"\n").unwrap_or(&line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    Ok(Secret::from(text.to_vec()))
}

fn hash(password: &Secret) -> Result<PasswordHash, Failure> {
    Ok(PasswordHash::hash_with_policy(&check(password)?, password)?)
}

/// The policy, if it takes `password`.
///
/// The password is typed by hand, and attempts to guess it are limited: 8 characters are enough, if they are neither
/// common nor names of this user or host.
fn check(password: &Secret) -> Result<PasswordPolicy, Failure> {
    let names = ["USER", "HOSTNAME"]
        .into_iter()
        .filter_map(|name| env::var(name).ok());
    let policy = PasswordPolicy::new()
        .with_min_length(8)?
        .with_forbidden_words(names)
        .with_forbidden_words(["jupyter", "notebook", "portcullis"]);
    policy.check(password)?;
    let text = password.expose();
    if text.trim_ascii().len() != text.len() {
        return Err("expected a password without spaces at its ends: login forms remove them".into());
    }
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_long_uncommon_and_without_spaces_at_its_ends() {
        for (password, expected) in [
            ("purple tricycle nine", None),
            ("blau 8 t", None),
            ("seven77", Some("at least 8 characters, found 7")),
            ("", Some("at least 8")),
            ("password1234", Some("too easy to guess")),
            (" purple tricycle", Some("spaces")),
            ("purple tricycle\t", Some("spaces")),
        ] {
            let error = check(&Secret::from(password))
                .err()
                .map(|error| error.to_string());
            assert_eq!(error.is_none(), expected.is_none(), "{password:?}: {error:?}");
            let error = error.unwrap_or_default();
            assert!(
                error.contains(expected.unwrap_or_default()),
                "{password:?}: {error}"
            );
        }
    }
}
