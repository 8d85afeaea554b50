//! `team_server` on SQLite, and as two replicas on PostgreSQL behind a real nginx, configured as its README has it.

use std::{
    fs,
    net::TcpStream,
    path::Path,
    pin::pin,
    process::Command,
    task::{Context, Waker},
    time::Duration,
};

use portcullis::{AuthLayer, Grant, Identity, Keyring, RequestHead, store::PostgresTokenStore};
use portcullis_interop::{
    browser,
    example::Example,
    headless_browser::{HeadlessBrowser, Page, wait_until},
    http::Answer,
    install,
    jupyter_server::free_port,
    postgres::Postgres,
};
use tempfile::TempDir;

const NGINX: &str = "/usr/sbin/nginx";

#[test]
fn sessions_in_sqlite_outlive_a_restart_and_ended_ones_stay_ended() {
    let data = tempfile::tempdir().expect("a directory");
    let (mut team, [alice_password, bob_password]) = Team::first(data.path(), &[]);
    let (mut alice, mut bob) = (HeadlessBrowser::default(), HeadlessBrowser::default());
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

#[test]
fn two_replicas_behind_nginx_have_the_same_sessions_and_end_them_together() {
    let mut site = Site::start("3600");
    let [alice_password, bob_password] = &site.passwords;
    let [one, other] = &site.replicas.each_ref().map(|replica| replica.url.clone());
    let (mut alice, mut bob) = (HeadlessBrowser::default(), HeadlessBrowser::default());
    greets(&log_in(&mut alice, &site.url, "alice", alice_password), "alice");
    for _ in 0..4 {
        greets(&alice.open(&site.url), "alice");
    }
    // The form of one replica, sent to the other.
    for (form, receiver) in [(one, other), (other, one)] {
        let page = bob.open(form);
        let xsrf = page.hidden("_xsrf");
        let fields = [("_xsrf", &*xsrf), ("username", "bob"), ("password", bob_password)];
        greets(&bob.submit(&page.url.replace(form, receiver), &fields), "bob");
        for replica in [one, other, &site.url] {
            greets(&bob.open(replica), "bob");
        }
        let mut copied = bob.clone();
        log_out(&mut bob, receiver);
        for replica in [form, receiver, &site.url] {
            assert!(is_refused(&mut copied, replica), "after a logout at {receiver}");
        }
    }

    greets(&log_in(&mut bob, &site.url, "bob", bob_password), "bob");
    let users = alice.open(&format!("{}/admin", site.url));
    let actions = users.answer.body.split("action=\"").skip(1);
    let action = actions
        .filter_map(|rest| rest.split('"').next())
        .find(|action| action.starts_with("/admin/remove/bob?"))
        .expect("a form that removes bob");
    let removed = bob.submit(&format!("{}{action}", site.url), &[]);
    assert_eq!(removed.answer.status, 403, "bob is no administrator");
    let removed = alice.submit(&format!("{}{action}", site.url), &[]);
    assert_eq!(removed.url, format!("{}/admin", site.url), "{removed:?}");
    assert!(!removed.answer.body.contains("bob"), "{removed:?}");
    for replica in [one, other] {
        assert!(is_refused(&mut bob.clone(), replica), "bob at {replica}");
        greets(&alice.open(replica), "alice");
    }
    let late = log_in(&mut bob, &site.url, "bob", bob_password);
    assert_eq!(late.answer.status, 401, "{late:?}");

    site.replicas[0].process.signal("TERM");
    for _ in 0..4 {
        greets(&alice.open(&site.url), "alice");
    }
}

#[test]
fn a_user_whose_row_another_program_deletes_is_refused_by_both_replicas_after_the_refresh_interval() {
    let site = Site::start("1");
    let [alice_password, bob_password] = &site.passwords;
    let (mut alice, mut bob) = (HeadlessBrowser::default(), HeadlessBrowser::default());
    greets(&log_in(&mut alice, &site.url, "alice", alice_password), "alice");
    greets(&log_in(&mut bob, &site.url, "bob", bob_password), "bob");
    let users = rusqlite::Connection::open(site.data.path().join("users.sqlite")).expect("the users");
    let deleted = users.execute("DELETE FROM users WHERE name = 'bob'", ());
    assert_eq!(deleted.expect("deleted"), 1);
    for replica in &site.replicas {
        wait_until("bob is refused", || is_refused(&mut bob.clone(), &replica.url));
        greets(&alice.open(&replica.url), "alice");
    }
}

#[test]
fn user_with_two_browsers_sees_both_sessions_and_ends_the_other() {
    let data = tempfile::tempdir().expect("a directory");
    let (team, [password, _]) = Team::first(data.path(), &[]);
    browser::drive("team_server.mjs", &[&team.url, &password]);
}

#[test]
fn address_of_a_session_is_that_of_the_connection_and_the_forwarded_one_only_from_a_trusted_proxy() {
    for (arguments, shown) in [
        (&[][..], "127.0.0.1 · Logged in"),
        (&["--trusted-proxy", "127.0.0.1"], "203.0.113.9 · Logged in"),
    ] {
        let data = tempfile::tempdir().expect("a directory");
        let (team, [password, _]) = Team::first(data.path(), arguments);
        let mut alice = HeadlessBrowser::forwarded_for("203.0.113.9");
        greets(&log_in(&mut alice, &team.url, "alice", &password), "alice");
        let page = alice.open(&format!("{}/sessions", team.url));
        assert!(page.answer.body.contains(shown), "{arguments:?}: {page:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn session_ended_completes_at_one_replica_when_the_session_is_logged_out_at_another() {
    let postgres = Postgres::start();
    let config = postgres.config("postgres");
    let (keyring, mut replicas) = (Keyring::generate(), Vec::new());
    for _ in 0..2 {
        let store = PostgresTokenStore::connect(&config).await.expect("a store");
        let layer = AuthLayer::builder()
            .custom_login_page()
            .keyring(keyring.clone())
            .sessions(store)
            .refresh_interval(Duration::from_secs(86_400));
        replicas.push(layer.build().expect("a layer"));
    }
    let [one, other] = &replicas[..] else {
        unreachable!("two replicas")
    };
    // Once with what it was to begin with, and once with a connection that listens already.
    for _ in 0..2 {
        let request = |cookie: &str| {
            let request = http::Request::get("http://localhost/").header("host", "localhost");
            request.header("cookie", cookie).body(()).expect("a request")
        };
        let mut cookies = Vec::new();
        for name in ["alice", "bob"] {
            let grant = Grant::new(Identity::new(name));
            let set = one
                .login(RequestHead::new(&request("")), grant)
                .await
                .expect("a login");
            let line = set.iter().next().expect("a cookie").to_str().expect("ASCII");
            cookies.push(line.split(';').next().expect("a pair").to_owned());
        }
        let session = |number: usize| {
            let request = request(&cookies[number]);
            async move {
                other
                    .authenticate(RequestHead::new(&request))
                    .await
                    .expect("a session")
            }
        };
        let (alice, bob) = (session(0).await, session(1).await);
        let mut bobs = pin!(other.session_ended(&bob));
        let ended = tokio::spawn(other.session_ended(&alice));
        let _ = one
            .logout(RequestHead::new(&request(&cookies[0])))
            .await
            .expect("a logout");
        let ended = tokio::time::timeout(Duration::from_secs(5), ended).await;
        assert!(
            ended.is_ok_and(|ended| ended.is_ok()),
            "alice's session has ended"
        );
        let poll = bobs.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll.is_pending(), "bob's session goes on");
    }
}

/// Two replicas of `team_server` on one PostgreSQL, and nginx with the configuration of the README in front of them.
struct Site {
    url: String,
    passwords: [String; 2],
    replicas: [Team; 2],
    data: TempDir,
    _nginx: Example,
    _folder: TempDir,
    // The last to end.
    _postgres: Postgres,
}

impl Site {
    fn start(refresh: &str) -> Self {
        let postgres = Postgres::start();
        postgres.sql("postgres", "CREATE DATABASE team");
        let database = postgres.config("team");
        let arguments = [
            ["--database", &database],
            ["--refresh", refresh],
            ["--trusted-proxy", "127.0.0.1"],
        ]
        .concat();
        let data = tempfile::tempdir().expect("a directory");
        let (first, passwords) = Team::first(data.path(), &arguments);
        let replicas = [first, Team::again(data.path(), &arguments)];
        let address = format!("127.0.0.1:{}", free_port());
        let (nginx, folder) = nginx(&address, &replicas);
        Self {
            url: format!("http://{address}"),
            passwords,
            replicas,
            data,
            _nginx: nginx,
            _folder: folder,
            _postgres: postgres,
        }
    }
}

/// The nginx of the README at `address`, within a folder and in one process.
fn nginx(address: &str, replicas: &[Team; 2]) -> (Example, TempDir) {
    install::debian_package("nginx", NGINX);
    let readme = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/team_server/README.md"
    );
    let readme = fs::read_to_string(readme).expect("the README");
    let block = readme.split("```nginx\n").nth(1);
    let mut config = block
        .and_then(|block| block.split("```").next())
        .expect("nginx.conf")
        .to_owned();
    let [one, other] = replicas
        .each_ref()
        .map(|replica| replica.url.trim_start_matches("http://"));
    let temporary: String = ["client_body", "fastcgi", "proxy", "scgi", "uwsgi"]
        .map(|name| format!("{name}_temp_path {name};\n"))
        .concat();
    for (written, here) in [
        ("127.0.0.1:8001", one),
        ("127.0.0.1:8002", other),
        ("127.0.0.1:8080", address),
        ("http {", &format!("http {{\naccess_log off;\n{temporary}")),
    ] {
        assert_eq!(config.matches(written).count(), 1, "{written} in {config}");
        config = config.replace(written, here);
    }
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("nginx.conf");
    let process = "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\n";
    fs::write(&file, format!("{process}{config}")).expect("a file");
    let mut command = Command::new(NGINX);
    command.arg("-p").arg(folder.path()).arg("-c").arg(&file);
    command.args(["-e", "stderr"]);
    let mut nginx = Example::start("nginx", command);
    wait_until("nginx listens", || {
        assert!(nginx.is_running(), "nginx ended at once");
        TcpStream::connect(address).is_ok()
    });
    (nginx, folder)
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
fn log_in(person: &mut HeadlessBrowser, site: &str, name: &str, password: &str) -> Page {
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
fn is_refused(person: &mut HeadlessBrowser, site: &str) -> bool {
    person.open(site).url.contains("/login")
}

#[track_caller]
fn log_out(person: &mut HeadlessBrowser, site: &str) -> Answer {
    person.open(&format!("{site}/logout")).answer
}
