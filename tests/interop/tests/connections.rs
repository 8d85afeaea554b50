//! Connections to the examples that never send a request: each is closed in time, and they do not block other clients.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use portcullis_interop::{
    example::{Example, wait},
    http::try_request,
    jupyter_server::free_port,
    tls::{Authority, ask},
};
use serde_json::json;
use tempfile::TempDir;

/// What a client of HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long something may take that happens soon.
const SOON: Duration = Duration::from_secs(20);

/// The hash of a password.
const HASH: &str = "argon2:$argon2id$v=19$m=19456,t=2,p=1$++qLoPlZzZtudPKpETT/cw$ohvRqemsCmGIYPNqe8xLPY6KLLjmso+LeE658ib0vmA";

/// The examples that serve HTTP/1.1.
const HTTP1: [&str; 8] = [
    "custom_authenticator",
    "forward_auth",
    "gateway",
    "hub_service",
    "mini_hub",
    "notebook_server",
    "proxy",
    "single_user",
];

/// An example that listens at `address`.
struct Server {
    process: Example,
    address: String,
    _folder: TempDir,
}

impl Server {
    /// Starts the example `name`; `shell` runs before it in the same process.
    fn start(name: &str, shell: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let mut command = Example::command(Path::new("sh"));
        command
            .args(["-c", &format!("{shell}\nexec \"$0\" \"$@\"")])
            .arg(Example::build(name))
            .args(arguments)
            .current_dir(folder.path())
            .env("JUPYTER_RUNTIME_DIR", folder.path())
            .env("JUPYTER_CONFIG_DIR", folder.path());
        configure(&mut command, name, folder.path(), port);
        let process = Example::start(name, command);
        wait_until_listening(&address);
        Self {
            process,
            address,
            _folder: folder,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("a connection");
        stream.set_read_timeout(Some(SOON)).expect("a time-out");
        stream
    }
}

fn wait_until_listening(address: &str) {
    for _ in 0..800 {
        if TcpStream::connect(address).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("expected a server at {address}, found none");
}

/// Configures the example `name` to listen at `port`.
fn configure(command: &mut Command, name: &str, folder: &Path, port: u16) {
    let port = port.to_string();
    match name {
        "mini_hub" => {
            let config = format!(
                "bind = [\"127.0.0.1:{port}\"]\npublic_url = \"http://127.0.0.1:{port}/\"\n\
                 [[users]]\nname = \"alice\"\npassword = \"{HASH}\"\n"
            );
            std::fs::write(folder.join("hub.toml"), config).expect("a file");
            command
                .args(["--config", "hub.toml"])
                .env("JPY_COOKIE_SECRET", "9f86d081884c7d659a2feaa0c55ad015".repeat(2));
        }
        "hub_service" | "single_user" => {
            // No hub is needed: requests without a credential need no lookup.
            let user = [("JUPYTERHUB_USER", "alice"), ("JUPYTERHUB_SERVER_NAME", "")];
            command
                .env("JUPYTERHUB_API_TOKEN", "0f4b6a5f2c1d4e7b8a9c0d1e2f3a4b5c")
                .env("JUPYTERHUB_API_URL", "http://127.0.0.1:1/hub/api")
                .env("JUPYTERHUB_BASE_URL", "/")
                .env("JUPYTERHUB_SERVICE_NAME", "whoami")
                .env("JUPYTERHUB_SERVICE_PREFIX", "/services/whoami/")
                .env("JUPYTERHUB_SERVICE_URL", format!("http://127.0.0.1:{port}/"))
                .env("JUPYTERHUB_OAUTH_SCOPES", "[\"access:services!service=whoami\"]")
                .env("JUPYTERHUB_CLIENT_ID", "service-whoami")
                .envs(user.into_iter().filter(|_| name == "single_user"));
        }
        "forward_auth" => {
            command.args(["--port", &port, "--user", &format!("alice:{HASH}")]);
        }
        "gateway" => {
            command.args([
                "--no-browser",
                "--port",
                &port,
                "--upstream",
                "http://127.0.0.1:1",
            ]);
        }
        "notebook_server" => {
            command.args(["--no-browser", "--port", &port]);
        }
        "proxy" => {
            command.args(["--port", &port, "--api-port", "0"]);
        }
        _ => {
            command.args(["--port", &port]);
        }
    }
}

#[test]
fn silent_connections_do_not_lock_out_a_new_client() {
    for name in HTTP1 {
        for (shell, arguments) in [("ulimit -n 128", &[][..]), ("true", &["--max-connections", "32"])] {
            let mut server = Server::start(name, shell, arguments);
            let silent: Vec<_> = (0..160)
                .map(|number| {
                    let mut stream = server.connect();
                    if number % 2 == 1 {
                        stream.write_all(b"GET / HTTP/1.1\r\nHost: ").expect("sent");
                    }
                    stream
                })
                .collect();
            for _ in 0..3 {
                let answer = try_request(&server.address, "GET", "/nowhere", &[]);
                let answer = answer.unwrap_or_else(|error| panic!("{name}, {shell}: {error}"));
                assert!(answer.status >= 300, "{name}: {}", answer.head);
            }
            assert!(server.process.is_running(), "{name}");
            drop(silent);
        }
    }
}

#[tokio::test]
async fn silent_connections_do_not_lock_out_a_call() {
    let server = Server::start("grpc_server", "ulimit -n 128", &[]);
    let _silent: Vec<_> = (0..160)
        .map(|number| {
            let mut stream = server.connect();
            stream
                .write_all(&PREFACE[..number % PREFACE.len()])
                .expect("sent");
            stream
        })
        .collect();
    let call = async {
        let socket = tokio::net::TcpStream::connect(&server.address)
            .await
            .expect("a connection");
        let (client, connection) = h2::client::handshake(socket).await.expect("HTTP/2");
        tokio::spawn(connection);
        let mut client = client.ready().await.expect("a stream");
        let request = http::Request::post(format!("http://{}/door.Door/Knock", server.address))
            .header("content-type", "application/grpc")
            .body(())
            .expect("a request");
        let (answer, _) = client.send_request(request, true).expect("it is sent");
        answer.await.expect("an answer")
    };
    let answer = tokio::time::timeout(SOON, call).await.expect("an answer in time");
    assert_eq!(answer.headers()["grpc-status"], "16");
}

#[test]
fn a_connection_without_a_request_is_closed_at_the_timeout() {
    for name in HTTP1.iter().chain(&["grpc_server"]) {
        let server = Server::start(name, "true", &["--idle-timeout", "1"]);
        let begins = [
            &b""[..],
            b"GET /api HTTP/1.1\r\nHost: localhost\r\nX: ",
            &PREFACE[..10],
            // Complete, and no stream after it.
            PREFACE,
        ];
        let streams = begins.map(|begin| {
            let mut stream = server.connect();
            stream.write_all(begin).expect("sent");
            (begin, stream)
        });
        for (begin, mut stream) in streams {
            let mut answer = Vec::new();
            let read = stream.read_to_end(&mut answer);
            let begin = String::from_utf8_lossy(begin);
            // What was sent and not read makes the end a reset.
            let reset = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset;
            assert!(
                read.as_ref().map_or_else(reset, |_| true),
                "{name}, {begin:?}: expected the server to close, found {read:?}"
            );
        }
    }
}

#[test]
fn a_tls_connection_without_a_request_is_closed_at_the_timeout() {
    let authority = Authority::new();
    let certificate = authority.certificate(0x51);
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("all.pem").display().to_string();
    std::fs::write(&file, format!("{}{}", certificate.chain, certificate.key)).expect("a file");
    for name in ["gateway", "notebook_server", "proxy"] {
        let server = Server::start(name, "true", &["--idle-timeout", "1", "--certfile", &file]);
        for begin in [&b""[..], &[0x16, 3, 1, 2, 0, 1]] {
            let mut stream = server.connect();
            stream.write_all(begin).expect("sent");
            let read = stream.read(&mut [0; 64]);
            assert!(matches!(read, Ok(0)), "{name}: {read:?}");
        }
        // After the handshake not even the preface of HTTP/2 comes.
        let url = format!("https://{}/", server.address);
        let answer = ask(&authority.root(), json!({ "url": url, "silent": true }));
        assert_eq!(answer["body"], "let go", "{name}: {answer}");
    }
}

#[test]
fn http2_is_spoken_only_where_it_is_offered() {
    for name in HTTP1 {
        let server = Server::start(name, "true", &["--idle-timeout", "1"]);
        let mut stream = server.connect();
        stream.write_all(PREFACE).expect("sent");
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).expect("sent");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"),
            "{name}: {answer:?}"
        );
    }
}

#[test]
fn a_full_pipe_behind_stderr_stops_nothing() {
    let folder = tempfile::tempdir().expect("a directory");
    for name in ["gateway", "mini_hub", "notebook_server", "proxy", "single_user"] {
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let mut command = Example::command(&Example::build(name));
        command
            .current_dir(folder.path())
            .env("JUPYTER_RUNTIME_DIR", folder.path())
            .env("JUPYTER_CONFIG_DIR", folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        configure(&mut command, name, folder.path(), port);
        if name == "proxy" {
            // Nothing listens there, and each request for it is a line.
            command.args(["--default-target", "http://127.0.0.1:1"]);
        }
        let mut child = command.spawn().expect("it starts");
        wait_until_listening(&address);
        // More than the queue holds, and than 64 KiB of pipe. There is no reader.
        let path = format!("/{}", "x".repeat(900));
        for number in 0..1400 {
            let answer = try_request(&address, "GET", &path, &[]);
            let answer = answer.unwrap_or_else(|error| panic!("{name}, request {number}: {error}"));
            assert!(answer.status >= 300, "{name}: {}", answer.head);
        }
        let ended = Command::new("kill").arg(child.id().to_string()).status();
        assert!(ended.is_ok_and(|status| status.success()), "{name}");
        let status = wait(&mut child, SOON);
        let _ = child.kill();
        assert!(status.is_some(), "{name}: expected it to end, it still runs");
    }
}

#[test]
fn dropped_lines_of_the_log_are_counted() {
    let mut command = Example::command(&Example::build("proxy"));
    let (port, folder) = (free_port(), tempfile::tempdir().expect("a directory"));
    let address = format!("127.0.0.1:{port}");
    configure(&mut command, "proxy", folder.path(), port);
    command
        .args(["--default-target", "http://127.0.0.1:1"])
        .args([
            "--error-target",
            &format!("http://127.0.0.1:1/{}", "x".repeat(900)),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    wait_until_listening(&address);
    // Two lines each.
    for _ in 0..1000 {
        try_request(&address, "GET", "/", &[]).expect("an answer");
    }
    let stderr = child.stderr.take().expect("stderr is a pipe");
    let mut dropped = 0;
    let mut written = 0;
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        written += 1;
        let count = line
            .strip_suffix(" lines of the log were dropped")
            .and_then(|rest| rest.rsplit(' ').next());
        if let Some(count) = count {
            written -= 1;
            dropped += count.parse::<usize>().expect("a number");
        }
        if written + dropped == 2000 {
            break;
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    assert!(dropped > 0);
    assert_eq!(written + dropped, 2000);
}

#[test]
fn a_request_that_takes_long_is_answered() {
    let upstream = TcpListener::bind("127.0.0.1:0").expect("a port");
    let target = format!("http://{}", upstream.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for mut stream in upstream.incoming().map_while(Result::ok) {
            std::thread::sleep(Duration::from_secs(3));
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let server = Server::start(
        "proxy",
        "true",
        &["--idle-timeout", "1", "--default-target", &target],
    );
    let answer = try_request(&server.address, "GET", "/", &[]).expect("an answer");
    assert_eq!((answer.status, &*answer.body), (200, "ok"));
}

#[test]
fn a_server_without_an_address_or_with_a_star_listens_on_ipv4_and_ipv6() {
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    if !has_ipv6 {
        println!("this machine has no IPv6: only IPv4 is tested");
    }
    // `http://:8888/`, as a hub says it that leaves the address to the server.
    let no_host = "JUPYTERHUB_SERVICE_URL=$(echo \"$JUPYTERHUB_SERVICE_URL\" | sed s/127.0.0.1//)";
    for (name, shell, arguments) in [
        ("hub_service", no_host, &[][..]),
        ("single_user", no_host, &[]),
        ("gateway", "true", &["--ip", "*"]),
        ("notebook_server", "true", &["--ip", "*"]),
        ("notebook_server", "true", &["--ip", ""]),
        ("proxy", "true", &["--ip", "*"]),
    ] {
        let server = Server::start(name, shell, arguments);
        let ipv6 = server.address.replace("127.0.0.1", "[::1]");
        for address in [Some(&server.address), has_ipv6.then_some(&ipv6)]
            .into_iter()
            .flatten()
        {
            let answer = try_request(address, "GET", "/", &[]);
            assert!(answer.is_ok(), "{name} {arguments:?} at {address}: {answer:?}");
        }
    }
}
