//! Files of the examples that other users may read or write.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
    time::Duration,
};

use portcullis_interop::example::{self, Example, wait};

/// The hash of a password.
const HASH: &str = "argon2:$argon2id$v=19$m=19456,t=2,p=1$++qLoPlZzZtudPKpETT/cw$ohvRqemsCmGIYPNqe8xLPY6KLLjmso+LeE658ib0vmA";

#[test]
fn mini_hub_warns_of_a_configuration_that_others_may_read() {
    let program = Example::build("mini_hub");
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("hub.toml");
    let user = format!("[[users]]\nname = \"alice\"\npassword = \"{HASH}\"\n");
    for (mode, warned) in [(0o600, false), (0o640, true), (0o644, true)] {
        // That address cannot be used, so the start ends by itself.
        let config = format!("bind = [\"192.0.2.1:1\"]\npublic_url = \"http://127.0.0.1:1/\"\n{user}");
        fs::write(&path, config).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        let mut command = Example::command(&program);
        command.arg("--config").arg(&path);
        let (_, stderr) = example::run(command);
        let found = stderr.lines().find(|line| line.starts_with("[W "));
        assert_eq!(found.is_some(), warned, "{mode:04o}: {stderr}");
        if let Some(line) = found {
            let remedy = format!("chmod 600 {}", path.display());
            assert!(
                line.contains(&format!("mode {mode:04o}"))
                    && line.contains(&remedy)
                    && !line.contains("argon2id"),
                "{line}"
            );
        }
    }
}

#[test]
fn a_password_file_that_others_may_write_or_that_is_a_pipe_stops_the_start() {
    let program = Example::build("notebook_server");
    for (make, expected) in [
        ("echo {} > $0 && chmod 666 $0", "chmod 600"),
        ("mkfifo $0", "is a named pipe, expected a regular file"),
    ] {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("jupyter_server_config.json");
        let made = Command::new("sh").args(["-c", make]).arg(&path).status();
        assert!(made.is_ok_and(|status| status.success()));
        let mut command = Example::command(&program);
        command
            .env("JUPYTER_RUNTIME_DIR", folder.path())
            .env("JUPYTER_CONFIG_DIR", folder.path())
            .args(["--port", "0", "--no-browser"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let status = wait(&mut child, Duration::from_secs(20));
        let _ = child.kill();
        let mut stderr = String::new();
        let read = child
            .stderr
            .take()
            .map(|mut pipe| std::io::Read::read_to_string(&mut pipe, &mut stderr));
        assert!(matches!(read, Some(Ok(_))));
        assert_eq!(status.and_then(|status| status.code()), Some(2), "{stderr}");
        assert!(
            stderr.lines().count() == 1 && stderr.contains(expected),
            "{stderr}"
        );
    }
}

#[test]
fn a_secret_that_a_container_mounts_is_refused_by_naming_the_flag_and_taken_with_it() {
    let folder = tempfile::tempdir().expect("a directory");
    // As Kubernetes mounts it: readable by all users, behind a symbolic link.
    let (file, link) = (folder.path().join("..secret"), folder.path().join("secret"));
    let key: String = (0..32_u8).map(|byte| format!("{:02x}", byte * 7 + 3)).collect();
    fs::write(&file, key).expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).expect("a mode");
    std::os::unix::fs::symlink("..secret", &link).expect("a link");
    let hub = folder.path().join("hub.toml");
    let path = link.display();
    let config = format!(
        "bind = [\"127.0.0.1:0\"]\npublic_url = \"http://127.0.0.1:1/\"\ncookie_secret_file = \"{path}\"\n[[users]]\nname = \"alice\"\npassword = \"{HASH}\"\n"
    );
    let server = ["--no-browser", "--port", "0"].map(str::to_owned);
    let upstream = ["--upstream".to_owned(), "http://127.0.0.1:9".to_owned()];
    let cookie = ["--cookie-secret-file".to_owned(), path.to_string()];
    for (name, arguments, has_token) in [
        ("notebook_server", server.to_vec(), true),
        ("notebook_server", [&server[..], &cookie].concat(), false),
        ("gateway", [&server[..], &upstream].concat(), true),
        ("gateway", [&server[..], &upstream, &cookie].concat(), false),
        (
            "mini_hub",
            vec!["--config".to_owned(), hub.display().to_string()],
            false,
        ),
    ] {
        let program = Example::build(name);
        let command = || {
            let mut command = Example::command(&program);
            command
                .env("JUPYTER_RUNTIME_DIR", folder.path())
                .env("JUPYTER_CONFIG_DIR", folder.path())
                .env_remove("JPY_COOKIE_SECRET")
                .envs(has_token.then_some(("JUPYTER_TOKEN_FILE", &link)))
                .args(&arguments);
            command
        };
        fs::write(&hub, &config).expect("a file");
        let (status, stderr) = example::run(command());
        let flag = match name {
            "mini_hub" => "set container_secrets = true",
            _ => "add --container-secrets",
        };
        let case = format!("{name} {arguments:?}: {stderr}");
        assert_eq!(status.code(), Some(2), "{case}");
        assert!(
            stderr.contains("is a symbolic link") && stderr.contains(flag),
            "{case}"
        );

        fs::write(&hub, format!("container_secrets = true\n{config}")).expect("a file");
        let mut taken = command();
        taken.args((name != "mini_hub").then_some("--container-secrets"));
        Example::start(name, taken).line_after(&format!("{name} listens on "));
    }
}
