//! `notebook_server`, `password` and `server_list` with Jupyter's own tools, servers and clients.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use portcullis_interop::{
    example::Example,
    http::{Answer, request, request_with},
    install::{self, progress},
    jupyter_server::{Ended, Home, JupyterServer, free_port},
};
use serde_json::Value;

const PASSWORD: &str = "purple tricycle nine";
const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

#[test]
fn jupyter_lists_and_stops_a_server_with_a_token() {
    for (arguments, configured) in [
        (&[][..], false),
        (&["--token", TOKEN, "--base-url", "/user/alice/"], true),
    ] {
        let home = Home::new();
        let mut server = NotebookServer::start(&home, 0, arguments);
        let token = match configured {
            true => TOKEN.to_owned(),
            false => server.process.line_after("API token: "),
        };
        let base = if configured { "/user/alice/" } else { "/" };
        let url = format!("http://{}{base}", server.address);

        let listed = jupyter(&home, &["server", "list"]).well();
        let line = format!("{url}?token={token} :: {}", home.notebooks().display());
        assert!(
            listed.lines().any(|listed| listed == line),
            "expected {line:?}, found {listed:?}"
        );
        let listed = json_lines(&jupyter(&home, &["server", "list", "--json"]).well());
        let [listed] = &*listed else {
            panic!("expected one server, found {listed:?}");
        };
        assert_eq!(
            (&listed["url"], &listed["pid"]),
            (&url.into(), &server.process.id().into())
        );
        assert_eq!(listed["base_url"], base);

        stop_by_jupyter(&home, &mut server);
    }
}

#[test]
fn jupyter_lists_and_stops_a_server_with_a_password_only() {
    let home = Home::new();
    let hash = hash(&home, PASSWORD, "argon2");
    let mut server = NotebookServer::start(&home, 0, &["--password-hash", &hash]);
    let listed = json_lines(&jupyter(&home, &["server", "list", "--json"]).well());
    assert_eq!(listed[0]["password"], true);
    let token = listed[0]["token"].as_str().expect("a token").to_owned();

    progress("the token that stops the server opens nothing else");
    let authorization = format!("token {token}");
    for (method, path) in [
        ("GET", "/api/status"),
        ("GET", "/api/me"),
        ("PATCH", "/api/me"),
        ("GET", "/api/shutdown"),
        ("GET", "/files/notes.txt"),
        ("GET", "/"),
        ("POST", "/"),
        ("POST", "/api/shutdown/"),
    ] {
        let answer = request(
            &server.address,
            method,
            path,
            &[("Authorization", &authorization)],
        );
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.head);
        assert!(
            answer
                .fields("set-cookie")
                .iter()
                .all(|cookie| !cookie.starts_with("username-"))
        );
    }
    for path in [format!("/?token={token}"), format!("/api/status?token={token}")] {
        let answer = request(&server.address, "GET", &path, &[("Accept", "text/html")]);
        assert_ne!(answer.status, 200, "{path}: {}", answer.head);
    }
    assert_eq!(log_in(&server.address, &token).status, 401, "it is no password");
    assert_eq!(log_in(&server.address, PASSWORD).status, 302);
    let refused = request(&server.address, "POST", "/api/shutdown", &[]);
    assert_eq!(refused.status, 403, "{}", refused.head);

    stop_by_jupyter(&home, &mut server);
}

#[test]
fn server_list_finds_and_stops_a_real_server_and_the_example() {
    let home = Home::new();
    let program = Example::build("server_list");
    assert_eq!(
        home.run(&program, &["list"]).well(),
        "Currently running servers:\n"
    );
    assert_eq!(home.run(&program, &["list", "--json"]).well(), "");
    let none = home.run(&program, &["stop", "8888"]);
    assert_eq!(none.status.code(), Some(2));
    assert_eq!(
        none.errors,
        "error: expected a server at port 8888, found none at all\n"
    );

    let port = free_port();
    let token = format!("--IdentityProvider.token={TOKEN}");
    let mut theirs = JupyterServer::start(&home, port, &[&token]);
    let mut ours = NotebookServer::start(&home, 0, &["--raw-cookie-secret"]);
    let their_file = home
        .runtime()
        .join(format!("jpserver-{}.json", theirs.process.id()));
    assert!(their_file.exists());
    let dead = home.runtime().join("jpserver-999999999.json");
    let mut left: Value =
        serde_json::from_str(&fs::read_to_string(&their_file).expect("text")).expect("JSON");
    left["pid"] = 999_999_999.into();
    fs::write(&dead, left.to_string()).expect("written");

    let listed = home.run(&program, &["list"]).well();
    let line = format!(
        "http://127.0.0.1:{port}/?token={TOKEN} :: {}",
        home.notebooks().display()
    );
    assert!(
        listed.lines().any(|listed| listed == line),
        "expected {line:?}, found {listed:?}"
    );
    assert!(!dead.exists(), "what a dead server left is removed");
    assert_eq!(listed.lines().count(), 3, "{listed}");
    // Both read both files alike.
    let mut by_us = json_lines(&home.run(&program, &["list", "--json"]).well());
    let mut by_them = json_lines(&jupyter(&home, &["server", "list", "--json"]).well());
    by_us.sort_by_key(|server| server["port"].as_u64());
    by_them.sort_by_key(|server| server["port"].as_u64());
    assert_eq!(by_us, by_them);

    let other = home.run(&program, &["stop", "1"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(
        other.errors.contains(&port.to_string()) && other.errors.lines().count() == 1,
        "{other:?}"
    );

    let stopping = home.start(&program, &["stop", &port.to_string()]);
    assert_eq!(theirs.process.wait().code(), Some(0), "it ends by itself");
    assert_eq!(
        stopping.ended().well(),
        format!("stopped http://127.0.0.1:{port}/\n")
    );
    assert!(!their_file.exists());

    let stopping = home.start(&program, &["stop", ours.port()]);
    assert_eq!(ours.process.wait().code(), Some(0));
    assert_eq!(
        stopping.ended().well(),
        format!("stopped http://{}/\n", ours.address)
    );
    assert_eq!(
        home.run(&program, &["list"]).well(),
        "Currently running servers:\n"
    );
}

#[test]
fn a_killed_server_is_not_listed_and_an_ended_one_leaves_no_file() {
    let home = Home::new();
    for (signal, left) in [("TERM", 0), ("INT", 0), ("KILL", 1)] {
        let mut server = NotebookServer::start(&home, 0, &[]);
        let file = home
            .runtime()
            .join(format!("jpserver-{}.json", server.process.id()));
        let mode = fs::metadata(&file).expect("the file").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        server.process.signal(signal);
        assert_eq!(files(&home), left, "after {signal}");
    }
    assert_eq!(jupyter(&home, &["server", "list", "--json"]).well(), "");
    assert_eq!(files(&home), 0, "Jupyter removes what a killed server left");
}

#[test]
fn a_server_whose_file_cannot_be_written_serves_all_the_same() {
    let home = Home::new();
    fs::create_dir(home.runtime()).expect("a directory");
    fs::set_permissions(home.runtime(), fs::Permissions::from_mode(0o777)).expect("a mode");
    let secret = home.notebooks().join("secret");
    let server = NotebookServer::start(&home, 0, &["--cookie-secret-file", &secret.display().to_string()]);
    assert_eq!(request(&server.address, "GET", "/api", &[]).status, 200);
    assert_eq!(fs::read_dir(home.runtime()).expect("a directory").count(), 0);
}

#[test]
fn jupyterlabs_client_is_served_by_token_and_refused_without() {
    let home = Home::new();
    install::node();
    for base in ["/", "/user/alice/"] {
        let mut server = NotebookServer::start(&home, 0, &["--token", TOKEN, "--base-url", base]);
        let url = format!("http://{}{base}", server.address);
        let mut command = home.command(Path::new("node"));
        command.arg(peers().join("services.cjs")).args([&*url, TOKEN]);
        progress(&format!("@jupyterlab/services against {url}"));
        let (status, errors) = portcullis_interop::example::run(command);
        assert!(status.success(), "{errors}");
        assert!(server.process.is_running(), "no other program stopped it");
    }
}

#[test]
fn a_jupyter_server_uses_the_kernels_of_the_example_as_its_gateway() {
    let home = Home::new();
    let ours = NotebookServer::start(&home, 0, &["--token", TOKEN]);
    let gateway = format!("--gateway-url=http://{}", ours.address);
    let authorization = format!("token {TOKEN}");
    for (gateway_token, expected) in [(TOKEN, true), ("wrong", false)] {
        let gateway_token = format!("--GatewayClient.auth_token={gateway_token}");
        let own_token = format!("--IdentityProvider.token={TOKEN}");
        let theirs = JupyterServer::start(&home, free_port(), &[&gateway, &gateway_token, &own_token]);
        let specs = request(
            &theirs.address,
            "GET",
            "/api/kernelspecs",
            &[("Authorization", &authorization)],
        );
        // Its own would be Python's, which is installed with it.
        let empty = specs.body.contains(r#""kernelspecs": {}"#) || specs.body.contains(r#""kernelspecs":{}"#);
        assert_eq!((specs.status == 200, empty), (expected, expected), "{specs:?}");
    }
}

#[test]
fn a_password_that_jupyter_set_is_accepted_by_the_example() {
    let home = Home::new();
    let jupyter = install::python().join("jupyter");
    type_at(
        &home,
        &[("Enter password: ", PASSWORD), ("Verify password: ", PASSWORD)],
        &[&jupyter.display().to_string(), "server", "password"],
    );
    let file = home.config().join("jupyter_server_config.json");
    let file = file.display().to_string();
    let other = Home::new();
    for (home, arguments) in [(&home, &[][..]), (&other, &["--config", &file])] {
        let server = NotebookServer::start(home, 0, arguments);
        logs_in(&server.address);
    }
}

#[test]
fn a_password_that_the_example_set_is_accepted_by_jupyter_and_the_example() {
    let home = Home::new();
    let password = Example::build("password").display().to_string();
    fs::create_dir(home.config()).expect("a directory");
    let file = home.config().join("jupyter_server_config.json");
    fs::write(&file, r#"{"ServerApp": {"shutdown_no_activity_timeout": 3600}}"#).expect("written");
    type_at(
        &home,
        &[("Enter password: ", PASSWORD), ("Verify password: ", PASSWORD)],
        &[&password, "set"],
    );
    let settings: Value = serde_json::from_str(&fs::read_to_string(&file).expect("text")).expect("JSON");
    assert_eq!(
        settings["ServerApp"]["shutdown_no_activity_timeout"], 3600,
        "what was there stays"
    );
    logs_in(&JupyterServer::start(&home, free_port(), &[]).address);
    logs_in(&NotebookServer::start(&home, 0, &["--raw-cookie-secret"]).address);
}

#[test]
fn hashes_of_older_jupyters_log_in() {
    let home = Home::new();
    for algorithm in ["sha1", "sha256", "sha512"] {
        let hash = hash(&home, PASSWORD, algorithm);
        assert!(hash.starts_with(&format!("{algorithm}:")), "{hash}");
        let server = NotebookServer::start(&home, 0, &["--password-hash", &hash]);
        logs_in(&server.address);
    }
}

#[test]
fn login_cookies_are_valid_at_a_jupyter_server_and_at_the_example() {
    let home = Home::new();
    let hash = hash(&home, PASSWORD, "argon2");
    let secret = home.runtime().join("jupyter_cookie_secret");
    let port = free_port();
    let start_theirs = || {
        let hash = format!("--PasswordIdentityProvider.hashed_password={hash}");
        JupyterServer::start(&home, port, &[&hash])
    };
    let start_ours = |hash: &str| {
        let secret = secret.display().to_string();
        let arguments = [
            "--password-hash",
            hash,
            "--raw-cookie-secret",
            "--cookie-secret-file",
            &secret,
        ];
        NotebookServer::start(&home, port, &arguments)
    };

    let mut theirs = start_theirs();
    let their_cookie = cookie(&log_in(&theirs.address, PASSWORD));
    let their_name = username(&theirs.address, &their_cookie).expect("logged in");
    theirs.process.signal("TERM");

    let mut ours = start_ours(&hash);
    progress("a cookie of Jupyter Server at the example");
    assert_eq!(username(&ours.address, &their_cookie), Some(their_name));
    let last = their_cookie
        .trim_end_matches('"')
        .chars()
        .next_back()
        .expect("a character");
    let forged = their_cookie.replacen(&format!("{last}"), if last == '0' { "1" } else { "0" }, 1);
    let changed = their_cookie
        .trim_end_matches('"')
        .strip_suffix(last)
        .expect("its end")
        .to_owned()
        + "x";
    for changed in [forged, changed] {
        assert_eq!(username(&ours.address, &changed), None, "{changed}");
    }
    let our_cookie = cookie(&log_in(&ours.address, PASSWORD));
    let our_name = username(&ours.address, &our_cookie).expect("logged in");
    ours.process.signal("TERM");

    let mut theirs = start_theirs();
    progress("a cookie of the example at Jupyter Server");
    assert_eq!(username(&theirs.address, &our_cookie), Some(our_name));
    theirs.process.signal("TERM");

    let ours = start_ours(&self::hash(&home, "another one, and longer", "argon2"));
    progress("no cookie outlives the password");
    for cookie in [&their_cookie, &our_cookie] {
        assert_eq!(username(&ours.address, cookie), None);
    }
}

/// A `notebook_server` that opens no browser.
struct NotebookServer {
    process: Example,
    /// Host and port.
    address: String,
}

impl NotebookServer {
    #[track_caller]
    fn start(home: &Home, port: u16, arguments: &[&str]) -> Self {
        let mut command = home.command(&Example::build("notebook_server"));
        command
            .args(["--no-browser", "--port", &port.to_string(), "--root-dir"])
            .arg(home.notebooks())
            .args(arguments);
        let process = Example::start("notebook_server", command);
        let url = process.line_after("notebook_server listens on http://");
        let address = url.split('/').next().expect("host and port").to_owned();
        // Its last line but the token: it is ready.
        process.line_after("log in: ");
        Self { process, address }
    }

    fn port(&self) -> &str {
        self.address.rsplit_once(':').expect("host and port").1
    }
}

/// Has Jupyter's own tool stop `server`.
#[track_caller]
fn stop_by_jupyter(home: &Home, server: &mut NotebookServer) {
    let jupyter = install::python().join("jupyter");
    let stopping = home.start(&jupyter, &["server", "stop", server.port()]);
    // At once, and not because it was killed in the end.
    assert_eq!(
        server.process.wait().code(),
        Some(0),
        "expected it to end by itself"
    );
    stopping.ended().well();
    assert_eq!(files(home), 0, "expected its file to go with it");
}

/// The number of files of running servers in the runtime directory.
fn files(home: &Home) -> usize {
    let entries = fs::read_dir(home.runtime()).expect("a directory").flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("jpserver-"))
        .count()
}

#[track_caller]
fn jupyter(home: &Home, arguments: &[&str]) -> Ended {
    home.run(&install::python().join("jupyter"), arguments)
}

fn json_lines(text: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
    text.lines().map(parse).collect()
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// The hash that Jupyter makes of `password`.
fn hash(home: &Home, password: &str, algorithm: &str) -> String {
    let script = "import sys; from jupyter_server.auth import passwd; print(passwd(*sys.argv[1:]))";
    let python = install::python().join("python");
    let hash = home.run(&python, &["-c", script, password, algorithm]).well();
    hash.trim_end().to_owned()
}

/// Runs a program at a terminal and answers its prompts.
#[track_caller]
fn type_at(home: &Home, prompts: &[(&str, &str)], command: &[&str]) {
    let script = peers().join("type_at_prompts.py").display().to_string();
    let prompts = serde_json::to_string(prompts).expect("texts are JSON");
    let arguments = [&[&*script, &*prompts], command].concat();
    home.run(&install::python().join("python"), &arguments).well();
}

/// A wrong password is rejected, the right one accepted, and without one there is no access.
#[track_caller]
fn logs_in(address: &str) {
    progress(&format!("logging in by form at {address}"));
    assert_eq!(log_in(address, "wrong").status, 401);
    let answer = log_in(address, PASSWORD);
    assert_eq!(answer.status, 302, "{}", answer.head);
    assert!(username(address, &cookie(&answer)).is_some());
    assert_eq!(username(address, ""), None);
}

#[test]
fn permissions_are_returned_as_by_a_jupyter_server() {
    let home = Home::new();
    let ours = NotebookServer::start(&home, 0, &["--token", TOKEN]);
    let token = format!("--IdentityProvider.token={TOKEN}");
    let jupyter = JupyterServer::start(&home, free_port(), &[&token]);
    let authorization = format!("token {TOKEN}");
    for query in [
        "",
        "?permissions=",
        "?permissions={}",
        r#"?permissions={"contents":["read","write"],"kernels":["execute"],"x":[]}"#,
        r#"?permissions={"updatable_fields":["read"]}"#,
        r#"?permissions={"a":["read"]}&permissions={"b":["read"]}"#,
        "?permissions=[]",
        "?permissions={",
        r#"?permissions={"contents":"read"}"#,
        r#"?permissions={"contents":[1]}"#,
        "?permissions=null",
    ] {
        let query: String = query
            .chars()
            .map(|sign| match sign {
                '{' | '}' | '"' | '[' | ']' => format!("%{:02X}", u32::from(sign)),
                sign => sign.to_string(),
            })
            .collect();
        let path = format!("/api/me{query}");
        let answers = [&ours.address, &jupyter.address].map(|address| {
            let answer = request(address, "GET", &path, &[("Authorization", &authorization)]);
            let permissions = if answer.status == 200 {
                answer.json()["permissions"].clone()
            } else {
                Value::Null
            };
            (answer.status, permissions)
        });
        assert_eq!(answers[0], answers[1], "{path}");
    }
}

/// The login form, fetched and sent as a browser does.
#[track_caller]
fn log_in(address: &str, password: &str) -> Answer {
    let page = request(address, "GET", "/login", &[("Accept", "text/html")]);
    let cookie = page
        .fields("set-cookie")
        .into_iter()
        .find(|cookie| cookie.starts_with("_xsrf="));
    let cookie = cookie
        .expect("the form comes with _xsrf")
        .split(';')
        .next()
        .unwrap_or_default();
    let xsrf = cookie
        .strip_prefix("_xsrf=")
        .unwrap_or_default()
        .trim_matches('"');
    let body = format!("_xsrf={xsrf}&password={}", password.replace(' ', "+"));
    let fields = [
        ("Cookie", cookie),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    request_with(address, "POST", "/login", &fields, &body)
}

/// The cookie of a login, name and value.
#[track_caller]
fn cookie(answer: &Answer) -> String {
    let cookies = answer.fields("set-cookie");
    let cookie = cookies.iter().find(|cookie| cookie.starts_with("username-"));
    let cookie = cookie.unwrap_or_else(|| panic!("expected a login, found {}", answer.head));
    cookie.split(';').next().unwrap_or_default().to_owned()
}

/// The user who is logged in by `cookie`, if there is one.
#[track_caller]
fn username(address: &str, cookie: &str) -> Option<String> {
    let answer = request(address, "GET", "/api/me", &[("Cookie", cookie)]);
    if answer.status == 403 {
        return None;
    }
    assert_eq!(answer.status, 200, "{}", answer.head);
    let body: Value = serde_json::from_str(&answer.body).expect("JSON");
    let name = body["identity"]["username"].as_str().expect("a name");
    Some(name.to_owned())
}
