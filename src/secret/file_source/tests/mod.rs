//! A secret file as it is found, refused, made and handed over.

mod links;

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, lchown, symlink},
};

use tempfile::TempDir;

use super::*;
use crate::secret::SecretErrorKind;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

/// A file of this content and mode in `folder`.
fn write(folder: &TempDir, content: &str, mode: u32) -> PathBuf {
    let path = folder.path().join("secret");
    fs::write(&path, content).expect("written");
    chmod(&path, mode);
    path
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("changed");
}

#[track_caller]
fn text(source: &FileSource) -> String {
    let secret = source.load().expect("taken").expect("there");
    secret.expose_str().expect("text").to_owned()
}

#[track_caller]
fn refused(source: &FileSource, kind: SecretErrorKind, message: &str) {
    let error = source.load().expect_err("refused");
    let found = error.to_string();
    assert!(found.contains(message), "{found:?} does not say {message:?}");
    assert_eq!(error.kind(), kind, "{found}");
}

#[test]
fn a_missing_file_or_directory_has_nothing() {
    let folder = folder();
    for path in ["missing", "no/such/directory"] {
        let path = folder.path().join(path);
        assert!(FileSource::new(path).load().expect("no error").is_none());
    }
    assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 0);
}

#[test]
fn the_error_names_the_file_and_the_rule_and_not_the_content() {
    let folder = folder();
    let path = write(&folder, "canary", 0o644);
    let error = FileSource::cookie_secret(&path).load().expect_err("refused");
    assert_eq!(
        error.to_string(),
        format!(
            "cookie secret file {} is readable by others (mode 0644), expected 0600",
            path.display()
        ),
        "what it holds is no key, so no setter would help"
    );
    chmod(&path, 0o600);
    let error = FileSource::cookie_secret(&path).load().expect_err("refused");
    assert_eq!(
        error.to_string(),
        format!(
            "cookie secret file {}: expected 64 to 2048 hexadecimal digits, found 6 bytes, and the one at \
             place 3 is no such digit",
            path.display()
        )
    );
    assert!(!format!("{error:?}").contains("canary"));
}

#[test]
fn the_refusal_of_a_file_that_a_container_mounts_names_the_setter_that_takes_it() {
    const SETTER: &str = "container_secret";
    let folder = folder();
    let path = write(&folder, "a mounted secret", 0o444);
    // As Kubernetes mounts it: `token` leads to `..data/token`, and `..data` to the present version.
    fs::create_dir(folder.path().join("..version")).expect("made");
    fs::rename(&path, folder.path().join("..version/token")).expect("moved");
    symlink("..version", folder.path().join("..data")).expect("linked");
    let link = folder.path().join("token");
    symlink("..data/token", &link).expect("linked");
    let kind = SecretErrorKind::Permissions;
    let source = FileSource::new(&link);
    refused(&source, kind, SETTER);
    refused(&source.clone().follow_symlink(), kind, SETTER);
    refused(&FileSource::new(folder.path().join("..data/token")), kind, SETTER);
    assert_eq!(text(&source.clone().container_secret()), "a mounted secret");

    // It is no remedy for a file that others may write, nor for one that is deleted.
    chmod(&link, 0o666);
    for source in [
        source.clone(),
        source.clone().container_secret(),
        source.delete_after_read(),
    ] {
        let error = source.load().expect_err("refused").to_string();
        assert!(!error.contains(SETTER), "{error}");
    }
}

#[test]
fn the_group_may_read_where_that_is_allowed_and_others_may_not() {
    let folder = folder();
    let path = write(&folder, "shared", 0o640);
    let source = FileSource::new(&path);
    let kind = SecretErrorKind::Permissions;
    refused(
        &source,
        kind,
        "is readable by its group (mode 0640), expected 0600",
    );
    assert_eq!(text(&source.clone().allow_group_read()), "shared");
    chmod(&path, 0o644);
    let source = source.allow_group_read();
    refused(&source, kind, "is readable by others (mode 0644), expected 0640");
}

#[test]
fn a_directory_others_may_write_is_taken_where_that_is_allowed() {
    let folder = folder();
    let path = write(&folder, "shared", 0o600);
    let source = FileSource::new(&path);
    chmod(folder.path(), 0o770);
    let message = format!(
        "secret lies in {}, which is writable by its group (mode 0770), expected 0750",
        folder.path().display()
    );
    refused(&source, SecretErrorKind::Permissions, &message);
    assert_eq!(text(&source.clone().allow_shared_directory()), "shared");
    chmod(folder.path(), 0o1777);
    assert_eq!(text(&source), "shared");
}

#[test]
fn a_key_taken_as_it_is_keeps_its_line_end() {
    let folder = folder();
    let content = "dGhpcyBpcyBub3QgYSByZWFsIHNlY3JldCwgMzIgYnl0ZXM=\n";
    let path = write(&folder, content, 0o600);
    assert_eq!(text(&FileSource::cookie_secret(&path).raw()), content);
}

#[test]
fn four_thousand_and_ninety_six_bytes_are_read_and_no_more() {
    let folder = folder();
    let path = write(&folder, &"x".repeat(4096), 0o600);
    let source = FileSource::new(&path);
    assert_eq!(text(&source).len(), 4096);
    fs::write(&path, "x".repeat(4097)).expect("written");
    refused(
        &source,
        SecretErrorKind::Malformed,
        "expected at most 4096 bytes, found more",
    );
}

#[test]
fn a_missing_file_is_created_once_and_read_from_then_on() {
    let folder = folder();
    let path = folder.path().join("cookie_secret");
    let source = FileSource::cookie_secret(&path).or_create();
    let created = source.load().expect("created").expect("there");
    assert_eq!(created.len(), 32);
    assert!(created == source.load().expect("read").expect("there"));
    let as_text = text(&FileSource::new(&path));
    assert_eq!(as_text.len(), 64);
}

#[test]
fn a_file_that_is_refused_is_never_replaced() {
    let folder = folder();
    for (content, mode) in [("", 0o600), ("changeme", 0o600), (&*"ab".repeat(32), 0o644)] {
        let path = write(&folder, content, mode);
        FileSource::cookie_secret(&path)
            .or_create()
            .load()
            .expect_err("refused");
        assert_eq!(fs::read_to_string(&path).expect("text"), content);
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1);
    }
}

#[test]
fn no_directory_is_created() {
    let folder = folder();
    let path = folder.path().join("missing/secret");
    let source = FileSource::cookie_secret(path).or_create();
    refused(
        &source,
        SecretErrorKind::System,
        "has no directory to be created in",
    );
}

#[test]
fn a_killed_creators_second_name_does_not_stop_the_next_start() {
    let folder = folder();
    let path = write(&folder, "whole", 0o600);
    let left = folder.path().join(".secret-00112233445566778899aabbccddeeff.new");
    fs::hard_link(&path, &left).expect("linked");
    assert_eq!(text(&FileSource::new(&path)), "whole");
    assert!(!left.exists());
    fs::hard_link(&path, folder.path().join("copy")).expect("linked");
    refused(
        &FileSource::new(&path),
        SecretErrorKind::Permissions,
        "has 2 hard links, expected one",
    );
}

#[test]
fn a_handed_over_file_is_deleted_once_it_was_found_good() {
    let folder = folder();
    let path = write(&folder, "", 0o600);
    let source = FileSource::new(&path).delete_after_read();
    refused(
        &source,
        SecretErrorKind::Malformed,
        "expected a text, found nothing",
    );
    fs::write(&path, "handover\n").expect("written");
    chmod(&path, 0o604);
    refused(&source, SecretErrorKind::Permissions, "is readable by others");
    assert!(path.exists());
    chmod(&path, 0o600);
    assert_eq!(text(&source), "handover");
    assert!(!path.exists());
    assert!(source.load().expect("no error").is_none());
}

#[test]
fn a_handed_over_file_behind_a_link_is_refused_and_stays() {
    let folder = folder();
    let path = write(&folder, "handover", 0o600);
    let link = folder.path().join("link");
    symlink("secret", &link).expect("linked");
    let source = FileSource::new(&link).follow_symlink().delete_after_read();
    refused(&source, SecretErrorKind::Permissions, "is a symbolic link");
    assert!(path.exists() && link.exists());
}

#[test]
fn a_file_that_was_exchanged_while_it_was_read_is_not_deleted() {
    let folder = folder();
    let path = write(&folder, "first", 0o600);
    let directory = Directory::open(folder.path(), AllowedPermissions::default())
        .expect("good")
        .expect("there");
    let name = OsStr::new("secret");
    let read = directory.status_of(name).expect("looked at").expect("there");
    fs::rename(&path, folder.path().join("aside")).expect("moved");
    let gone = directory.remove(name, &read).expect_err("refused").of("file");
    assert_eq!(gone.to_string(), "file was removed by another while it was read");
    write(&folder, "second", 0o600);
    let replaced = directory.remove(name, &read).expect_err("refused").of("file");
    assert_eq!(
        replaced.to_string(),
        "file was replaced by another file while it was read"
    );
    assert!(path.exists());
}

#[test]
fn a_variable_that_names_a_file_promises_a_secret() {
    let folder = folder();
    let path = write(&folder, "abc123\n", 0o600);
    let source = FileSource::jupyter_token();
    let load = |value: &str| source.load_from("JUPYTER_TOKEN_FILE", Some(value.into()));

    let nothing = source.load_from("JUPYTER_TOKEN_FILE", None).expect("no error");
    assert!(nothing.is_none());
    assert!(load("").expect("no error").is_none());
    let token = load(&format!("{} \n", path.display()))
        .expect("taken")
        .expect("there");
    assert_eq!(token.expose(), b"abc123");

    let whitespace = load("  ").expect_err("refused");
    assert_eq!(
        whitespace.to_string(),
        "variable JUPYTER_TOKEN_FILE: expected a path, found only whitespace"
    );
    let place = format!("token file {} (named by JUPYTER_TOKEN_FILE)", path.display());
    fs::write(&path, "\n").expect("written");
    let empty = load(path.to_str().expect("text")).expect_err("refused");
    assert_eq!(
        empty.to_string(),
        format!("{place}: expected a text, found only whitespace")
    );
    fs::remove_file(&path).expect("removed");
    let missing = load(path.to_str().expect("text")).expect_err("refused");
    assert_eq!(missing.to_string(), format!("{place} does not exist"));
    assert_eq!(missing.kind(), SecretErrorKind::Missing);
}

#[test]
fn a_path_that_names_no_file_is_a_directory() {
    for path in ["", "/", ".", ".."] {
        let source = FileSource::new(path).allow_shared_directory().or_create();
        refused(
            &source,
            SecretErrorKind::Permissions,
            "is a directory, expected a regular file",
        );
    }
    assert_eq!(split(Path::new("secret")), (Path::new("."), OsStr::new("secret")));
    assert_eq!(
        split(Path::new("a/b/secret")),
        (Path::new("a/b"), OsStr::new("secret"))
    );
}

#[test]
fn a_pipe_does_not_hold_up_the_start() {
    let folder = folder();
    let path = folder.path().join("pipe");
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600));
    rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).expect("made");
    refused(
        &FileSource::new(&path),
        SecretErrorKind::Permissions,
        "is a named pipe, expected a regular file",
    );
}
