//! Names of users, servers and services, as they stand in paths, cookies and client ids.

use portcullis_interop::{example::Example, http::request, jupyterhub::JupyterHub};
use serde_json::json;

use crate::{hub, progress};

#[test]
fn names_of_all_kinds_named_servers_and_services_live_below_a_base() {
    let service = Example::build("hub_service");
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address").port()
    };
    let hub = hub(
        "/pre/",
        &format!(
            "c.JupyterHub.services.append({{'name': 'whoami', 'url': 'http://127.0.0.1:{port}', 'command': [{service:?}], 'oauth_no_confirm': True}})
c.JupyterHub.load_roles = [{{'name': 'user', 'scopes': ['self', 'access:services!service=whoami']}}]
c.JupyterHub.load_groups = {{'staff': {{'users': ['alice']}}, 'others': {{'users': []}}}}
"
        ),
    );
    // Each name: in a form, in a path, in the token cookie's name.
    for (form, path, cookie) in [
        ("alice", "alice", "alice"),
        ("a%40b.c", "a@b.c", "a%40b.c"),
        ("a+b", "a%20b", "a%20b"),
        ("zo%C3%AB", "zo%C3%AB", "zo%C3%AB"),
    ] {
        progress(&format!("{path} comes"));
        hub.spawn(path, "");
        let mut visitor = hub.visitor();
        hub.log_in(&mut visitor, form);
        let home = format!("/pre/user/{path}/");
        let (targets, answer) = visitor.follow(&home);
        assert_eq!(answer.status, 200, "{targets:?} {} {}", answer.head, answer.body);
        assert_eq!(targets.last(), Some(&home));
        let name = format!("jupyterhub-user-{cookie}");
        let kept = visitor
            .cookie(&name, &home)
            .unwrap_or_else(|| panic!("{name}: {:?}", visitor.cookies()));
        assert_eq!(kept.path, home);
    }

    hub.spawn("alice", "lab");
    let mut alice = hub.visitor();
    hub.log_in(&mut alice, "alice");
    let (targets, answer) = alice.follow("/pre/user/alice/lab/files/hello.txt");
    assert_eq!(answer.status, 200, "{targets:?}");
    let kept = alice
        .cookie("jupyterhub-user-alice-lab", "/pre/user/alice/lab/")
        .expect("a token cookie");
    assert_eq!(kept.path, "/pre/user/alice/lab/");

    progress("the service");
    let (targets, answer) = alice.follow("/pre/services/whoami/");
    assert_eq!(answer.status, 200, "{targets:?} {} {}", answer.head, answer.body);
    assert_eq!(
        answer.json(),
        json!({ "name": "alice", "groups": ["staff"], "admin": false })
    );
    let kept = alice
        .cookie("service-whoami", "/pre/services/whoami/")
        .expect("a token cookie");
    assert_eq!(kept.path, "/pre/services/whoami/");
    let (token, _) = hub.token("alice");
    let field = format!("Bearer {token}");
    let answer = request(
        &hub.address,
        "GET",
        "/pre/services/whoami/",
        &[("Authorization", &field)],
    );
    assert_eq!(
        (answer.status, answer.json()["name"].as_str()),
        (200, Some("alice"))
    );
}

/// `name` as a segment of a path, as a hub writes it.
fn quoted(name: &str) -> String {
    let mut quoted = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            quoted.push(char::from(byte));
        } else {
            quoted.push_str(&format!("%{byte:02X}"));
        }
    }
    quoted
}

/// A hub that takes every name, and says soon if a server does not start.
fn hub_of_odd_names() -> JupyterHub {
    hub(
        "/",
        "c.SimpleLocalProcessSpawner.home_dir_template = '{folder}/home'
c.JupyterHub.tornado_settings = {'slow_spawn_timeout': 1}
",
    )
}

/// Whether the hub takes a user of this name.
fn takes(hub: &JupyterHub, name: &str) -> bool {
    let body = json!({ "usernames": [name] }).to_string();
    let answer = hub.api("POST", "/users", &body);
    assert!([201, 400].contains(&answer.status), "{name:?}: {}", answer.head);
    answer.status == 201
}

/// The server of `user`, all the way: in by the hub, by a token, and out again.
fn is_used(hub: &JupyterHub, user: &str, server: &str) {
    let segment = quoted(user);
    hub.spawn(&segment, &quoted(server));
    let mut home = format!("/user/{segment}/");
    let mut cookie = format!("jupyterhub-user-{}", segment.replace('@', "%40"));
    if !server.is_empty() {
        home.push_str(&format!("{}/", quoted(server)));
        cookie.push_str(&format!("-{}", quoted(server)));
    }

    let mut visitor = hub.visitor();
    let page = format!("{home}files/hello.txt?x=1");
    let begun = visitor.open(&page);
    assert_eq!(begun.status, 302, "{home}: {} {}", begun.head, begun.body);
    hub.log_in(&mut visitor, &segment);
    let (targets, answer) = visitor.follow(begun.fields("location")[0]);
    assert_eq!(answer.status, 200, "{targets:?} {} {}", answer.head, answer.body);
    assert_eq!(targets.last(), Some(&page));
    let kept = visitor
        .cookie(&cookie, &home)
        .unwrap_or_else(|| panic!("{cookie}: {:?}", visitor.cookies()));
    assert_eq!(kept.path, home);

    let (token, _) = hub.token(&segment);
    let field = format!("token {token}");
    let answer = request(
        &hub.address,
        "GET",
        &format!("{home}api/contents"),
        &[("Authorization", &field)],
    );
    assert_eq!(answer.status, 200, "{home}: {} {}", answer.head, answer.body);
    assert_eq!(answer.json()["user"], user);

    let out = visitor.open(&format!("{home}logout"));
    assert_eq!(out.fields("location"), ["/hub/logout"], "{home}: {}", out.head);
    assert!(visitor.cookie(&cookie, &home).is_none(), "{home}");
    hub.wait_until("it took a report of activity", || {
        let written = hub.written();
        written.contains(&format!("200 POST /hub/api/users/{segment}/activity"))
    });
}

#[test]
fn every_user_of_the_hub_can_use_a_server_whatever_the_name() {
    let hub = hub_of_odd_names();
    progress("odd names");
    for name in [
        "a\\b",
        "\\evil.example",
        "a?b",
        "a#b",
        "a%b",
        "a%2fb",
        "%5cevil.example",
        "a;b",
        "a,b",
        "a=b&c",
        "a!b=c",
        "a+b",
        "a:b",
        "\"<a>'",
        "{a}|[b]^`",
        "$a(b)*",
        "~",
        "-",
        "..a",
        "a.",
        "\u{65e5}\u{672c}\u{8a9e}",
        "\u{1f980}",
        "i\u{307}",
        "a\u{202e}b\u{a0}c",
        &"\u{8a9e}".repeat(100),
    ] {
        assert!(takes(&hub, name), "{name:?}");
        is_used(&hub, name, "");
    }
    progress("a server with a name, of a user with an unusual one");
    is_used(&hub, "a\\b", "lab-1");
}

#[test]
fn names_that_the_hub_rejects_have_no_user_and_controls_end_a_server_with_a_clear_line() {
    let hub = hub_of_odd_names();
    for name in ["", " ", " a", "/", "a/b", ".", "..", "...", "%2e", "%2e%2E"] {
        assert!(!takes(&hub, name), "{name:?}");
    }
    for server in ["a\\b", "a?b", "a#b", "a%2fb", "a.b", "a b", "\u{e9}", "Lab", "-"] {
        let path = format!("/users/alice/servers/{}", quoted(server));
        let answer = hub.api("POST", &path, "");
        assert_eq!(answer.status, 400, "{path}: {}", answer.head);
    }
    for (name, line) in [
        (
            "a\tb",
            "error: JUPYTERHUB_SERVICE_PREFIX: base_url: expected a path such as /user/alice/, found an escaped control in \
             \"/user/a%09b/\"\n",
        ),
        (
            "a\nb",
            "error: JUPYTERHUB_SERVICE_PREFIX: base_url: expected a path such as /user/alice/, found an escaped control in \
             \"/user/a%0Ab/\"\n",
        ),
        (
            "a\u{85}b",
            "error: JUPYTERHUB_OAUTH_ACCESS_SCOPES: expected scopes such as access:servers!user=alice, without control \
             characters, found \"access:servers!server=a\\u{85}b/\"\n",
        ),
        // No variable holds it, so the hub cannot start anything.
        ("a\0b", "ValueError: embedded null byte\n"),
    ] {
        assert!(takes(&hub, name), "{name:?}");
        let asked = hub.api("POST", &format!("/users/{}/server", quoted(name)), "");
        assert!([202, 500].contains(&asked.status), "{name:?}: {}", asked.head);
        hub.wait_until(&format!("{name:?} starts no server, and why is written"), || {
            hub.written().contains(line)
        });
    }
}
