//! A password for a server: made, hashed and stored where Jupyter Server looks for it.
//!
//! ```text
//! cargo run --example password -- set
//! ```
//!
//! asks twice and writes `jupyter_server_config.json`. `hash` reads one line and prints its hash instead, for
//! `notebook_server --password-hash`.

use std::{
    env,
    fs::{self, DirBuilder},
    io::{self, BufRead as _, Read as _, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use portcullis::{PASSWORD_LIMIT, PasswordHash, PasswordPolicy, Secret};
use serde_json::{Map, Value};
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use support::{
    config,
    failure::{self, Failure},
};

#[path = "../support/mod.rs"]
mod support;

/// Make and store a password.
#[derive(Parser)]
#[command(version, arg_required_else_help = false)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Ask twice, and write the hash to jupyter_server_config.json in $JUPYTER_CONFIG_DIR [default: ~/.jupyter].
    Set,
    /// Read one line, and print its hash.
    Hash,
}

fn main() -> ExitCode {
    failure::run(run)
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.task {
        Task::Set => set(),
        Task::Hash => {
            let hash = hash(&read_line()?)?;
            Ok(writeln!(io::stdout(), "{}", hash.expose())?)
        }
    }
}

fn set() -> Result<(), Failure> {
    let path = file()?;
    // Nobody types a password twice to hear then that the file is broken.
    let mut settings = config::read(&path)?.unwrap_or_default();
    let password = ask("Password: ")?;
    check(&password)?;
    if ask("The same again: ")?.expose() != password.expose() {
        return Err("expected the same password twice, found two different ones".into());
    }
    put(&mut settings, hash(&password)?.expose()).map_err(|error| format!("{}: {error}", path.display()))?;
    replace(&path, settings).map_err(|error| format!("{}: {error}", path.display()))?;
    println!(
        "wrote {}: it holds from the next start of the server on",
        path.display()
    );
    Ok(())
}

/// The configuration file, in a directory that is there now. Where a link leads, the file itself is meant.
fn file() -> Result<PathBuf, Failure> {
    let directory = config::directory()?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .map_err(|error| format!("configuration directory {}: {error}", directory.display()))?;
    let path = directory.join(config::FILE);
    Ok(fs::canonicalize(&path).unwrap_or(path))
}

/// Sets the hash under its present name, and takes away those under which an older one would still hold.
fn put(settings: &mut Map<String, Value>, hash: &str) -> Result<(), Failure> {
    for (section, name) in config::NAMES {
        match settings.get_mut(section) {
            None => {}
            Some(Value::Object(section)) => {
                section.remove(name);
            }
            Some(_) => return Err(format!("{section}: expected a JSON object, found another value").into()),
        }
    }
    let section = settings
        .entry("IdentityProvider")
        .or_insert_with(|| Map::new().into());
    section["hashed_password"] = hash.into();
    Ok(())
}

/// Writes the file anew beside the old one and puts it in its place: whoever reads, at whatever moment, finds
/// the one or the other, and only the owner may. A temporary file has mode 0600 from its birth.
fn replace(path: &Path, settings: Map<String, Value>) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(directory)?;
    let mut text = Zeroizing::new(serde_json::to_string_pretty(&Value::Object(settings))?);
    text.push('\n');
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// What is typed at the terminal, without showing it.
fn ask(prompt: &str) -> Result<Secret, Failure> {
    rpassword::prompt_password(prompt)
        .map(Secret::from)
        .map_err(|error| format!("expected a terminal to ask at, found none: {error}").into())
}

/// The first line of the standard input.
fn read_line() -> Result<Secret, Failure> {
    let mut line = Zeroizing::new(Vec::with_capacity(PASSWORD_LIMIT + 2));
    io::stdin()
        .lock()
        .take(PASSWORD_LIMIT as u64 + 2)
        .read_until(b'\n', &mut line)?;
    let text = line.strip_suffix(b"\n").unwrap_or(&line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    Ok(Secret::from(text.to_vec()))
}

fn hash(password: &Secret) -> Result<PasswordHash, Failure> {
    Ok(PasswordHash::hash_by(&check(password)?, password)?)
}

/// The policy, if it takes `password`.
///
/// A person types it, and guesses are heard ever more slowly: 8 characters will do, that are neither common nor
/// the names at hand.
fn check(password: &Secret) -> Result<PasswordPolicy, Failure> {
    let names = ["USER", "HOSTNAME"]
        .into_iter()
        .filter_map(|name| env::var(name).ok());
    let policy = PasswordPolicy::new()
        .with_minimum(8)?
        .with_names(names)
        .with_names(["jupyter", "notebook", "portcullis"]);
    policy.check(password)?;
    let text = password.expose();
    if text.trim_ascii().len() != text.len() {
        return Err("expected a password without blanks at its ends: login forms take them off".into());
    }
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_password_replaces_every_older_one_and_nothing_else() {
        let hash = "argon2:new";
        for (before, after) in [
            ("{}", r#"{"IdentityProvider":{"hashed_password":"argon2:new"}}"#),
            (
                r#"{"IdentityProvider":{"hashed_password":"argon2:old","token":"t"},"ServerApp":{"port":1}}"#,
                r#"{"IdentityProvider":{"hashed_password":"argon2:new","token":"t"},"ServerApp":{"port":1}}"#,
            ),
            (
                r#"{"PasswordIdentityProvider":{"hashed_password":"a","x":1},"ServerApp":{"password":"b"}}"#,
                r#"{"IdentityProvider":{"hashed_password":"argon2:new"},"PasswordIdentityProvider":{"x":1},"ServerApp":{}}"#,
            ),
        ] {
            let mut settings = serde_json::from_str(before).expect("an object");
            put(&mut settings, hash).expect(before);
            assert_eq!(Value::Object(settings).to_string(), after, "{before}");
        }
        let mut odd = serde_json::from_str(r#"{"IdentityProvider":[]}"#).expect("an object");
        let error = put(&mut odd, hash).expect_err("no section").to_string();
        assert_eq!(
            error,
            "IdentityProvider: expected a JSON object, found another value"
        );
    }

    #[test]
    fn what_is_written_is_the_owners_alone_and_read_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(config::FILE);
        fs::write(&path, "{}").expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a mode");
        let hash = hash(&Secret::from("purple tricycle nine")).expect("a good password");
        let mut settings = Map::new();
        put(&mut settings, hash.expose()).expect("no other sections");
        replace(&path, settings).expect("written");
        let mode = fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let (read, warnings) = config::password(&path).expect("good").expect("set");
        assert_eq!((read.expose(), &*warnings), (hash.expose(), &[][..]));
        let names = fs::read_dir(directory.path()).expect("a directory").count();
        assert_eq!(names, 1, "nothing else is left in the directory");
    }

    #[test]
    fn a_broken_configuration_is_told_without_what_it_holds() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(config::FILE);
        let hash = r#"{"IdentityProvider":{"hashed_password":"argon2:$argon2id$secret"}}"#;
        for (content, expected) in [
            ("{", "expected JSON"),
            ("[\"secret\"]", "expected a JSON object"),
            (hash, "IdentityProvider.hashed_password: password hash: "),
            (
                r#"{"ServerApp":{"password":5}}"#,
                "ServerApp.password: expected the text",
            ),
        ] {
            fs::write(&path, content).expect("a file");
            let error = config::password(&path).expect_err(content).to_string();
            assert!(error.contains(expected), "{content}: {error}");
            assert!(
                error.starts_with(&path.display().to_string()) && !error.contains("secret"),
                "{error}"
            );
        }
        for none in ["{}", r#"{"IdentityProvider":{"hashed_password":""}}"#] {
            fs::write(&path, none).expect("a file");
            assert!(config::password(&path).expect(none).is_none(), "{none}");
        }
    }

    #[test]
    fn a_password_is_long_uncommon_and_without_blanks_at_its_ends() {
        for (password, expected) in [
            ("purple tricycle nine", None),
            ("blau 8 t", None),
            ("seven77", Some("at least 8 characters, found 7")),
            ("", Some("at least 8")),
            ("password1234", Some("nobody guesses")),
            (" purple tricycle", Some("blanks")),
            ("purple tricycle\t", Some("blanks")),
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
