//! Links on the way to a secret file.

use super::*;

#[test]
fn a_link_is_followed_where_that_is_allowed() {
    let folder = folder();
    let path = write(&folder, "target", 0o600);
    let link = folder.path().join("link");
    symlink("secret", &link).expect("linked");
    let source = FileSource::new(&link);
    let kind = SecretErrorKind::Permissions;
    refused(&source, kind, "is a symbolic link, expected a regular file");
    let source = source.follow_symlink();
    assert_eq!(text(&source), "target");
    chmod(&path, 0o640);
    refused(&source, kind, "is readable by its group");
    fs::remove_file(&path).expect("removed");
    let kind = SecretErrorKind::Missing;
    refused(
        &source.clone().or_create(),
        kind,
        "link is a symbolic link to nothing",
    );
    refused(&source, kind, "link is a symbolic link to nothing");
    assert!(!path.exists());
}

#[test]
fn a_mounted_secret_is_a_link_that_all_users_may_read_and_none_may_write() {
    let folder = folder();
    let path = write(&folder, "mounted", 0o644);
    let link = folder.path().join("link");
    symlink("secret", &link).expect("linked");
    let source = FileSource::new(&link).container_secret();
    assert_eq!(text(&source), "mounted");
    for mode in [0o664, 0o646] {
        chmod(&path, mode);
        refused(&source, SecretErrorKind::Permissions, "is writable by");
    }
}

/// Another user than those who run tests.
const OTHER: u32 = 65_533;

/// A link `name` that belongs to another user; `None` where this user cannot make one.
fn foreign_link(target: &str, name: &Path) -> Option<()> {
    symlink(target, name).expect("linked");
    lchown(name, Some(OTHER), Some(OTHER)).ok()
}

#[test]
fn link_of_another_user_is_not_followed_wherever_it_is_on_the_way() {
    let folder = folder();
    chmod(folder.path(), 0o1777);
    let at = |name: &str| folder.path().join(name);
    write(&folder, "of this user", 0o600);
    fs::create_dir(at("data")).expect("made");
    fs::rename(at("secret"), at("data/secret")).expect("moved");
    for (target, name) in [("data/secret", "foreign"), ("data", "foreign-folder")] {
        if foreign_link(target, &at(name)).is_none() {
            return;
        }
    }
    let absolute = at("foreign");
    for (target, name) in [
        ("foreign", "one"),
        ("one", "two"),
        ("data/../two", "three"),
        (absolute.to_str().expect("text"), "four"),
        ("foreign-folder/secret", "five"),
    ] {
        symlink(target, at(name)).expect("linked");
    }
    for name in ["foreign", "one", "two", "three", "four", "five"] {
        for source in [
            FileSource::new(at(name)).follow_symlink(),
            FileSource::new(at(name))
                .container_secret()
                .allow_shared_directory(),
        ] {
            let message = "which belongs to user 65533, expected ";
            refused(&source, SecretErrorKind::Permissions, message);
            let message = "leads over the symbolic link foreign";
            refused(&source, SecretErrorKind::Permissions, message);
        }
    }
}

#[test]
fn own_links_are_followed_to_the_file_as_the_system_does() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    write(&folder, "found", 0o600);
    fs::create_dir_all(at("..2024/deep")).expect("made");
    fs::copy(at("secret"), at("..2024/token")).expect("copied");
    let absolute = at("secret");
    for (target, name) in [
        // As Kubernetes mounts a secret.
        ("..2024", "..data"),
        ("..data/token", "token"),
        ("./secret", "here"),
        ("..2024/deep/../../here", "around"),
        (absolute.to_str().expect("text"), "absolute"),
        ("..2024//token", "twice"),
    ] {
        symlink(target, at(name)).expect("linked");
    }
    for name in ["token", "here", "around", "absolute", "twice"] {
        assert_eq!(
            text(&FileSource::new(at(name)).container_secret()),
            "found",
            "{name}"
        );
    }
    for (target, name, kind, message) in [
        ("round", "round", SecretErrorKind::System, "cannot be opened"),
        (
            "none/secret",
            "nowhere",
            SecretErrorKind::Missing,
            "link to nothing",
        ),
        ("secret/secret", "below", SecretErrorKind::System, "directory"),
        ("..2024", "folder", SecretErrorKind::Permissions, "a directory"),
        (".", "dot", SecretErrorKind::Permissions, "a directory"),
        ("/", "root", SecretErrorKind::Permissions, "a directory"),
    ] {
        symlink(target, at(name)).expect("linked");
        refused(&FileSource::new(at(name)).container_secret(), kind, message);
    }
}

#[cfg(target_os = "linux")]
/// Does `work` as a user whom permissions hold back: another one, if this one is root.
fn as_plain_user<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if rustix::process::geteuid().is_root() {
                let other = rustix::process::Uid::from_raw(OTHER);
                // Of this thread alone, and for good.
                rustix::thread::set_thread_res_uid(other, other, other).expect("root may");
            }
            work()
        });
        thread.join().expect("no panic")
    })
}

#[cfg(target_os = "linux")]
#[test]
fn directory_that_can_only_be_searched_gives_its_secret() {
    let folder = folder();
    let path = write(&folder, "behind", 0o600);
    let _ = std::os::unix::fs::chown(&path, Some(OTHER), Some(OTHER));
    // Only root may list it, neither its owner nor others.
    chmod(folder.path(), 0o311);
    let found = as_plain_user(|| {
        assert!(fs::read_dir(folder.path()).is_err(), "it cannot be listed");
        FileSource::new(&path).load().map(|secret| secret.expect("there"))
    });
    let missing = as_plain_user(|| FileSource::new(folder.path().join("none")).load());
    chmod(folder.path(), 0o711);
    let open = as_plain_user(|| FileSource::new(&path).load().map(|secret| secret.expect("there")));
    chmod(folder.path(), 0o700);
    for found in [found, open] {
        assert_eq!(found.expect("taken").expose_str(), Some("behind"));
    }
    assert!(missing.expect("no error").is_none());
}
