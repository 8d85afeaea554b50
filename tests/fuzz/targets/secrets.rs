//! Secrets from sources: only keys that are long and varied, only texts of UTF-8; an error never contains them.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, sync::LazyLock};

use portcullis::{
    FileSource, Keyring, Secret, Token,
    secret::{BytesSource, SecretError, SecretSource, SourceChain},
};

thread_local! {
    /// A file of this process's own, in memory where the system has such a place.
    static FILE: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = folder.expect("a folder");
        let path = folder.path().join("secret");
        fs::write(&path, "").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("changed");
        (folder, path)
    });
}

/// The content of a file.
pub fn run(data: &[u8]) {
    FILE.with(|file| {
        let path = &file.1;
        fs::write(path, data).expect("written");
        let hex = FileSource::cookie_secret(path);
        let raw = FileSource::new(path).raw();
        let text = FileSource::new(path);
        check(&hex, |secret| {
            let digits: String = secret.expose().iter().map(|byte| format!("{byte:02x}")).collect();
            let written: Vec<u8> = data.trim_ascii().to_ascii_lowercase();
            assert_eq!(digits.as_bytes(), written);
            assert!((32..=1024).contains(&secret.len()));
            assert!(Keyring::from_secret(secret).is_ok());
        });
        check(&raw, |secret| {
            assert_eq!(secret.expose(), data);
            assert!((32..=1024).contains(&secret.len()));
        });
        check(&text, |secret| {
            assert_eq!(secret.expose_str().map(str::as_bytes), Some(trimmed(data)));
            assert!(!secret.is_empty());
        });
        check(&BytesSource::new(data), |secret| {
            assert_eq!(secret.expose(), data)
        });
        let both = SourceChain::new([
            Box::new(hex.clone()) as Box<dyn SecretSource>,
            Box::new(raw.clone()),
        ]);
        check(&both, |secret| assert!(!secret.is_empty()));
        assert_eq!(
            both.load().is_ok(),
            hex.load().is_ok(),
            "what is set and wrong is never passed over"
        );
        match Token::load(&text) {
            Ok(token) => assert_eq!(token.expose().as_bytes(), trimmed(data)),
            Err(error) => is_fixed(&error),
        }
    });
}

fn trimmed(data: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let start = data.iter().position(|byte| !blank(byte)).unwrap_or(data.len());
    let end = data
        .iter()
        .rposition(|byte| !blank(byte))
        .map_or(start, |place| place + 1);
    &data[start..end]
}

fn check(source: &dyn SecretSource, good: impl FnOnce(Secret)) {
    match source.load() {
        Ok(Some(secret)) => good(secret),
        Ok(None) => panic!("the file is there"),
        Err(error) => is_fixed(&error),
    }
}

/// The message is one of these, but for numbers and the name of the source.
const MESSAGES: [&str; 16] = [
    "expected  to  hexadecimal digits, found ",
    "expected  to  hexadecimal digits, found an odd number of them, ",
    "expected  to  hexadecimal digits, found only whitespace",
    "expected  to  hexadecimal digits, found more than  bytes",
    "expected  to  hexadecimal digits, found nothing",
    "expected  to  hexadecimal digits, found  bytes, and the one at place  is no such digit",
    "expected  to  bytes, found ",
    "expected  to  bytes, found nothing",
    "expected a text, found only whitespace",
    "expected a text, found nothing",
    "expected a text, found bytes that are not UTF-",
    "expected at most  bytes, found more",
    "expected random bytes, found fewer than  values among ",
    "expected a token of  to  visible ASCII characters, found  characters",
    "expected a token of  to  visible ASCII characters, found  bytes with a space, control or non-ASCII byte at place ",
    "token begins with pcl_ and its checksum is wrong: mistyped or cut short",
];

fn is_fixed(error: &SecretError) {
    let message = error.to_string();
    let shown = format!(
        "SecretError {{ kind: {:?}, message: {message:?}, source: None }}",
        error.kind()
    );
    assert_eq!(format!("{error:?}"), shown);
    let path = FILE.with(|file| file.1.display().to_string());
    let named = ["cookie secret file ", "secret file "].map(|what| format!("{what}{path}: "));
    let names = named.iter().map(String::as_str).chain(["configured secret: "]);
    let mut told = names
        .filter_map(|name| message.strip_prefix(name))
        .map(|told| told.replace(|digit: char| digit.is_ascii_digit(), ""));
    assert!(told.any(|told| MESSAGES.contains(&told.as_str())), "{message}");
}
