//! `sign_in` with a certified OpenID provider, npm's `oidc-provider`.

use portcullis_interop::{
    browser,
    example::Example,
    headless_browser::{HeadlessBrowser, Page},
    jupyter_server::free_port,
    openid_provider,
};

fn provider(port: u16, applications: &[u16]) -> Example {
    openid_provider::start(port, applications, false)
}

fn application(port: u16, issuer: u16) -> Example {
    let mut command = Example::command(&Example::build("sign_in"));
    command.env("LISTEN", format!("127.0.0.1:{port}"));
    command.env("ISSUER", format!("http://127.0.0.1:{issuer}"));
    let application = Example::start("sign_in", command);
    application.line_after("Open ");
    application
}

/// From the login page of the application to the question of the provider.
fn log_in(person: &mut HeadlessBrowser, application: &str, name: &str) -> Page {
    let login = person.open(application);
    let page = person.open(&login.target("<a class=\"button\" href=\""));
    let form = page.target("action=\"");
    person.submit(
        &form,
        &[("prompt", "login"), ("login", name), ("password", "any")],
    )
}

#[test]
fn a_user_logs_in_at_the_provider_and_comes_back_to_the_page() {
    let (issuer, port, other) = (free_port(), free_port(), free_port());
    let _provider = provider(issuer, &[port, other]);
    let _application = application(port, issuer);
    let mut alice = HeadlessBrowser::default();
    let question = log_in(&mut alice, &format!("http://127.0.0.1:{port}/?page=7"), "alice");
    let form = question.target("action=\"");
    let home = alice.submit(&form, &[("prompt", "consent")]);
    assert_eq!(home.url, format!("http://127.0.0.1:{port}/?page=7"));
    assert_eq!(home.answer.body, "Hello, alice of the provider (alice)!\n");

    // A user who refuses gets a page that says so, and no login.
    let mut bob = HeadlessBrowser::default();
    let question = log_in(&mut bob, &format!("http://127.0.0.1:{port}/"), "bob");
    let refused = bob.open(&question.target("<a href=\""));
    assert_eq!(refused.answer.status, 403, "{refused:?}");
    assert!(
        refused.answer.body.contains("You cancelled the login"),
        "{refused:?}"
    );
    assert!(
        bob.open(&format!("http://127.0.0.1:{port}/"))
            .url
            .contains("/login")
    );
}

#[test]
fn a_real_browser_logs_in_at_the_provider_or_cancels() {
    let (issuer, port) = (free_port(), free_port());
    let _provider = provider(issuer, &[port]);
    let _application = application(port, issuer);
    browser::drive("sign_in.mjs", &[&format!("http://127.0.0.1:{port}/")]);
}

#[test]
fn the_example_says_that_its_provider_is_down() {
    let mut command = Example::command(&Example::build("sign_in"));
    command.env("LISTEN", "127.0.0.1:0");
    command.env("ISSUER", format!("http://127.0.0.1:{}", free_port()));
    let mut application = Example::start("sign_in", command);
    assert!(!application.wait().success());
}
