//! Users log in at a hub and log out.

use std::sync::{Arc, Mutex};

use portcullis::{Event, Reason, hub_server::HubUser};

use super::{Browser, MINUTE, PASSWORD, World, hidden, json};

const HOME: &str = "/hub/home";

async fn is_logged_in(browser: &mut Browser<'_>) -> bool {
    browser.get(HOME).await.status == 200
}

#[tokio::test]
async fn a_login_lasts_two_weeks_and_its_cookie_holds_nothing_of_the_user() {
    let world = World::new();
    let mut alice = world.browser_of(" Alice ").await;
    let line = alice.cookie("jupyterhub-hub-login").expect("a cookie").to_owned();
    assert!(line.contains("|20:jupyterhub-hub-login|44:"), "{line}");
    assert!(!line.contains("YWxpY2U"), "{line}");
    let session_id = alice
        .cookie("jupyterhub-session-id")
        .expect("a cookie")
        .to_owned();
    assert!(
        session_id.len() == 32 && session_id.bytes().all(|digit| digit.is_ascii_hexdigit()),
        "{session_id}"
    );
    for (days, expected) in [(13, true), (1, true), (1, false)] {
        assert_eq!(is_logged_in(&mut alice).await, expected);
        world.clock.advance(MINUTE * 60 * 24 * days);
    }
}

#[tokio::test]
async fn every_rejected_login_gets_the_same_answer_and_no_cookie() {
    let world = World::new();
    let mut pages = Vec::new();
    for (name, password) in [
        ("alice", "wrong"),
        ("no-such-user", PASSWORD),
        ("..", PASSWORD),
        ("", ""),
        // Knows the password, and is no member.
        ("outsider", PASSWORD),
    ] {
        let mut browser = world.browser();
        let answer = browser.log_in(name, password).await;
        assert_eq!(answer.status, 403, "{name}");
        assert!(answer.text.contains("Invalid username or password"), "{name}");
        assert_eq!(
            browser
                .cookies
                .keys()
                .map(|(name, _)| name.as_str())
                .collect::<Vec<_>>(),
            ["_xsrf"]
        );
        // The name that was typed is there again, and fields are numbered by their place.
        let told = answer
            .text
            .replace(&format!(" value=\"{name}\""), "")
            .replace(" autofocus", "");
        let xsrf = hidden(&told, "_xsrf").first().cloned().unwrap_or_default();
        let mut told = told.replace(&xsrf, "");
        told.retain(|letter| !letter.is_ascii_digit());
        pages.push(
            told.split("<body")
                .nth(1)
                .unwrap_or_default()
                .replace(" value=\"\"", ""),
        );
    }
    pages.dedup();
    assert_eq!(pages.len(), 1, "{pages:#?}");
}

#[tokio::test]
async fn guessing_is_slowed_down_and_a_login_is_not() {
    let world = World::new();
    let mut guesser = world.browser();
    let mut statuses = Vec::new();
    for _ in 0..40 {
        statuses.push(guesser.log_in("bob", "wrong").await.status.as_u16());
    }
    assert_eq!(statuses.first(), Some(&403));
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    let answer = guesser.log_in("bob", PASSWORD).await;
    assert_eq!(answer.status, 429, "not even the right one is listened to");
    assert!(!answer.header("retry-after").is_empty());
    // By the API as well: it is one throttle.
    let body = format!(r#"{{"auth": {{"username": "bob", "password": "{PASSWORD}"}}}}"#);
    let answer = world.call("POST", "/users/bob/tokens", None, &body).await;
    assert_eq!(answer.status, 429, "{answer:?}");
    world.clock.advance(MINUTE * 60 * 24);
    assert_eq!(guesser.log_in("bob", PASSWORD).await.status, 302);
}

#[tokio::test]
async fn each_refused_password_is_one_event_by_the_form_and_by_the_api() {
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&reasons);
    let world = World::with(|hub| {
        hub.observer(move |event: &Event<'_>| {
            if let Event::Denied { reason, .. } = event {
                log.lock().expect("one at a time").push(*reason);
            }
        })
    });
    let body = |name: &str| format!(r#"{{"auth": {{"username": "{name}", "password": "wrong"}}}}"#);
    for _ in 0..2 {
        assert_eq!(world.browser().log_in("bob", "wrong").await.status, 403);
        let answer = world.call("POST", "/users/bob/tokens", None, &body("bob")).await;
        assert_eq!(answer.status, 403, "{answer:?}");
    }
    let answer = world
        .call("POST", "/users/outsider/tokens", None, &body("outsider"))
        .await;
    assert_eq!(answer.status, 403, "{answer:?}");
    for _ in 0..2 {
        world.call("POST", "/users/bob/tokens", None, &body("bob")).await;
    }
    let wrong = Reason::IncorrectPassword;
    let reasons = reasons.lock().expect("one at a time").clone();
    assert_eq!(
        reasons,
        [wrong, wrong, wrong, wrong, wrong, wrong, Reason::RateLimited]
    );
}

#[tokio::test]
async fn the_form_is_taken_from_the_hubs_own_page_alone() {
    let world = World::new();
    for (case, xsrf, fields) in [
        ("no value", None, &[][..]),
        ("an invented one", Some("x1"), &[]),
        (
            "another site",
            None,
            &[
                ("origin", "https://evil.example"),
                ("sec-fetch-site", "cross-site"),
            ],
        ),
        (
            "a sibling",
            None,
            &[("origin", "http://localhost:9"), ("sec-fetch-site", "same-site")],
        ),
    ] {
        let mut browser = world.browser();
        let page = browser.get("/hub/login").await;
        let own = hidden(&page.text, "_xsrf").remove(0);
        browser.fields = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let value = xsrf.unwrap_or(if fields.is_empty() { "" } else { &own });
        let answer = browser
            .post(
                "/hub/login",
                &[("_xsrf", value), ("username", "alice"), ("password", PASSWORD)],
            )
            .await;
        assert_eq!(answer.status, 403, "{case}");
        assert!(answer.text.contains("Login form invalid or expired"), "{case}");
        assert!(browser.cookie("jupyterhub-hub-login").is_none(), "{case}");
    }
}

#[tokio::test]
async fn a_planted_session_id_is_not_kept() {
    let world = World::new();
    for planted in ["evil", "00000000000000000000000000000000", "\"a\""] {
        let mut browser = world.browser();
        browser.cookies.insert(
            ("jupyterhub-session-id".to_owned(), "/".to_owned()),
            planted.to_owned(),
        );
        browser.log_in("alice", PASSWORD).await;
        let own = browser
            .cookie("jupyterhub-session-id")
            .expect("a cookie")
            .to_owned();
        assert_ne!(own, planted);
        // Planted later: the next page puts the right one back.
        browser.cookies.insert(
            ("jupyterhub-session-id".to_owned(), "/".to_owned()),
            planted.to_owned(),
        );
        browser.get(HOME).await;
        assert_eq!(browser.cookie("jupyterhub-session-id"), Some(own.as_str()));
    }
}

#[tokio::test]
async fn a_second_login_takes_the_tokens_of_the_first_along_or_ends_them() {
    let world = World::new();
    let mut browser = world.browser_of("admin").await;
    let first = browser.clone();
    let token = world.oauth_token(&mut browser).await;
    assert_eq!(browser.log_in("admin", PASSWORD).await.status, 302);
    assert_ne!(
        browser.cookie("jupyterhub-session-id"),
        first.cookie("jupyterhub-session-id")
    );
    let told = json(&world.call("GET", "/user", Some(&token), "").await);
    assert_eq!(
        told["session_id"].as_str(),
        browser.cookie("jupyterhub-session-id"),
        "it moved to the new session"
    );
    assert!(
        !is_logged_in(&mut first.clone()).await,
        "the first login has ended"
    );

    assert_eq!(browser.log_in("bob", PASSWORD).await.status, 302);
    assert_eq!(
        world.call("GET", "/user", Some(&token), "").await.status,
        403,
        "it was another's"
    );
}

#[tokio::test]
async fn a_logout_ends_the_login_and_its_tokens_wherever_their_copies_are() {
    let world = World::new();
    let mut admin = world.browser_of("admin").await;
    let token = world.oauth_token(&mut admin).await;
    let mut other = world.browser_of("admin").await;
    let (own, copy) = (world.oauth_token(&mut other).await, admin.clone());

    let answer = admin.get("/hub/logout").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (302, "/hub/login")
    );
    assert!(admin.cookies.is_empty(), "{:?}", admin.cookies);
    assert!(!is_logged_in(&mut copy.clone()).await);
    assert_eq!(world.call("GET", "/user", Some(&token), "").await.status, 403);
    assert!(is_logged_in(&mut other).await, "another browser's login goes on");
    assert_eq!(world.call("GET", "/user", Some(&own), "").await.status, 200);

    // A session id alone, which others may know, ends no login.
    let mut attacker = world.browser();
    let session_id = other
        .cookie("jupyterhub-session-id")
        .expect("a cookie")
        .to_owned();
    attacker
        .cookies
        .insert(("jupyterhub-session-id".to_owned(), "/".to_owned()), session_id);
    attacker.get("/hub/logout").await;
    assert!(is_logged_in(&mut other).await);
}

/// A cookie line with `planted` around the browser's own cookies.
fn beside(browser: &Browser<'_>, planted: &[String]) -> String {
    let own: Vec<String> = browser
        .cookies
        .iter()
        .map(|((name, _), value)| format!("{name}={value}"))
        .collect();
    let (before, after) = planted.split_at(planted.len() / 2);
    [before, &own, after].concat().join("; ")
}

fn login_cookie(browser: &Browser<'_>) -> String {
    let value = browser.cookie("jupyterhub-hub-login").expect("a login cookie");
    format!("jupyterhub-hub-login={value}")
}

#[tokio::test]
async fn logout_ends_every_login_with_a_valid_cookie_despite_planted_ones() {
    let world = World::new();
    let junk = |count: usize| -> Vec<String> {
        (0..count)
            .map(|number| format!("jupyterhub-hub-login=junk{number}"))
            .collect()
    };
    for way in ["get", "post"] {
        for (planted, with_foreign) in [(0, true), (8, false), (200, false), (100, true)] {
            let mut alice = world.browser_of("alice").await;
            let xsrf = alice.xsrf().await;
            let (copy, mut foreign) = (alice.clone(), world.browser_of("bob").await);
            let mut planted = junk(planted);
            if with_foreign {
                planted.insert(0, login_cookie(&foreign));
            }
            let case = format!("{way}, {} planted, foreign {with_foreign}", planted.len());
            alice.fields = vec![("cookie".to_owned(), beside(&alice, &planted))];
            alice.cookies.clear();
            let answer = match way {
                "get" => alice.get("/hub/logout").await,
                _ => alice.post("/hub/logout", &[("_xsrf", &xsrf)]).await,
            };
            assert_eq!(answer.status, 302, "{case}: {answer:?}");
            assert!(!is_logged_in(&mut copy.clone()).await, "{case}");
            assert_eq!(is_logged_in(&mut foreign).await, !with_foreign, "{case}");
        }
    }
}

#[tokio::test]
async fn logout_with_cookies_too_large_to_read_is_refused_and_claims_nothing() {
    let world = World::new();
    let mut alice = world.browser_of("alice").await;
    let xsrf = alice.xsrf().await;
    for planted in [
        vec![format!("x={}", "y".repeat(16_384))],
        vec!["jupyterhub-hub-login=junk".to_owned(); 512],
    ] {
        let mut loaded = alice.clone();
        loaded.fields = vec![("cookie".to_owned(), beside(&alice, &planted))];
        loaded.cookies.clear();
        for answer in [
            loaded.get("/hub/logout").await,
            loaded.post("/hub/logout", &[("_xsrf", &xsrf)]).await,
        ] {
            assert_eq!(answer.status, 431, "{answer:?}");
            assert!(answer.set_cookies().is_empty(), "{answer:?}");
            assert_eq!(answer.header("clear-site-data"), "", "{answer:?}");
            let button = r#"action="/hub/logout""#;
            assert!(
                answer.text.contains(button) && answer.text.contains(r#"name="remove_cookies""#),
                "{answer:?}"
            );
        }
        let cookies = loaded.fields.clone();
        loaded
            .fields
            .push(("sec-fetch-site".to_owned(), "cross-site".to_owned()));
        loaded
            .fields
            .push(("origin".to_owned(), "https://evil.example".to_owned()));
        let answer = loaded.post("/hub/logout", &[("remove_cookies", "1")]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.set_cookies().len()),
            (403, 0),
            "from another site"
        );
        loaded.fields = cookies;
        let answer = loaded.post("/hub/logout", &[("remove_cookies", "1")]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (302, "/hub/login")
        );
        for name in ["jupyterhub-hub-login", "jupyterhub-session-id", "_xsrf"] {
            let mut lines = answer.set_cookies().into_iter();
            let removes = |line: String| line.starts_with(&format!("{name}=;")) && line.contains("Max-Age=0");
            assert!(lines.any(removes), "{name}: {answer:?}");
        }
        assert!(is_logged_in(&mut alice).await);
    }
}

#[tokio::test]
async fn log_out_everywhere_with_a_planted_login_ends_only_the_planted_login_of_the_other_user() {
    let world = World::new();
    let mut alice = world.browser_of("alice").await;
    let (mut elsewhere, mut bob) = (world.browser_of("alice").await, world.browser_of("bob").await);
    let xsrf = alice.xsrf().await;
    let mut planted = world.browser_of("bob").await;
    alice.fields = vec![("cookie".to_owned(), beside(&alice, &[login_cookie(&planted)]))];
    alice.cookies.clear();
    let answer = alice
        .post("/hub/logout", &[("_xsrf", &xsrf), ("everywhere", "1")])
        .await;
    assert_eq!(answer.status, 302, "{answer:?}");
    assert!(!is_logged_in(&mut elsewhere).await && !is_logged_in(&mut planted).await);
    assert!(is_logged_in(&mut bob).await);
}

#[tokio::test]
async fn logout_ends_the_login_of_a_removed_member() {
    let world = World::new();
    let mut bob = world.browser_of("bob").await;
    let copy = bob.clone();
    world.hub.users().remove("bob");
    assert_eq!(bob.get("/hub/logout").await.status, 302);
    world.hub.users().set(HubUser::new("bob").expect("a name"));
    assert!(!is_logged_in(&mut copy.clone()).await);
}

#[tokio::test]
async fn log_out_everywhere_leaves_tokens_made_by_hand() {
    let world = World::new();
    let (mut one, mut two) = (world.browser_of("alice").await, world.browser_of("alice").await);
    let mut bob = world.browser_of("bob").await;
    let body = format!(r#"{{"auth": {{"username": "alice", "password": "{PASSWORD}"}}}}"#);
    let token = json(&world.call("POST", "/users/alice/tokens", None, &body).await)["token"].clone();
    let xsrf = one.xsrf().await;
    assert_eq!(
        one.post("/hub/logout", &[("everywhere", "1")]).await.status,
        403,
        "without the value of the page"
    );
    assert!(is_logged_in(&mut two).await);
    assert_eq!(
        one.post("/hub/logout", &[("_xsrf", &xsrf), ("everywhere", "1")])
            .await
            .status,
        302
    );
    assert!(!is_logged_in(&mut two).await && is_logged_in(&mut bob).await);
    assert_eq!(world.call("GET", "/user", token.as_str(), "").await.status, 200);
}

#[tokio::test]
async fn a_link_on_another_site_shows_a_button_and_does_not_log_out() {
    let world = World::new();
    let mut alice = world.browser_of("alice").await;
    let mut page = None;
    for (name, value) in [
        ("sec-purpose", "prefetch"),
        ("sec-fetch-dest", "image"),
        ("referer", "https://evil.example/"),
        ("sec-fetch-site", "cross-site"),
    ] {
        alice.fields = vec![(name.to_owned(), value.to_owned())];
        let answer = alice.get("/hub/logout").await;
        assert_eq!(answer.status, 200, "{name}");
        assert!(answer.text.contains("Log out?"), "{name}");
        assert_eq!(answer.header("clear-site-data"), "", "{name}");
        alice.fields.clear();
        assert!(is_logged_in(&mut alice).await, "{name}");
        page = Some(answer);
    }
    let page = page.expect("a page");
    let xsrf = hidden(&page.text, "_xsrf").remove(0);
    assert_eq!(alice.post("/hub/logout", &[("_xsrf", &xsrf)]).await.status, 302);
    assert!(!is_logged_in(&mut alice).await);
}

#[tokio::test]
async fn a_removed_member_loses_access_at_once() {
    let world = World::new();
    let mut admin = world.browser_of("admin").await;
    let token = world.oauth_token(&mut admin).await;
    world.hub.users().remove("admin");
    assert_eq!(world.call("GET", "/user", Some(&token), "").await.status, 403);
    let answer = admin.get(HOME).await;
    assert_eq!(answer.status, 302);
    assert!(
        answer
            .set_cookies()
            .iter()
            .any(|line| line.starts_with("jupyterhub-hub-login=;")),
        "{answer:?}"
    );
    assert_eq!(admin.log_in("admin", PASSWORD).await.status, 403);
}

#[tokio::test]
async fn the_login_leads_where_the_way_went_and_nowhere_else() {
    let world = World::new();
    let mut alice = world.browser_of("alice").await;
    for (next, expected) in [
        ("%2Fuser%2Falice%2Flab%3Fx%3D1", "/user/alice/lab?x=1"),
        ("http%3A%2F%2Flocalhost%2Fhub%2Fhome", "/hub/home"),
        ("http%3A%2F%2Fevil.example%2F", "/hub/home"),
        ("%2F%2Fevil.example", "/hub/home"),
        ("%2Fhub%2Flogout", "/hub/home"),
        ("%2Fhub%2Flogin", "/hub/home"),
        ("%2F..%2Fx", "/hub/home"),
        ("", "/hub/home"),
    ] {
        let answer = alice.get(&format!("/hub/login?next={next}")).await;
        assert_eq!(answer.header("location"), expected, "{next}");
    }
    // A request that a proxy left to the hub is redirected below `hub/`, and again after the login.
    let mut browser_without_session = world.browser();
    let answer = browser_without_session.get("/user/alice/lab?x=1").await;
    assert_eq!(answer.header("location"), "/hub/user/alice/lab?x=1");
    let answer = browser_without_session.get("/hub/user/alice/lab?x=1").await;
    assert_eq!(
        answer.header("location"),
        "/hub/login?next=%2Fhub%2Fuser%2Falice%2Flab%3Fx%3D1"
    );
    assert_eq!(alice.get("/hub/user/alice/lab").await.status, 424);
    assert_eq!(alice.get("/hub/user/bob/lab").await.status, 404);
}

#[tokio::test]
async fn a_cookie_of_another_host_prefix_or_base_is_not_accepted() {
    let world = World::with(|hub| {
        hub.host_prefixed_cookies()
            .base_url("/pre".parse().expect("a base"))
    });
    let mut browser = world.browser();
    let page = browser.get("/pre/hub/login").await;
    let xsrf = hidden(&page.text, "_xsrf").remove(0);
    let fields = [
        ("_xsrf", xsrf.as_str()),
        ("username", "alice"),
        ("password", PASSWORD),
    ];
    let answer = browser.post("/pre/hub/login", &fields).await;
    let lines = answer.set_cookies();
    let login = lines
        .iter()
        .find(|line| line.starts_with("__Host-jupyterhub-hub-login="))
        .expect("a cookie");
    assert!(
        login.contains("; Path=/;") || login.ends_with("; Path=/"),
        "{login}"
    );
    assert!(
        login.contains("Secure") && login.contains("HttpOnly") && login.contains("SameSite=Lax"),
        "{login}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("jupyterhub-session-id=") && line.contains("Path=/pre/")),
        "{lines:?}"
    );
    assert_eq!(browser.get("/pre/hub/home").await.status, 200);
    let value = browser
        .cookie("__Host-jupyterhub-hub-login")
        .expect("a cookie")
        .to_owned();
    browser.cookies.clear();
    browser
        .cookies
        .insert(("jupyterhub-hub-login".to_owned(), "/".to_owned()), value);
    assert_eq!(browser.get("/pre/hub/home").await.status, 302);
}

#[tokio::test]
async fn a_host_that_is_not_listed_and_a_body_that_is_too_long_are_refused() {
    let world = World::new();
    let mut browser = world.browser();
    browser.fields = vec![("host".to_owned(), "evil.example".to_owned())];
    for url in ["/hub/login", "/hub/api", "/hub/api/user"] {
        assert_eq!(browser.get(url).await.status, 403, "{url}");
    }
    let long = "x".repeat(65_537);
    assert_eq!(
        world
            .browser()
            .post("/hub/login", &[("username", &long)])
            .await
            .status,
        413
    );
}

#[tokio::test]
async fn script_logs_out_without_a_form_but_not_without_a_valid_xsrf() {
    let world = World::new();
    for (target, by_field, status) in [
        ("/hub/logout?_xsrf={xsrf}", "", 302),
        ("/hub/logout", "{xsrf}", 302),
        ("/hub/logout?_xsrf=wrong", "{xsrf}", 403),
        ("/hub/logout", "wrong", 403),
        ("/hub/logout", "", 403),
    ] {
        let mut alice = world.browser_of("alice").await;
        let xsrf = alice.xsrf().await;
        alice.fields = vec![("content-type".to_owned(), "text/plain".to_owned())];
        if !by_field.is_empty() {
            let value = by_field.replace("{xsrf}", &xsrf);
            alice.fields.push(("x-xsrftoken".to_owned(), value));
        }
        let answer = alice.send("POST", &target.replace("{xsrf}", &xsrf), "").await;
        alice.fields.clear();
        assert_eq!(answer.status, status, "{target} {by_field}: {answer:?}");
        assert_eq!(
            is_logged_in(&mut alice).await,
            status == 403,
            "{target} {by_field}"
        );
    }
}
