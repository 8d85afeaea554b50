//! The secret that signs cookies, where Jupyter's servers keep it.

use std::path::{Path, PathBuf};

use portcullis::{
    FileSource, Keyring,
    jupyter::{create_directory, runtime_directory},
    secret::{SecretError, SecretErrorKind},
};

use super::exit::Failure;

/// The runtime directory, made for its owner alone if it is missing.
///
/// # Errors
///
/// If no variable specifies it, or the directory cannot be created.
pub(crate) fn directory() -> Result<PathBuf, Failure> {
    let directory = runtime_directory()?;
    create_directory(&directory)?;
    Ok(directory)
}

/// The keys that sign cookies, from `file` or the file `default` in the runtime directory. A file that is
/// missing is made, so that logins outlive a restart.
///
/// `raw` takes a file's bytes as they are, as Jupyter Server does with what it wrote; `container` takes a file that an
/// orchestrator mounts.
///
/// # Errors
///
/// If the file cannot be read or made, can be read by others, or holds no secret.
pub(crate) fn keyring(
    file: Option<&Path>,
    default: &str,
    raw: bool,
    container: bool,
) -> Result<Keyring, Failure> {
    let source = match file {
        Some(file) => FileSource::cookie_secret(file),
        // Windows protects the user's profile, which this directory is in.
        None => FileSource::cookie_secret(directory()?.join(default)).allow_unchecked_permissions(),
    };
    let source = mounted(source.or_create(), container);
    let source = if raw { source.raw() } else { source };
    Keyring::load(&source).map_err(|error| match error.kind() {
        // Most likely this: Jupyter Server was here first, and its file holds no hexadecimal digits.
        SecretErrorKind::Malformed if !raw => {
            format!("{error} (what Jupyter Server wrote needs --raw-cookie-secret)").into()
        }
        _ => with_flag(&error),
    })
}

/// The same source, for a file that an orchestrator mounts if `container` says so.
pub(crate) fn mounted(source: FileSource, container: bool) -> FileSource {
    if container {
        source.container_secret()
    } else {
        source
    }
}

/// The error, with the example's flag instead of the library's setter.
pub(crate) fn with_flag(error: &SecretError) -> Failure {
    let error = error
        .to_string()
        .replace("call `FileSource::container_secret`", "add --container-secrets");
    // Windows: no flag switches the check off.
    match error.split_once("make sure that only its owner") {
        Some((wrong, _)) => {
            format!("{wrong}only the default file, in the profile of the user, is used").into()
        }
        None => error.into(),
    }
}
