//! `team_server` on SQLite, and as two replicas on PostgreSQL behind a real nginx, configured as its README has it.

use std::path::Path;

use portcullis_interop::{
    example::Example,
    headless_browser::{Page, Person},
    http::Answer,
};

#[test]
fn sessions_in_sqlite_outlive_a_restart_and_ended_ones_stay_ended() {
    let data = tempfile::tempdir().expect("a directory");
    let (mut team, [alice_password, bob_password]) = Team::first(data.path(), &[]);
    let (mut alice, mut bob) = (Person::default(), Person::default());
    assert_eq!(
        log_in(&mut alice, &team.url, "alice", &bob_password)
            .answer
            .status,
        401
    );
    greets(&log_in(&mut alice, &team.url, "alice", &alice_password), "alice");
    greets(&log_in(&mut bob, &team.url, "bob", &bob_password), "bob");
    for (who, status) in [(&mut alice, 200), (&mut bob, 403)] {
        assert_eq!(who.open(&format!("{}/admin", team.url)).answer.status, status);
    }

    let mut copied = alice.clone();
    assert_eq!(log_out(&mut alice, &team.url).status, 200);
    for person in [&mut alice, &mut copied] {
        assert!(is_refused(person, &team.url));
    }
    greets(&log_in(&mut alice, &team.url, "alice", &alice_password), "alice");

    team.process.signal("TERM");
    let team = Team::again(data.path(), &[]);
    greets(&alice.open(&team.url), "alice");
    greets(&bob.open(&team.url), "bob");
    assert!(is_refused(&mut copied, &team.url));
}

/// A running `team_server`.
struct Team {
    process: Example,
    url: String,
}

impl Team {
    /// The first start in `data`, with the passwords of alice and bob that it prints.
    fn first(data: &Path, arguments: &[&str]) -> (Self, [String; 2]) {
        let process = Self::command(data, arguments);
        let passwords = ["alice", "bob"].map(|name| process.line_after(&format!("Added {name}, password ")));
        (Self::ready(process), passwords)
    }

    fn again(data: &Path, arguments: &[&str]) -> Self {
        Self::ready(Self::command(data, arguments))
    }

    fn command(data: &Path, arguments: &[&str]) -> Example {
        let mut command = Example::command(&Example::build("team_server"));
        command.args(["--port", "0", "--data"]).arg(data).args(arguments);
        Example::start("team_server", command)
    }

    fn ready(process: Example) -> Self {
        let line = process.line_after("Open ");
        let (url, _) = line.split_once("/ and log in").expect("its address");
        let url = url.to_owned();
        Self { process, url }
    }
}

/// Opens `site` without a session, and sends the login form that comes.
#[track_caller]
fn log_in(person: &mut Person, site: &str, name: &str, password: &str) -> Page {
    let form = person.open(site);
    let xsrf = form.hidden("_xsrf");
    person.submit(
        &form.url,
        &[("_xsrf", &xsrf), ("username", name), ("password", password)],
    )
}

#[track_caller]
fn greets(page: &Page, name: &str) {
    let greeting = format!("Hello, {name}");
    let greeted = page.answer.status == 200 && page.answer.body.contains(&greeting);
    assert!(greeted, "expected {greeting:?}, found {page:?}");
}

/// Whether a request ends at the login page.
#[track_caller]
fn is_refused(person: &mut Person, site: &str) -> bool {
    person.open(site).url.contains("/login")
}

#[track_caller]
fn log_out(person: &mut Person, site: &str) -> Answer {
    person.open(&format!("{site}/logout")).answer
}
