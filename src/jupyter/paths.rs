//! Where Jupyter keeps a user's files (jupyter_core, `paths.py`).

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::secret::{SecretError, SecretErrorKind, create_directories};

/// The configuration directory: `$JUPYTER_CONFIG_DIR`, else `.jupyter` in the directory of the user. It need not exist.
///
/// # Errors
///
/// `SecretErrorKind::Missing` if no variable specifies one.
pub fn config_directory() -> Result<PathBuf, SecretError> {
    config(&|name| env::var_os(name))
}

/// The directory of what belongs to running servers: `$JUPYTER_RUNTIME_DIR`, else `runtime` in
/// `$JUPYTER_DATA_DIR`, else in the user's data directory (`$XDG_DATA_HOME/jupyter`, `~/.local/share/jupyter`; on
/// macOS `~/Library/Jupyter`, on Windows `%APPDATA%\jupyter`). It need not exist.
///
/// # Errors
///
/// `SecretErrorKind::Missing` if no variable specifies one.
pub fn runtime_directory() -> Result<PathBuf, SecretError> {
    runtime(&|name| env::var_os(name))
}

/// Makes the directory at `path` for its owner alone (mode 0700), and those above it, unless they are there. On Windows they
/// inherit the access of the directory above.
///
/// # Errors
///
/// `SecretErrorKind::System` if the system refuses.
pub fn create_directory(path: &Path) -> Result<(), SecretError> {
    create_directories(path).map_err(|error| {
        SecretError::system(
            format!("directory {} cannot be made: {error}", path.display()),
            error,
        )
    })
}

/// The variable with the user's own directory.
const HOME: &str = if cfg!(windows) { "USERPROFILE" } else { "HOME" };

type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

fn config(variables: Variables<'_>) -> Result<PathBuf, SecretError> {
    set(variables, "JUPYTER_CONFIG_DIR")
        .or_else(|| Some(set(variables, HOME)?.join(".jupyter")))
        .ok_or_else(|| missing_directory("JUPYTER_CONFIG_DIR"))
}

fn runtime(variables: Variables<'_>) -> Result<PathBuf, SecretError> {
    let data = || {
        let home = || set(variables, HOME);
        set(variables, "JUPYTER_DATA_DIR").or_else(|| {
            if cfg!(target_os = "macos") {
                return Some(home()?.join("Library/Jupyter"));
            }
            if cfg!(windows) {
                let roaming = set(variables, "APPDATA").map(|roaming| roaming.join("jupyter"));
                return roaming.or_else(|| Some(config(variables).ok()?.join("data")));
            }
            let shared = set(variables, "XDG_DATA_HOME").or_else(|| Some(home()?.join(".local/share")))?;
            Some(shared.join("jupyter"))
        })
    };
    set(variables, "JUPYTER_RUNTIME_DIR")
        .or_else(|| Some(data()?.join("runtime")))
        .ok_or_else(|| missing_directory("JUPYTER_RUNTIME_DIR"))
}

/// The path in the variable `name`; an empty one is none.
fn set(variables: Variables<'_>, name: &str) -> Option<PathBuf> {
    variables(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

fn missing_directory(name: &str) -> SecretError {
    SecretError::new(
        SecretErrorKind::Missing,
        format!("{name}: expected a directory, and {HOME}, the default, is not set either"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(all(unix, not(target_os = "macos")))]
    #[test]
    fn the_most_specific_variable_counts_and_an_empty_one_does_not() {
        let (config_dir, runtime_dir) = ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR");
        let at_home = (Some("/h/.jupyter"), Some("/h/.local/share/jupyter/runtime"));
        for (variables, expected) in [
            (&[][..], (None, None)),
            (&[("HOME", "")], (None, None)),
            (&[("HOME", "/h")], at_home),
            (&[("HOME", "/h"), (config_dir, ""), (runtime_dir, "")], at_home),
            (
                &[("HOME", "/h"), (config_dir, "/c"), (runtime_dir, "/r")],
                (Some("/c"), Some("/r")),
            ),
            (
                &[("JUPYTER_DATA_DIR", "/d"), ("XDG_DATA_HOME", "/x")],
                (None, Some("/d/runtime")),
            ),
            (
                &[("HOME", "/h"), ("XDG_DATA_HOME", "/x")],
                (at_home.0, Some("/x/jupyter/runtime")),
            ),
        ] {
            let look = |name: &str| {
                let found = variables.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| OsString::from(value))
            };
            let found = (config(&look).ok(), runtime(&look).ok());
            let expected = (expected.0.map(PathBuf::from), expected.1.map(PathBuf::from));
            assert_eq!(found, expected, "{variables:?}");
        }
    }

    #[cfg(windows)]
    #[test]
    fn directories_are_in_the_profile_of_the_user() {
        let look = |name: &str| match name {
            "USERPROFILE" => Some(r"C:\Users\a".into()),
            "APPDATA" => Some(r"C:\Users\a\AppData\Roaming".into()),
            _ => None,
        };
        let expected = Path::new(r"C:\Users\a\.jupyter");
        assert_eq!(config(&look).expect("known"), expected);
        let expected = Path::new(r"C:\Users\a\AppData\Roaming\jupyter\runtime");
        assert_eq!(runtime(&look).expect("known"), expected);
    }
}
