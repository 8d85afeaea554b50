//! `mcp_server` with real MCP clients, of PyPI and npm, and with two OAuth servers: `mini_hub`, and npm's `oidc-provider`.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use portcullis_interop::{
    example::{Example, is_clear_error, run},
    headless_browser::{HeadlessBrowser, encoded, wait_until},
    http::{self, Answer},
    install,
    jupyter_server::free_port,
    mini_hub::MiniHub,
};
use serde_json::Value;

const BOTH: [Kind; 2] = [Kind::Python, Kind::JavaScript];
const SECRET: &str = "2c5d0a9be1f7436d8a01c2e4f6b8d0a3";

/// Which client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Python,
    JavaScript,
}

/// A client, which keeps its tokens between two runs.
struct Client {
    kind: Kind,
    folder: tempfile::TempDir,
    url: String,
}

impl Client {
    fn new(kind: Kind, url: &str) -> Self {
        Self {
            kind,
            folder: tempfile::tempdir().expect("a folder"),
            url: url.to_owned(),
        }
    }

    /// Runs `steps`, and calls `open` with each page that the user is to open. Returns what the client printed.
    fn run(&self, steps: &[&str], mut open: impl FnMut(&str)) -> Vec<String> {
        let peers = install::node().join("../peers");
        let mut command = match self.kind {
            Kind::Python => {
                let mut command = Command::new(install::python().join("python"));
                command.arg(peers.join("mcp_client.py"));
                command
            }
            Kind::JavaScript => {
                let mut command = Command::new("node");
                command.arg(peers.join("mcp_client.mjs"));
                command
            }
        };
        command
            .arg(&self.url)
            .arg(self.state_file())
            .args(steps)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("the client starts");
        let output = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let mut lines = Vec::new();
        for line in output.lines().map_while(Result::ok) {
            println!("  {:?} | {line}", self.kind);
            if let Some(page) = line.strip_prefix("open ") {
                open(page);
            }
            lines.push(line);
        }
        let status = child.wait().expect("it ends");
        assert!(status.success(), "{status}");
        lines
    }

    /// The same where no login is due.
    #[track_caller]
    fn run_logged_in(&self, steps: &[&str]) -> Vec<String> {
        self.run(steps, |page| panic!("expected no login, found {page}"))
    }

    fn state_file(&self) -> std::path::PathBuf {
        self.folder.path().join("state.json")
    }

    /// What it keeps.
    fn state(&self) -> Value {
        let text = fs::read_to_string(self.state_file()).expect("it was written");
        serde_json::from_str(&text).expect("JSON")
    }

    fn access_token(&self) -> String {
        let token = self.state()["tokens"]["access_token"].as_str().map(str::to_owned);
        token.expect("it has one")
    }
}

/// Whether there are lines that contain `expected`, in this order, between others.
#[track_caller]
fn assert_in_order(lines: &[String], expected: &[&str]) {
    let mut rest = lines.iter();
    for text in expected {
        assert!(
            rest.any(|line| line.contains(text)),
            "expected {text:?} in its place: {lines:#?}"
        );
    }
}

fn count(lines: &[String], beginning: &str) -> usize {
    lines.iter().filter(|line| line.starts_with(beginning)).count()
}

fn server(port: u16, issuer: &str, arguments: &[&str]) -> Example {
    let mut command = Example::command(&Example::build("mcp_server"));
    command
        .args(["--port", &port.to_string(), "--issuer", issuer])
        .args(arguments)
        .env("CLIENT_SECRET", SECRET);
    let server = Example::start("mcp_server", command);
    server.line_after("log in at: ");
    server
}

/// The hub of the example's own configuration, for MCP servers on these ports.
fn hub(ports: &[u16]) -> MiniHub {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/mcp_server/hub.toml");
    let config = fs::read_to_string(file).expect("the configuration of the example");
    let resources: Vec<String> = ports.iter().map(|port| format!("{:?}", url(*port))).collect();
    MiniHub::start_configured(|address, _| {
        config
            .replace("127.0.0.1:8000", address)
            .replace("\"http://127.0.0.1:3000/mcp\"", &resources.join(", "))
    })
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/mcp")
}

/// A hub, and a server that introspects tokens there; with arguments for the server.
fn hub_and_server(arguments: &[&str]) -> (MiniHub, Example, String) {
    let port = free_port();
    let hub = hub(&[port]);
    let arguments = [&["--introspect-with", "service-mcp"], arguments].concat();
    let server = server(port, &hub.url(""), &arguments);
    (hub, server, url(port))
}

/// A user of the hub logs in, if that is due, and authorizes the client, or cancels.
#[track_caller]
fn at_hub(browser: &mut HeadlessBrowser, name: &str, button: &str, page: &str) {
    let mut page = browser.open(page);
    if page.url.contains("/hub/login") {
        let password = match name {
            "alice" => "purple tricycle nine",
            _ => "green umbrella seven",
        };
        let xsrf = page.hidden("_xsrf");
        let fields = [("_xsrf", &*xsrf), ("username", name), ("password", password)];
        page = browser.submit(&page.url, &fields);
    }
    assert!(page.answer.body.contains("Its name is not verified"), "{page:?}");
    let (xsrf, scopes) = (page.hidden("_xsrf"), page.all_hidden("scopes"));
    let mut fields = vec![("_xsrf", &*xsrf)];
    match button {
        "Cancel" => fields.push(("deny", "1")),
        _ => fields.extend(scopes.iter().map(|scope| ("scopes", &**scope))),
    }
    let end = browser.submit(&page.url, &fields);
    assert!(
        end.url.starts_with("http://127.0.0.1:") && end.answer.body == "Done",
        "{end:?}"
    );
}

/// A user of the provider does the same.
#[track_caller]
fn at_provider(browser: &mut HeadlessBrowser, name: &str, page: &str) {
    let mut page = browser.open(page);
    while page.answer.body != "Done" {
        let form = page.target("action=\"");
        let fields = match page.answer.body.contains("name=\"login\"") {
            true => &[("prompt", "login"), ("login", name), ("password", "any")][..],
            false => &[("prompt", "consent")],
        };
        page = browser.submit(&form, fields);
    }
}

/// What the server at `url` answers to a message with this token, and more fields.
fn post(url: &str, token: &str, fields: &[(&str, &str)], message: &str) -> Answer {
    let (address, path) = url
        .strip_prefix("http://")
        .and_then(|url| url.split_once('/'))
        .expect("a URL");
    let credential = format!("Bearer {token}");
    let mut all = vec![
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
    ];
    if !token.is_empty() {
        all.push(("Authorization", &credential));
    }
    all.extend(fields);
    http::request_with(address, "POST", &format!("/{path}"), &all, message)
}

fn call(tool: &str) -> String {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"{tool}\",\"arguments\":{{\"a\":2,\"b\":3}}}}}}"
    )
}

#[test]
fn clients_find_the_hub_register_log_in_and_step_up() {
    let (_hub, _server, url) = hub_and_server(&[]);
    for kind in BOTH {
        let (client, mut alice) = (Client::new(kind, &url), HeadlessBrowser::default());
        let lines = client.run(&["whoami", "add"], |page| {
            at_hub(&mut alice, "alice", "Authorize", page)
        });
        let resource = format!("resource={}", encoded(&url));
        assert_in_order(
            &lines,
            &[
                "http POST /mcp 401",
                "http GET /.well-known/oauth-protected-resource/mcp 200",
                "http GET /.well-known/oauth-authorization-server 200",
                "http POST /hub/api/oauth2/register 201",
                &resource,
                "http POST /hub/api/oauth2/token 200",
                "http POST /mcp 200",
                "result whoami alice with custom:tools:read",
                "http POST /mcp 403",
                "open ",
                "http POST /hub/api/oauth2/token 200",
                "result add 5",
            ],
        );
        let pages: Vec<&String> = lines.iter().filter(|line| line.starts_with("open ")).collect();
        let requested = pages.iter().map(|page| page.contains("custom%3Atools%3Arun"));
        assert!(requested.eq([false, true]), "{pages:#?}");
        assert!(
            pages.iter().all(|page| page.contains("custom%3Atools%3Aread")),
            "{pages:#?}"
        );
        assert_eq!(count(&lines, "http POST /hub/api/oauth2/register"), 1);

        // The next run has the token of both scopes.
        let lines = client.run_logged_in(&["add", "whoami"]);
        assert_in_order(
            &lines,
            &[
                "result add 5",
                "result whoami alice with custom:tools:read custom:tools:run",
            ],
        );
        assert_eq!(count(&lines, "http POST /hub"), 0, "{lines:#?}");
    }
}

#[test]
fn a_user_without_the_scope_or_who_cancels_is_refused() {
    let (_hub, _server, url) = hub_and_server(&[]);
    for kind in BOTH {
        let (client, mut bob) = (Client::new(kind, &url), HeadlessBrowser::default());
        let lines = client.run(&["whoami", "add"], |page| {
            at_hub(&mut bob, "bob", "Authorize", page)
        });
        assert_in_order(
            &lines,
            &[
                "result whoami bob with custom:tools:read",
                "http POST /mcp 403",
                "open ",
                "http POST /hub/api/oauth2/token 200",
                "http POST /mcp 403",
                "refused ",
            ],
        );
        assert_eq!(count(&lines, "result add"), 0);

        let (client, mut alice) = (Client::new(kind, &url), HeadlessBrowser::default());
        let lines = client.run(&["whoami"], |page| at_hub(&mut alice, "alice", "Cancel", page));
        assert_in_order(&lines, &["open ", "refused "]);
        assert_eq!(count(&lines, "http POST /hub/api/oauth2/token"), 0, "{lines:#?}");
        assert_eq!(count(&lines, "result"), 0, "{lines:#?}");
    }
}

#[test]
fn clients_refresh_and_are_refused_once_their_tokens_are_revoked() {
    for (cache, is_remembered) in [("0", false), ("600", true)] {
        let (hub, _server, url) = hub_and_server(&["--cache-max-age", cache]);
        for kind in BOTH {
            let (client, mut alice) = (Client::new(kind, &url), HeadlessBrowser::default());
            let mut log_in =
                |steps: &[&str]| client.run(steps, |page| at_hub(&mut alice, "alice", "Authorize", page));
            // The one learns that the time of its token is over, the other gets 401 for it. The first one refreshes only in the
            // process that logged in: a new one sends its refresh token to the MCP server.
            let lines = match kind {
                Kind::Python => log_in(&["whoami", "refresh", "whoami"]),
                Kind::JavaScript => {
                    log_in(&["whoami"]);
                    let mut state = client.state();
                    state["tokens"]["access_token"] = "expired".into();
                    fs::write(client.state_file(), state.to_string()).expect("a file");
                    client.run_logged_in(&["whoami"])
                }
            };
            let refreshed = ["http POST /hub/api/oauth2/token 200", "result whoami alice"];
            let in_order = match kind {
                Kind::Python => [refreshed, refreshed].concat(),
                Kind::JavaScript => [&["http POST /mcp 401"], &refreshed[..]].concat(),
            };
            assert_in_order(&lines, &in_order);
            assert_eq!(
                count(&lines, "open "),
                usize::from(kind == Kind::Python),
                "{lines:#?}"
            );
            let token = client.access_token();

            // By the client, or by a user who logs out.
            match kind {
                Kind::Python => {
                    let page = alice.open(&hub.url("/hub/logout"));
                    alice.submit(&page.url, &[("_xsrf", &page.hidden("_xsrf"))]);
                }
                Kind::JavaScript => {
                    let state = client.state();
                    let [id, refresh] = [&state["client"]["client_id"], &state["tokens"]["refresh_token"]]
                        .map(|value| value.as_str().expect("a text"));
                    let body = format!("client_id={id}&token={refresh}");
                    let form = [("Content-Type", "application/x-www-form-urlencoded")];
                    let answer =
                        http::request_with(&hub.address, "POST", "/hub/api/oauth2/revoke", &form, &body);
                    assert_eq!(answer.status, 200, "{answer:?}");
                }
            }
            let status = post(&url, &token, &[], &call("whoami")).status;
            assert_eq!(status, if is_remembered { 200 } else { 401 }, "{kind:?} {cache}");
            if !is_remembered {
                let lines = client.run(&["whoami"], |page| at_hub(&mut alice, "alice", "Cancel", page));
                assert_in_order(&lines, &["http POST /mcp 401", "open ", "refused "]);
            }
        }
    }
}

#[test]
fn clients_log_in_at_an_openid_provider_whose_tokens_are_jwts() {
    let (issuer, port) = (free_port(), free_port());
    let url = url(port);
    let mut command = Command::new("node");
    command
        .arg(install::node().join("../peers/oauth_server.mjs"))
        .args([&issuer.to_string(), &url, "20"]);
    let provider = Example::start("oidc-provider", command);
    let issuer = provider.line_after("Issuer ");
    let _server = server(port, &issuer, &[]);
    for kind in BOTH {
        let (client, mut alice) = (Client::new(kind, &url), HeadlessBrowser::default());
        let steps = match kind {
            Kind::Python => &["whoami", "add", "refresh", "whoami"][..],
            Kind::JavaScript => &["whoami", "add"],
        };
        let lines = client.run(steps, |page| at_provider(&mut alice, "alice", page));
        assert_in_order(
            &lines,
            &[
                "http POST /mcp 401",
                "http GET /.well-known/oauth-protected-resource/mcp 200",
                "http GET /.well-known/oauth-authorization-server 404",
                "http GET /.well-known/openid-configuration 200",
                "http POST /reg 201",
                "open ",
                "http POST /token 200",
                "result whoami alice with custom:tools:read",
                "http POST /mcp 403",
                "open ",
                "http POST /token 200",
                "result add 5",
            ],
        );
        if kind == Kind::Python {
            assert_in_order(
                &lines,
                &["result add 5", "http POST /token 200", "result whoami alice"],
            );
        }
        assert_eq!(count(&lines, "open "), 2, "{lines:#?}");
        let token = client.access_token();
        assert_eq!(token.split('.').count(), 3, "expected a JWT");
        wait_until("the token expires", || {
            post(&url, &token, &[], &call("whoami")).status == 401
        });
        let answer = post(&url, &token, &[], &call("whoami"));
        assert!(
            answer.fields("www-authenticate")[0].contains("error=\"invalid_token\""),
            "{answer:?}"
        );
        // One refreshes its token, the other sends the user to log in: it does not know when the token of its last run expires.
        let lines = client.run(&["whoami"], |page| {
            assert_eq!(kind, Kind::Python, "{page}");
            at_provider(&mut alice, "alice", page);
        });
        assert_in_order(
            &lines,
            &[
                "http POST /mcp 401",
                "http POST /token 200",
                "result whoami alice",
            ],
        );
    }
}

#[test]
fn the_server_accepts_tokens_for_itself_from_hosts_and_origins_that_are_allowed() {
    let (port, other) = (free_port(), free_port());
    let hub = hub(&[port, other]);
    let introspect = [
        "--introspect-with",
        "service-mcp",
        "--allow-origin",
        "http://localhost:6274",
    ];
    let _servers = [port, other].map(|port| server(port, &hub.url(""), &introspect));
    let mut alice = HeadlessBrowser::default();
    let client = Client::new(Kind::Python, &url(port));
    client.run(&["whoami"], |page| at_hub(&mut alice, "alice", "Authorize", page));
    let token = client.access_token();
    for (port, token, fields, tool, status, challenge) in [
        (port, &*token, &[][..], "whoami", 200, None),
        (
            port,
            &token,
            &[("Origin", "http://localhost:6274")],
            "whoami",
            200,
            None,
        ),
        (
            port,
            &token,
            &[("Origin", "http://evil.example")],
            "whoami",
            403,
            None,
        ),
        (port, &token, &[("Host", "evil.example")], "whoami", 403, None),
        (
            port,
            "",
            &[],
            "whoami",
            401,
            Some(", scope=\"custom:tools:read\""),
        ),
        (
            port,
            "wrong",
            &[],
            "whoami",
            401,
            Some(", error=\"invalid_token\""),
        ),
        (
            port,
            &token,
            &[],
            "add",
            403,
            Some(", error=\"insufficient_scope\", scope=\"custom:tools:run custom:tools:read\""),
        ),
        // The token is for the other server.
        (
            other,
            &token,
            &[],
            "whoami",
            401,
            Some(", error=\"invalid_token\""),
        ),
    ] {
        let answer = post(&url(port), token, fields, &call(tool));
        assert_eq!(answer.status, status, "{fields:?} {tool}: {answer:?}");
        if let Some(challenge) = challenge {
            let metadata = format!("http://127.0.0.1:{port}/.well-known/oauth-protected-resource/mcp");
            let expected =
                format!("Bearer realm=\"portcullis\", resource_metadata=\"{metadata}\"{challenge}");
            assert_eq!(answer.fields("www-authenticate"), [expected], "{tool}");
        }
    }
    let answer = post(
        &url(port),
        &token,
        &[("Origin", "http://localhost:6274")],
        &call("add"),
    );
    assert_eq!(
        answer.fields("access-control-allow-origin"),
        ["http://localhost:6274"]
    );
    assert!(answer.fields("access-control-expose-headers")[0].contains("WWW-Authenticate"));
    // A message that the step-up reads as one tool and the server as another: the tool itself refuses.
    let twice = call("whoami").replace("\"name\":\"whoami\"", "\"name\":\"add\",\"name\":\"whoami\"");
    assert!(!post(&url(port), &token, &[], &twice).body.contains("\"5\""));
    let long = format!("{}{}", call("whoami"), " ".repeat(2 * 1024 * 1024));
    assert_eq!(post(&url(port), &token, &[], &long).status, 413);
}

#[test]
fn the_example_says_what_it_cannot_do() {
    for (arguments, secret, expected) in [
        (
            &["--introspect-with", "service-mcp"][..],
            "",
            "expected the secret of \"service-mcp\" in CLIENT_SECRET",
        ),
        (&[], SECRET, "--issuer: "),
        (
            &["--resource", "mcp", "--introspect-with", "service-mcp"],
            SECRET,
            "expected an absolute http or https URL",
        ),
        (&["--allow-origin", "localhost"], SECRET, "--allow-origin: "),
        (&["--issuer", "http://login.example.org"], SECRET, "https"),
    ] {
        let mut command = Example::command(&Example::build("mcp_server"));
        let issuer = format!("http://127.0.0.1:{}", free_port());
        command
            .args(["--port", "0"])
            .args(arguments)
            .env("CLIENT_SECRET", secret);
        if !arguments.contains(&"--issuer") {
            command.args(["--issuer", &issuer]);
        }
        let (status, stderr) = run(command);
        assert_eq!(status.code(), Some(2), "{arguments:?}: {stderr}");
        // Lines of the log may stand before it.
        let last = stderr.lines().last().unwrap_or_default();
        assert!(
            is_clear_error(last) && last.contains(expected),
            "{arguments:?}: {stderr}"
        );
    }
}
