//! `notebook_server` in Debian's Chromium, and by a client that is no browser.

use std::{
    cell::OnceCell,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use portcullis_interop::{
    example::{self, Example},
    http::{request, request_with},
    install,
};
use tempfile::TempDir;

/// How long the browser may take for one scenario.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn the_printed_link_leads_a_browser_in_and_other_sites_stay_out() {
    for base in ["/", "/user/alice/"] {
        let mut server = Server::start(&["--base-url", base]);
        let pictures =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(if base == "/" { "root" } else { "below" });
        let link = format!("http://{}{base}?token={}", server.address(), server.token());
        drive("token_link.mjs", &[&link, &pictures.display().to_string()]);
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
fn a_program_comes_in_by_header_and_nobody_else_does() {
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
        ("no credential", "GET", "/api/status", &[], 403),
        (
            "wrong token",
            "GET",
            "/api/status",
            &[("Authorization", "token wrong")],
            403,
        ),
        (
            "foreign host",
            "GET",
            "/api/status",
            &[("Authorization", &*jupyter), ("Host", "example.org")],
            403,
        ),
        (
            "foreign host, open path",
            "GET",
            "/api",
            &[("Host", "example.org")],
            403,
        ),
        (
            "file beside the root",
            "GET",
            "/files/../secret.txt",
            &[("Authorization", &*jupyter)],
            404,
        ),
        (
            "file beside the root, escaped",
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
            stderr.lines().count() == 1 && stderr.contains(expected),
            "{arguments:?} {variables:?}: expected one line that names {expected}, found {stderr:?}"
        );
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
        self.token
            .get_or_init(|| self.process.line_after("token for programs: "))
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

/// Runs a scenario in the browser.
#[track_caller]
fn drive(scenario: &str, arguments: &[&str]) {
    install::browser();
    let script: PathBuf = install::browser_folder().join(scenario);
    let mut node = Command::new("node")
        .arg(script)
        .args(arguments)
        .stdin(Stdio::null())
        .spawn()
        .expect("node runs");
    let ended = example::wait(&mut node, PATIENCE);
    if ended.is_none() {
        let _ = node.kill();
        let _ = node.wait();
    }
    let status =
        ended.unwrap_or_else(|| panic!("expected {scenario} to end within {PATIENCE:?}, it still runs"));
    assert!(
        status.success(),
        "{scenario} ended with {status}: its last line says what was expected and found"
    );
}
