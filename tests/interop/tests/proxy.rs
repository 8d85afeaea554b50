//! `proxy`, driven by a real JupyterHub in place of configurable-http-proxy.

use std::{fs, thread, time::Duration};

use portcullis_interop::{
    browser::drive,
    example::Example,
    http::{request, request_with},
    jupyterhub::JupyterHub,
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

    // A route to nowhere: the hub's own page tells of it.
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

    // The proxy dies: the hub starts it anew and adds its routes again.
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
        let answer = portcullis_interop::http::try_request(
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
