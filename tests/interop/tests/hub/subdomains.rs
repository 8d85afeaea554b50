//! Each user's server at a host of its own, below the hub's: `JupyterHub.subdomain_host`.

use portcullis_interop::{
    example::Example,
    http::request,
    jupyterhub::{Front, JupyterHub, free_ports},
};

use crate::{hub_at, log_in_by_browser, progress, within_the_age};

const HOST: Front<'_> = Front {
    base: "/",
    host: "hub.localhost",
    tls: None,
};

fn hub(config: &str) -> JupyterHub {
    hub_at(
        HOST,
        &format!("c.JupyterHub.subdomain_host = '{{origin}}'\n{config}"),
    )
}

/// Where the hub lets the user with this label live.
fn origin_of(hub: &JupyterHub, label: &str) -> String {
    hub.origin.replace("//", &format!("//{label}."))
}

#[test]
fn a_login_goes_from_the_users_host_to_the_hubs_and_back_and_so_does_the_logout() {
    let hub = hub("");
    hub.spawn("alice", "");
    let own = origin_of(&hub, "alice");
    let page = format!("{own}/user/alice/files/hello.txt?x=1");

    progress("the way in");
    let mut alice = hub.visitor();
    let begun = alice.open(&page);
    let location = begun.fields("location")[0].to_owned();
    let authorize = format!("{}/hub/api/oauth2/authorize?", hub.origin);
    assert!(location.starts_with(&authorize), "{location}");
    let callback = format!("{own}/user/alice/oauth_callback");
    let callback = callback.replace(':', "%3A").replace('/', "%2F");
    assert!(
        location.contains(&format!("&redirect_uri={callback}&")),
        "{location}"
    );
    hub.log_in(&mut alice, "alice");
    let (targets, answer) = alice.follow(&location);
    assert_eq!(answer.status, 200, "{targets:?} {} {}", answer.head, answer.body);
    assert_eq!(targets.last(), Some(&page));

    progress("what the browser keeps, and where");
    let (host, server) = ("hub.localhost", "alice.hub.localhost");
    let mut kept: Vec<_> = alice
        .cookies()
        .iter()
        .map(|cookie| (cookie.name.as_str(), cookie.domain.as_str(), cookie.path.as_str()))
        .collect();
    kept.sort_unstable();
    assert_eq!(
        kept,
        [
            ("_xsrf", server, "/user/alice/"),
            ("_xsrf", host, "/hub/"),
            ("jupyterhub-hub-login", host, "/hub/"),
            ("jupyterhub-session-id", ".hub.localhost", "/"),
            ("jupyterhub-user-alice", server, "/user/alice/"),
        ]
    );

    progress("neighbours");
    let page = format!("{own}/user/alice/");
    hub.spawn("bob", "");
    let mut bob = hub.visitor();
    hub.log_in(&mut bob, "bob");
    let (targets, answer) = bob.follow(&format!("{}/user/bob/", origin_of(&hub, "bob")));
    assert_eq!(answer.status, 200, "{targets:?}");
    let (targets, answer) = bob.follow(&page);
    assert_eq!(answer.status, 403, "{targets:?}");
    let xsrf = alice.cookie("_xsrf", &page).expect("an _xsrf").value.clone();
    let contents = format!("{own}/user/alice/api/contents");
    for (site, origin, status) in [
        ("same-origin", &own, 200),
        ("same-site", &origin_of(&hub, "bob"), 403),
        ("same-site", &hub.origin, 403),
    ] {
        let fields = [
            ("Sec-Fetch-Mode", "cors"),
            ("Sec-Fetch-Site", site),
            ("Origin", origin.as_str()),
            ("X-XSRFToken", xsrf.as_str()),
        ];
        let answer = alice.send("POST", &contents, &fields, "");
        assert_eq!(
            answer.status, status,
            "from {origin}: {} {}",
            answer.head, answer.body
        );
    }

    progress("hosts of others");
    let (token, _) = hub.token("alice");
    let field = format!("token {token}");
    let routes = request(
        &hub.proxy_api_address,
        "GET",
        "/api/routes",
        &[("Authorization", &format!("token {}", JupyterHub::PROXY_TOKEN))],
    );
    let target = routes.json()["/alice.hub.localhost/user/alice"]["target"].clone();
    let direct = target.as_str().and_then(|url| url.strip_prefix("http://"));
    let direct = direct.unwrap_or_else(|| panic!("no route: {}", routes.body));
    for (host, status) in [
        (own.trim_start_matches("http://"), 200),
        ("alice.evil.example", 403),
        (hub.origin.trim_start_matches("http://"), 403),
    ] {
        let fields = [("Authorization", field.as_str()), ("Host", host)];
        let answer = request(direct, "GET", "/user/alice/api/contents", &fields);
        assert_eq!(answer.status, status, "{host}: {} {}", answer.head, answer.body);
    }

    progress("the way out");
    let copied = [
        alice.cookie("jupyterhub-user-alice", &page).expect("a token"),
        alice.cookie("jupyterhub-session-id", &page).expect("a session"),
    ]
    .map(|cookie| format!("{}={}", cookie.name, cookie.value))
    .join("; ");
    let out = alice.open(&format!("{own}/user/alice/logout"));
    let hubs = format!("{}/hub/logout", hub.origin);
    assert_eq!(
        (out.status, out.fields("location")),
        (302, vec![hubs.as_str()]),
        "{}",
        out.head
    );
    assert!(alice.cookie("jupyterhub-user-alice", &page).is_none());
    let (targets, answer) = alice.follow(&hubs);
    assert_eq!(answer.status, 200, "{targets:?}");
    assert!(targets.last().is_some_and(|last| last.starts_with("/hub/login")));
    within_the_age(403, || {
        let mut copy = hub.visitor();
        copy.send("GET", &contents, &[("Cookie", &copied)], "")
    });
}

#[test]
fn a_real_browser_goes_from_the_users_host_to_the_hubs_and_back() {
    let hub = hub("");
    log_in_by_browser(&format!("{}/", hub.origin), "alice", "hub-subdomain-", "");
}

#[test]
fn services_and_odd_names_have_hosts_too() {
    let service = Example::build("hub_service");
    for (hook, at, services) in [
        ("idna", "u-abc--d648b24.hub.localhost", "whoami--service"),
        ("legacy", "a_40b.c.hub.localhost", "services"),
    ] {
        let [port] = free_ports();
        let hub = hub(&format!(
            "import jupyterhub.utils
c.JupyterHub.subdomain_hook = jupyterhub.utils.subdomain_hook_{hook}
c.JupyterHub.services.append({{'name': 'whoami', 'url': 'http://127.0.0.1:{port}', 'command': [{service:?}], 'oauth_no_confirm': True}})
c.JupyterHub.load_roles = [{{'name': 'user', 'scopes': ['self', 'access:services!service=whoami']}}]
c.SimpleLocalProcessSpawner.home_dir_template = '{{folder}}/home'
"
        ));
        for user in ["a@b.c", "a%5Cb"] {
            progress(&format!("{user} comes, by {hook}"));
            hub.spawn(user, "");
            let mut visitor = hub.visitor();
            hub.log_in(&mut visitor, user);
            let model = hub.api("GET", &format!("/users/{user}"), "").json();
            let home = model["servers"][""]["url"].as_str().expect("a URL").to_owned();
            assert_eq!(home.contains(at), user == "a@b.c", "{home}");
            let (targets, answer) = visitor.follow(&home);
            assert_eq!(answer.status, 200, "{targets:?} {} {}", answer.head, answer.body);
            assert_eq!(targets.last(), Some(&home));
        }
        progress("the service");
        let mut alice = hub.visitor();
        hub.log_in(&mut alice, "alice");
        let home = format!("{}/services/whoami/", origin_of(&hub, services));
        let (targets, answer) = alice.follow(&home);
        assert_eq!(answer.status, 200, "{targets:?} {} {}", answer.head, answer.body);
        assert_eq!(answer.json()["name"], "alice");
        let kept = alice.cookie("service-whoami", &home).expect("a token cookie");
        assert_eq!(
            (kept.domain.as_str(), kept.path.as_str()),
            (format!("{services}.hub.localhost").as_str(), "/services/whoami/")
        );
    }
}

#[test]
fn a_hub_that_says_where_it_is_seen_is_gone_to_there() {
    let hub = hub_at(HOST, "c.JupyterHub.public_url = '{origin}'\n");
    hub.spawn("alice", "");
    let mut alice = hub.visitor();
    let begun = alice.open("/user/alice/files/hello.txt");
    let location = begun.fields("location")[0].to_owned();
    let authorize = format!("{}/hub/api/oauth2/authorize?", hub.origin);
    assert!(location.starts_with(&authorize), "{location}");
    hub.log_in(&mut alice, "alice");
    let (targets, answer) = alice.follow(&location);
    assert_eq!(answer.status, 200, "{targets:?} {} {}", answer.head, answer.body);
    assert_eq!(
        targets.last().map(String::as_str),
        Some("/user/alice/files/hello.txt")
    );
    let foreign = alice.send("GET", "/user/alice/", &[("Host", "evil.example")], "");
    assert_eq!(foreign.status, 403, "{}", foreign.head);
}
