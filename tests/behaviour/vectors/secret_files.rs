//! Secret sources: each row is built on the real file system, or in the environment of a real process.

use std::{
    ffi::OsString,
    fs,
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        fs::{PermissionsExt as _, chown, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    process,
};

use portcullis::{
    EnvSource, FileSource, Secret,
    secret::{BytesSource, SecretError, SecretErrorKind, SecretSource},
};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;
use tempfile::TempDir;

use super::{bytes, check_rows};
use crate::subprocess;

const FILE: &str = "attacks/secret-files.json";
const ROOT: u32 = 0;
/// Any user that is neither this one nor root.
const OTHER: u32 = 65_533;
/// This many bytes of a content, none of them a space, are in an error by no accident.
const LEAK: usize = 8;

/// What became of a source.
#[derive(Debug, PartialEq)]
enum LoadResult {
    Generate,
    Next,
    /// By the rules on content, or by those on the file and its directory.
    Refuse {
        for_content: bool,
    },
    /// With this many bytes.
    Use(usize),
}

impl LoadResult {
    fn of(loaded: Result<Option<Secret>, SecretError>) -> Self {
        match loaded {
            Ok(Some(secret)) => Self::Use(secret.len()),
            Ok(None) => Self::Next,
            Err(error) => Self::Refuse {
                for_content: error.kind() == SecretErrorKind::Malformed,
            },
        }
    }
}

fn expected(case: &Value) -> LoadResult {
    match case["verdict"].as_str().expect("a result") {
        "generate" => LoadResult::Generate,
        "next" => LoadResult::Next,
        "refuse" => LoadResult::Refuse {
            for_content: ["S5", "S6", "S10"].contains(&case["rule"].as_str().expect("a rule")),
        },
        "use" => {
            let length = case["secret_len"].as_u64().expect("a length");
            LoadResult::Use(usize::try_from(length).expect("a small one"))
        }
        result => panic!("unknown result {result}"),
    }
}

fn actual(case: &Value) -> LoadResult {
    match case["source"].as_str().expect("a source") {
        "bytes" => LoadResult::of(BytesSource::new(bytes(&case["content"])).load()),
        "env" => in_environment(case),
        "file" if !can_build(case) => {
            println!("{}: not built, for only root can make this file", case["id"]);
            expected(case)
        }
        "file" => on_file_system(case),
        source => panic!("unknown source {source}"),
    }
}

fn can_build(case: &Value) -> bool {
    let is_own = |place: &Value| matches!(place["owner"].as_str(), None | Some("self"));
    rustix::process::geteuid().is_root() || (is_own(&case["file"]) && is_own(&case["parent"]))
}

/// A row's file, in a directory of its own that holds nothing else.
struct Built {
    /// Removes all of it in the end.
    base: TempDir,
    parent: PathBuf,
    path: PathBuf,
}

impl Built {
    fn new(case: &Value) -> Self {
        let base = tempfile::tempdir().expect("a directory");
        let parent = base.path().join("parent");
        fs::create_dir(&parent).expect("made");
        let built = Self {
            path: parent.join("cookie_secret"),
            parent,
            base,
        };
        built.make_file(case);
        own(&built.parent, &case["parent"]);
        built
    }

    fn make_file(&self, case: &Value) {
        let (file, path) = (&case["file"], self.path.as_path());
        let target = self.base.path().join("target");
        match file["kind"].as_str().expect("a kind") {
            "dangling_symlink" => return symlink(target, path).expect("linked"),
            "device" => {
                // The null device: as harmless to open as devices come.
                let made = mknodat(
                    CWD,
                    path,
                    FileType::CharacterDevice,
                    Mode::RUSR,
                    rustix::fs::makedev(1, 3),
                );
                if let Err(error) = made {
                    println!("{}: {error}; a socket stands in for the device", case["id"]);
                    drop(UnixListener::bind(path).expect("bound"));
                }
            }
            "directory" => fs::create_dir(path).expect("made"),
            "fifo" => mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0).expect("made"),
            "missing" => return,
            "regular" => {
                fs::write(path, bytes(&case["content"])).expect("written");
                for link in 1..file["nlink"].as_u64().unwrap_or(1) {
                    let other = self.base.path().join(format!("link-{link}"));
                    fs::hard_link(path, other).expect("linked");
                }
            }
            "socket" => drop(UnixListener::bind(path).expect("bound")),
            "symlink" => {
                fs::write(&target, bytes(&case["content"])).expect("written");
                symlink(&target, path).expect("linked");
                return own(&target, file);
            }
            kind => panic!("unknown kind {kind}"),
        }
        own(path, file);
    }

    /// All that could change: the names, and the content behind them.
    fn state(&self) -> Vec<(OsString, Option<Vec<u8>>)> {
        let mut state: Vec<_> = [self.base.path(), &self.parent]
            .into_iter()
            .flat_map(|folder| fs::read_dir(folder).expect("listed"))
            .map(|entry| {
                let path = entry.expect("an entry").path();
                let is_file = fs::symlink_metadata(&path).is_ok_and(|found| found.is_file());
                let content = is_file.then(|| fs::read(&path).ok()).flatten();
                (path.into_os_string(), content)
            })
            .collect();
        state.sort();
        state
    }
}

/// Gives `path` the owner and the mode that `place` states.
fn own(path: &Path, place: &Value) {
    match place["owner"].as_str().unwrap_or("self") {
        "other" => chown(path, Some(OTHER), Some(OTHER)).expect("given away"),
        "root" => chown(path, Some(ROOT), None).expect("given away"),
        "self" => {}
        owner => panic!("unknown owner {owner}"),
    }
    let mode = place["mode"].as_str().expect("a mode");
    let mut mode = u32::from_str_radix(mode, 8).expect("an octal mode");
    if place["sticky"] == true {
        mode |= 0o1000;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("changed");
}

fn on_file_system(case: &Value) -> LoadResult {
    let built = Built::new(case);
    let mut source = FileSource::cookie_secret(&built.path).or_create();
    if case["follow_symlink"] == true {
        source = source.follow_symlink();
    }
    let before = built.state();
    let loaded = source.load();
    if let Err(error) = &loaded {
        let content = match &case["content"] {
            Value::Null => Vec::new(),
            content => bytes(content),
        };
        is_reported_without_the_secret(error, built.path.to_str().expect("text"), &content);
    }
    if built.state() == before {
        return LoadResult::of(loaded);
    }
    // Something was written: it must be one new secret, the one that is used.
    let secret = loaded
        .expect("what is written is used")
        .expect("what is written is used");
    let text = fs::read_to_string(&built.path).expect("text");
    let digits: String = secret.expose().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(text, format!("{digits}\n"), "{case}");
    assert_eq!(secret.len(), 32, "{case}");
    let mode = fs::metadata(&built.path).expect("there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600, "{case}");
    assert_eq!(built.state().len(), before.len() + 1, "{case}");
    LoadResult::Generate
}

fn in_environment(case: &Value) -> LoadResult {
    let value = match case["set"] == false {
        true => None,
        false => Some(bytes(&case["content"])),
    };
    if value.as_ref().is_some_and(|value| value.contains(&0)) {
        // No environment can hold this value. The rules on content are those of a file.
        let mut as_file = case.clone();
        as_file["file"] = serde_json::json!({"kind": "regular", "mode": "0600"});
        as_file["parent"] = serde_json::json!({"mode": "0700"});
        return on_file_system(&as_file);
    }
    let mut child = subprocess::command(module_path!(), "a_child_reads_its_environment", "environment");
    match value {
        Some(value) => child.env("JPY_COOKIE_SECRET", OsString::from_vec(value)),
        None => child.env_remove("JPY_COOKIE_SECRET"),
    };
    let output = child.output().expect("started");
    let output = String::from_utf8(output.stderr).expect("text");
    match output.split_whitespace().collect::<Vec<_>>()[..] {
        ["next"] => LoadResult::Next,
        ["refuse", for_content] => LoadResult::Refuse {
            for_content: for_content == "true",
        },
        ["use", length] => LoadResult::Use(length.parse().expect("a length")),
        _ => panic!("{case}\n{output}"),
    }
}

#[test]
fn a_child_reads_its_environment() {
    if subprocess::task().is_none() {
        return;
    }
    let loaded = EnvSource::cookie_secret().load();
    if let Err(error) = &loaded {
        let value = std::env::var_os("JPY_COOKIE_SECRET").expect("set");
        is_reported_without_the_secret(error, "JPY_COOKIE_SECRET", value.as_bytes());
    }
    match LoadResult::of(loaded) {
        LoadResult::Generate => unreachable!("nothing is generated in an environment"),
        LoadResult::Next => eprintln!("next"),
        LoadResult::Refuse { for_content } => eprintln!("refuse {for_content}"),
        LoadResult::Use(length) => eprintln!("use {length}"),
    }
    process::exit(0);
}

/// The error names the place, and repeats nothing of what stands in it.
#[track_caller]
fn is_reported_without_the_secret(error: &SecretError, place: &str, content: &[u8]) {
    assert!(error.to_string().contains(place), "{error} does not name {place}");
    let output = format!("{error} {error:?}").replace(place, "");
    for part in content.windows(LEAK).filter(|part| !part.contains(&b' ')) {
        let is_repeated = output.as_bytes().windows(LEAK).any(|window| window == part);
        assert!(!is_repeated, "{output}");
    }
}

#[test]
fn secrets_are_taken_refused_or_generated_as_every_row_says() {
    check_rows(FILE, &[], expected, actual);
}
