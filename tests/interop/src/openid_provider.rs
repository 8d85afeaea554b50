//! A certified OpenID provider, npm's `oidc-provider`.

use std::process::Command;

use crate::{example::Example, headless_browser::HeadlessBrowser, install};

/// Starts the provider, with clients for applications on these ports; with a key that it never had if `new_key`.
///
/// # Panics
///
/// If it does not come up.
pub fn start(port: u16, applications: &[u16], new_key: bool) -> Example {
    let script = install::node().join("../peers/openid_provider.mjs");
    let mut command = Command::new("node");
    command.arg(script).arg(port.to_string());
    command.args(applications.iter().map(u16::to_string));
    if new_key {
        command.env("NEW_KEY", "1");
    }
    let provider = Example::start("the provider", command);
    provider.line_after("Issuer ");
    provider
}

/// Goes from `url` through the pages of the provider, where `name` logs in and consents, and returns the URL that begins with
/// `end`, which is not requested.
///
/// # Panics
///
/// If there is no such URL within 20 pages.
#[track_caller]
pub fn log_in(person: &mut HeadlessBrowser, url: &str, name: &str, end: &str) -> String {
    let mut url = url.to_owned();
    let mut answer = person.send("GET", &url, "");
    for _ in 0..20 {
        let origin: Vec<&str> = url.splitn(4, '/').take(3).collect();
        let absolute = |target: &str| match target.starts_with('/') {
            true => format!("{}{target}", origin.join("/")),
            false => target.to_owned(),
        };
        if matches!(answer.status, 302 | 303) {
            let location = answer.fields("location").first().copied().unwrap_or_default();
            url = absolute(location);
            if url.starts_with(end) {
                return url;
            }
            answer = person.send("GET", &url, "");
            continue;
        }
        let form = answer
            .body
            .split("action=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        url = absolute(form.unwrap_or_else(|| panic!("expected a form at {url}, found {answer:?}")));
        let fields = match answer.body.contains("name=\"login\"") {
            true => format!("prompt=login&login={name}&password=any"),
            false => "prompt=consent".to_owned(),
        };
        answer = person.send("POST", &url, &fields);
    }
    panic!("expected {end}, found {url}");
}
