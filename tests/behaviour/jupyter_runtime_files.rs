//! The files by which Jupyter's tools and this crate's servers find each other.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{self, Command},
};

use portcullis::{
    BaseUrl, PasswordHash, Secret, Token,
    jupyter::{ServerConfig, ServerInfo},
    secret::SecretErrorKind,
};

use crate::secret_scanner::Canary;

fn info() -> ServerInfo {
    let base: BaseUrl = "/user/alice/".parse().expect("a base");
    ServerInfo::new("127.0.0.1:8888".parse().expect("an address"), &base)
}

/// The file of a Jupyter server (2.21.1) with process `pid`.
fn jupyters(pid: u32) -> String {
    format!(
        r#"{{
  "base_url": "/",
  "hostname": "localhost",
  "password": false,
  "pid": {pid},
  "port": 8889,
  "root_dir": "/home/alice",
  "secure": false,
  "sock": "",
  "token": "2d8c6cc8e9a6b5f1d7a4c3e2f1b0a9d8c7b6a5f4e3d2c1b0",
  "url": "http://localhost:8889/",
  "version": "2.21.1"
}}"#
    )
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("a directory")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

/// The number of a process that has ended.
fn dead() -> u32 {
    let mut child = Command::new("true").spawn().expect("started");
    child.wait().expect("ended");
    child.id()
}

#[test]
fn the_file_is_as_jupyter_writes_it_and_its_owners_alone() {
    let folder = tempfile::tempdir().expect("a directory");
    let runtime = folder.path().join("not/there/yet");
    let token = Token::generate();
    let file = info()
        .with_token(token.clone())
        .with_password(true)
        .with_root_dir("/home/alice")
        .with_version("1.2")
        .write(&runtime)
        .expect("written");
    let pid = process::id();
    assert_eq!(file.path(), runtime.join(format!("jpserver-{pid}.json")));
    let expected = format!(
        r#"{{
  "base_url": "/user/alice/",
  "hostname": "127.0.0.1",
  "password": true,
  "pid": {pid},
  "port": 8888,
  "root_dir": "/home/alice",
  "secure": false,
  "sock": "",
  "token": "{}",
  "url": "http://127.0.0.1:8888/user/alice/",
  "version": "1.2"
}}"#,
        token.expose()
    );
    assert_eq!(fs::read_to_string(file.path()).expect("text"), expected);
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o7777;
    assert_eq!((mode(file.path()), mode(&runtime)), (0o600, 0o700));
    assert_eq!(names(&runtime).len(), 1, "nothing else is left there");
}

#[test]
fn the_file_goes_with_its_value() {
    let folder = tempfile::tempdir().expect("a directory");
    let left_by_a_dead_one = folder.path().join(format!("jpserver-{}.json", process::id()));
    fs::write(&left_by_a_dead_one, "old").expect("written");
    let file = info().write(folder.path()).expect("written over the old one");
    assert_eq!(file.path(), left_by_a_dead_one);
    assert_eq!(ServerInfo::list_running(folder.path()).expect("listed").len(), 1);
    drop(file);
    assert_eq!(names(folder.path()), [] as [&str; 0]);
}

#[test]
fn running_servers_are_found_and_what_dead_ones_left_is_removed() {
    let folder = tempfile::tempdir().expect("a directory");
    let write = |name: &str, content: &str| fs::write(folder.path().join(name), content).expect("written");
    let mut alive = Command::new("sleep").arg("60").spawn().expect("started");
    let (dead, running) = (dead(), alive.id());
    write(&format!("jpserver-{running}.json"), &jupyters(running));
    write(&format!("jpserver-{dead}.json"), &jupyters(dead));
    write("jpserver-no-pid.json", r#"{"url": "http://localhost/"}"#);
    // Another program's, or one that is being written.
    write("jpserver-half.json", r#"{"url": "http://loc"#);
    write("jpserver-1-open.html", "<html>");
    write("kernel-1.json", "{}");
    let file = info()
        .with_token(Token::generate())
        .write(folder.path())
        .expect("written");

    let found = ServerInfo::list_running(folder.path()).expect("listed");
    let found: Vec<_> = found
        .iter()
        .map(|server| {
            (
                server.port(),
                server.pid(),
                server.url(),
                server.token().is_some(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (8888, process::id(), "http://127.0.0.1:8888/user/alice/", true),
            (8889, running, "http://localhost:8889/", true),
        ]
    );
    let mut left = vec![
        "jpserver-1-open.html".to_owned(),
        "jpserver-half.json".to_owned(),
        "kernel-1.json".to_owned(),
        format!("jpserver-{running}.json"),
        format!("jpserver-{}.json", process::id()),
    ];
    left.sort();
    assert_eq!(names(folder.path()), left);
    drop(file);
    alive.kill().expect("killed");
    alive.wait().expect("ended");
    assert!(
        ServerInfo::list_running(folder.path())
            .expect("listed")
            .is_empty()
    );
}

#[test]
fn a_server_file_that_others_could_have_written_is_not_trusted() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("jpserver-1.json");
    for (mode, expected) in [(0o600, 1), (0o644, 1), (0o660, 0), (0o606, 0)] {
        fs::write(&path, jupyters(process::id())).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
        let found = ServerInfo::list_running(folder.path()).expect("listed").len();
        assert_eq!((found, path.exists()), (expected, true), "{mode:o}");
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("set");
    for error in [
        ServerInfo::list_running(folder.path()).expect_err("refused"),
        info().write(folder.path()).expect_err("refused"),
    ] {
        assert_eq!(error.kind(), SecretErrorKind::Permissions, "{error}");
        assert!(
            error.to_string().contains("writable by others (mode 0777)"),
            "{error}"
        );
    }
    assert!(
        ServerInfo::list_running(folder.path().join("none"))
            .expect("no server runs")
            .is_empty()
    );
}

#[test]
fn the_token_is_in_the_file_and_the_json_and_not_in_debug() {
    let folder = tempfile::tempdir().expect("a directory");
    let canary = Canary::new("token of a server");
    let info = info().with_token(canary.text().parse().expect("a token"));
    let file = info.write(folder.path()).expect("written");
    let found = ServerInfo::list_running(folder.path()).expect("listed");
    for shown in [format!("{info:?}"), format!("{found:?}"), format!("{file:?}")] {
        assert!(!canary.is_in(&shown), "{shown}");
    }
    let json = found[0].to_json();
    let json = json.expose_str().expect("text");
    assert!(canary.is_in(json) && !json.contains('\n'), "{json}");
    let read = serde_json::from_str::<serde_json::Value>(json).expect("JSON");
    assert_eq!(read["pid"], process::id());
}

#[test]
fn a_password_that_is_written_is_the_owners_alone_and_read_again() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("made").join(ServerConfig::FILE);
    let password = Secret::from("purple tricycle nine");
    let hash = PasswordHash::hash(&password).expect("a good password");
    for before in [None, Some(r#"{"ServerApp":{"port":1,"password":"sha1:a:b"}}"#)] {
        if let Some(before) = before {
            fs::write(&path, before).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
        }
        let mut config = ServerConfig::read(&path).expect("read");
        config.set_password(&hash).expect("no other sections");
        config.write().expect("written");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{before:?}");
        // The lock stays: if a writer removed it, another one could hold the lock of a removed file.
        let lock = format!(".{}.lock", ServerConfig::FILE);
        assert_eq!(
            names(path.parent().expect("a parent")),
            [&*lock, ServerConfig::FILE]
        );

        let read = ServerConfig::read(&path).expect("read");
        assert!(read.warnings().is_empty(), "{:?}", read.warnings());
        let read = read.password().expect("a hash").expect("set");
        assert!(read.verify(&password), "{before:?}");
        let text = fs::read_to_string(&path).expect("text");
        assert_eq!(text.contains("\"port\""), before.is_some(), "{text}");
        assert!(!text.contains("sha1"), "{text}");
    }
}

#[test]
fn a_broken_configuration_is_reported_without_its_content() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join(ServerConfig::FILE);
    for (content, expected) in [
        ("{", "expected JSON"),
        ("[\"secret\"]", "expected a JSON object"),
        (r#"{"a": "secret" "b"}"#, "line 1 column 16"),
        (
            r#"{"IdentityProvider":{"hashed_password":"argon2:$argon2id$secret"}}"#,
            "IdentityProvider.hashed_password: password hash: ",
        ),
        (
            r#"{"ServerApp":{"password":5}}"#,
            "ServerApp.password: expected the text",
        ),
    ] {
        fs::write(&path, content).expect("written");
        let read = ServerConfig::read(&path).and_then(|config| config.password());
        let error = read.expect_err(content);
        assert_eq!(error.kind(), SecretErrorKind::Malformed, "{content}");
        let error = error.to_string();
        assert!(error.contains(expected), "{content}: {error}");
        assert!(
            error.starts_with(&path.display().to_string()) && !error.contains("secret"),
            "{error}"
        );
    }
    for none in [
        "{}",
        r#"{"IdentityProvider":{"hashed_password":""}}"#,
        r#"{"ServerApp":{"password":null}}"#,
    ] {
        fs::write(&path, none).expect("written");
        let config = ServerConfig::read(&path).expect(none);
        assert!(config.password().expect(none).is_none(), "{none}");
        assert!(config.warnings().is_empty(), "{none}");
    }
    let missing = ServerConfig::read(folder.path().join("none.json")).expect("no file, no settings");
    assert!(missing.password().expect("nothing is set").is_none());
}

#[test]
fn the_owner_hears_of_a_weak_hash_and_of_one_that_others_may_read() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join(ServerConfig::FILE);
    // "foobar", of an old Jupyter.
    let hash = "sha1:64a5a8ea5f80:e4b0e2c9a3e9b0e2c9a3e9b0e2c9a3e9b0e2c9a3";
    fs::write(&path, format!(r#"{{"ServerApp":{{"password":"{hash}"}}}}"#)).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
    let config = ServerConfig::read(&path).expect("read");
    let warnings = config.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0].contains("ServerApp.password: the hash is weak"),
        "{warnings:?}"
    );
    assert!(
        warnings[1].contains("mode 0644") && !warnings.concat().contains(hash),
        "{warnings:?}"
    );
    assert_eq!(format!("{config:?}"), "ServerConfig");
}
