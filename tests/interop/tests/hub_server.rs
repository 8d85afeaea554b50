//! `mini_hub`, with the clients of a real JupyterHub behind it.

use std::{collections::BTreeSet, fs, path::Path, process::Command, thread, time::Duration};

use portcullis_interop::{
    browser::drive,
    example::Example,
    headless_browser::{HeadlessBrowser, wait_until},
    http::request,
    jupyter_server::free_port,
    mini_hub::MiniHub,
    postgres::Postgres,
};

const STORES: [&str; 2] = ["memory:", "sqlite:hub.sqlite"];
const COOKIE_SECRET: &str = "a cookie secret of the service, which outlives it";

fn progress(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "provider: {line}");
}

#[test]
fn a_python_service_queries_the_hub_once_and_then_knows_the_user() {
    for store in STORES {
        progress(&format!("consent, {store}"));
        let hub = MiniHub::start(store, "");
        let _service = hub.python_service(1, COOKIE_SECRET);

        let mut alice = HeadlessBrowser::default();
        let login = alice.open(&hub.service_url());
        let question = hub.log_in(&mut alice, &login, "alice");
        assert!(
            question.url.contains("/hub/api/oauth2/authorize?"),
            "{}",
            question.url
        );
        assert!(
            question.answer.body.contains("whoami wants to see"),
            "{}",
            question.answer.body
        );
        let fields = [question.all_hidden("_xsrf"), question.all_hidden("scopes")].concat();
        let mut form = vec![("_xsrf", fields[0].as_str())];
        form.extend(fields[2..].iter().map(|scope| ("scopes", scope.as_str())));
        let there = alice.submit(&question.url, &form);
        assert_eq!(there.url, hub.service_url(), "{:#?}", there.way);
        let known = json(&there.answer.body);
        assert_eq!(
            (&known["kind"], &known["name"], &known["admin"]),
            (&"user".into(), &"alice".into(), &false.into()),
            "{known}"
        );
        assert_eq!(
            known["session_id"].as_str(),
            alice.cookie("jupyterhub-session-id")
        );
        let scopes = known["scopes"].as_array().expect("a list");
        assert!(
            scopes.contains(&"access:services!service=whoami".into()),
            "{scopes:?}"
        );
        assert!(
            !scopes
                .iter()
                .any(|scope| scope.as_str().unwrap_or_default().starts_with("tokens")),
            "{scopes:?}"
        );

        // The service loses its cookie; the user need not consent again.
        alice.forget("service-whoami");
        let there = alice.open(&hub.service_url());
        assert_eq!(
            (there.url, there.answer.status),
            (hub.service_url(), 200),
            "{:#?}",
            there.way
        );

        // A user without access gets an error page, and no redirect.
        let mut bob = HeadlessBrowser::default();
        let login = bob.open(&hub.service_url());
        let told = hub.log_in(&mut bob, &login, "bob");
        assert_eq!(told.answer.status, 403, "{:#?}", told.way);
        assert!(
            told.url.starts_with(&hub.url("/hub/api/oauth2/authorize")),
            "{}",
            told.url
        );

        // Who says no is sent back with that.
        let mut shy = HeadlessBrowser::default();
        let login = shy.open(&hub.service_url());
        let question = hub.log_in(&mut shy, &login, "alice");
        if question.url.contains("authorize") {
            let no = shy.submit(
                &question.url,
                &[("_xsrf", &question.hidden("_xsrf")), ("deny", "1")],
            );
            assert_eq!(no.answer.status, 400, "{:#?}", no.way);
            assert!(no.answer.body.contains("Error in oauth"), "{}", no.answer.body);
        }
    }
}

#[test]
fn a_trusted_service_is_entered_without_a_question_and_left_by_the_hubs_logout() {
    for store in STORES {
        progress(&format!("no consent, logout, {store}"));
        let hub = MiniHub::start(store, "oauth_no_confirm = true");
        let _service = hub.python_service(1, COOKIE_SECRET);
        let mut alice = HeadlessBrowser::default();
        let login = alice.open(&hub.service_url());
        let there = hub.log_in(&mut alice, &login, "alice");
        assert_eq!(
            (there.url.as_str(), there.answer.status),
            (&*hub.service_url(), 200),
            "{:#?}",
            there.way
        );

        // Another browser of hers, and what her first one holds when it is copied.
        let mut other = HeadlessBrowser::default();
        let login = other.open(&hub.service_url());
        hub.log_in(&mut other, &login, "alice");
        let mut attacker = alice.clone();

        let bye = alice.open(&hub.url("/hub/logout"));
        assert_eq!(bye.url, hub.url("/hub/login"));
        assert_eq!(alice.cookie("jupyterhub-hub-login"), None);
        assert_eq!(alice.cookie("jupyterhub-session-id"), None);
        wait_until("the service has noticed", || {
            let page = alice.open(&hub.service_url());
            page.url.contains("/hub/login")
        });
        wait_until("a copy of the cookies is invalid", || {
            attacker.open(&hub.service_url()).url.contains("/hub/login")
        });
        let page = other.open(&hub.service_url());
        assert_eq!(
            page.answer.status, 200,
            "her other login goes on: {:#?}",
            page.way
        );

        // And everywhere, from the page of the hub.
        let home = other.open(&hub.url("/hub/home"));
        let fields = [("_xsrf", &*home.hidden("_xsrf")), ("everywhere", "1")];
        let login = alice.open(&hub.url("/hub/login"));
        hub.log_in(&mut alice, &login, "alice");
        other.submit(&hub.url("/hub/logout"), &fields);
        let page = alice.open(&hub.url("/hub/home"));
        assert!(page.url.contains("/hub/login"), "{}", page.url);
    }
}

#[test]
fn a_login_survives_a_restart_of_the_hub_and_ends_when_its_cookie_secret_changes() {
    progress("restart, sqlite");
    let mut hub = MiniHub::start("sqlite:hub.sqlite", "oauth_no_confirm = true");
    let service = hub.python_service(1, COOKIE_SECRET);
    let mut alice = HeadlessBrowser::default();
    let login = alice.open(&hub.service_url());
    hub.log_in(&mut alice, &login, "alice");

    hub.restart(&[]);
    thread::sleep(Duration::from_millis(1200));
    let page = alice.open(&hub.service_url());
    assert_eq!(
        (page.way.len(), page.answer.status),
        (1, 200),
        "not even a redirect: {:#?}",
        page.way
    );
    let page = alice.open(&hub.url("/hub/home"));
    assert!(page.answer.body.contains("Logged in as alice"), "{}", page.url);

    // The service's own secret: its cookie is invalid, and the hub's login gives a new one.
    drop(service);
    let _service = hub.python_service(1, "another cookie secret of the service");
    let page = alice.open(&hub.service_url());
    assert_eq!(page.url, hub.service_url());
    assert!(page.way.len() > 2, "through the hub: {:#?}", page.way);

    // The hub's: all logins have ended.
    hub.restart(&[("JPY_COOKIE_SECRET", &another_secret())]);
    let page = alice.open(&hub.url("/hub/home"));
    assert!(page.url.contains("/hub/login?next="), "{}", page.url);
    assert_eq!(
        alice.cookie("jupyterhub-hub-login"),
        None,
        "the old cookie is taken away"
    );
    alice.forget("service-whoami");
    let page = alice.open(&hub.service_url());
    assert!(
        page.url.contains("/hub/login?next="),
        "the service is closed: {:#?}",
        page.way
    );

    // On memory a restart ends all.
    let mut hub = MiniHub::start("memory:", "oauth_no_confirm = true");
    let login = alice.open(&hub.url("/hub/login"));
    hub.log_in(&mut alice, &login, "alice");
    hub.restart(&[]);
    let page = alice.open(&hub.url("/hub/home"));
    assert!(page.url.contains("/hub/login"), "{}", page.url);
}

#[test]
fn the_real_single_user_server_and_the_real_proxy_work_with_it() {
    progress("single-user server behind configurable-http-proxy, sqlite");
    let mut hub = MiniHub::start_behind_proxy("sqlite:hub.sqlite", "oauth_no_confirm = true");
    let _service = hub.python_service(1, COOKIE_SECRET);
    let _server = hub.single_user_server("");

    let token = format!("token {}", MiniHub::PROXY_TOKEN);
    let routes = request(
        hub.proxy_api_address(),
        "GET",
        "/api/routes",
        &[("Authorization", &token)],
    );
    let routes = json(&routes.body);
    for (path, target) in [
        ("/", &hub.api_address),
        ("/services/whoami", &hub.service_address),
        ("/user/alice", &hub.server_address),
    ] {
        assert_eq!(routes[path]["target"], format!("http://{target}"), "{routes}");
        assert_eq!(routes[path]["jupyterhub"], true, "{routes}");
    }

    let home = hub.url("/user/alice/api/status");
    let mut alice = HeadlessBrowser::default();
    let login = alice.open(&hub.url("/user/alice/lab"));
    let there = hub.log_in(&mut alice, &login, "alice");
    assert_eq!(
        (there.url, there.answer.status),
        (hub.url("/user/alice/lab"), 200),
        "{:#?}",
        there.way
    );
    assert!(alice.cookie("jupyterhub-user-alice").is_some());
    let status = alice.open(&home);
    assert_eq!(status.answer.status, 200, "{:#?}", status.way);
    assert!(status.answer.body.contains("kernels"), "{}", status.answer.body);

    let mut bob = HeadlessBrowser::default();
    let login = bob.open(&hub.url("/user/alice/lab"));
    let told = hub.log_in(&mut bob, &login, "bob");
    assert_eq!(told.answer.status, 403, "{:#?}", told.way);

    // The server reports activity.
    let token = format!("token {}", MiniHub::SERVER_TOKEN);
    wait_until("activity is reported", || {
        let told = request(
            &hub.api_address,
            "GET",
            "/hub/api/users/alice",
            &[("Authorization", &token)],
        );
        json(&told.body)["last_activity"].is_string()
    });

    hub.restart(&[]);
    thread::sleep(Duration::from_millis(1200));
    let page = alice.open(&home);
    assert_eq!(
        (page.way.len(), page.answer.status),
        (1, 200),
        "a restart of the hub changes nothing: {:#?}",
        page.way
    );

    let mut attacker = alice.clone();
    let bye = alice.open(&hub.url("/user/alice/logout"));
    assert_eq!(bye.url, hub.url("/hub/login"), "{:#?}", bye.way);
    wait_until("a copy of the cookies is invalid", || {
        attacker
            .open(&hub.url("/user/alice/lab"))
            .url
            .contains("/hub/login")
    });

    // A path that the proxy has no route for is the hub's.
    let page = bob.open(&hub.url("/user/bob/lab"));
    assert_eq!(page.answer.status, 424, "{:#?}", page.way);

    // The secret of the hub changes: who comes to the server must log in again.
    let login = alice.open(&hub.url("/hub/login"));
    hub.log_in(&mut alice, &login, "alice");
    hub.restart(&[("JPY_COOKIE_SECRET", &another_secret())]);
    let page = alice.open(&hub.url("/user/alice/lab"));
    assert!(page.url.contains("/hub/login"), "{:#?}", page.way);
}

#[test]
fn the_real_idle_culler_stops_an_idle_server_and_the_hub_answers_in_its_place() {
    progress("jupyterhub-idle-culler");
    let scopes = r#"scopes = ["list:users", "read:users:activity", "read:servers", "delete:servers"]"#;
    let hub = MiniHub::start_behind_proxy("memory:", scopes);
    let mut server = hub.single_user_server("");
    let mut alice = HeadlessBrowser::default();
    let login = alice.open(&hub.url("/user/alice/lab"));
    let there = hub.log_in(&mut alice, &login, "alice");
    assert_eq!(there.answer.status, 200, "{:#?}", there.way);

    let culler = hub.idle_culler(1);
    wait_until("the culler stops the server", || !server.is_running());
    wait_until("the proxy has lost the route", || {
        alice.open(&hub.url("/user/alice/lab")).answer.status == 424
    });
    // A program that talks to the server hears that it is gone, whatever it sends.
    for method in ["GET", "POST", "PUT", "DELETE"] {
        let answer = alice.send(method, &hub.url("/hub/user/alice/api/contents"), "");
        assert_eq!(answer.status, 424, "{method}: {}", answer.body);
        assert_eq!(answer.fields("content-type"), ["application/json"], "{method}");
    }
    let token = format!("token {}", MiniHub::SERVICE_TOKEN);
    let users = request(
        &hub.api_address,
        "GET",
        "/hub/api/users?state=ready",
        &[("Authorization", &token)],
    );
    assert_eq!(users.json(), serde_json::json!([]), "{}", users.body);

    drop(culler);
    // It is started again, and has its route when it has reported activity.
    let mut again = hub.single_user_server("");
    wait_until("the server is back", || {
        alice.open(&hub.url("/user/alice/api/status")).answer.status == 200
    });
    // For a server that was killed, the proxy shows the hub's page.
    again.signal("KILL");
    let page = alice.open(&hub.url("/user/alice/lab"));
    assert_eq!(page.answer.status, 503, "{:#?}", page.way);
    assert!(
        page.answer.body.contains("Your server appears to be down"),
        "{}",
        page.answer.body
    );
}

#[test]
fn a_hub_starts_its_own_proxy_with_a_new_token() {
    let mut hub = MiniHub::start_with_own_proxy();
    let pid = hub.process().line_after("the proxy runs as process ");
    hub.process().line_after("the proxy has its ");
    let page = HeadlessBrowser::default().open(&hub.url("/hub/home"));
    assert_eq!(
        (page.answer.status, page.url.contains("/hub/login")),
        (200, true),
        "{:#?}",
        page.way
    );
    let routes = request(hub.proxy_api_address(), "GET", "/api/routes", &[]);
    assert_eq!(routes.status, 403, "its API is not open");

    // It dies, and the hub starts it again, with its routes.
    let killed = Command::new("kill").args(["-9", &pid]).status();
    assert!(killed.is_ok_and(|status| status.success()));
    wait_until("the proxy is back", || {
        portcullis_interop::http::try_request(&hub.public_address, "GET", "/hub/login", &[])
            .is_ok_and(|answer| answer.status == 200)
    });
    let again = hub.process().line_after("the proxy runs as process ");
    assert_ne!(again, pid);
    let ended = hub.process().signal("TERM");
    assert_eq!(ended.code(), Some(0));
    wait_until("the proxy ends with the hub", || {
        portcullis_interop::http::try_request(&hub.public_address, "GET", "/hub/login", &[]).is_err()
    });
}

#[test]
fn a_proxy_that_rejects_the_token_is_reported_in_one_line() {
    let mut hub = MiniHub::start_behind_proxy("memory:", "");
    let (status, said) = hub.run_with(&[("CONFIGPROXY_AUTH_TOKEN", "another")]);
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(
        said.contains("the proxy refused our token: is CONFIGPROXY_AUTH_TOKEN the same here"),
        "{said}"
    );
    let (status, said) = hub.run_with(&[("CONFIGPROXY_AUTH_TOKEN", "")]);
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("CONFIGPROXY_AUTH_TOKEN"), "{said}");
}

#[test]
fn two_hubs_on_one_server_of_postgresqls_are_one() {
    let postgres = Postgres::start();
    postgres.sql("postgres", "CREATE DATABASE mini_hub OWNER hub");
    let folder = postgres.config("mini_hub");
    let folder = folder
        .split_whitespace()
        .find_map(|word| word.strip_prefix("host="))
        .expect("a folder");
    let store = format!(
        "postgres://hub@{}/mini_hub",
        portcullis_interop::headless_browser::encoded(folder)
    );
    let one = MiniHub::start(&store, "oauth_no_confirm = true");
    let _service = one.python_service(1, COOKIE_SECRET);
    let mut alice = HeadlessBrowser::default();
    let login = alice.open(&one.service_url());
    let there = one.log_in(&mut alice, &login, "alice");
    assert_eq!(
        (there.url, there.answer.status),
        (one.service_url(), 200),
        "{:#?}",
        there.way
    );

    // Both have the cookie secret, and so the same login; it ends at both.
    let secret = fs::read_to_string(one.folder().join("jupyterhub_cookie_secret")).expect("the secret");
    let mut two = MiniHub::start(&store, "");
    two.restart(&[("JPY_COOKIE_SECRET", secret.trim())]);
    let home = alice.open(&two.url("/hub/home"));
    assert!(home.answer.body.contains("Logged in as alice"), "{:#?}", home.way);
    let mut copy = alice.clone();
    alice.open(&two.url("/hub/logout"));
    wait_until("the service of the other hub has noticed", || {
        copy.open(&one.service_url()).url.contains("/hub/login")
    });
}

#[test]
fn the_sample_configuration_serves_the_people_that_it_names() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/mini_hub/hub.toml");
    let sample = fs::read_to_string(sample).expect("the sample");
    let service = format!("127.0.0.1:{}", free_port());
    let mut config = String::new();
    let hub = MiniHub::start_configured(|address, api_address| {
        config = sample
            .replace("127.0.0.1:8000", address)
            .replace("127.0.0.1:8081", api_address)
            .replace("127.0.0.1:9000", &service);
        config.clone()
    });
    for (name, password) in [("alice", "purple tricycle nine"), ("bob", "green umbrella seven")] {
        let mut person = HeadlessBrowser::default();
        let login = person.open(&hub.url("/"));
        let fields = [
            ("_xsrf", &*login.hidden("_xsrf")),
            ("username", name),
            ("password", password),
        ];
        let home = person.submit(&login.url, &fields);
        assert!(
            home.answer.body.contains(&format!("Logged in as {name}")),
            "{:#?}",
            home.way
        );
    }
    assert!(hub.folder().join("hub.sqlite").exists());

    // The command in its head starts the service.
    let mut command = Example::command(&Example::build("hub_service"));
    let lines = config.lines().filter_map(|line| line.strip_prefix("#   "));
    command.envs(
        lines
            .flat_map(str::split_whitespace)
            .filter_map(|word| word.split_once('=')),
    );
    let process = Example::start("hub_service", command);
    process.line_after("hub_service listens on ");
    let mut alice = HeadlessBrowser::default();
    let login = alice.open(&format!("http://{service}/services/whoami/"));
    let question = hub.log_in(&mut alice, &login, "alice");
    let (xsrf, scopes) = (question.hidden("_xsrf"), question.all_hidden("scopes"));
    let mut form = vec![("_xsrf", &*xsrf)];
    form.extend(scopes.iter().map(|scope| ("scopes", &**scope)));
    let there = alice.submit(&question.url, &form);
    assert_eq!(
        there.answer.json(),
        serde_json::json!({ "name": "alice", "groups": [], "admin": false }),
        "{:#?}",
        there.way
    );
}

#[test]
fn a_hub_starts_with_the_secrets_that_a_jupyterhub_starts_with_unless_they_are_weak() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/jupyterhub");
    let read = |file: &str| -> Vec<serde_json::Value> {
        let text = fs::read_to_string(folder.join(file)).expect("the vectors");
        let whole: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        whole["cases"].as_array().expect("cases").clone()
    };
    let mut rows = 0;
    for case in read("cookie_secret.json").into_iter().chain(read("startup.json")) {
        // A secret in the configuration itself, and encryption of stored state, are not supported here.
        let note = case["note"].as_str().expect("a note");
        if !case["config"].is_null()
            || note.contains("CONFIGPROXY")
            || note.contains("proxy")
            || note.contains("CRYPT")
            || note.contains("should_start")
        {
            continue;
        }
        let file = match (&case["file_hex"], &case["file"]) {
            (serde_json::Value::String(hex), _) => Some(bytes(hex)),
            (_, serde_json::Value::String(text)) => Some(text.clone().into_bytes()),
            _ => None,
        };
        let mode = case["mode"]
            .as_str()
            .map(|mode| u32::from_str_radix(mode.trim_start_matches("0o"), 8).expect("octal digits"));
        let variable = case["env"]
            .as_str()
            .or_else(|| case["env"]["JPY_COOKIE_SECRET"].as_str());
        let stated = case["verdict"] == "ok" || case["started"] == true;
        let by_rule = starts(file.as_deref(), mode, variable);
        let padded = variable.is_some_and(|text| text.trim() != text);
        assert!(
            !by_rule || stated || padded,
            "{note}: this hub starts where JupyterHub does, and where only whitespace is wrong"
        );
        let (started, said) = MiniHub::starts_with(file.as_deref().zip(mode), variable);
        assert_eq!(started, by_rule, "{note}: {said}");
        if !started {
            assert_eq!(said.lines().count(), 1, "{note}: {said}");
            let named = said.contains("JPY_COOKIE_SECRET") || said.contains("jupyterhub_cookie_secret");
            assert!(named, "{note}: the line names where: {said}");
        }
        rows += 1;
    }
    assert!(rows > 35, "{rows} rows");
}

/// Decisions 19, 21 and 22: the variable wins; no bit for others; hexadecimal digits of at least 32 random bytes,
/// whitespace around them not counted; an empty file is an error, and a missing one is created.
fn starts(file: Option<&[u8]>, mode: Option<u32>, variable: Option<&str>) -> bool {
    let good = |text: &[u8]| {
        let text = text.trim_ascii();
        let bytes: BTreeSet<_> = text.chunks(2).map(<[u8]>::to_ascii_lowercase).collect();
        text.len().is_multiple_of(2)
            && text.len() >= 64
            && text.iter().all(u8::is_ascii_hexdigit)
            && bytes.len() >= 8
    };
    match variable
        .map(str::as_bytes)
        .filter(|text| !text.trim_ascii().is_empty())
    {
        Some(text) => good(text),
        None => match (file, mode) {
            (Some(file), Some(mode)) => mode & 0o077 == 0 && good(file),
            _ => true,
        },
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|place| u8::from_str_radix(&hex[2 * place..2 * place + 2], 16).expect("hexadecimal digits"))
        .collect()
}

#[test]
fn people_answer_the_question_and_look_after_their_tokens_in_a_browser() {
    let hub = MiniHub::start("sqlite:hub.sqlite", "");
    let _service = hub.python_service(1, COOKIE_SECRET);
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mini_hub");
    let pictures = pictures.display().to_string();
    let (home, service) = (hub.url("/"), hub.service_url());
    drive(
        "mini_hub.mjs",
        &[&home, &service, "alice", MiniHub::PASSWORD, &pictures],
    );
}

/// A cookie secret that no hub of these tests began with.
fn another_secret() -> String {
    (0..32_u8).map(|byte| format!("{:02x}", byte * 7 + 3)).collect()
}

fn json(body: &str) -> serde_json::Value {
    let (start, end) = (body.find('{').expect("JSON"), body.rfind('}').expect("JSON"));
    serde_json::from_str(&body[start..=end]).expect("JSON")
}
