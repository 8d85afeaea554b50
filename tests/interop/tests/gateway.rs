//! `gateway` in front of a real JupyterLab, in a real browser; and in front of a server that returns what it received.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use portcullis_interop::{
    browser::drive_for,
    example::{self, Example},
    http::{request, request_with},
    install,
    jupyter_server::{Home, first_answer, free_port},
    tls::{Authority, ask},
};
use serde_json::json;
use tempfile::TempDir;
use tungstenite::{Message, client::IntoClientRequest as _};

const TOKEN: &str = "a-token-for-the-gateway";

/// How long the browser may take for the whole scenario.
const PATIENCE: Duration = Duration::from_secs(240);

/// Places in a Jupyter Server.
const PLACES: [&str; 12] = [
    "/",
    "/lab",
    "/lab/tree/answer.ipynb",
    "/lab/api/settings",
    "/api",
    "/api/me",
    "/api/status",
    "/api/contents",
    "/api/kernelspecs",
    "/files/answer.ipynb",
    "/static/favicons/favicon.ico",
    "/metrics",
];

#[test]
fn a_notebook_runs_behind_the_gateway_and_needs_a_login() {
    let lab = Lab::start(&[]);
    let gateway = Gateway::start(&lab.url, &[]);
    for path in PLACES {
        let open = request(&lab.address, "GET", path, &[]);
        assert!(
            open.fields("server")[0].starts_with("Tornado"),
            "{path} is there: {}",
            open.head
        );
        for method in ["GET", "HEAD", "OPTIONS", "POST", "DELETE"] {
            let answer = request(&gateway.address, method, path, &[]);
            assert!(
                matches!(answer.status, 401 | 403),
                "{method} {path}: {}",
                answer.head
            );
            assert_eq!(
                answer.fields("server"),
                [""; 0],
                "{method} {path}: {}",
                answer.head
            );
        }
    }
    for path in ["/api/events/subscribe", "/terminals/websocket/1"] {
        let url = format!("ws://{}{path}", gateway.address);
        let refused = tungstenite::connect(url).expect_err("no user is logged in");
        assert!(refused.to_string().contains("401"), "{path}: {refused}");
    }

    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gateway");
    drive_for(
        PATIENCE,
        "gateway.mjs",
        &[&gateway.link, &pictures.display().to_string()],
    );
    let saved = fs::read_to_string(lab.home.notebooks().join("answer.ipynb")).expect("the notebook");
    assert!(
        saved.contains("the answer is 42"),
        "the output was saved: {saved}"
    );
}

#[test]
fn programs_use_a_jupyter_server_behind_it_by_token_and_by_the_login_form() {
    let lab = Lab::start(&["--ServerApp.disable_check_xsrf=True"]);
    let gateway = Gateway::start(&lab.url, &[]);
    let address = &gateway.address;

    let mut command = lab.home.command(&install::python().join("python"));
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python/kernel_client.py"))
        .args([&format!("http://{address}"), TOKEN, "6 * 7"]);
    let output = command.output().expect("it starts");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(
        shown.contains("\"text/plain\": \"42\""),
        "{shown} {}",
        String::from_utf8_lossy(&output.stderr)
    );

    // By the form, then with cookie and `X-XSRFToken`, without an Origin.
    let cookie = |answer: &portcullis_interop::http::Answer, name: &str| {
        let lines = answer.fields("set-cookie");
        let line = lines.iter().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("expected the cookie {name}, found {}", answer.head));
        line.split(';').next().expect("a pair").to_owned()
    };
    let xsrf = cookie(
        &request(address, "GET", "/login", &[("Accept", "text/html")]),
        "_xsrf=",
    );
    let fields = [
        ("Cookie", &*xsrf),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let login = request_with(
        address,
        "POST",
        "/login",
        &fields,
        &format!("{xsrf}&password={TOKEN}"),
    );
    assert_eq!(login.status, 302, "{}", login.head);
    let cookies = format!("{}; {xsrf}", cookie(&login, "username-"));
    let value = xsrf.trim_start_matches("_xsrf=");
    for (fields, status) in [
        (vec![("X-XSRFToken", value)], 201),
        (vec![], 403),
        (
            vec![("X-XSRFToken", value), ("Origin", "https://evil.example")],
            403,
        ),
    ] {
        let fields = [&[("Cookie", &*cookies)], &*fields].concat();
        let answer = request_with(
            address,
            "POST",
            "/api/contents",
            &fields,
            "{\"type\": \"directory\"}",
        );
        assert_eq!(
            answer.status, status,
            "{fields:?}: {} {}",
            answer.head, answer.body
        );
    }
    assert!(lab.home.notebooks().join("Untitled Folder").is_dir());
}

#[test]
fn the_application_gets_the_user_and_no_credential() {
    let seen = Seen::start();
    let gateway = Gateway::start(&seen.url, &[]);
    let cookie = gateway.log_in();
    let name = cookie.split('=').next().expect("a name").to_owned();
    // Cookies do not know ports: the login of another server on this host comes along.
    let other = "username-127-0-0-1-9999=app; username-localhost-8888=app";
    let both = format!("theme=dark; {cookie}; {other}; _xsrf=app; upstream-{name}=app");
    let bearer = format!("Bearer {TOKEN}");
    let host = gateway.address.clone();

    let first = [
        ("Cookie", &*both),
        ("X-Forwarded-For", "198.51.100.7"),
        ("X-Real-IP", "198.51.100.7"),
        ("Remote-User", "admin"),
        ("Remote_User", "admin"),
        ("X-Remote-User", "admin"),
        ("X-Forwarded-User", "admin"),
        ("X_Forwarded_Email", "admin"),
        ("X-Forwarded-Groups", "admin"),
        ("X-Auth-Request-User", "admin"),
        ("X-Original-URL", "/admin"),
        ("X-Rewrite-URL", "/admin"),
        ("X_Rewrite_URL", "/admin"),
    ];
    let hops = [
        ("Authorization", &*bearer),
        ("Connection", "close, X-Mine"),
        ("X-Mine", "1"),
        ("TE", "gzip"),
        ("Proxy-Authorization", "Basic x"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
    ];
    for (fields, target, there) in [
        (&first[..], "/a/../b?c=%2F&token=", "/a/../b?c=%2F&token="),
        (&hops, "/deep/er", "/deep/er"),
        (&[("Accept", "*/*")], &format!("/?a=1&token={TOKEN}"), "/?a=1"),
    ] {
        let answer = request(&gateway.address, "GET", target, fields);
        assert_eq!(answer.status, 200, "{target}: {}", answer.head);
        let head = seen.last();
        assert!(head.starts_with(&format!("GET {there} HTTP/1.1\r\n")), "{head}");
        let lines: Vec<_> = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .collect();
        let value = |name: &str| {
            let mut found = lines.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
            let value = found.next().map(|(_, value)| *value);
            assert!(found.next().is_none(), "{name} is there once: {head}");
            value
        };
        assert_eq!(value("host"), Some(&*host), "{head}");
        assert_eq!(value("x-forwarded-for"), Some("127.0.0.1"), "{head}");
        assert_eq!(value("x-forwarded-host"), Some(&*host), "{head}");
        assert_eq!(value("x-forwarded-proto"), Some("http"), "{head}");
        for gone in [
            "authorization",
            "proxy-authorization",
            "te",
            "upgrade",
            "x-mine",
            "x-real-ip",
            "transfer-encoding",
        ] {
            assert_eq!(value(gone), None, "{gone}: {head}");
        }
        let remaining = format!("theme=dark; _xsrf=app; {name}=app");
        assert_eq!(
            value("cookie"),
            fields
                .iter()
                .any(|(name, _)| *name == "Cookie")
                .then_some(&*remaining)
        );
        assert!(!head.contains(TOKEN) && !head.contains("admin"), "{head}");
        // The application's cookie with the name of the gateway's is renamed, and the gateway's stays.
        let cookies = answer.fields("set-cookie");
        assert!(cookies.contains(&"app=1; Path=/"), "{}", answer.head);
        let renamed = format!("upstream-{name}=app; Path=/");
        assert!(cookies.contains(&&*renamed), "{}", answer.head);
        for gone in ["keep-alive", "x-hop"] {
            assert_eq!(answer.fields(gone), [""; 0], "{}", answer.head);
        }
    }
}

#[test]
fn by_tls_the_application_gets_the_scheme_and_its_cookies_in_one_header() {
    let authority = Authority::new();
    let certificate = authority.certificate(0x41);
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("all.pem");
    fs::write(&file, format!("{}{}", certificate.chain, certificate.key)).expect("a file");
    let seen = Seen::start();
    let gateway = Gateway::start(&seen.url, &["--certfile", &file.display().to_string()]);
    for (http2, protocol) in [(false, "http/1.1"), (true, "h2")] {
        let headers = json!({ "authorization": format!("token {TOKEN}"), "cookie": ["a=1", "b=2"] });
        let url = format!("https://{}/x?y", gateway.address);
        let answer = ask(
            &authority.root(),
            json!({ "url": url, "method": "POST", "body": "text", "headers": headers, "http2": http2 }),
        );
        assert_eq!(
            (&answer["status"], &answer["protocol"]),
            (&json!(200), &json!(protocol)),
            "{answer}"
        );
        let head = seen.last();
        assert!(head.starts_with("POST /x?y HTTP/1.1\r\n"), "{head}");
        for line in [
            "cookie: a=1; b=2".to_owned(),
            format!("host: {}", gateway.address),
            format!("x-forwarded-host: {}", gateway.address),
            "x-forwarded-proto: https".to_owned(),
        ] {
            assert_eq!(
                head.lines().filter(|found| **found == line).count(),
                1,
                "{line}: {head}"
            );
        }
    }
}

#[test]
fn bodies_stream_both_ways() {
    let seen = Seen::start();
    let gateway = Gateway::start(&seen.url, &[]);
    let mut stream = TcpStream::connect(&gateway.address).expect("a connection");
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a time-out");
    write!(
        stream,
        "POST /stream HTTP/1.1\r\nHost: {}\r\nAuthorization: token {TOKEN}\r\nTransfer-Encoding: chunked\r\n\r\n",
        gateway.address
    )
    .expect("sent");
    let mut answer = BufReader::new(stream.try_clone().expect("a handle"));
    for word in ["one", "two", "three"] {
        // The next is sent only after the one before came back: the gateway must not wait for the end.
        write!(stream, "{:x}\r\n{word}\r\n", word.len()).expect("sent");
        let mut found = String::new();
        while !found.contains(word) {
            assert!(
                answer.read_line(&mut found).expect("an answer") > 0,
                "{word}: {found}"
            );
        }
    }
    write!(stream, "0\r\n\r\n").expect("sent");
    let mut rest = String::new();
    while !rest.ends_with("0\r\n\r\n") {
        assert!(answer.read_line(&mut rest).expect("an end") > 0, "{rest}");
    }
}

#[test]
fn websockets_pass_and_other_switches_do_not() {
    let seen = Seen::start();
    let gateway = Gateway::start(&seen.url, &[]);
    let cookie = gateway.log_in();
    let own = format!("http://{}", gateway.address);
    for (claim, fields, open) in [
        (
            "by token",
            &[("authorization", &*format!("token {TOKEN}"))][..],
            true,
        ),
        (
            "by cookie, from an own page",
            &[("cookie", &*cookie), ("origin", &*own)],
            true,
        ),
        (
            "by cookie, from elsewhere",
            &[("cookie", &*cookie), ("origin", "http://evil.example")],
            false,
        ),
        ("by cookie, from nowhere", &[("cookie", &*cookie)], false),
        ("by nothing", &[("origin", &*own)], false),
    ] {
        let before = seen.count();
        let mut wanted = format!("ws://{}/ws", gateway.address)
            .into_client_request()
            .expect("a URL");
        for (name, value) in fields {
            wanted
                .headers_mut()
                .insert(*name, value.parse().expect("a value"));
        }
        match tungstenite::connect(wanted) {
            Ok((mut socket, _)) => {
                assert!(open, "{claim}: expected a refusal");
                for text in ["hello", &"long ".repeat(20_000)] {
                    socket.send(Message::text(text)).expect("sent");
                    assert_eq!(socket.read().expect("an echo"), Message::text(text), "{claim}");
                }
                socket.close(None).expect("closed");
                while socket.read().is_ok() {}
            }
            Err(error) => {
                assert!(!open, "{claim}: {error}");
                assert_eq!(
                    seen.count(),
                    before,
                    "{claim}: nothing of it reached the application"
                );
            }
        }
    }
    let bearer = format!("token {TOKEN}");
    let answer = request(&gateway.address, "GET", "/unasked", &[("Authorization", &bearer)]);
    assert_eq!(answer.status, 502, "{}", answer.head);
}

#[test]
fn websockets_and_responses_end_with_their_session() {
    let seen = Seen::start();
    let gateway = Gateway::start(&seen.url, &[]);
    let (ends, stays) = (gateway.log_in(), gateway.log_in());
    let own = format!("http://{}", gateway.address);
    let open = |cookie: &str| {
        let mut wanted = format!("ws://{}/ws", gateway.address)
            .into_client_request()
            .expect("a URL");
        for (name, value) in [("cookie", cookie), ("origin", &own)] {
            wanted.headers_mut().insert(name, value.parse().expect("a value"));
        }
        let (mut socket, _) = tungstenite::connect(wanted).expect("a websocket");
        if let tungstenite::stream::MaybeTlsStream::Plain(stream) = socket.get_mut() {
            stream
                .set_read_timeout(Some(Duration::from_secs(10)))
                .expect("a time-out");
        }
        socket.send(Message::text("hello")).expect("sent");
        assert_eq!(socket.read().expect("an echo"), Message::text("hello"));
        socket
    };
    let (mut ended, mut other) = (open(&ends), open(&stays));
    let mut stream = TcpStream::connect(&gateway.address).expect("a connection");
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a time-out");
    write!(
        stream,
        "GET /forever HTTP/1.1\r\nHost: {}\r\nCookie: {ends}\r\n\r\n",
        gateway.address
    )
    .expect("sent");
    let mut stream = BufReader::new(stream);
    let mut found = String::new();
    while !found.contains("begin") {
        assert!(stream.read_line(&mut found).expect("an answer") > 0, "{found}");
    }

    request(&gateway.address, "GET", "/logout", &[("Cookie", &ends)]);
    let answer = request(&gateway.address, "GET", "/x", &[("Cookie", &ends)]);
    assert_eq!(
        answer.status, 401,
        "the logout ended the session: {}",
        answer.head
    );
    let is_open = |error: &std::io::Error| {
        use std::io::ErrorKind::{TimedOut, WouldBlock};
        matches!(error.kind(), TimedOut | WouldBlock)
    };
    match ended.read() {
        Err(tungstenite::Error::Io(error)) => assert!(!is_open(&error), "the websocket is open: {error}"),
        read => assert!(read.is_err(), "expected the end of the websocket, found {read:?}"),
    }
    let mut rest = Vec::new();
    let read = stream.read_to_end(&mut rest);
    assert!(
        !read.as_ref().is_err_and(is_open),
        "the response goes on: {read:?}"
    );
    assert!(
        !rest.ends_with(b"0\r\n\r\n"),
        "a response that was cut off is not complete"
    );
    other.send(Message::text("still here")).expect("sent");
    assert_eq!(other.read().expect("an echo"), Message::text("still here"));
}

#[test]
fn an_application_that_does_not_run_is_a_502_and_the_gateway_stays() {
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", nobody.local_addr().expect("an address"));
    drop(nobody);
    let gateway = Gateway::start(&url, &[]);
    let bearer = format!("token {TOKEN}");
    for _ in 0..2 {
        let fields = [("Authorization", &*bearer)];
        let answer = request_with(&gateway.address, "POST", "/x", &fields, "body");
        assert_eq!(answer.status, 502, "{}", answer.head);
        assert!(!answer.body.contains(&url), "{}", answer.body);
        assert_eq!(request(&gateway.address, "GET", "/x", &[]).status, 401);
    }
}

#[test]
fn a_bad_start_is_one_clear_line_and_status_2() {
    let program = Example::build("gateway");
    for (arguments, expected) in [
        (&[][..], "--upstream"),
        (&["--upstream", "127.0.0.1:1"], "expected a URL such as"),
        (&["--upstream", "https://127.0.0.1"], "expected a URL such as"),
        (
            &["--upstream", "http://127.0.0.1:1", "--token", "two words"],
            "--token",
        ),
    ] {
        let runtime = tempfile::tempdir().expect("a directory");
        let mut command = Example::command(&program);
        command.env("JUPYTER_RUNTIME_DIR", runtime.path());
        command
            .env("JUPYTER_CONFIG_DIR", runtime.path())
            .args(["--port", "0"])
            .args(arguments);
        let (status, stderr) = example::run(command);
        assert_eq!(status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(
            example::is_clear_error(&stderr) && stderr.contains(expected),
            "{arguments:?}: {stderr}"
        );
    }
}

/// A `gateway` in front of `upstream`.
struct Gateway {
    _process: Example,
    /// The launch link that it printed.
    link: String,
    address: String,
    _runtime: TempDir,
}

impl Gateway {
    fn start(upstream: &str, arguments: &[&str]) -> Self {
        let runtime = tempfile::tempdir().expect("a directory");
        let mut command = Example::command(&Example::build("gateway"));
        command
            .env("JUPYTER_RUNTIME_DIR", runtime.path())
            .env("JUPYTER_CONFIG_DIR", runtime.path())
            .args([
                "--upstream",
                upstream,
                "--port",
                "0",
                "--no-browser",
                "--token",
                TOKEN,
            ])
            .args(arguments);
        let process = Example::start("gateway", command);
        let opened = process.line_after("open: ");
        let link = opened.split(' ').next().expect("a link").to_owned();
        let address = link.split('/').nth(2).expect("a host").to_owned();
        Self {
            _process: process,
            link,
            address,
            _runtime: runtime,
        }
    }

    /// The login cookie of a browser, `name=value`.
    fn log_in(&self) -> String {
        let target = format!("/?token={TOKEN}");
        let answer = request(&self.address, "GET", &target, &[("Accept", "text/html")]);
        assert_eq!(answer.status, 303, "{}", answer.head);
        let lines = answer.fields("set-cookie");
        let line = lines
            .iter()
            .find(|line| line.starts_with("username-"))
            .expect("a login");
        line.split(';').next().expect("a pair").to_owned()
    }
}

/// A real JupyterLab without authentication.
struct Lab {
    process: Example,
    address: String,
    url: String,
    home: Home,
}

impl Lab {
    fn start(arguments: &[&str]) -> Self {
        let home = Home::new();
        let notebook = json!({
            "cells": [{
                "cell_type": "code", "id": "answer", "execution_count": null, "metadata": {}, "outputs": [],
                "source": "print('the answer is', 6 * 7)",
            }],
            "metadata": { "kernelspec": { "display_name": "Python 3", "language": "python", "name": "python3" } },
            "nbformat": 4, "nbformat_minor": 5,
        });
        fs::write(home.notebooks().join("answer.ipynb"), notebook.to_string()).expect("a file");
        let port = free_port();
        let mut command = home.command(&install::python().join("jupyter"));
        command
            .args([
                "lab",
                "--no-browser",
                "--allow-root",
                "--ip=127.0.0.1",
                "--ServerApp.port_retries=0",
            ])
            .args([
                "--IdentityProvider.token=",
                "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            ])
            .args([
                format!("--port={port}"),
                format!("--ServerApp.root_dir={}", home.notebooks().display()),
            ])
            .args(arguments);
        install::progress(&format!("a JupyterLab starts at port {port}"));
        let mut process = Example::start("jupyter lab", command);
        let address = format!("127.0.0.1:{port}");
        let version = first_answer(&mut process, &address);
        assert_eq!(version.status, 200, "{}", version.head);
        Self {
            process,
            url: format!("http://{address}"),
            address,
            home,
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // SIGTERM ends its kernels too.
        if !thread::panicking() {
            self.process.signal("TERM");
        }
    }
}

/// A server that remembers the heads of the requests it gets.
struct Seen {
    url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Seen {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heads);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let heads = Arc::clone(&kept);
                thread::spawn(move || answer(stream, &heads));
            }
        });
        Self { url, heads }
    }

    fn count(&self) -> usize {
        self.heads.lock().expect("no thread panicked").len()
    }

    fn last(&self) -> String {
        self.heads
            .lock()
            .expect("no thread panicked")
            .last()
            .expect("a request")
            .clone()
    }
}

/// Answers one request, and closes the connection.
fn answer(mut stream: TcpStream, heads: &Mutex<Vec<String>>) -> Option<()> {
    let mut start = [0; 4096];
    // A head as short as these comes in one piece, and stays for the handshake below.
    let head = loop {
        let length = stream.peek(&mut start).ok().filter(|length| *length > 0)?;
        let text = String::from_utf8_lossy(&start[..length]).into_owned();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            break head.to_owned();
        }
        thread::sleep(Duration::from_millis(5));
    };
    heads.lock().ok()?.push(head.clone());
    let path = head.split(' ').nth(1)?.to_owned();
    if path == "/ws" {
        let mut socket = tungstenite::accept(stream).ok()?;
        while let Ok(message) = socket.read() {
            if message.is_text() {
                socket.send(message).ok()?;
            }
        }
        return Some(());
    }
    stream.read_exact(&mut start[..head.len() + 4]).ok()?;
    match &*path {
        "/unasked" => {
            let switch =
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
            stream.write_all(switch.as_bytes()).ok()?;
        }
        "/forever" => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n")
                .ok()?;
            let _ = stream.read(&mut start);
        }
        "/stream" => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                .ok()?;
            let mut came = Vec::new();
            while !came.ends_with(b"0\r\n\r\n") {
                let length = stream.read(&mut start).ok().filter(|length| *length > 0)?;
                // Chunks come as they are to be sent.
                stream.write_all(&start[..length]).ok()?;
                came.extend_from_slice(&start[..length]);
            }
        }
        _ => {
            let host = head.lines().find_map(|line| line.strip_prefix("host: "))?;
            let name: String = format!("username-{host}")
                .chars()
                .map(|letter| {
                    if letter.is_ascii_alphanumeric() {
                        letter
                    } else {
                        '-'
                    }
                })
                .collect();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n\
                 Set-Cookie: app=1; Path=/\r\nSet-Cookie: {name}=app; Path=/\r\n\r\nok"
            );
            stream.write_all(answer.as_bytes()).ok()?;
        }
    }
    Some(())
}
