//! `single_user` and `hub_service`, started by a real JupyterHub behind its own proxy.

mod activity;
mod external_login;
mod host_prefix;
mod internal_ssl;
mod names;
mod subdomains;

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use portcullis_interop::{
    browser::drive,
    example::Example,
    http::{Answer, request},
    jupyterhub::{Front, JupyterHub},
};

/// How long an answer of the hub is cached in these tests.
const CACHE_MAX_AGE: u64 = 2;

fn progress(line: &str) {
    let _ = writeln!(std::io::stderr(), "interop: {line}");
}

fn single_user() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| Example::build("single_user"))
}

/// A hub that spawns `single_user`, below `base`.
fn hub(base: &str, config: &str) -> JupyterHub {
    let front = Front {
        base,
        ..Front::default()
    };
    hub_at(front, config)
}

/// The same, seen at `front`.
fn hub_at(front: Front<'_>, config: &str) -> JupyterHub {
    let program = single_user();
    JupyterHub::start_at(
        front,
        &format!(
            "c.Spawner.cmd = [{program:?}]
c.Spawner.args = ['--cache-max-age', '{CACHE_MAX_AGE}']
c.Authenticator.allow_all = True
c.JupyterHub.allow_named_servers = True
c.ConfigurableHTTPProxy.check_running_interval = 1
{config}
"
        ),
    )
}

/// The way of `user` in and out at the hub seen at `home`, by a real browser, with `bob` as their neighbour.
///
/// The names of the pictures begin with `pictures`, that of the token cookie with `prefix`.
#[track_caller]
fn log_in_by_browser(home: &str, user: &str, pictures: &str, prefix: &str) {
    let pictures = format!("{}/{pictures}", env!("CARGO_TARGET_TMPDIR"));
    drive(
        "hub_login.mjs",
        &[home, user, JupyterHub::PASSWORD, "bob", &pictures, prefix],
    );
}

/// Repeats the request until `status` comes, no longer than a little more than the cache's age.
#[track_caller]
fn within_the_age(status: u16, mut ask: impl FnMut() -> Answer) {
    let until = Instant::now() + Duration::from_secs(CACHE_MAX_AGE + 2);
    loop {
        let answer = ask();
        if answer.status == status {
            return;
        }
        assert!(
            Instant::now() < until,
            "expected {status} by now, found {} {}",
            answer.head,
            answer.body
        );
        thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_spawned_server_is_logged_into_used_and_logged_out_of() {
    let hub = hub("/", "");
    progress("the hub runs");
    hub.spawn("alice", "");
    let log = hub.written();
    assert!(
        !log.contains("no version header"),
        "the hub knows the version: {log}"
    );

    // The way in, step by step.
    let mut alice = hub.visitor();
    let first = alice.open("/user/alice/files/hello.txt?x=1");
    assert_eq!(first.status, 302, "{} {}", first.head, first.body);
    let location = first.fields("location")[0].to_owned();
    assert!(
        location.starts_with("/hub/api/oauth2/authorize?client_id=jupyterhub-user-alice&redirect_uri=%2Fuser%2Falice%2Foauth_callback&response_type=code&code_challenge="),
        "{location}"
    );
    let state = alice
        .cookie("jupyterhub-user-alice-oauth-state", "/user/alice/x")
        .expect("a state cookie");
    for part in ["Path=/user/alice/", "Max-Age=600", "HttpOnly"] {
        assert!(state.attributes.contains(part), "{part}: {}", state.attributes);
    }
    let (targets, form) = alice.follow(&location);
    assert!(
        targets
            .last()
            .is_some_and(|last| last.starts_with("/hub/login?next=")),
        "{targets:?}"
    );
    assert_eq!(form.status, 200);
    hub.log_in(&mut alice, "alice");
    let (targets, page) = alice.follow("/user/alice/files/hello.txt?x=1");
    assert_eq!(page.status, 200, "{targets:?} {}", page.head);
    assert_eq!(
        targets.last().map(String::as_str),
        Some("/user/alice/files/hello.txt?x=1")
    );
    assert!(page.body.contains("hello"));

    // What the browser keeps.
    let token = alice
        .cookie("jupyterhub-user-alice", "/user/alice/")
        .expect("a token cookie")
        .clone();
    for part in ["Path=/user/alice/", "Max-Age=1209600", "HttpOnly", "SameSite=Lax"] {
        assert!(token.attributes.contains(part), "{part}: {}", token.attributes);
    }
    assert!(!token.attributes.contains("Secure"), "over http");
    let xsrf = alice.cookie("_xsrf", "/user/alice/").expect("an _xsrf").clone();
    assert_eq!(xsrf.path, "/user/alice/");
    assert!(alice.cookie("jupyterhub-session-id", "/user/alice/").is_some());
    // The login that was never finished may still be.
    let left = alice
        .cookies()
        .iter()
        .filter(|cookie| cookie.name.contains("oauth-state"));
    assert!(left.count() <= 1, "{:?}", alice.cookies());

    // What the cookie does, and does not.
    let xsrf = xsrf.value.as_str();
    let cors = ("Sec-Fetch-Mode", "cors");
    let own = ("Sec-Fetch-Site", "same-origin");
    for (claim, method, fields, status) in [
        (
            "a read of a script with _xsrf",
            "GET",
            vec![cors, own, ("X-XSRFToken", xsrf)],
            200,
        ),
        ("a read of a script without", "GET", vec![cors, own], 403),
        (
            "a write with _xsrf",
            "POST",
            vec![cors, own, ("X-XSRFToken", xsrf)],
            200,
        ),
        ("a write without", "POST", vec![cors, own], 403),
        (
            "a write by another site",
            "POST",
            vec![cors, ("Sec-Fetch-Site", "cross-site"), ("X-XSRFToken", xsrf)],
            403,
        ),
    ] {
        let answer = alice.send(method, "/user/alice/api/contents", &fields, "");
        assert_eq!(answer.status, status, "{claim}: {} {}", answer.head, answer.body);
    }
    let stranger = request(&hub.address, "GET", "/user/alice/api/contents", &[]);
    assert_eq!(stranger.status, 403, "{}", stranger.head);
    assert_eq!(stranger.json()["message"], "Forbidden");

    // bob, at alice's server.
    progress("bob comes");
    let mut bob = hub.visitor();
    hub.log_in(&mut bob, "bob");
    let (targets, answer) = bob.follow("/user/alice/");
    assert_eq!(answer.status, 403, "{targets:?}");
    let (bobs, _) = hub.token("bob");
    let bobs = format!("token {bobs}");
    for path in ["/user/alice/api/contents", "/user/alice/"] {
        let answer = request(
            &hub.address,
            "GET",
            path,
            &[("Authorization", &bobs), ("Accept", "text/html")],
        );
        assert_eq!(answer.status, 403, "{path} {}", answer.head);
        assert!(answer.body.contains("access"), "{}", answer.body);
    }

    // Tokens.
    let (text, id) = hub.token("alice");
    let field = format!("token {text}");
    let by_token = || {
        request(
            &hub.address,
            "GET",
            "/user/alice/api/contents",
            &[("Authorization", &field)],
        )
    };
    let answer = by_token();
    assert_eq!(answer.status, 200, "{}", answer.head);
    assert_eq!(answer.json()["user"], "alice");
    assert!(answer.fields("set-cookie").is_empty(), "{}", answer.head);
    assert_eq!(
        hub.api("DELETE", &format!("/users/alice/tokens/{id}"), "").status,
        204
    );
    within_the_age(403, by_token);

    // A login in two tabs at once.
    progress("two tabs");
    let mut tabs = hub.visitor();
    hub.log_in(&mut tabs, "alice");
    let begun: Vec<_> = ["/user/alice/?tab=1", "/user/alice/?tab=2"]
        .iter()
        .map(|page| (*page, tabs.open(page).fields("location")[0].to_owned()))
        .collect();
    for (page, location) in begun {
        let (targets, answer) = tabs.follow(&location);
        assert_eq!(answer.status, 200, "{targets:?}");
        assert_eq!(targets.last().map(String::as_str), Some(page));
    }
    let left = tabs
        .cookies()
        .iter()
        .filter(|cookie| cookie.name.contains("oauth-state"));
    assert_eq!(left.count(), 0, "{:?}", tabs.cookies());

    // A state that this server did not issue, and a browser that keeps no cookie.
    let mut forgetful = hub.visitor();
    hub.log_in(&mut forgetful, "alice");
    let location = forgetful.open("/user/alice/").fields("location")[0].to_owned();
    forgetful.lose("jupyterhub-user-alice-oauth-state");
    let (targets, answer) = forgetful.follow(&location);
    assert_eq!(answer.status, 403, "{targets:?}");
    assert!(
        answer.body.contains("oauth state does not match"),
        "{}",
        answer.body
    );
    for (query, status) in [
        ("", 400),
        ("code=x", 400),
        ("code=x&state=y", 403),
        ("error=access_denied&state=y", 400),
    ] {
        let answer = forgetful.open(&format!("/user/alice/oauth_callback?{query}"));
        assert_eq!(answer.status, status, "{query}: {}", answer.head);
    }

    // Out again: here, and then at the hub.
    progress("logout");
    let out = tabs.open("/user/alice/logout");
    assert_eq!(
        (out.status, out.fields("location")),
        (302, vec!["/hub/logout"]),
        "{}",
        out.head
    );
    assert!(tabs.cookie("jupyterhub-user-alice", "/user/alice/").is_none());
    assert!(
        tabs.cookie("jupyterhub-session-id", "/").is_some(),
        "the hub's cookie is the hub's to take"
    );
    let copied = format!("{}={}", token.name, token.value);
    let session = alice
        .cookie("jupyterhub-session-id", "/")
        .expect("a session")
        .value
        .clone();
    let copied = format!("{copied}; jupyterhub-session-id={session}");
    assert_eq!(alice.open("/user/alice/").status, 200);
    let (targets, _) = alice.follow("/hub/logout");
    assert!(
        targets.last().is_some_and(|last| last.starts_with("/hub/login")),
        "{targets:?}"
    );
    within_the_age(403, || {
        request(
            &hub.address,
            "GET",
            "/user/alice/api/contents",
            &[("Cookie", &copied)],
        )
    });
    let again = alice.open("/user/alice/");
    assert_eq!(again.status, 302);
    assert!(
        again.fields("location")[0].starts_with("/hub/api/oauth2/authorize"),
        "{}",
        again.head
    );
}

/// A server that is restarted with the same environment when its program ends while a file `again` exists.
fn restarting(folder: &Path) -> PathBuf {
    let script = folder.join("restarting");
    let text = format!(
        "#!/bin/sh\ntrap 'kill $child; exit' INT TERM\nwhile :; do\n  {} \"$@\" &\n  child=$!\n  echo $child > {folder}/pid\n  \
         wait $child\n  [ -e {folder}/again ] || exit\n  rm {folder}/again\ndone\n",
        single_user().display(),
        folder = folder.display()
    );
    fs::write(&script, text).expect("a file");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("a mode");
    script
}

fn kill(pid: &str) {
    let status = Command::new("kill").args(["-9", pid.trim()]).status();
    assert!(status.is_ok_and(|status| status.success()), "cannot kill {pid}");
}

#[test]
fn a_login_survives_the_restart_of_server_proxy_and_hub_in_its_middle() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = restarting(folder.path());
    let mut hub = hub(
        "/",
        &format!(
            "c.Spawner.cmd = [{script:?}]\nc.JupyterHub.cleanup_servers = False\nc.JupyterHub.cleanup_proxy = True\n"
        ),
    );
    hub.spawn("alice", "");
    for what in ["server", "proxy", "hub"] {
        progress(&format!("restart of the {what} in the middle of a login"));
        let mut alice = hub.visitor();
        let location = alice.open("/user/alice/files/hello.txt").fields("location")[0].to_owned();
        match what {
            "server" => {
                fs::write(folder.path().join("again"), "").expect("a file");
                kill(&fs::read_to_string(folder.path().join("pid")).expect("a pid"));
            }
            "proxy" => {
                let pids = fs::read_to_string(hub.folder().join("jupyterhub-proxy.pid")).expect("a pid");
                kill(pids.lines().next().expect("a pid"));
            }
            _ => hub.restart(),
        }
        thread::sleep(Duration::from_millis(500));
        hub.wait_until("the server answers again through the proxy", || {
            let answer = portcullis_interop::http::try_request(&hub.address, "GET", "/user/alice/api", &[]);
            answer.is_ok_and(|answer| answer.status == 200)
        });
        hub.log_in(&mut alice, "alice");
        let (targets, answer) = alice.follow(&location);
        assert_eq!(
            answer.status, 200,
            "{what}: {targets:?} {} {}",
            answer.head, answer.body
        );
        assert_eq!(
            targets.last().map(String::as_str),
            Some("/user/alice/files/hello.txt"),
            "{what}"
        );
    }
    let stopped = hub.api("DELETE", "/users/alice/server", "");
    assert!([202, 204].contains(&stopped.status), "{}", stopped.head);
}

#[test]
fn a_real_browser_logs_in_through_the_hub_and_is_out_when_the_hub_says_so() {
    let hub = hub(
        "/",
        "c.SimpleLocalProcessSpawner.home_dir_template = '{folder}/home'\n",
    );
    let home = format!("http://{}/", hub.address);
    log_in_by_browser(&home, "alice", "hub-", "");
    log_in_by_browser(&home, "a\\b?c#d", "hub-odd-", "");
}
