//! The last activity of users: what a culler of idle servers sees, by a server's report alone.

use std::{thread, time::Duration};

use portcullis_interop::{
    http::request,
    jupyterhub::{JupyterHub, free_ports},
};
use serde_json::Value;

use crate::{hub, progress};

/// Each user's server has a port and a time between reports of its own.
struct Servers {
    hub: JupyterHub,
    ports: [u16; 3],
}

impl Servers {
    /// alice's report each second, bob's never, and admin's by default.
    fn start() -> Self {
        let ports @ [alice, bob, admin] = free_ports();
        let hub = hub(
            "/",
            &format!(
                "ports = {{'alice': {alice}, 'bob': {bob}, 'admin': {admin}}}
intervals = {{'alice': '1', 'bob': '0'}}
# The hub itself does not ask its proxy who was busy.
c.JupyterHub.last_activity_interval = 0
c.Spawner.pre_spawn_hook = lambda spawner: setattr(spawner, 'port', ports[spawner.user.name])
c.Spawner.environment = {{'JUPYTERHUB_ACTIVITY_INTERVAL': lambda spawner: intervals.get(spawner.user.name, '')}}
"
            ),
        );
        Self { hub, ports }
    }

    /// Uses the server of the `number`th, past the proxy, with a token that is no user's.
    fn are_used(&self, number: usize, user: &str) {
        let answer = request(
            &format!("127.0.0.1:{}", self.ports[number]),
            "GET",
            &format!("/user/{user}/api/contents"),
            &[("Authorization", &format!("token {}", JupyterHub::ADMIN_TOKEN))],
        );
        assert_eq!(answer.status, 200, "{} {}", answer.head, answer.body);
    }

    /// What the hub says: when the user, and when their server, was active last.
    fn last_activity(&self, user: &str) -> [String; 2] {
        let model = self.hub.api("GET", &format!("/users/{user}"), "").json();
        [&model["last_activity"], &model["servers"][""]["last_activity"]]
            .map(|time: &Value| time.as_str().expect("a time").to_owned())
    }

    /// When the proxy saw a request for the user's server last, or made the route.
    fn proxys_last_activity(&self, user: &str) -> String {
        let routes = request(
            &self.hub.proxy_api_address,
            "GET",
            "/api/routes",
            &[("Authorization", &format!("token {}", JupyterHub::PROXY_TOKEN))],
        );
        let routes = routes.json();
        let time = routes[format!("/user/{user}")]["last_activity"].as_str();
        time.expect("a route of the server").to_owned()
    }
}

/// A report has whole seconds; what the hub records itself has a part of one.
fn is_of_a_report(time: &str) -> bool {
    !time.contains('.')
}

#[test]
fn a_server_reports_when_it_was_used_last_and_a_culler_sees_it() {
    let servers = Servers::start();
    for user in ["alice", "bob", "admin"] {
        servers.hub.spawn(user, "");
    }
    let proxys = servers.proxys_last_activity("alice");

    let told = |user: &str| {
        servers
            .hub
            .wait_until(&format!("the server of {user} reports"), || {
                servers
                    .last_activity(user)
                    .iter()
                    .all(|time| is_of_a_report(time))
            });
    };
    // Within the second in which the hub began to start it, the hub's own word is the later one.
    let mut before = servers.last_activity("alice");
    for used in 0..2 {
        progress("a use of the server");
        thread::sleep(Duration::from_millis(1100));
        servers.are_used(0, "alice");
        servers.hub.wait_until("the report moves what the hub says", || {
            let now = servers.last_activity("alice");
            now.iter().zip(&before).all(|(now, before)| now > before)
        });
        told("alice");
        let [user, server] = servers.last_activity("alice");
        assert_eq!(user, server, "use {used}");
        before = [user, server];
    }

    progress("no requests");
    thread::sleep(Duration::from_millis(2500));
    assert_eq!(servers.last_activity("alice"), before, "a report is no use");
    assert_eq!(
        servers.proxys_last_activity("alice"),
        proxys,
        "the proxy had no requests meanwhile"
    );

    progress("servers that report seldom, or not at all");
    for (number, user) in [(1, "bob"), (2, "admin")] {
        let before = servers.last_activity(user);
        servers.are_used(number, user);
        thread::sleep(Duration::from_millis(2500));
        assert_eq!(servers.last_activity(user), before, "{user}");
    }
    assert!(
        !servers
            .last_activity("bob")
            .iter()
            .any(|time| is_of_a_report(time)),
        "not even of its start: {:?}",
        servers.last_activity("bob")
    );
}
