//! A hub, its proxy and what it started, who know each other by certificates: `JupyterHub.internal_ssl`.

use std::path::PathBuf;

use portcullis_interop::{
    example::Example,
    http::try_request,
    jupyterhub::{JupyterHub, free_ports},
    tls::{Authority, ask},
};
use serde_json::json;

use crate::{hub, log_in_by_browser, progress, within_the_age};

/// A hub with certificates, and whose servers listen at `port` if it is not 0.
fn hub_with_certificates(port: u16, config: &str) -> JupyterHub {
    hub(
        "/",
        &format!(
            "c.JupyterHub.internal_ssl = True
c.JupyterHub.internal_certs_location = '{{folder}}/certificates'
c.ConfigurableHTTPProxy.api_url = 'https://{{proxy_api}}'
c.Spawner.port = {port}
{config}
"
        ),
    )
}

/// A file of what the hub made for one of its parts.
fn of(hub: &JupyterHub, part: &str, extension: &str) -> PathBuf {
    let path = hub
        .folder()
        .join(format!("certificates/{part}/{part}.{extension}"));
    assert!(path.exists(), "{}", path.display());
    path
}

#[test]
fn a_server_accepts_the_certificates_of_the_hub_and_its_proxy_and_no_others() {
    let [port] = free_ports();
    let hub = hub_with_certificates(port, "");
    progress("the hub runs");
    hub.spawn("alice", "");
    assert!(
        hub.written().contains(&format!(
            "single_user listens on https://127.0.0.1:{port}/user/alice/"
        )),
        "{}",
        hub.written()
    );

    progress("login, token, report, logout");
    let mut alice = hub.visitor();
    hub.log_in(&mut alice, "alice");
    let (targets, answer) = alice.follow("/user/alice/files/hello.txt");
    assert_eq!(answer.status, 200, "{targets:?} {} {}", answer.head, answer.body);
    let token = alice.cookie("jupyterhub-user-alice", "/user/alice/");
    let token = token.expect("a token cookie");
    assert!(
        !token.attributes.contains("Secure"),
        "browsers speak no TLS here: {}",
        token.attributes
    );
    let (text, id) = hub.token("alice");
    let field = format!("token {text}");
    let contents = "/user/alice/api/contents";
    let by_token = || {
        hub.visitor()
            .send("GET", contents, &[("Authorization", &field)], "")
    };
    assert_eq!(by_token().json()["user"], "alice");
    assert_eq!(
        hub.api("DELETE", &format!("/users/alice/tokens/{id}"), "").status,
        204
    );
    within_the_age(403, by_token);
    hub.wait_until("it took a report of activity", || {
        hub.written().contains("200 POST /hub/api/users/alice/activity")
    });
    let out = alice.open("/user/alice/logout");
    assert_eq!(out.fields("location"), ["/hub/logout"], "{}", out.head);

    progress("past the proxy");
    let plain = try_request(&format!("127.0.0.1:{port}"), "GET", "/user/alice/api", &[]);
    assert!(plain.is_err(), "{plain:?}");
    let stranger = Authority::new().certificate(0x41);
    let folder = tempfile::tempdir().expect("a folder");
    let [unknown, unknown_key] =
        [("cert.pem", &stranger.chain), ("key.pem", &stranger.key)].map(|(name, text)| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path
        });
    for (who, shown, admitted) in [
        ("no certificate", None, false),
        ("an unknown certificate", Some((unknown, unknown_key)), false),
        (
            "another server",
            Some((of(&hub, "user-alice", "crt"), of(&hub, "user-alice", "key"))),
            false,
        ),
        (
            "the proxy",
            Some((of(&hub, "proxy-client", "crt"), of(&hub, "proxy-client", "key"))),
            true,
        ),
        (
            "the hub",
            Some((of(&hub, "hub-internal", "crt"), of(&hub, "hub-internal", "key"))),
            true,
        ),
    ] {
        let mut request = json!({ "url": format!("https://127.0.0.1:{port}/user/alice/api") });
        if let Some((certificate, key)) = shown {
            request["cert"] = certificate.display().to_string().into();
            request["key"] = key.display().to_string().into();
        }
        let answer = ask(&of(&hub, "notebooks-ca", "crt"), request);
        assert_eq!(answer["status"] == 200, admitted, "{who}: {answer}");
        assert_eq!(answer["error"].is_string(), !admitted, "{who}: {answer}");
    }
}

/// A hub of this version cannot start a service at a URL itself when it has certificates, so an administrator does.
#[test]
fn a_service_is_known_by_a_certificate_too() {
    const TOKEN: &str = "a-token-of-the-service-that-no-other-has";

    let [port] = free_ports();
    let hub = hub_with_certificates(
        0,
        &format!(
            "c.JupyterHub.services.append({{'name': 'whoami', 'url': 'https://127.0.0.1:{port}', 'api_token': '{TOKEN}', 'oauth_no_confirm': True, 'timeout': 1}})
c.JupyterHub.load_roles = [{{'name': 'user', 'scopes': ['self', 'access:services!service=whoami']}}]
"
        ),
    );
    // Its certificate is one that a server of the hub's has.
    hub.spawn("bob", "");
    let mut command = Example::command(&Example::build("hub_service"));
    command
        .env("JUPYTERHUB_API_TOKEN", TOKEN)
        .env(
            "JUPYTERHUB_API_URL",
            format!("https://{}/hub/api", hub.hub_address),
        )
        .env("JUPYTERHUB_SERVICE_NAME", "whoami")
        .env("JUPYTERHUB_SERVICE_PREFIX", "/services/whoami/")
        .env("JUPYTERHUB_SERVICE_URL", format!("https://127.0.0.1:{port}"))
        .env("JUPYTERHUB_SSL_CERTFILE", of(&hub, "user-bob", "crt"))
        .env("JUPYTERHUB_SSL_KEYFILE", of(&hub, "user-bob", "key"))
        .env(
            "JUPYTERHUB_SSL_CLIENT_CA",
            hub.folder().join("certificates/notebooks-ca_trust.crt"),
        );
    let service = Example::start("hub_service", command);
    service.line_after("hub_service listens on https://");

    let mut alice = hub.visitor();
    hub.log_in(&mut alice, "alice");
    let (targets, answer) = alice.follow("/services/whoami/");
    assert_eq!(answer.status, 200, "{targets:?} {} {}", answer.head, answer.body);
    assert_eq!(answer.json()["name"], "alice");
}

#[test]
fn a_real_browser_notices_nothing_of_certificates_behind_the_proxy() {
    let hub = hub_with_certificates(0, "");
    log_in_by_browser(&format!("{}/", hub.origin), "alice", "hub-internal-", "");
}
