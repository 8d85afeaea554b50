//! `proxy`, driven by a real JupyterHub instead of configurable-http-proxy; `routes`, driving both.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use portcullis_interop::{
    browser::drive,
    example::{self, Example},
    http::{request, request_with, try_request},
    install,
    jupyterhub::{self, JupyterHub},
};

fn authorization(token: &str) -> String {
    format!("token {token}")
}

#[test]
fn a_real_jupyterhub_runs_on_our_proxy() {
    let program = Example::build("proxy");
    let hub = JupyterHub::start(&format!(
        "c.ConfigurableHTTPProxy.command = [{program:?}]\nc.ConfigurableHTTPProxy.check_running_interval = 1\n"
    ));
    let api = |method: &str, path: &str, token: &str| {
        request(
            &hub.proxy_api_address,
            method,
            path,
            &[("Authorization", &authorization(token))],
        )
    };

    let home = format!("http://{}/", hub.address);
    drive("proxied_hub.mjs", &[&home, "alice", JupyterHub::PASSWORD]);

    for (claim, token, status) in [
        ("its own token drives it", JupyterHub::PROXY_TOKEN, 200),
        ("another does not", "wrong", 403),
        (
            "an administrator's of the hub does not",
            JupyterHub::ADMIN_TOKEN,
            403,
        ),
    ] {
        assert_eq!(api("GET", "/api/routes", token).status, status, "{claim}");
    }
    let routes: serde_json::Value = routes(&api("GET", "/api/routes", JupyterHub::PROXY_TOKEN).body);
    assert_eq!(
        routes["/user/alice"]["user"], "alice",
        "the hub added a route for the server: {routes}"
    );
    assert_eq!(routes["/"]["hub"], true, "and its own: {routes}");

    let missing = request(&hub.address, "GET", "/user/bob/lab", &[]);
    assert_eq!(
        missing.status, 302,
        "without a server of his, bob's path is the hub's: {}",
        missing.head
    );
    assert_eq!(request(&hub.address, "GET", "/_chp_healthz", &[]).status, 200);

    // A route to nowhere: the hub's own page shows the error.
    let added = request_with(
        &hub.proxy_api_address,
        "POST",
        "/api/routes/nowhere",
        &[("Authorization", &authorization(JupyterHub::PROXY_TOKEN))],
        r#"{"target": "http://127.0.0.1:1"}"#,
    );
    assert_eq!(added.status, 201);
    let gone = request(&hub.address, "GET", "/nowhere/x?y=1", &[]);
    assert_eq!(gone.status, 503);
    assert!(
        gone.body.contains("JupyterHub"),
        "the page is the hub's: {}",
        gone.body
    );

    // The proxy dies: the hub restarts it and adds its routes again.
    let pid =
        fs::read_to_string(hub.folder().join("jupyterhub-proxy.pid")).expect("the hub notes the proxy's pid");
    let pid = pid.lines().next().expect("a pid").to_owned();
    assert!(
        hub.written().contains("proxy listens on"),
        "the pid is our proxy's"
    );
    std::process::Command::new("kill")
        .args(["-9", &pid])
        .status()
        .expect("kill runs");
    thread::sleep(Duration::from_millis(500));
    hub.wait_until("the proxy is back with its routes", || {
        let answer = try_request(
            &hub.proxy_api_address,
            "GET",
            "/api/routes/user/alice",
            &[("Authorization", &authorization(JupyterHub::PROXY_TOKEN))],
        );
        answer.is_ok_and(|answer| answer.status == 200)
    });
}

/// The JSON in a body that came in chunks or whole.
fn routes(body: &str) -> serde_json::Value {
    let (start, end) = (body.find('{').expect("JSON"), body.rfind('}').expect("JSON"));
    serde_json::from_str(&body[start..=end]).expect("JSON")
}

/// A process with the proxy's API, this crate's or the real one.
struct Proxy {
    _process: Example,
    api: String,
    public: String,
}

fn ours() -> Proxy {
    let mut command = Example::command(&Example::build("proxy"));
    command
        .args(["--port", "0", "--api-port", "0"])
        .env("CONFIGPROXY_AUTH_TOKEN", JupyterHub::PROXY_TOKEN);
    let process = Example::start("proxy", command);
    let public = process
        .line_after("proxy listens on ")
        .trim_end_matches('/')
        .to_owned();
    let api = process.line_after("its API listens on ");
    let api = api.trim_end_matches("/api/routes").to_owned();
    Proxy {
        _process: process,
        api,
        public,
    }
}

fn theirs() -> Proxy {
    let [public, api] = jupyterhub::free_ports();
    let mut command = std::process::Command::new(install::node().join(".bin/configurable-http-proxy"));
    command
        .args(["--ip", "127.0.0.1", "--port", &public.to_string()])
        .args(["--api-ip", "127.0.0.1", "--api-port", &api.to_string()])
        .env("CONFIGPROXY_AUTH_TOKEN", JupyterHub::PROXY_TOKEN);
    let process = Example::start("configurable-http-proxy", command);
    let address = format!("127.0.0.1:{api}");
    let until = Instant::now() + Duration::from_secs(20);
    while try_request(&address, "GET", "/api/routes", &[]).is_err() {
        assert!(
            Instant::now() < until,
            "expected configurable-http-proxy to listen"
        );
        thread::sleep(Duration::from_millis(100));
    }
    Proxy {
        _process: process,
        api: format!("http://{address}"),
        public: format!("http://127.0.0.1:{public}"),
    }
}

#[test]
fn routes_drives_the_real_proxy_and_the_example() {
    let program = Example::build("routes");
    let mut upstream = Example::command(&Example::build("custom_authenticator"));
    upstream.args(["--port", "0"]);
    let upstream = Example::start("custom_authenticator", upstream);
    let target = upstream.line_after("custom_authenticator listens on ");
    let target = target.trim_end_matches('/');

    for proxy in [ours(), theirs()] {
        let run = |token: &str, arguments: &[&str]| {
            let mut command = Example::command(&program);
            let output = command
                .args(arguments)
                .env("CONFIGPROXY_API_URL", &proxy.api)
                .env("CONFIGPROXY_AUTH_TOKEN", token)
                .output()
                .expect("routes runs");
            let text = |bytes| String::from_utf8(bytes).expect("text");
            (output.status.code(), text(output.stdout), text(output.stderr))
        };
        let good = |arguments: &[&str]| {
            let (status, stdout, stderr) = run(JupyterHub::PROXY_TOKEN, arguments);
            assert_eq!((status, &*stderr), (Some(0), ""), "{arguments:?}");
            stdout
        };
        let through = |path: &str| {
            let address = proxy.public.trim_start_matches("http://");
            request(address, "GET", path, &[]).status
        };

        assert_eq!(good(&["list"]), "");
        assert_eq!(good(&["list", "--json"]), "{}\n");
        let specs = ["/user/a@b/", "/user/a%20b", "/user/100%25", "/user/zoë"];
        for spec in specs {
            good(&["add", spec, target, r#"{"user": "a"}"#]);
        }
        let routes: serde_json::Value = serde_json::from_str(&good(&["list", "--json"])).expect("JSON");
        assert_eq!(
            routes.as_object().map(serde_json::Map::len),
            Some(specs.len()),
            "{routes}"
        );
        for spec in specs {
            let route = &routes[spec.trim_end_matches('/')];
            assert_eq!(route["target"], target, "{spec}: {routes}");
            assert_eq!(route["data"]["user"], "a", "{spec}: {routes}");
            assert!(route["data"]["last_activity"].is_string(), "{spec}: {routes}");
            good(&["delete", spec]);
        }
        assert_eq!(
            good(&["list"]),
            "",
            "each was deleted by the path that was listed"
        );
        assert_eq!(through("/user/zo%C3%AB/x"), 404, "there is no route yet");
        good(&["add", "/user/zoë", target, r#"{"user": "zoë"}"#]);
        let listed = good(&["list"]);
        assert!(listed.starts_with(&format!("/user/zoë {target} 20")), "{listed}");
        assert_eq!(
            through("/user/zo%C3%AB/x"),
            401,
            "it leads to a server that requires a login"
        );
        assert_eq!(through("/user/zo"), 404, "and no other path does");
        good(&["delete", "/user/zoë"]);
        assert_eq!(through("/user/zo%C3%AB/x"), 404);

        for (claim, token, arguments, expected) in [
            (
                "a wrong token",
                "wrong",
                &["list"][..],
                "the proxy refused our token",
            ),
            ("no token", "", &["list"], "CONFIGPROXY_AUTH_TOKEN"),
            (
                "a route that is not there",
                JupyterHub::PROXY_TOKEN,
                &["delete", "/x"],
                "found none",
            ),
            (
                "no path",
                JupyterHub::PROXY_TOKEN,
                &["add", "x", target],
                "expected a path",
            ),
            (
                "no JSON",
                JupyterHub::PROXY_TOKEN,
                &["add", "/x", target, "["],
                "expected a JSON object",
            ),
        ] {
            let (status, _, stderr) = run(token, arguments);
            assert_eq!(status, Some(2), "{claim}");
            assert!(stderr.contains(expected), "{claim}: {stderr}");
            assert_eq!(stderr.lines().count(), 1, "{claim}: {stderr}");
            assert!(!stderr.contains(JupyterHub::PROXY_TOKEN), "{claim}: {stderr}");
        }
    }
}

#[test]
fn the_proxy_says_what_is_wrong_with_a_start() {
    let program = Example::build("proxy");
    for (claim, token, arguments, expected) in [
        (
            "an unknown flag",
            "good-token",
            &["--socket", "x"][..],
            "--socket",
        ),
        (
            "a target that is no URL",
            "good-token",
            &["--default-target", "x"],
            "expected a URL",
        ),
        (
            "a token with a space inside",
            "a b",
            &[],
            "CONFIGPROXY_AUTH_TOKEN",
        ),
        (
            "a proxy that is no network",
            "good-token",
            &["--trusted-proxy", "x"],
            "--trusted-proxy",
        ),
        (
            "a key without a certificate",
            "good-token",
            &["--ssl-key", "x"],
            "--keyfile",
        ),
    ] {
        let mut command = Example::command(&program);
        command
            .args(arguments)
            .args(["--port", "0", "--api-port", "0"])
            .env("CONFIGPROXY_AUTH_TOKEN", token);
        let (status, stderr) = example::run(command);
        assert_eq!(status.code(), Some(2), "{claim}");
        assert!(stderr.contains(expected), "{claim}: {stderr}");
        assert!(example::is_clear_error(&stderr), "{claim}: {stderr}");
    }
}
