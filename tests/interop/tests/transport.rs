//! TLS: `notebook_server`'s own, in every layout of certificates, and nginx's in front of it.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::symlink,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use portcullis_interop::{
    example::{self, Example},
    http::request,
    install,
    jupyter_server::free_port,
    tls::{Authority, Certificate, ask},
};
use serde_json::{Value, json};
use tempfile::TempDir;

const TOKEN: &str = "a-token-of-ones-own";
const NGINX: &str = "/usr/sbin/nginx";

/// How long something may take that happens soon.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn certificates_are_taken_as_they_usually_come() {
    let authority = Authority::new();
    for (number, (layout, write)) in LAYOUTS.into_iter().enumerate() {
        let serial = 0x11 + u8::try_from(number).expect("a few");
        let folder = tempfile::tempdir().expect("a directory");
        let arguments = write(folder.path(), &authority.certificate(serial)).expect("files are written");
        let server = Server::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(
            server.home.starts_with("https://127.0.0.1:"),
            "{layout}: {}",
            server.home
        );
        for (http2, protocol) in [(false, "http/1.1"), (true, "h2")] {
            let url = format!("{}api", server.home);
            let answer = ask(&authority.root(), json!({ "url": url, "http2": http2 }));
            assert_eq!(answer["status"], 200, "{layout} {protocol}: {answer}");
            assert_eq!(answer["protocol"], protocol, "{layout}: {answer}");
            assert_eq!(answer["serial"], format!("{serial:X}"), "{layout}: {answer}");
        }
    }
}

type Write = fn(&Path, &Certificate) -> std::io::Result<Vec<String>>;

/// How a certificate and its key may lie in a folder, and the flags that name them.
const LAYOUTS: [(&str, Write); 4] = [
    ("separate files", |folder, certificate| {
        fs::write(folder.join("cert.pem"), &certificate.chain)?;
        fs::write(folder.join("key.pem"), &certificate.key)?;
        Ok(flags(&folder.join("cert.pem"), Some(&folder.join("key.pem"))))
    }),
    ("one file, the key behind", |folder, certificate| {
        let path = folder.join("all.pem");
        fs::write(&path, format!("{}{}", certificate.chain, certificate.key))?;
        Ok(flags(&path, None))
    }),
    ("one file, the key before, named twice", |folder, certificate| {
        let path = folder.join("all.pem");
        fs::write(&path, format!("{}\n{}", certificate.key, certificate.chain))?;
        Ok(flags(&path, Some(&path)))
    }),
    ("as Let's Encrypt lays them out", |folder, certificate| {
        issue(folder, 1, certificate)?;
        Ok(live(folder))
    }),
];

#[test]
fn a_renewed_certificate_is_picked_up_without_an_interruption() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a directory");
    issue(folder.path(), 1, &authority.certificate(0x21)).expect("files are written");
    let arguments = live(folder.path());
    let mut server = Server::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let serial = || ask(&authority.root(), json!({ "url": format!("{}api", server.home) }))["serial"].clone();
    assert_eq!(serial(), "21");
    let cookie = server.log_in(&authority.root());

    issue(folder.path(), 2, &authority.certificate(0x22)).expect("files are written");
    wait_for(|| serial() == "22");

    // While only one of the two files is new, they do not fit, and what was before is shown.
    let next = authority.certificate(0x23);
    let archive = folder.path().join("archive");
    fs::write(archive.join("fullchain2.pem"), &next.chain).expect("a file");
    thread::sleep(Duration::from_millis(2500));
    for _ in 0..2 {
        assert_eq!(serial(), "22", "half of it is new");
    }
    fs::write(archive.join("privkey2.pem"), &next.key).expect("a file");
    wait_for(|| serial() == "23");

    fs::remove_file(archive.join("fullchain2.pem")).expect("it is there");
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(serial(), "23", "it is gone");
    fs::write(archive.join("fullchain2.pem"), "nonsense").expect("a file");
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(serial(), "23", "it is nonsense");

    let url = format!("{}api/status", server.home);
    let answer = ask(
        &authority.root(),
        json!({ "url": url, "headers": { "cookie": cookie } }),
    );
    assert_eq!(answer["status"], 200, "logins outlive it all: {answer}");
    assert!(server.process.is_running());
}

#[test]
fn what_is_no_certificate_with_its_key_is_one_clear_line_and_status_2() {
    let authority = Authority::new();
    let (one, other) = (authority.certificate(1), authority.certificate(2));
    let folder = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let (cert, key, wrong) = (
        file("cert", &one.chain),
        file("key", &one.key),
        file("wrong", &other.key),
    );
    let (empty, text) = (file("empty", ""), file("text", "hello\n"));
    let encrypted = file("encrypted", &one.key.replace(" PRIVATE", " ENCRYPTED PRIVATE"));
    let torn = file("torn", &one.key[..one.key.len() / 2]);
    let swapped = file(
        "swapped",
        &format!("{}{}", one.chain.replacen(&one.own, "", 1), one.own),
    );
    for (arguments, expected) in [
        (
            &["--certfile", &*cert, "--keyfile", &*wrong][..],
            "found the key of another certificate",
        ),
        (
            &["--certfile", &swapped, "--keyfile", &key],
            "found the key of another certificate",
        ),
        (&["--certfile", &cert], "expected a private key"),
        (&["--certfile", &cert, "--keyfile", &encrypted], "not encrypted"),
        (
            &["--certfile", &cert, "--keyfile", &empty],
            "expected a private key",
        ),
        (&["--certfile", &cert, "--keyfile", &torn], "--keyfile"),
        (
            &["--certfile", &text, "--keyfile", &key],
            "expected a certificate",
        ),
        (
            &["--certfile", "/nowhere", "--keyfile", &key],
            "--certfile /nowhere",
        ),
        (
            &["--certfile", &cert, "--keyfile", "/nowhere"],
            "--keyfile /nowhere",
        ),
        (&["--keyfile", &key], "--certfile"),
    ] {
        for name in ["notebook_server", "gateway"] {
            let runtime = tempfile::tempdir().expect("a directory");
            let mut command = Example::command(&Example::build(name));
            command
                .env("JUPYTER_RUNTIME_DIR", runtime.path())
                .env("JUPYTER_CONFIG_DIR", runtime.path())
                .args(["--port", "0"])
                .args(arguments);
            if name == "gateway" {
                command.args(["--upstream", "http://127.0.0.1:1"]);
            }
            let (status, stderr) = example::run(command);
            assert_eq!(status.code(), Some(2), "{name} {arguments:?}: {stderr}");
            assert!(
                stderr.lines().count() == 1 && stderr.contains(expected),
                "{name} {arguments:?}: expected one line with {expected:?}, found {stderr:?}"
            );
            let secret = one.key.lines().nth(1).expect("a key");
            assert!(!stderr.contains(secret), "{stderr}");
        }
    }
}

#[test]
fn by_tls_cookies_are_secure_and_origins_have_a_scheme() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a directory");
    let arguments = LAYOUTS[0].1(folder.path(), &authority.certificate(3)).expect("files are written");
    let server = Server::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    judge_by_scheme(&authority.root(), &server.home, true);
}

#[test]
fn a_client_without_a_hello_delays_no_other_and_is_disconnected() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a directory");
    let mut arguments = LAYOUTS[0].1(folder.path(), &authority.certificate(4)).expect("files are written");
    arguments.extend(["--idle-timeout".to_owned(), "5".to_owned()]);
    let server = Server::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let address = server.address();
    let silent: Vec<_> = (0..50)
        .map(|number| {
            let mut stream = TcpStream::connect(&address).expect("a connection");
            stream.set_read_timeout(Some(SOON)).expect("a time-out");
            if number % 2 == 1 {
                // The start of a record that never ends.
                stream.write_all(&[0x16, 3, 1, 2, 0, 1]).expect("sent");
            }
            stream
        })
        .collect();
    let url = format!("{}api", server.home);
    assert_eq!(ask(&authority.root(), json!({ "url": url }))["status"], 200);
    let answer = ask(&authority.root(), json!({ "url": url, "silent": true }));
    assert_eq!(
        (&answer["body"], &answer["protocol"]),
        (&json!("let go"), &json!("h2")),
        "{answer}"
    );
    for mut stream in silent {
        let mut bytes = [0; 64];
        let read = stream.read(&mut bytes);
        assert!(
            matches!(read, Ok(0)),
            "expected the server to hang up, found {read:?}"
        );
    }

    // Without TLS there is nothing to hear.
    let mut plain = TcpStream::connect(&address).expect("a connection");
    plain.set_read_timeout(Some(SOON)).expect("a time-out");
    plain
        .write_all(b"GET /api HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("sent");
    let mut heard = Vec::new();
    let _ = plain.read_to_end(&mut heard);
    assert!(!heard.starts_with(b"HTTP/"), "{heard:?}");
    assert_eq!(ask(&authority.root(), json!({ "url": url }))["status"], 200);
}

#[test]
fn behind_nginx_its_headers_are_trusted_and_no_others() {
    let authority = Authority::new();
    // nginx connects from its own address, so that direct clients have another one.
    let server = Server::start(&["--trusted-proxy", "127.0.0.2"]);
    let nginx = Nginx::start(&authority, &server.address());
    judge_by_scheme(&authority.root(), &nginx.home, true);

    let target = format!("/?token={TOKEN}");
    for (claim, fields, status, secure) in [
        ("nothing", &[][..], 303, false),
        ("a scheme", &[("X-Forwarded-Proto", "https")], 303, false),
        ("no scheme", &[("X-Forwarded-Proto", "gopher")], 303, false),
        (
            "a host of others",
            &[("X-Forwarded-Host", "evil.example")],
            303,
            false,
        ),
        (
            "other fields",
            &[
                ("Forwarded", "proto=https;host=evil.example"),
                ("X-Scheme", "https"),
            ],
            303,
            false,
        ),
        (
            "an allowed host",
            &[("Host", "evil.example"), ("X-Forwarded-Host", "localhost")],
            403,
            false,
        ),
    ] {
        let fields = [fields, &[("Accept", "text/html")]].concat();
        let answer = request(&server.address(), "GET", &target, &fields);
        assert_eq!(answer.status, status, "{claim} of any client: {}", answer.head);
        for line in answer.fields("set-cookie") {
            assert_eq!(line.contains("; Secure"), secure, "{claim} of any client: {line}");
        }
    }
    // nginx passes these headers on only where it is configured to: it writes them itself.
    for (name, value) in [
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "evil.example"),
    ] {
        let url = format!("{}?token={TOKEN}", nginx.home);
        let headers = json!({ name: value, "accept": "text/html" });
        let answer = ask(&authority.root(), json!({ "url": url, "headers": headers }));
        assert_eq!(answer["status"], 303, "{name}: {answer}");
        assert!(
            answer["headers"]["set-cookie"][0]
                .to_string()
                .contains("; Secure"),
            "{name}: {answer}"
        );
    }
}

#[test]
fn behind_an_unlisted_proxy_origins_are_compared_without_their_scheme() {
    let authority = Authority::new();
    let server = Server::start(&[]);
    let nginx = Nginx::start(&authority, &server.address());
    judge_by_scheme(&authority.root(), &nginx.home, false);
}

/// Logs in at `home` by HTTP/1.1 and HTTP/2, and acts from pages of several origins. `known` says whether the
/// server knows that its pages come by TLS.
#[track_caller]
fn judge_by_scheme(root: &Path, home: &str, known: bool) {
    for http2 in [false, true] {
        let url = format!("{home}?token={TOKEN}");
        let headers = json!({ "accept": "text/html" });
        let answer = ask(root, json!({ "url": url, "headers": headers, "http2": http2 }));
        assert_eq!(answer["status"], 303, "{answer}");
        let cookies: Vec<&str> = answer["headers"]["set-cookie"]
            .as_array()
            .expect("cookies")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert_eq!(cookies.len(), 2, "the login and its _xsrf: {cookies:?}");
        for line in &cookies {
            assert_eq!(line.contains("; Secure"), known, "{line}");
        }
        let pairs: Vec<&str> = cookies.iter().filter_map(|line| line.split(';').next()).collect();
        let xsrf = pairs[1].strip_prefix("_xsrf=").expect("an _xsrf");
        let own = home.trim_end_matches('/');
        let plain = own.replacen("https", "http", 1);
        for (origin, is_own) in [
            (own, true),
            (&*plain, !known),
            ("https://127.0.0.1", false),
            ("https://evil.example", false),
        ] {
            let mut headers = json!({ "cookie": pairs.join("; "), "origin": origin });
            let mut wanted = json!({ "url": format!("wss{}api/events/subscribe", &home[5..]), "headers": headers, "websocket": true });
            let answer = ask(root, wanted);
            let expected = if is_own { 101 } else { 403 };
            assert_eq!(answer["status"], expected, "websocket from {origin}: {answer}");
            if is_own {
                assert_eq!(answer["body"], "echo", "websocket from {origin}: {answer}");
            }
            headers["x-xsrftoken"] = xsrf.into();
            let url = format!("{home}api/me");
            wanted = json!({ "url": url, "method": "PATCH", "body": "{\"color\":\"teal\"}", "headers": headers, "http2": http2 });
            let answer = ask(root, wanted);
            let expected = if is_own { 200 } else { 403 };
            assert_eq!(answer["status"], expected, "PATCH from {origin}: {answer}");
        }
    }
}

fn flags(certificate: &Path, key: Option<&Path>) -> Vec<String> {
    let mut flags = vec!["--certfile".to_owned(), certificate.display().to_string()];
    if let Some(key) = key {
        flags.extend(["--keyfile".to_owned(), key.display().to_string()]);
    }
    flags
}

/// Writes the certificate of this number as certbot does: the files into `archive`, then the links in `live`
/// again, each at once.
fn issue(folder: &Path, number: u32, certificate: &Certificate) -> std::io::Result<()> {
    let (archive, live) = (folder.join("archive"), folder.join("live/localhost"));
    fs::create_dir_all(&archive)?;
    fs::create_dir_all(&live)?;
    for (name, text) in [("fullchain", &certificate.chain), ("privkey", &certificate.key)] {
        fs::write(archive.join(format!("{name}{number}.pem")), text)?;
        let new = live.join(format!("{name}.new"));
        symlink(format!("../../archive/{name}{number}.pem"), &new)?;
        fs::rename(new, live.join(format!("{name}.pem")))?;
    }
    Ok(())
}

fn live(folder: &Path) -> Vec<String> {
    let live = folder.join("live/localhost");
    flags(&live.join("fullchain.pem"), Some(&live.join("privkey.pem")))
}

#[track_caller]
fn wait_for(happened: impl Fn() -> bool) {
    let until = Instant::now() + SOON;
    while !happened() {
        assert!(Instant::now() < until, "expected something to happen, it did not");
        thread::sleep(Duration::from_millis(200));
    }
}

/// A `notebook_server` at a free port.
struct Server {
    process: Example,
    /// The URL of its base page.
    home: String,
    _folder: TempDir,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let mut command = Example::command(&Example::build("notebook_server"));
        command
            .env("JUPYTER_RUNTIME_DIR", folder.path().join("runtime"))
            .env("JUPYTER_CONFIG_DIR", folder.path())
            .current_dir(folder.path())
            .args(["--port", "0", "--no-browser", "--token", TOKEN])
            .args(arguments);
        let process = Example::start("notebook_server", command);
        let home = process.line_after("notebook_server listens on ");
        Self {
            process,
            home,
            _folder: folder,
        }
    }

    fn address(&self) -> String {
        self.home.split('/').nth(2).expect("a host").to_owned()
    }

    /// The login cookie of a browser, `name=value`.
    fn log_in(&self, root: &Path) -> String {
        let url = format!("{}?token={TOKEN}", self.home);
        let answer = ask(root, json!({ "url": url, "headers": { "accept": "text/html" } }));
        let line = answer["headers"]["set-cookie"][0]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"));
        line.split(';').next().expect("a pair").to_owned()
    }
}

/// A real nginx that terminates TLS at a free port, in front of `upstream`.
struct Nginx {
    _process: Example,
    home: String,
    _folder: TempDir,
}

impl Nginx {
    fn start(authority: &Authority, upstream: &str) -> Self {
        install::debian_package("nginx", NGINX);
        let folder = tempfile::tempdir().expect("a directory");
        let certificate = authority.certificate(0x31);
        fs::write(folder.path().join("cert.pem"), &certificate.chain).expect("a file");
        fs::write(folder.path().join("key.pem"), &certificate.key).expect("a file");
        let port = free_port();
        let config = folder.path().join("nginx.conf");
        fs::write(&config, configuration(port, upstream)).expect("a file");
        let mut command = Command::new(NGINX);
        command
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&config)
            .args(["-e", "stderr"]);
        let mut process = Example::start("nginx", command);
        let address = format!("127.0.0.1:{port}");
        wait_for(|| TcpStream::connect(&address).is_ok());
        assert!(process.is_running(), "nginx ended at once");
        Self {
            _process: process,
            home: format!("https://{address}/"),
            _folder: folder,
        }
    }
}

/// The configuration in README and manual, and what keeps it within its folder and one process.
fn configuration(port: u16, upstream: &str) -> String {
    let temporary: String = ["client_body", "fastcgi", "proxy", "scgi", "uwsgi"]
        .map(|name| format!("{name}_temp_path {name};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\n\
         http {{\naccess_log off;\n{temporary}\
         map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}\n\
         server {{\n\
         listen 127.0.0.1:{port} ssl http2;\n\
         ssl_certificate cert.pem;\n\
         ssl_certificate_key key.pem;\n\
         location / {{\n\
         proxy_pass http://{upstream};\n\
         proxy_bind 127.0.0.2;\n\
         proxy_http_version 1.1;\n\
         proxy_set_header Host $http_host;\n\
         proxy_set_header X-Forwarded-Host $http_host;\n\
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
         proxy_set_header X-Forwarded-Proto $scheme;\n\
         proxy_set_header Upgrade $http_upgrade;\n\
         proxy_set_header Connection $connection_upgrade;\n\
         }}\n}}\n}}\n"
    )
}
