//! `notebook_server` in Debian's Chromium, and by a client that is no browser.

use std::{
    cell::OnceCell,
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use portcullis_interop::{
    browser::drive,
    example::{self, Example},
    http::{Answer, request, request_with},
};
use tempfile::TempDir;

const PASSWORD: &str = "purple tricycle nine";

#[test]
fn a_link_with_the_token_leads_a_browser_in_and_other_sites_stay_out() {
    for base in ["/", "/user/alice/"] {
        let mut server = Server::start(&["--base-url", base]);
        let pictures = pictures(base, "token");
        let link = format!("http://{}{base}?token={}", server.address(), server.token());
        drive("token_link.mjs", &[&link, &pictures]);
        assert!(
            server.process.is_running(),
            "expected the server to outlive what other sites posted"
        );
        let ended = server.process.signal("TERM");
        assert_eq!(
            ended.code(),
            Some(0),
            "expected SIGTERM to end it well, found {ended}"
        );
    }
}

#[test]
fn people_log_in_by_password_and_out_again() {
    let hash = hash(PASSWORD);
    for base in ["/", "/user/alice/"] {
        let token = "a-token-of-ones-own";
        let server = Server::start(&["--base-url", base, "--password-hash", &hash, "--token", token]);
        let pictures = pictures(base, "login");
        drive("login.mjs", &[&server.login, PASSWORD, token, &pictures]);
    }
}

#[test]
fn the_user_who_changes_the_password_stays_logged_in_and_all_others_are_logged_out() {
    let next = "green unicycle ten";
    for base in ["/", "/user/alice/"] {
        let config = tempfile::tempdir().expect("a directory");
        let file = config.path().join("jupyter_server_config.json");
        let settings = serde_json::json!({
            "IdentityProvider": { "hashed_password": hash(PASSWORD) },
            "FileContentsManager": { "delete_to_trash": false },
        });
        fs::write(&file, settings.to_string()).expect("a file");
        let start = || {
            Server::start_with(&["--no-browser", "--base-url", base], |command| {
                command.env("JUPYTER_CONFIG_DIR", config.path());
            })
        };
        let server = start();
        drive(
            "change_password.mjs",
            &[&server.login, PASSWORD, next, &pictures(base, "change")],
        );
        drop(server);
        let written = fs::read_to_string(&file).expect("the file");
        let written: serde_json::Value = serde_json::from_str(&written).expect("JSON");
        assert_eq!(
            written["FileContentsManager"], settings["FileContentsManager"],
            "the rest is left as it is"
        );
        let mode = fs::metadata(&file).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        if base == "/" {
            let server = start();
            let address = server.address();
            assert_eq!(log_in(&address, PASSWORD).status, 401, "after a restart");
            assert_eq!(log_in(&address, next).status, 302, "after a restart");
        }
    }
}

#[test]
fn a_launch_link_opens_one_browser_wherever_it_is_opened() {
    let outer = tempfile::tempdir().expect("a directory");
    let (program, opened) = (outer.path().join("browser"), outer.path().join("opened"));
    // A browser that only writes down the URL that it is started with.
    let script = format!(
        "#!/bin/sh\nprintf '%s' \"$*\" > {0}.new && mv {0}.new {0}\n",
        opened.display()
    );
    fs::write(&program, script).expect("a file");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).expect("a mode");
    for base in ["/", "/user/alice/"] {
        let _ = fs::remove_file(&opened);
        let mut server = Server::start_with(&["--base-url", base], |command| {
            command.env("BROWSER", &program);
        });
        let url = wait_for(|| fs::read_to_string(&opened).ok());
        let page = PathBuf::from(
            url.strip_prefix("file://")
                .expect("a file is opened, and nothing else"),
        );
        assert_eq!(page.parent(), Some(server.runtime.path()));
        let mode = fs::metadata(&page).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "the file is its owner's alone");
        let html = fs::read_to_string(&page).expect("the file");
        assert!(
            !html.contains(server.token()),
            "the lasting token is not in the file"
        );
        assert!(!html.contains(&server.link), "the printed link is another one");

        let home = format!("http://{}{base}", server.address());
        drive("launch_link.mjs", &[&server.link, &url, &home]);
        server.process.signal("TERM");
        assert!(!page.exists(), "the file goes with the server");
    }
}

#[test]
fn a_launch_link_that_was_previewed_is_opened_by_its_button() {
    let server = Server::start(&[]);
    let home = format!("http://{}/", server.address());
    drive(
        "launch_preview.mjs",
        &[&server.link, &home, &pictures("/", "launch")],
    );
}

#[test]
fn without_a_browser_the_server_starts_all_the_same() {
    for browser in ["/nowhere/browser", ""] {
        let server = Server::start_with(&[], |command| {
            command.env("BROWSER", browser);
        });
        assert_eq!(
            request(&server.address(), "GET", "/api", &[]).status,
            200,
            "{browser:?}"
        );
        let left = || fs::read_dir(server.runtime.path()).expect("a directory");
        wait_for(|| {
            let pages = left()
                .flatten()
                .any(|entry| entry.path().extension().is_some_and(|end| end == "html"));
            (!pages).then_some(())
        });
    }
}

#[test]
fn a_password_set_for_jupyter_logs_in_and_no_token_is_made_up() {
    let hash = hash(PASSWORD);
    let config = tempfile::tempdir().expect("a directory");
    let file = config.path().join("jupyter_server_config.json");
    for (flagged, section, name) in [
        (false, "IdentityProvider", "hashed_password"),
        (false, "PasswordIdentityProvider", "hashed_password"),
        (true, "ServerApp", "password"),
    ] {
        let settings = serde_json::json!({ section: { name: hash }, "FileContentsManager": { "delete_to_trash": false } });
        fs::write(&file, settings.to_string()).expect("a file");
        let server = Server::start_with(&["--no-browser"], |command| {
            if flagged {
                command.arg("--config").arg(&file);
            } else {
                command.env("JUPYTER_CONFIG_DIR", config.path());
            }
        });
        let address = server.address();
        for (typed, status) in [("wrong", 401), ("", 401), (PASSWORD, 302)] {
            let answer = log_in(&address, typed);
            assert_eq!(
                answer.status, status,
                "{section}.{name} {typed:?}: {}",
                answer.head
            );
            let first = answer
                .fields("set-cookie")
                .first()
                .copied()
                .unwrap_or_default()
                .to_owned();
            assert_eq!(first.starts_with("username-"), status == 302, "{}", answer.head);
            let cookie = first.split(';').next().unwrap_or_default();
            let inside = request(&address, "GET", "/api/status", &[("Cookie", cookie)]);
            assert_eq!(
                inside.status,
                if status == 302 { 200 } else { 403 },
                "{}",
                inside.head
            );
        }
    }
}

#[test]
fn a_program_is_accepted_by_header_and_no_other_request() {
    let server = Server::start(&[]);
    let (address, token) = (server.address(), server.token());
    let bearer = format!("Bearer {token}");
    let jupyter = format!("token {token}");

    for (claim, method, path, fields, expected) in [
        ("the version is for anyone", "GET", "/api", &[][..], 200),
        (
            "Bearer",
            "GET",
            "/api/status",
            &[("Authorization", &*bearer)],
            200,
        ),
        (
            "token",
            "GET",
            "/api/status",
            &[("Authorization", &*jupyter)],
            200,
        ),
        ("missing credentials", "GET", "/api/status", &[], 403),
        (
            "wrong token",
            "GET",
            "/api/status",
            &[("Authorization", "token wrong")],
            403,
        ),
        (
            "host not allowed",
            "GET",
            "/api/status",
            &[("Authorization", &*jupyter), ("Host", "example.org")],
            403,
        ),
        (
            "host not allowed, open path",
            "GET",
            "/api",
            &[("Host", "example.org")],
            403,
        ),
        (
            "file next to the root",
            "GET",
            "/files/../secret.txt",
            &[("Authorization", &*jupyter)],
            404,
        ),
        (
            "file next to the root, escaped",
            "GET",
            "/files/%2e%2e%2fsecret.txt",
            &[("Authorization", &*jupyter)],
            404,
        ),
        (
            "link out of the root",
            "GET",
            "/files/way-out.txt",
            &[("Authorization", &*jupyter)],
            404,
        ),
        (
            "hidden file",
            "GET",
            "/files/.hidden",
            &[("Authorization", &*jupyter)],
            404,
        ),
        (
            "file",
            "GET",
            "/files/hello.txt",
            &[("Authorization", &*jupyter)],
            200,
        ),
        ("post without credential", "POST", "/api/shutdown", &[], 403),
    ] {
        let answer = request(&address, method, path, fields);
        assert_eq!(
            answer.status, expected,
            "{claim}: {method} {path} answered\n{}\n\n{}",
            answer.head, answer.body
        );
        assert!(
            answer
                .fields("set-cookie")
                .iter()
                .all(|cookie| !cookie.starts_with("username-")),
            "{claim}: {}",
            answer.head
        );
        assert!(
            !answer.body.contains("secret of others"),
            "{claim}: {}",
            answer.body
        );
    }
}

#[test]
fn only_display_fields_of_the_right_form_are_taken() {
    let server = Server::start(&[]);
    let token = format!("token {}", server.token());
    for (body, status, expected) in [
        (
            r#"{"display_name":"A <b>","color":null}"#,
            200,
            r#""display_name":"A <b>""#,
        ),
        (r#"{"name":5}"#, 400, "message"),
        (r#"{"username":"root"}"#, 400, "Field username is not updatable"),
        ("{}", 400, "Invalid or missing JSON body"),
        ("", 400, "Invalid or missing JSON body"),
        ("[]", 400, "Invalid or missing JSON body"),
        ("{", 400, "Invalid JSON in body of request"),
    ] {
        let answer = request_with(
            &server.address(),
            "PATCH",
            "/api/me",
            &[("Authorization", &token)],
            body,
        );
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        assert!(
            answer.body.contains(expected),
            "{body}: expected {expected}, found {}",
            answer.body
        );
        let logins = answer
            .fields("set-cookie")
            .iter()
            .filter(|line| line.starts_with("username-"))
            .count();
        assert_eq!(logins, usize::from(status == 200), "{body}: {}", answer.head);
    }
}

#[test]
fn the_shutdown_request_ends_the_server() {
    let mut server = Server::start(&[]);
    let token = format!("token {}", server.token());
    let answer = request(
        &server.address(),
        "POST",
        "/api/shutdown",
        &[("Authorization", &token)],
    );
    assert_eq!(answer.status, 200, "{}", answer.head);
    assert_eq!(server.process.wait().code(), Some(0));
}

#[test]
fn a_bad_start_is_one_clear_line_and_status_2() {
    let program = Example::build("notebook_server");
    let taken = Server::start(&[]);
    let port = taken
        .address()
        .rsplit_once(':')
        .expect("host and port")
        .1
        .to_owned();
    for (arguments, variables, expected) in [
        (&["--port", "70000"][..], &[][..], "70000"),
        (&["--nonsense"], &[], "--nonsense"),
        (&["--port", &port], &[], "in use"),
        (&["--port", "0", "--base-url", "/a/../b"], &[], "--base-url"),
        (&["--port", "0", "--root-dir", "/nowhere"], &[], "/nowhere"),
        (&["--port", "0", "--token", "two words"], &[], "--token"),
        (&["--port", "0", "--token", ""], &[], "--token"),
        (&["--port", "0", "--allow-host", "a b"], &[], "--allow-host"),
        (
            &["--port", "0", "--allow-origin", "example.org"],
            &[],
            "--allow-origin",
        ),
        (
            &["--port", "0", "--trusted-proxy", "10.0.0.0/99"],
            &[],
            "--trusted-proxy",
        ),
        (
            &["--port", "0", "--password-hash", "argon2:x"],
            &[],
            "--password-hash",
        ),
        (&["--port", "0", "--config", "/nowhere"], &[], "--config /nowhere"),
        (
            &[
                "--port",
                "0",
                "--config",
                concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
            ],
            &[],
            "expected JSON",
        ),
        (
            &["--port", "0", "--cookie-secret-file", "/dev/null"],
            &[],
            "/dev/null",
        ),
        (&["--ip", "192.0.2.1"], &[], "192.0.2.1"),
        (&[], &[("JUPYTER_PORT", "many")], "JUPYTER_PORT"),
        (
            &["--port", "0"],
            &[("JUPYTER_TOKEN", "two words")],
            "JUPYTER_TOKEN",
        ),
        (
            &["--port", "0"],
            &[("JUPYTER_TOKEN_FILE", "/nowhere")],
            "JUPYTER_TOKEN_FILE",
        ),
    ] {
        let runtime = tempfile::tempdir().expect("a directory");
        let mut command = Example::command(&program);
        command
            .env("JUPYTER_RUNTIME_DIR", runtime.path())
            .env("JUPYTER_CONFIG_DIR", runtime.path())
            .args(arguments)
            .envs(variables.iter().copied());
        let (status, stderr) = example::run(command);
        assert_eq!(status.code(), Some(2), "{arguments:?} {variables:?}: {stderr}");
        assert!(
            example::is_clear_error(&stderr) && stderr.contains(expected),
            "{arguments:?} {variables:?}: expected one line that names {expected}, found {stderr:?}"
        );
    }
}

/// The hash that `password hash` makes of `password`.
fn hash(password: &str) -> String {
    let mut command = Example::command(&Example::build("password"));
    let mut child = command
        .arg("hash")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    writeln!(stdin, "{password}").expect("the program reads");
    drop(stdin);
    let output = child.wait_with_output().expect("the program ends");
    assert!(
        output.status.success(),
        "password hash ended with {}",
        output.status
    );
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(
        text.starts_with("argon2:$argon2id$v=19$"),
        "expected a hash, found {text:?}"
    );
    text.trim_end().to_owned()
}

/// The login form, fetched and sent as a browser does.
fn log_in(address: &str, password: &str) -> Answer {
    let page = request(address, "GET", "/login", &[("Accept", "text/html")]);
    let cookie = page
        .fields("set-cookie")
        .first()
        .copied()
        .unwrap_or_default()
        .to_owned();
    let cookie = cookie.split(';').next().unwrap_or_default();
    let xsrf = cookie.strip_prefix("_xsrf=").expect("the form comes with _xsrf");
    let body = format!("_xsrf={xsrf}&password={}", password.replace(' ', "+"));
    let fields = [
        ("Cookie", cookie),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    request_with(address, "POST", "/login", &fields, &body)
}

/// The folder for the pictures of a scenario.
fn pictures(base: &str, scenario: &str) -> String {
    let place = if base == "/" { "root" } else { "below" };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{scenario}-{place}"));
    folder.display().to_string()
}

/// What `look` finds, sooner or later.
#[track_caller]
fn wait_for<T>(look: impl Fn() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "expected something to happen, it did not");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A `notebook_server` at a free port, with some files, and runtime and configuration directories of its own.
struct Server {
    process: Example,
    /// The launch link that it printed.
    link: String,
    /// Its login page.
    login: String,
    token: OnceCell<String>,
    runtime: TempDir,
    _root: TempDir,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, |command| {
            command.arg("--no-browser");
        })
    }

    fn start_with(arguments: &[&str], prepare: impl FnOnce(&mut Command)) -> Self {
        let outer = tempfile::tempdir().expect("a directory");
        let runtime = tempfile::tempdir().expect("a directory");
        let root = outer.path().join("root");
        fill(&root).expect("files are written");
        let mut command = Example::command(&Example::build("notebook_server"));
        command
            .env("JUPYTER_RUNTIME_DIR", runtime.path())
            .env("JUPYTER_CONFIG_DIR", outer.path().join("config"))
            .args(["--port", "0", "--root-dir"])
            .arg(&root)
            .args(arguments);
        prepare(&mut command);
        let process = Example::start("notebook_server", command);
        let opened = process.line_after("open: ");
        let link = opened.split(' ').next().expect("a link").to_owned();
        let login = process.line_after("log in: ");
        Self {
            process,
            link,
            login,
            token: OnceCell::new(),
            runtime,
            _root: outer,
        }
    }

    /// Host and port, as the link has them.
    fn address(&self) -> String {
        let address = self
            .link
            .strip_prefix("http://")
            .and_then(|rest| rest.split('/').next());
        address
            .unwrap_or_else(|| panic!("expected a link, found {:?}", self.link))
            .to_owned()
    }

    /// The token that it made up and printed.
    fn token(&self) -> &str {
        self.token.get_or_init(|| self.process.line_after("API token: "))
    }
}

fn fill(root: &Path) -> std::io::Result<()> {
    fs::create_dir_all(root.join("notes"))?;
    fs::write(root.join("hello.txt"), "hello\n")?;
    fs::write(root.join("notes/today & <tomorrow>.md"), "# Today\n")?;
    fs::write(root.join(".hidden"), "secret of others\n")?;
    fs::write(root.join("../secret.txt"), "secret of others\n")?;
    std::os::unix::fs::symlink("../secret.txt", root.join("way-out.txt"))?;
    // The smallest picture there is.
    fs::write(
        root.join("picture.png"),
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xff\xff\
          ?\0\x05\xfe\x02\xfe\xa75\x81\x84\0\0\0\0IEND\xaeB`\x82",
    )
}
