//! The login page, the logout and the launch link, as a browser and as VS Code use them.

use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use portcullis::{
    AuthLayer, Grant, Identity, PasswordHash, Token,
    clock::UnixTime,
    request::Peer,
    testing::TestClock,
    verify::{MemoryPasswordStore, StoredPasswords},
};

use crate::common::{Answered, TOKEN, request, send};

const PASSWORD: &str = "a long enough passphrase";

fn hash() -> PasswordHash {
    PasswordHash::hash(&PASSWORD.into()).expect("a good password")
}

fn layer() -> AuthLayer {
    AuthLayer::builder()
        .token(TOKEN.parse::<Token>().expect("a token"))
        .password(hash())
        .build()
        .expect("a layer")
}

fn post(target: &str, fields: &str, body: &str) -> Request<Full<Bytes>> {
    let lines = format!("POST {target}\ncontent-type: application/x-www-form-urlencoded\n{fields}");
    request(&lines).map(|_| Full::from(body.to_owned()))
}

/// Opens the login page; returns its `_xsrf` cookie, as a pair, and its value.
async fn open_login_page(layer: &AuthLayer) -> (String, String) {
    let page = send(layer, request("GET /login?\naccept: text/html")).await;
    assert_eq!(page.status, StatusCode::OK, "{page:?}");
    let pair = page.cookie("_xsrf=");
    let value = pair.split_once('=').expect("a pair").1.to_owned();
    assert!(
        page.text.contains(&format!("name=\"_xsrf\" value=\"{value}\"")),
        "{}",
        page.text
    );
    (pair, value)
}

async fn submit(layer: &AuthLayer, target: &str, password: &str) -> Answered {
    let (cookie, xsrf) = open_login_page(layer).await;
    let password = password.replace(' ', "+");
    send(
        layer,
        post(
            target,
            &format!("cookie: {cookie}"),
            &format!("_xsrf={xsrf}&password={password}"),
        ),
    )
    .await
}

#[tokio::test]
async fn the_token_and_the_password_both_log_in_and_the_session_comes_first() {
    let layer = layer();
    for typed in [TOKEN, PASSWORD, &format!(" {TOKEN} ")] {
        let answer = submit(&layer, "/login?next=%2Flab%3Fa%3D1", typed).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (StatusCode::FOUND, "/lab?a=1"),
            "{answer:?}"
        );
        let cookies = answer.set_cookies();
        assert!(
            cookies[0].starts_with("username-localhost=") && cookies[1].starts_with("_xsrf="),
            "{cookies:?}"
        );
        let cookie = answer.cookie("username-localhost=");
        let inside = send(&layer, request(&format!("GET /\ncookie: {cookie}"))).await;
        assert!(inside.text.ends_with(" by Cookie"), "{inside:?}");
    }
}

#[tokio::test]
async fn a_password_is_hashed_and_typed_with_the_spaces_at_its_ends() {
    for set in ["space at the end ", " space at the start", "no space at an end"] {
        let hash = PasswordHash::hash(&set.into()).expect("a good password");
        let layer = AuthLayer::password(hash.clone());
        for typed in [set, set.trim(), &format!("{set} "), &format!(" {set}")] {
            let expected = if typed == set { 302 } else { 401 };
            assert_eq!(hash.verify(&typed.into()), typed == set, "{typed:?} for {set:?}");
            let answer = submit(&layer, "/login", typed).await;
            assert_eq!(answer.status, expected, "{typed:?} for {set:?}");
        }
    }
}

#[tokio::test]
async fn what_is_wrong_gets_the_form_again_and_no_session() {
    let layer = layer();
    for typed in ["", "wrong", "a+long+enough", &TOKEN[1..], &"x".repeat(2000)] {
        let answer = submit(&layer, "/login", typed).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{typed}");
        assert!(
            answer.text.contains("Incorrect password or token.") && answer.text.contains("role=\"alert\""),
            "{}",
            answer.text
        );
        assert!(
            !answer
                .set_cookies()
                .iter()
                .any(|line| line.starts_with("username-")),
            "{answer:?}"
        );
        assert!(
            typed.len() < 3 || !answer.text.contains(typed),
            "what was typed is not shown again"
        );
    }
}

#[tokio::test]
async fn a_form_of_another_site_or_without_its_value_is_refused() {
    let layer = layer();
    let (cookie, xsrf) = open_login_page(&layer).await;
    let (_, others) = open_login_page(&layer).await;
    let body = |xsrf: &str| format!("_xsrf={xsrf}&password={TOKEN}");
    for (fields, body) in [
        (format!("cookie: {cookie}"), format!("password={TOKEN}")),
        (format!("cookie: {cookie}"), body("wrong")),
        (format!("cookie: {cookie}"), body(&others)),
        (String::new(), body(&xsrf)),
        (
            format!("cookie: {cookie}\norigin: https://evil.example"),
            body(&xsrf),
        ),
        (
            format!("cookie: {cookie}\nsec-fetch-site: cross-site"),
            body(&xsrf),
        ),
        (format!("cookie: {cookie}\norigin: null"), body(&xsrf)),
    ] {
        let answer = send(&layer, post("/login", &fields, &body)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{fields}");
        assert!(
            !answer
                .set_cookies()
                .iter()
                .any(|line| line.starts_with("username-")),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn next_leads_to_our_own_places_alone() {
    let layer = layer();
    for (next, location) in [
        ("%2Flab%2Ftree", "/lab/tree"),
        ("https%3A%2F%2Fevil.example%2F", "/"),
        ("%2F%2Fevil.example", "/"),
        ("%2Flogin", "/"),
        ("%2Flogout", "/"),
        ("%5C%2Fevil.example", "/"),
        ("", "/"),
    ] {
        let answer = submit(&layer, &format!("/login?next={next}"), TOKEN).await;
        assert_eq!(answer.header("location"), location, "{next}");
    }
}

#[tokio::test]
async fn who_is_logged_in_is_sent_on_and_a_token_link_logs_in_here_too() {
    let layer = layer();
    let answer = submit(&layer, "/login", TOKEN).await;
    let cookie = answer.cookie("username-localhost=");
    let again = send(
        &layer,
        request(&format!("GET /login?next=%2Flab\ncookie: {cookie}")),
    )
    .await;
    assert_eq!(
        (again.status, again.header("location")),
        (StatusCode::FOUND, "/lab")
    );
    let link = send(
        &layer,
        request(&format!(
            "GET /login?next=%2Flab&token={TOKEN}\naccept: text/html"
        )),
    )
    .await;
    assert_eq!(
        (link.status, link.header("location")),
        (StatusCode::FOUND, "/lab")
    );
    assert!(
        link.set_cookies()[0].starts_with("username-localhost="),
        "{link:?}"
    );
}

#[tokio::test]
async fn a_form_that_cannot_be_read_is_no_login() {
    let layer = layer();
    let (cookie, xsrf) = open_login_page(&layer).await;
    let cookie = format!("cookie: {cookie}");
    for (body, status) in [
        (format!("_xsrf={xsrf}&password=%zz"), 400),
        (format!("_xsrf={xsrf}&password={}", "x".repeat(20_000)), 413),
    ] {
        let answer = send(&layer, post("/login", &cookie, &body)).await;
        assert_eq!(answer.status.as_u16(), status, "{} bytes", body.len());
    }
    let json = request(&format!("POST /login\n{cookie}\ncontent-type: application/json"))
        .map(|_| Full::from(format!("{{\"password\":\"{TOKEN}\"}}")));
    assert_eq!(
        send(&layer, json).await.status,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    for method in ["PUT", "DELETE", "PATCH"] {
        let answer = send(&layer, request(&format!("{method} /login"))).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("allow")),
            (405, "GET, HEAD, POST"),
            "{method}"
        );
    }
}

#[tokio::test]
async fn guessing_is_throttled_and_the_owner_still_gets_in() {
    let clock = TestClock::new(UnixTime::from_secs(1_700_000_000));
    let layer = AuthLayer::builder()
        .token(TOKEN.parse::<Token>().expect("a token"))
        .clock(clock.clone())
        .peer_extractor(|_| Some(Peer::Ip(([192, 0, 2, 7], 1).into())))
        .build()
        .expect("a layer");
    let session = submit(&layer, "/login", TOKEN)
        .await
        .cookie("username-localhost=");
    let mut throttled = None;
    for _ in 0..100 {
        let answer = submit(&layer, "/login", "wrong").await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            throttled = Some(answer);
            break;
        }
    }
    let throttled = throttled.expect("an attacker must wait");
    let wait: u64 = throttled.header("retry-after").parse().expect("seconds");
    assert!((1..=1800).contains(&wait), "{wait}");
    let by_cookie = send(&layer, request(&format!("GET /\ncookie: {session}"))).await;
    assert_eq!(
        by_cookie.status,
        StatusCode::OK,
        "a good cookie is never throttled"
    );
    let by_token = send(&layer, request(&format!("GET /\nauthorization: Bearer {TOKEN}"))).await;
    assert_eq!(by_token.status, StatusCode::OK, "nor is a good token");
    clock.advance(Duration::from_secs(wait));
    assert_eq!(
        submit(&layer, "/login", TOKEN).await.status,
        StatusCode::FOUND,
        "after the wait"
    );
}

#[tokio::test]
async fn people_with_names_log_in_as_themselves() {
    let users = MemoryPasswordStore::new([(Identity::new("alice"), hash())]).expect("users");
    let layer = AuthLayer::builder()
        .password_verifier(StoredPasswords::new(users))
        .build()
        .expect("a layer");
    let (cookie, xsrf) = open_login_page(&layer).await;
    for (username, password, status) in [
        ("alice", "a+long+enough+passphrase", 302),
        ("bob", "a+long+enough+passphrase", 401),
        ("alice", "wrong", 401),
    ] {
        let body = format!("_xsrf={xsrf}&username={username}&password={password}");
        let answer = send(&layer, post("/login", &format!("cookie: {cookie}"), &body)).await;
        assert_eq!(answer.status.as_u16(), status, "{username}");
        if status == 302 {
            let session = answer.cookie("username-localhost=");
            let inside = send(&layer, request(&format!("GET /\ncookie: {session}"))).await;
            assert_eq!(inside.text, "alice by Cookie");
        }
    }
}

#[tokio::test]
async fn vs_code_logs_in_by_its_own_way() {
    let layer = layer();
    // It fetches `login?` once, keeps that value for good, and sends it back as its single cookie.
    let (cookie, xsrf) = open_login_page(&layer).await;
    let login = send(
        &layer,
        post(
            "/login?",
            &format!("cookie: {cookie}"),
            &format!("_xsrf={xsrf}&password={TOKEN}"),
        ),
    )
    .await;
    // It takes the session from a 302 alone, and from its first Set-Cookie.
    assert_eq!(login.status, StatusCode::FOUND);
    let session = login.set_cookies()[0]
        .split(';')
        .next()
        .unwrap_or_default()
        .to_owned();
    let cookies = format!("cookie: {cookie}; {session}\nx-xsrftoken: {xsrf}");
    let posted = send(&layer, request(&format!("POST /api/sessions\n{cookies}"))).await;
    assert_eq!(posted.status, StatusCode::OK, "{posted:?}");
    // Its sockets carry neither Origin nor Fetch Metadata.
    let socket = send(
        &layer,
        request(&format!(
            "GET /api/kernels\nupgrade: websocket\nconnection: upgrade\n{cookies}"
        )),
    )
    .await;
    assert_eq!(socket.status, StatusCode::OK, "{socket:?}");
}

#[tokio::test]
async fn a_logout_takes_every_cookie_and_another_site_cannot_cause_it() {
    let layer = layer();
    let logged_in = async || {
        let login = submit(&layer, "/login", TOKEN).await;
        let xsrf = login.cookie("_xsrf=");
        let value = xsrf.split_once('=').expect("a pair").1.to_owned();
        let cookies = format!("cookie: {}; {xsrf}", login.cookie("username-localhost="));
        (cookies, value)
    };
    let (cookies, _) = logged_in().await;
    for (lines, logs_out) in [
        (
            format!("GET /logout\n{cookies}\nsec-fetch-site: cross-site"),
            false,
        ),
        (
            format!("GET /logout\n{cookies}\nreferer: https://evil.example/"),
            false,
        ),
        (
            format!(
                "GET /logout\n{cookies}\nsec-fetch-site: same-origin\nsec-fetch-mode: no-cors\nsec-fetch-dest: image"
            ),
            false,
        ),
        (format!("GET /logout\n{cookies}\nsec-purpose: prefetch"), false),
        (format!("HEAD /logout\n{cookies}"), false),
        (
            format!(
                "GET /logout\n{cookies}\nsec-fetch-site: same-origin\nsec-fetch-mode: navigate\nsec-fetch-dest: document"
            ),
            true,
        ),
        (format!("GET /logout\n{cookies}"), true),
    ] {
        let answer = send(&layer, request(&lines)).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.text.contains("You are logged out"), logs_out, "{lines}");
        let removed = answer
            .set_cookies()
            .iter()
            .filter(|line| line.contains("Max-Age=0"))
            .count();
        assert_eq!(removed > 0, logs_out, "{lines}: {answer:?}");
        assert_eq!(answer.header("clear-site-data").is_empty(), !logs_out, "{lines}");
    }
    let (cookies, value) = logged_in().await;
    let forged = send(&layer, post("/logout", &cookies, "_xsrf=wrong")).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    let pressed = send(&layer, post("/logout", &cookies, &format!("_xsrf={value}"))).await;
    assert!(pressed.text.contains("You are logged out"), "{pressed:?}");
}

#[tokio::test]
async fn a_launch_link_logs_one_browser_in_once() {
    let layer = layer();
    let link = layer.launch_link("http://localhost/lab?a=1").expect("a link");
    let target = link
        .expose_url()
        .strip_prefix("http://localhost")
        .expect("its origin");
    for looking in ["HEAD", "GET"] {
        let answer = send(
            &layer,
            request(&format!(
                "{looking} {target}\nsec-purpose: prefetch\naccept: text/html"
            )),
        )
        .await;
        assert_eq!(answer.status, StatusCode::OK, "{looking} uses up no link");
        assert!(answer.set_cookies().is_empty());
    }
    let opened = send(&layer, request(&format!("GET {target}\naccept: text/html"))).await;
    assert_eq!(
        (opened.status, opened.header("location")),
        (StatusCode::SEE_OTHER, "/lab?a=1")
    );
    assert_eq!(opened.header("referrer-policy"), "no-referrer");
    let session = opened.cookie("username-localhost=");
    assert_eq!(
        send(&layer, request(&format!("GET /\ncookie: {session}")))
            .await
            .status,
        StatusCode::OK
    );
    let again = send(&layer, request(&format!("GET {target}\naccept: text/html"))).await;
    assert_eq!(again.status, StatusCode::FORBIDDEN);
    assert!(again.set_cookies().is_empty());
    let token = target.split_once("token=").expect("a token").1;
    let as_api = send(&layer, request(&format!("GET /\nauthorization: Bearer {token}"))).await;
    assert_eq!(
        as_api.status,
        StatusCode::UNAUTHORIZED,
        "a launch token is no token of the API"
    );
    for wrong in ["/lab", "ftp://localhost/", "http://localhost//evil.example"] {
        assert!(layer.launch_link(wrong).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn a_custom_handler_can_log_in_and_out() {
    let layer = layer();
    let head = request("POST /own-login");
    let mut headers = http::HeaderMap::new();
    layer
        .login(
            portcullis::RequestHead::new(&head),
            Grant::new(Identity::new("carol")),
        )
        .await
        .expect("a name that fits")
        .append_to(&mut headers);
    let session = headers["set-cookie"]
        .to_str()
        .expect("ASCII")
        .split(';')
        .next()
        .unwrap_or_default()
        .to_owned();
    let inside = send(&layer, request(&format!("GET /\ncookie: {session}"))).await;
    assert_eq!(inside.text, "carol by Cookie");
    let mut headers = http::HeaderMap::new();
    let cookies = layer.logout(portcullis::RequestHead::new(&head)).await;
    cookies.expect("cookies of a usual size").append_to(&mut headers);
    assert!(
        headers
            .get_all("set-cookie")
            .iter()
            .all(|line| line.to_str().expect("ASCII").contains("Max-Age=0"))
    );
}

#[tokio::test]
async fn a_custom_login_page_is_public_and_browsers_are_redirected_to_it() {
    let layer = AuthLayer::builder()
        .token(TOKEN.parse::<Token>().expect("a token"))
        .login_path("/web/login")
        .custom_login_page()
        .build()
        .expect("a layer");
    let visitor = send(&layer, request("GET /lab\naccept: text/html")).await;
    assert_eq!(visitor.header("location"), "/web/login?next=%2Flab");
    assert_eq!(
        send(&layer, request("GET /web/login?next=%2Flab")).await.text,
        "anonymous",
        "the handler is reached"
    );
}

#[tokio::test]
async fn each_login_is_a_session_of_its_own() {
    let clock = TestClock::new(UnixTime::from_secs(1_700_000_000));
    let layer = AuthLayer::builder()
        .token(TOKEN.parse::<Token>().expect("a token"))
        .password(hash())
        .clock(clock)
        .build()
        .expect("a layer");
    for typed in [PASSWORD, TOKEN] {
        let (one, other) = (
            submit(&layer, "/login", typed).await,
            submit(&layer, "/login", typed).await,
        );
        for cookie in ["username-localhost=", "_xsrf="] {
            assert_ne!(
                one.cookie(cookie),
                other.cookie(cookie),
                "in the same second, {cookie}"
            );
        }
    }
}

#[tokio::test]
async fn logout_by_a_script_needs_no_form_but_a_valid_xsrf() {
    let layer = layer();
    for (target, fields, status) in [
        ("/logout", "x-xsrftoken: {xsrf}", 200),
        (
            "/logout",
            "x-csrftoken: {xsrf}\ncontent-type: application/json",
            200,
        ),
        ("/logout?_xsrf={xsrf}", "content-type: text/plain", 200),
        (
            "/logout?_xsrf={xsrf}",
            "content-type: multipart/form-data; boundary=x",
            200,
        ),
        ("/logout", "", 403),
        ("/logout", "content-type: application/json", 403),
        ("/logout", "x-xsrftoken: wrong", 403),
        ("/logout?_xsrf=wrong", "x-xsrftoken: {xsrf}", 403),
        ("/logout", "x-xsrftoken: {xsrf}\nsec-fetch-site: cross-site", 403),
    ] {
        let login = submit(&layer, "/login", TOKEN).await;
        let xsrf = login.cookie("_xsrf=");
        let session = login.cookie("username-localhost=");
        let value = xsrf.split_once('=').expect("a pair").1;
        let lines = format!("POST {target}\ncookie: {session}; {xsrf}\n{fields}").replace("{xsrf}", value);
        let answer = send(&layer, request(&lines)).await;
        assert_eq!(answer.status, status, "{lines}: {answer:?}");
        let page = send(&layer, request(&format!("GET /\ncookie: {session}"))).await;
        assert_eq!(page.status == 200, status == 403, "{lines}: {page:?}");
    }
}

#[tokio::test]
async fn login_form_of_another_type_gets_415_that_names_the_type() {
    let layer = layer();
    for (fields, status) in [
        ("content-type: application/x-www-form-urlencoded", 403),
        ("content-type: multipart/form-data; boundary=x", 415),
        (
            "content-type: multipart/form-data; boundary=x\naccept: text/html",
            415,
        ),
        ("content-type: application/json", 415),
        ("content-type: application/x-www-form-urlencoded-not", 415),
        ("", 415),
    ] {
        let answer = send(&layer, request(&format!("POST /login\n{fields}"))).await;
        assert_eq!(answer.status, status, "{fields}: {answer:?}");
        let is_named = answer.text.contains("application/x-www-form-urlencoded");
        assert_eq!(is_named, status == 415, "{fields}: {answer:?}");
    }
}
