//! Secrets from sources: only keys that are long and varied, only texts of UTF-8; an error never tells them.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, sync::LazyLock};

use portcullis::{BytesSource, FileSource, FirstOf, Keyring, Secret, SecretError, SecretSource, Token};

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
        check(&hex, data, |secret| {
            let digits: String = secret
                .expose()
                .iter()
                .map(|octet| format!("{octet:02x}"))
                .collect();
            let written: Vec<u8> = data.trim_ascii().to_ascii_lowercase();
            assert_eq!(digits.as_bytes(), written);
            assert!((32..=1024).contains(&secret.len()));
            assert!(Keyring::from_secret(secret).is_ok());
        });
        check(&raw, data, |secret| {
            assert_eq!(secret.expose(), data);
            assert!((32..=1024).contains(&secret.len()));
        });
        check(&text, data, |secret| {
            assert_eq!(secret.expose_str().map(str::as_bytes), Some(trimmed(data)));
            assert!(!secret.is_empty());
        });
        check(&BytesSource::new(data), data, |secret| {
            assert_eq!(secret.expose(), data)
        });
        let both = FirstOf::new([
            Box::new(hex.clone()) as Box<dyn SecretSource>,
            Box::new(raw.clone()),
        ]);
        check(&both, data, |secret| assert!(!secret.is_empty()));
        assert_eq!(
            both.load().is_ok(),
            hex.load().is_ok(),
            "what is set and wrong is never passed over"
        );
        match Token::load(&text) {
            Ok(token) => assert_eq!(token.expose().as_bytes(), trimmed(data)),
            Err(error) => untold(&error, data),
        }
    });
}

fn trimmed(data: &[u8]) -> &[u8] {
    let blank = |octet: &u8| matches!(octet, b' ' | b'\t' | b'\r' | b'\n');
    let start = data.iter().position(|octet| !blank(octet)).unwrap_or(data.len());
    let end = data
        .iter()
        .rposition(|octet| !blank(octet))
        .map_or(start, |place| place + 1);
    &data[start..end]
}

fn check(source: &dyn SecretSource, data: &[u8], good: impl FnOnce(Secret)) {
    match source.load() {
        Ok(Some(secret)) => good(secret),
        Ok(None) => panic!("the file is there"),
        Err(error) => untold(&error, data),
    }
}

/// A line of the content long enough to be no word of the message does not stand in it.
fn untold(error: &SecretError, data: &[u8]) {
    let told = format!("{error}{error:?}");
    let folder = FILE.with(|file| file.1.display().to_string());
    let told = told.replace(&folder, "");
    let listed = data
        .iter()
        .take(12)
        .map(u8::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    assert!(data.len() < 12 || !told.contains(&listed), "{told}");
    for line in String::from_utf8_lossy(data).lines().map(str::trim) {
        let alike = "expected 64 to 2048 hexadecimal digits octets found nothing blanks alone token characters random values among";
        let word = line.split(' ').all(|word| alike.contains(word));
        assert!(line.len() < 12 || word || !told.contains(line), "{told}");
    }
}
