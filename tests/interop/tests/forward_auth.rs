//! `forward_auth` with a real nginx and a real Caddy, configured as in the manual.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use portcullis_interop::{
    example::Example,
    http::{Answer, request, request_with},
    reverse_proxy::{ReverseProxy, manual_block},
};

const PASSWORD: &str = "vector-Pw-123";
/// That of [`PASSWORD`], at a cost that suits a test.
const HASH: &str = "sha256:0123456789ab:a2299f4a8b632651d71e143fe5a0c65e804243c3febc8c97713e774c8e978705";

#[test]
fn nginx_allows_logged_in_users_and_applies_the_cross_site_rules() {
    judge(&Site::start(ReverseProxy::nginx, "nginx ("));
}

#[test]
fn caddy_lets_in_who_has_logged_in_and_applies_the_cross_site_rules() {
    judge(&Site::start(ReverseProxy::caddy, "Caddy:"));
}

fn judge(site: &Site) {
    let address = &site.proxy.address;
    let page = ("Accept", "text/html");
    let own = format!("http://{address}");

    // Without a login: a browser is redirected to the login page and back, a program gets 401.
    let answer = request(address, "GET", "/app/x?y=1", &[page]);
    assert_eq!(answer.status, 302, "{}", answer.head);
    let login = local(&answer, &own);
    assert_eq!(login, "/login?next=%2Fapp%2Fx%3Fy%3D1");
    for method in ["GET", "POST"] {
        assert_eq!(request(address, method, "/app", &[]).status, 401, "{method}");
    }
    let spoofed = [
        ("Remote-User", "alice"),
        ("X-Forwarded-Uri", "/login"),
        ("X-Forwarded-Method", "OPTIONS"),
    ];
    assert_eq!(request(address, "GET", "/app", &spoofed).status, 401);

    // The login page, through the proxy.
    let form = request(address, "GET", &login, &[page]);
    let xsrf = pair(&form, "_xsrf=");
    let (_, value) = xsrf.split_once('=').expect("a value");
    let sent = format!("_xsrf={value}&username=alice&password={PASSWORD}");
    let fields = [
        page,
        ("Cookie", &*xsrf),
        ("Origin", &*own),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let answer = request_with(address, "POST", &login, &fields, &sent);
    assert_eq!(answer.status, 302, "{} {}", answer.head, answer.body);
    assert_eq!(local(&answer, &own), "/app/x?y=1");
    let cookie = pair(&answer, "username-");

    // With it: the application gets the user's name, whatever the client claims.
    let cookie = ("Cookie", &*cookie);
    for fields in [
        &[cookie][..],
        &[cookie, page],
        &[cookie, ("Remote-User", "admin")],
    ] {
        let answer = request(address, "GET", "/app/x?y=1", fields);
        assert_eq!(answer.status, 200, "{}", answer.head);
        assert!(answer.body.contains("GET /app/x?y=1 by alice"), "{}", answer.body);
    }

    // The rules for other sites are those of the original request.
    let evil = ("Origin", "https://evil.example");
    let own = ("Origin", &*own);
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    for (case, method, fields, status) in [
        ("own page", "POST", vec![cookie, own], 200),
        (
            "own page",
            "DELETE",
            vec![cookie, ("Sec-Fetch-Site", "same-origin")],
            200,
        ),
        ("another site", "POST", vec![cookie, evil], 403),
        ("a script of another site", "GET", vec![cookie, evil], 403),
        (
            "a link on another site",
            "GET",
            vec![
                cookie,
                ("Sec-Fetch-Site", "cross-site"),
                ("Sec-Fetch-Mode", "navigate"),
                ("Sec-Fetch-Dest", "document"),
            ],
            200,
        ),
        ("unknown", "POST", vec![cookie], 403),
        (
            "a claim of the client",
            "POST",
            vec![cookie, evil, ("X-Forwarded-Method", "GET")],
            403,
        ),
        (
            "a websocket of another site",
            "GET",
            [&upgrade[..], &[cookie, evil]].concat(),
            403,
        ),
        (
            "a websocket of an unknown page",
            "GET",
            [&upgrade[..], &[cookie]].concat(),
            403,
        ),
        (
            "a websocket of an own page",
            "GET",
            [&upgrade[..], &[cookie, own]].concat(),
            200,
        ),
    ] {
        let answer = request(address, method, "/app", &fields);
        assert_eq!(
            answer.status, status,
            "{case} {method}: {} {}",
            answer.head, answer.body
        );
    }

    // After the logout the cookie is not good any more.
    let answer = request(address, "GET", "/logout", &[cookie, page]);
    assert_eq!(answer.status, 200, "{}", answer.head);
    assert_eq!(request(address, "GET", "/app", &[cookie]).status, 401);
}

#[test]
fn only_a_trusted_proxy_that_says_which_request_it_is_gets_an_answer() {
    let uri = ("X-Forwarded-Uri", "/app");
    let method = ("X-Forwarded-Method", "GET");
    let (_process, address) = service(&["--trusted-proxy", "127.0.0.2"]);
    assert_eq!(request(&address, "GET", "/auth", &[uri, method]).status, 403);
    let (_process, address) = service(&[]);
    for (case, path, fields, status) in [
        ("all there", "/auth", vec![uri, method], 401),
        ("no method", "/auth", vec![uri], 400),
        ("no target", "/auth", vec![method], 400),
        ("two targets", "/auth", vec![uri, uri, method], 400),
        (
            "a whole URL",
            "/auth",
            vec![("X-Forwarded-Uri", "http://evil.example/"), method],
            400,
        ),
        (
            "no method of HTTP",
            "/auth",
            vec![uri, ("X-Forwarded-Method", "G,ET")],
            400,
        ),
        (
            "a path of the service",
            "/auth",
            vec![("X-Forwarded-Uri", "/login"), method],
            403,
        ),
        (
            "a form of the service",
            "/auth",
            vec![("X-Forwarded-Uri", "/login"), ("X-Forwarded-Method", "POST")],
            403,
        ),
        ("a page", "/auth", vec![uri, method, ("Accept", "text/html")], 302),
        (
            "a page, for nginx",
            "/auth/nginx",
            vec![uri, method, ("Accept", "text/html")],
            401,
        ),
        (
            "another host",
            "/auth",
            vec![uri, method, ("X-Forwarded-Host", "evil.example")],
            403,
        ),
    ] {
        let answer = request(&address, "GET", path, &fields);
        assert_eq!(answer.status, status, "{case}: {} {}", answer.head, answer.body);
    }
}

/// `forward_auth` with the user alice, and where it listens.
fn service(arguments: &[&str]) -> (Example, String) {
    let mut command = Example::command(&Example::build("forward_auth"));
    let folder = tempfile::tempdir().expect("a directory").keep();
    command
        .args(["--port", "0", "--user", &format!("alice:{HASH}")])
        .args(arguments);
    command.env("JUPYTER_RUNTIME_DIR", folder);
    let process = Example::start("forward_auth", command);
    let address = process.line_after("forward_auth listens on http://");
    (process, address.trim_end_matches('/').to_owned())
}

/// A proxy, an application behind it, and the authentication service.
struct Site {
    proxy: ReverseProxy,
    _service: Example,
}

impl Site {
    /// Configures the proxy by the block of the manual that follows `heading` in its section on forward authentication.
    fn start(proxy: fn(&str) -> ReverseProxy, heading: &str) -> Self {
        let (service, auth) = service(&[]);
        let config = manual_block("reverse_proxies", "Forward authentication", heading)
            .replace("127.0.0.1:9091", &auth)
            .replace("127.0.0.1:3000", &application());
        Self {
            proxy: proxy(&config),
            _service: service,
        }
    }
}

/// Answers every request with its method, its target and its `Remote-User`.
fn application() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(mut stream: TcpStream) -> Option<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head);
    let target = head
        .lines()
        .next()?
        .trim_end_matches(" HTTP/1.1")
        .trim_end_matches(" HTTP/1.0");
    let users = head.lines().filter_map(|line| line.split_once(": "));
    let users: Vec<&str> = users
        .filter(|(name, _)| name.eq_ignore_ascii_case("remote-user"))
        .map(|(_, user)| user)
        .collect();
    let body = format!("{target} by {}", users.join(","));
    let length = body.len();
    let text = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).ok()
}

/// The target of a redirect to this site.
#[track_caller]
fn local(answer: &Answer, origin: &str) -> String {
    let location = answer.fields("location");
    let [location] = &location[..] else {
        panic!("expected one Location, found {}", answer.head);
    };
    location.strip_prefix(origin).unwrap_or(location).to_owned()
}

/// The cookie whose line begins so, as `name=value`.
#[track_caller]
fn pair(answer: &Answer, name: &str) -> String {
    let lines = answer.fields("set-cookie");
    let line = lines.iter().find(|line| line.starts_with(name));
    let line = line.unwrap_or_else(|| panic!("expected the cookie {name}, found {}", answer.head));
    line.split(';').next().unwrap_or_default().to_owned()
}
