//! The small examples: each runs without arguments, accepts the credential it prints, and refuses others.

use portcullis_interop::{cookie_client::CookieClient, example::Example, http::request};

fn start(name: &str) -> Example {
    Example::start(name, Example::command(&Example::build(name)))
}

/// The status of `method` at `url`, with `token` in `Authorization`, and the body.
fn send(method: &str, url: &str, token: &str) -> (u16, String) {
    let (address, path) = split(url);
    let answer = request(
        address,
        method,
        path,
        &[("Authorization", &format!("Bearer {token}"))],
    );
    (answer.status, answer.body)
}

/// The address and the path of an http URL.
fn split(url: &str) -> (&str, &str) {
    let url = url.strip_prefix("http://").expect("a URL");
    url.split_at(url.find('/').expect("a path"))
}

#[test]
fn quickstart_and_hyper_accept_their_link_alone() {
    for name in ["quickstart", "hyper"] {
        let example = start(name);
        let link = example.line_after("Open ");
        let (address, path) = split(&link);
        let (_, page) = CookieClient::new(address).follow(path);
        assert_eq!(page.status, 200, "{name}: {}", page.head);
        assert!(page.body.contains("Hello, Anonymous "), "{name}: {}", page.body);
        assert_eq!(request(address, "GET", "/", &[]).status, 401, "{name}");
        assert_eq!(
            request(address, "GET", "/?token=wrong", &[]).status,
            401,
            "{name}"
        );
    }
}

#[test]
fn api_keys_accepts_its_keys_and_needs_a_scope_for_admin() {
    let example = start("api_keys");
    let keys = example.line_after("API_KEYS is not set. Generated keys: alice:admin=");
    let (alice, ci) = keys.split_once(",ci=").expect("two keys");
    let commands = example.line_after("Try: curl -H 'Authorization: Bearer KEY' ");
    let url = commands.split(' ').next().expect("a URL");
    let admin = format!("{url}admin");
    for (key, url, expected) in [
        (alice, url, (200, "Hello, alice!\n")),
        (alice, &admin, (200, "Hello, alice!\n")),
        (ci, url, (200, "Hello, ci!\n")),
    ] {
        assert_eq!(
            send("GET", url, key),
            (expected.0, expected.1.to_owned()),
            "{url}"
        );
    }
    assert_eq!(send("GET", &admin, ci).0, 403);
    assert_eq!(send("GET", url, "wrong").0, 401);
}

#[test]
fn api_keys_reads_its_keys_from_the_environment() {
    let mut command = Example::command(&Example::build("api_keys"));
    command.env("API_KEYS", "worker=a-key-of-an-operator");
    let example = Example::start("api_keys", command);
    let commands = example.line_after("Try: curl -H 'Authorization: Bearer KEY' ");
    let url = commands.split(' ').next().expect("a URL");
    assert_eq!(send("GET", url, "a-key-of-an-operator").1, "Hello, worker!\n");
    assert_eq!(send("GET", url, "worker=a-key-of-an-operator").0, 401);
}

#[test]
fn users_log_in_by_password_and_admin_needs_the_scope() {
    let example = start("users");
    let alice = example.line_after("alice: ");
    let bob = example.line_after("bob: ");
    let urls = example.line_after("Open ");
    let (address, _) = split(urls.split(' ').next().expect("a URL"));
    for (name, password, login, home, admin) in [
        ("alice", &*alice, 302, 200, 200),
        ("bob", &*bob, 302, 200, 403),
        ("bob", &*alice, 401, 302, 302),
    ] {
        let mut browser = CookieClient::new(address);
        let (way, form) = browser.follow("/admin");
        assert_eq!(
            (way.last().map(String::as_str), form.status),
            (Some("/login?next=%2Fadmin"), 200)
        );
        let xsrf = browser.cookie("_xsrf", "/").expect("a cookie").value.clone();
        let answer = browser.send(
            "POST",
            "/login",
            &[("Content-Type", "application/x-www-form-urlencoded")],
            &format!("_xsrf={xsrf}&username={name}&password={password}"),
        );
        assert_eq!(answer.status, login, "{name}: {}", answer.head);
        assert_eq!(browser.open("/").status, home, "{name}");
        assert_eq!(browser.open("/admin").status, admin, "{name}");
    }
}

#[test]
fn personal_tokens_are_created_listed_and_revoked_by_their_user_alone() {
    let example = start("personal_tokens");
    let command = example.line_after("Try: curl -X POST -H 'Authorization: Bearer ");
    let (login, tokens) = command.split_once("' ").expect("a token and a URL");
    let home = tokens.strip_suffix("tokens").expect("a path");
    let (status, created) = send("POST", tokens, login);
    let (id, token) = created
        .trim()
        .split_once(", shown once: ")
        .expect("an id and a token");
    let one = format!("{tokens}/{}", id.strip_prefix("Token ").expect("an id"));
    assert_eq!(status, 200);
    assert_eq!(send("GET", tokens, login), (200, format!("{id}\n")));
    assert_eq!(send("GET", home, token), (200, "Hello!\n".to_owned()));
    for (method, url) in [("POST", tokens), ("GET", tokens), ("DELETE", &*one)] {
        assert_eq!(send(method, url, token).0, 403, "{method} {url}");
    }
    assert_eq!(send("DELETE", &one, login), (200, "Revoked 1\n".to_owned()));
    assert_eq!(send("GET", home, token).0, 401);
}
