//! Jupyter's configuration: where it lies, and the one thing of it that matters here, the password's hash.

use std::{
    env,
    fs::File,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use portcullis::PasswordHash;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::failure::Failure;

/// The file in the directory that Jupyter's own tool writes a password to.
pub(crate) const FILE: &str = "jupyter_server_config.json";

/// The names of the hash, the one that wins first: a class's own section, the one its family shares, and what
/// both were called before.
pub(crate) const NAMES: [(&str, &str); 3] = [
    ("PasswordIdentityProvider", "hashed_password"),
    ("IdentityProvider", "hashed_password"),
    ("ServerApp", "password"),
];

/// More than any configuration that a person wrote.
const LIMIT: u64 = 1024 * 1024;

/// The configuration directory: `$JUPYTER_CONFIG_DIR`, else `~/.jupyter`. It need not exist.
///
/// # Errors
///
/// If neither variable tells where.
pub(crate) fn directory() -> Result<PathBuf, Failure> {
    let set = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("JUPYTER_CONFIG_DIR")
        .or_else(|| Some(set("HOME")?.join(".jupyter")))
        .ok_or_else(|| {
            "JUPYTER_CONFIG_DIR: expected a directory, and HOME, which would tell one, is not set either"
                .into()
        })
}

/// What the file at `path` says; `None` if there is no such file.
///
/// # Errors
///
/// If it cannot be read, is too long, or is no JSON object.
pub(crate) fn read(path: &Path) -> Result<Option<Map<String, Value>>, Failure> {
    let wrong = |what: &dyn std::fmt::Display| Failure::from(format!("{}: {what}", path.display()));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(&error)),
    };
    let mut text = Zeroizing::new(Vec::new());
    let length = file.take(LIMIT + 1).read_to_end(&mut text);
    if length.map_err(|error| wrong(&error))? as u64 > LIMIT {
        return Err(wrong(&format_args!("expected at most {LIMIT} octets")));
    }
    // The parser's own message may quote what it found, and that may be the hash.
    match serde_json::from_slice(&text) {
        Ok(Value::Object(settings)) => Ok(Some(settings)),
        Ok(_) => Err(wrong(&"expected a JSON object, found another value")),
        Err(error) => Err(wrong(&format_args!(
            "expected JSON, found something else in line {} column {}",
            error.line(),
            error.column()
        ))),
    }
}

/// The hash that the file at `path` sets, and the warnings that its owner should hear.
///
/// # Errors
///
/// As [`read`]; and if what is set is no hash.
pub(crate) fn password(path: &Path) -> Result<Option<(PasswordHash, Vec<String>)>, Failure> {
    let settings = read(path)?.unwrap_or_default();
    let set = NAMES.iter().find_map(|(section, name)| {
        let value = settings.get(*section)?.get(*name)?;
        // An empty text is how Jupyter spells "none".
        (!value.is_null() && value.as_str() != Some("")).then_some((section, name, value))
    });
    let Some((section, name, value)) = set else {
        return Ok(None);
    };
    let place = format!("{}: {section}.{name}", path.display());
    let text = value
        .as_str()
        .ok_or_else(|| format!("{place}: expected the text of a password hash, found another value"))?;
    let hash: PasswordHash = text.parse().map_err(|error| format!("{place}: {error}"))?;

    let mut warnings = Vec::new();
    if hash.is_weak() {
        warnings.push(format!("{place}: the hash is weak, set the password anew"));
    }
    let mode = path
        .metadata()
        .map_or(0, |metadata| metadata.permissions().mode() & 0o777);
    if mode & 0o077 != 0 {
        warnings.push(format!(
            "{}: others may read the password hash (mode {mode:04o}), expected 0600",
            path.display()
        ));
    }
    Ok(Some((hash, warnings)))
}
