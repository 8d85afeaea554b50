//! Names of users, servers and services, as they stand in paths, cookies and client ids.

use portcullis_interop::{example::Example, http::request, visitor::Visitor};

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
        let mut visitor = Visitor::new(&hub.address);
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
    let mut alice = Visitor::new(&hub.address);
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
    assert_eq!(answer.json()["name"], "alice");
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
