//! What the example servers print and log: at a terminal, and in a pipe.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use portcullis_interop::{
    example::{self, Example},
    http::{request, request_with},
    install,
};
use tempfile::TempDir;

const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";
/// Of `vector-Pw-123`, at a cost that suits a test.
const HASH: &str = "sha256:0123456789ab:a2299f4a8b632651d71e143fe5a0c65e804243c3febc8c97713e774c8e978705";
const PASSWORD: &str = "purple tricycle nine";

/// An example with what it prints and logs.
struct Server {
    child: Child,
    stdout: mpsc::Receiver<String>,
    stderr: mpsc::Receiver<String>,
    folder: TempDir,
}

impl Server {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let mut command = Example::command(&Example::build(name));
        command
            .env("JUPYTER_RUNTIME_DIR", folder.path().join("runtime"))
            .env("JUPYTER_CONFIG_DIR", folder.path())
            .current_dir(folder.path())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        Self {
            stdout: lines(child.stdout.take().expect("a pipe")),
            stderr: lines(child.stderr.take().expect("a pipe")),
            child,
            folder,
        }
    }

    /// What it prints until it is ready.
    fn printed(&self) -> Vec<String> {
        let mut printed = Vec::new();
        while printed.last().is_none_or(|line| line != "Press Ctrl-C to stop.") {
            printed.push(next(&self.stdout));
        }
        printed
    }

    /// The next line of the log, without its time.
    fn logged(&self) -> String {
        let line = next(&self.stderr);
        let (level, rest) = line.split_once(' ').expect("a level");
        let (time, text) = rest.split_once("] ").expect("a time");
        assert_eq!((time.len(), &time[10..11]), (19, " "), "{line}");
        assert!(
            time.chars().all(|letter| "0123456789-: ".contains(letter)),
            "{line}"
        );
        format!("{level}] {text}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(pipe: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            println!("  | {line}");
            let _ = sender.send(line);
        }
    });
    lines
}

#[track_caller]
fn next(lines: &mpsc::Receiver<String>) -> String {
    let line = lines.recv_timeout(Duration::from_secs(20));
    line.expect("another line")
}

/// The host and port of the server, which prints it first.
fn address(printed: &[String]) -> String {
    let (_, url) = printed[0]
        .split_once(" listens on http://")
        .expect("where it listens");
    url.split('/').next().expect("an address").to_owned()
}

#[test]
fn the_start_says_what_is_served_where_and_how_to_log_in() {
    let server = Server::start("notebook_server", &["--no-browser", "--port", "0"]);
    let printed = server.printed();
    let address = address(&printed);
    let folder = fs::canonicalize(server.folder.path()).expect("a directory");
    let (link, token) = (&printed[4], &printed[7]);
    let expected = [
        format!("notebook_server listens on http://{address}/"),
        format!("serves: the files in {}", folder.display()),
        "hosts: localhost, loopback addresses".to_owned(),
        String::new(),
        link.clone(),
        format!("log in: http://{address}/login"),
        "        later, or in another browser, with the token".to_owned(),
        token.clone(),
        "        in a header, `Authorization: Bearer TOKEN`; the next start has another token".to_owned(),
        String::new(),
        "Press Ctrl-C to stop.".to_owned(),
    ];
    assert_eq!(printed, expected);
    let link = link.strip_prefix("open: ").expect("a link");
    let link = link.strip_suffix("  (logs one browser in, once, within 60 seconds)");
    let target = link.and_then(|link| link.strip_prefix(&format!("http://{address}")));
    let opened = request(
        &address,
        "GET",
        target.expect("a link"),
        &[("Accept", "text/html")],
    );
    assert_eq!(opened.status, 303, "{}", opened.head);
    let token = token.strip_prefix("API token: ").expect("a token");
    let fields = [("Authorization", &*format!("Bearer {token}"))];
    assert_eq!(request(&address, "GET", "/api/status", &fields).status, 200);
}

#[test]
fn the_log_has_a_line_for_each_denial_and_at_debug_one_for_each_request() {
    let password = ["--password-hash", HASH];
    for (flags, debug) in [
        (&[][..], false),
        (&["--debug"], true),
        (&["--log-level", "DEBUG"], true),
    ] {
        let arguments = [&["--no-browser", "--port", "0"], &password[..], flags].concat();
        let server = Server::start("notebook_server", &arguments);
        let address = address(&server.printed());
        let form = request(&address, "GET", "/login", &[]);
        let lines = form.fields("set-cookie");
        let xsrf = lines.iter().find_map(|line| line.strip_prefix("_xsrf="));
        let xsrf = xsrf.and_then(|line| line.split(';').next()).expect("a value");
        let fields = [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Cookie", &*format!("_xsrf={xsrf}")),
        ];
        for password in ["canary-of-a-password", "vector-Pw-123"] {
            let form = format!("_xsrf={xsrf}&password={password}");
            request_with(&address, "POST", "/login?next=/canary", &fields, &form);
        }
        request(&address, "GET", "/api/status?token=canary-of-a-token", &[]);
        let mut expected = vec![
            (true, "[D] 200 GET /login 127.0.0.1 "),
            (
                false,
                "[W] 401 POST /login 127.0.0.1: incorrect username or password",
            ),
            (true, "[D] 401 POST /login 127.0.0.1 "),
            (false, "[W] the hash of the password is weak"),
            (false, "[I] \"anonymous\" logged in from 127.0.0.1"),
            (true, "[D] 302 POST /login 127.0.0.1 "),
            (false, "[I] 401 GET /api/status 127.0.0.1: missing credentials"),
            (true, "[D] 403 GET /api/status 127.0.0.1 "),
        ];
        expected.retain(|(is_debug, _)| debug || !is_debug);
        for (_, expected) in expected {
            let line = server.logged();
            assert!(!line.contains("canary"), "{line}");
            let user = line.split('"').nth(1).filter(|_| line.contains("logged in"));
            let line = user.map_or(line.clone(), |user| line.replacen(user, "anonymous", 1));
            assert!(
                line.starts_with(expected),
                "expected {expected:?}, found {line:?}"
            );
        }
    }
}

#[test]
fn a_level_hides_what_is_below_it() {
    let server = Server::start(
        "gateway",
        &[
            "--no-browser",
            "--port",
            "0",
            "--token",
            TOKEN,
            "--upstream",
            "http://127.0.0.1:9",
            "--log-level",
            "error",
        ],
    );
    let address = address(&server.printed());
    assert_eq!(request(&address, "GET", "/", &[]).status, 401);
    let token = [("Authorization", &*format!("Bearer {TOKEN}"))];
    assert_eq!(request(&address, "GET", "/", &token).status, 502);
    assert!(server.logged().starts_with("[E] cannot forward a request"));
}

#[test]
fn a_terminal_gets_colours_and_a_pipe_none() {
    let program = Example::build("notebook_server");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/type_at_prompts.py");
    for (no_color, coloured) in [("", true), ("1", false)] {
        let folder = tempfile::tempdir().expect("a directory");
        fs::create_dir(folder.path().join("open")).expect("a directory");
        // It warns that Jupyter's tools will not find it.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(folder.path().join("open"), mode).expect("a mode");
        let mut command = Example::command(&install::python().join("python"));
        command
            .args([script, r#"[["Press Ctrl-C", "\u0003"]]"#])
            .arg(&program)
            .args(["--no-browser", "--port", "0", "--cookie-secret-file", "secret"])
            .current_dir(folder.path())
            .env("JUPYTER_RUNTIME_DIR", folder.path().join("open"))
            .env("JUPYTER_CONFIG_DIR", folder.path())
            .env("TERM", "xterm-256color")
            .env("NO_COLOR", no_color);
        let output = command.output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        let yellow = text.contains("\u{1b}[33m[W ") && text.contains("]\u{1b}[0m Jupyter's tools");
        let bold = text.contains("open: \u{1b}[1mhttp://");
        assert_eq!((yellow, bold), (coloured, coloured), "{text:?}");
        assert!(text.contains(" received SIGINT, stopping"), "{text}");
        assert_eq!(text.contains('\u{1b}'), coloured, "{text:?}");
    }
}

#[test]
fn a_wrong_flag_shows_the_usage_and_what_was_meant() {
    for name in [
        "notebook_server",
        "gateway",
        "proxy",
        "mini_hub",
        "server_list",
        "routes",
        "password",
    ] {
        let mut command = Example::command(&Example::build(name));
        command.arg("--halp");
        let (status, stderr) = example::run(command);
        assert_eq!(status.code(), Some(2), "{name}: {stderr}");
        for expected in [
            "error: unexpected argument '--halp' found\n",
            "a similar argument exists: '--help'",
            "Usage: ",
        ] {
            assert!(stderr.contains(expected), "{name}: {stderr}");
        }
    }
}

#[test]
fn the_next_free_port_is_taken_unless_one_was_named() {
    // Another program may have it already.
    let _taken = TcpListener::bind("127.0.0.1:8888");
    let server = Server::start("notebook_server", &["--no-browser"]);
    assert_eq!(server.logged(), "[I] the port 8888 is in use, trying another one");
    let address = address(&server.printed());
    let port: u16 = address
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok())
        .expect("a port");
    assert!((8889..=8938).contains(&port), "{address}");

    for (flags, variable) in [
        (&["--port", "8888"][..], None),
        (&[], Some(("JUPYTER_PORT", "8888"))),
    ] {
        let folder = tempfile::tempdir().expect("a directory");
        let mut command = Example::command(&Example::build("notebook_server"));
        command
            .env("JUPYTER_RUNTIME_DIR", folder.path())
            .env("JUPYTER_CONFIG_DIR", folder.path())
            .envs(variable)
            .args(flags);
        let (status, stderr) = example::run(command);
        let expected =
            "error: cannot listen on 127.0.0.1 port 8888: the port is in use, choose another with --port\n";
        assert_eq!((status.code(), &*stderr), (Some(2), expected));
    }
}

#[test]
fn password_hash_asks_twice_at_a_terminal_without_echo() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/type_at_prompts.py");
    let program = Example::build("password");
    let run = |prompts: &str| {
        let mut command = Command::new(install::python().join("python"));
        command.args([script, prompts]).arg(&program).arg("hash");
        let output = command.output().expect("it runs");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let prompts = format!(r#"[["Enter password: ", "{PASSWORD}"], ["Verify password: ", "{PASSWORD}"]]"#);
    let (status, text) = run(&prompts);
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("argon2:$argon2id$"), "{text}");
    assert!(!text.contains(PASSWORD), "{text}");
    let (status, text) = run(&prompts.replacen(PASSWORD, "another tricycle", 1));
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("error: passwords do not match"), "{text}");
}

#[test]
fn server_list_prints_a_token_only_where_it_logs_in() {
    for (arguments, suffix) in [
        (&["--token", TOKEN][..], format!("?token={TOKEN}")),
        (&["--password-hash", HASH], String::new()),
    ] {
        let server = Server::start(
            "notebook_server",
            &[&["--no-browser", "--port", "0"], arguments].concat(),
        );
        let address = address(&server.printed());
        let mut command = Example::command(&Example::build("server_list"));
        command
            .arg("list")
            .env("JUPYTER_RUNTIME_DIR", server.folder.path().join("runtime"));
        let output = command.output().expect("it runs");
        let folder = fs::canonicalize(server.folder.path()).expect("a directory");
        let expected = format!(
            "Currently running servers:\nhttp://{address}/{suffix} :: {}\n",
            folder.display()
        );
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
}

#[test]
fn errors_are_pages_for_people_and_json_for_programs() {
    let folder = tempfile::tempdir().expect("a directory");
    let hub = folder.path().join("hub.toml");
    let config = format!(
        "bind = [\"127.0.0.1:0\"]\npublic_url = \"http://127.0.0.1:8000/\"\n\
         [[users]]\nname = \"alice\"\npassword = \"{HASH}\"\n"
    );
    fs::write(&hub, config).expect("a file");
    let hub = hub.display().to_string();
    let own = ["--no-browser", "--port", "0", "--token", TOKEN];
    let nothing = "http://127.0.0.1:9";
    for (name, arguments, paths) in [
        (
            "notebook_server",
            own.to_vec(),
            &[("/nowhere", 404), ("/files/nowhere", 404), ("/?dir=nowhere", 404)][..],
        ),
        (
            "gateway",
            [&own[..], &["--upstream", nothing]].concat(),
            &[("/", 502)],
        ),
        ("proxy", vec!["--port", "0", "--api-port", "0"], &[("/", 404)]),
        (
            "proxy",
            vec!["--port", "0", "--api-port", "0", "--default-target", nothing],
            &[("/", 503)],
        ),
        (
            "mini_hub",
            vec!["--config", &hub],
            &[("/hub/nowhere", 404), ("/nowhere", 404)],
        ),
    ] {
        let server = Server::start(name, &arguments);
        let address = address(&server.printed());
        for (path, status) in paths {
            let token = ("Authorization", &*format!("Bearer {TOKEN}"));
            let json = "application/json";
            for (accept, is_page) in [
                ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", true),
                (json, false),
                ("*/*", false),
                ("text/html;q=0, application/json", false),
            ] {
                let fields = [("Accept", accept), token];
                let fields = &fields[..if name == "mini_hub" { 1 } else { 2 }];
                let answer = request(&address, "GET", path, fields);
                let case = format!("{name} {path} {accept}: {} {}", answer.head, answer.body);
                assert_eq!(answer.status, *status, "{case}");
                let media_type = answer.fields("content-type").concat();
                let expected = if is_page { "text/html" } else { json };
                assert!(media_type.starts_with(expected), "{case}");
                if is_page {
                    assert!(
                        answer.body.contains("<a ") && answer.body.contains("</html>"),
                        "{case}"
                    );
                } else {
                    assert!(answer.json()["message"].is_string(), "{case}");
                }
            }
        }
    }
}
