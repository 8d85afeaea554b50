//! A logout ends the login itself, and not only its cookie in one browser: copies are rejected, and futures that wait for
//! the end complete.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::StatusCode;
use portcullis::{
    AuthLayer, Grant, Identity, Reason, RequestHead, Session, clock::UnixTime, cookies::Lifetime,
    testing::TestClock,
};

use crate::common::{Ready as _, TOKEN, refused_for, request, send};

const START: UnixTime = UnixTime::from_secs(1_700_000_000);
const HOUR: Duration = Duration::from_secs(3_600);

fn server(clock: &TestClock) -> AuthLayer {
    AuthLayer::builder()
        .token(TOKEN.parse().expect("a token"))
        .session_lifetime(Lifetime::absolute(24 * HOUR).with_idle_timeout(2 * HOUR))
        .clock(clock.clone())
        .build()
        .expect("a layer")
}

/// The session cookie of a login by hand, at the time that the clock shows, of a request with this cookie.
fn log_in(layer: &AuthLayer, username: &str, with: &str) -> String {
    let mut headers = http::HeaderMap::new();
    let request = request(&format!("POST /own-login\ncookie: {with}"));
    layer
        .login(RequestHead::new(&request), Grant::new(Identity::new(username)))
        .ready()
        .expect("a name that fits")
        .append_to(&mut headers);
    let line = headers["set-cookie"].to_str().expect("ASCII");
    line.split(';').next().unwrap_or_default().to_owned()
}

async fn page(layer: &AuthLayer, cookie: &str) -> crate::common::Answered {
    send(layer, request(&format!("GET /\ncookie: {cookie}"))).await
}

async fn session(layer: &AuthLayer, cookie: &str) -> Session {
    let request = request(&format!("GET /\ncookie: {cookie}"));
    layer
        .authenticate(RequestHead::new(&request))
        .await
        .expect("a good cookie")
}

fn is_over(end: std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
    end.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
}

#[tokio::test]
async fn a_copied_cookie_is_refused_after_the_logout_and_the_logins_of_others_go_on() {
    let clock = TestClock::new(START);
    let layer = server(&clock);
    let (hers, his) = (log_in(&layer, "alice", ""), log_in(&layer, "bob", ""));
    clock.advance(Duration::from_secs(1));
    let hers_elsewhere = log_in(&layer, "alice", "");
    send(&layer, request(&format!("GET /logout\ncookie: {hers}"))).await;
    let copy = page(&layer, &hers).await;
    refused_for(&copy, 401, Reason::ExpiredCookie);
    assert_eq!(copy.set_cookies(), [""; 0], "{copy:?}");
    let opened = send(
        &layer,
        request(&format!("GET /\naccept: text/html\ncookie: {hers}")),
    )
    .await;
    assert!(opened.set_cookies()[0].contains("Max-Age=0"), "{opened:?}");
    for other in [&his, &hers_elsewhere] {
        assert_eq!(page(&layer, other).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn who_logs_out_and_in_again_within_a_second_is_in() {
    for lifetime in [
        Lifetime::absolute(24 * HOUR).with_idle_timeout(2 * HOUR),
        Lifetime::absolute(24 * HOUR),
    ] {
        let layer = AuthLayer::builder()
            .token(TOKEN.parse().expect("a token"))
            .session_lifetime(lifetime)
            .clock(TestClock::new(START))
            .build()
            .expect("a layer");
        let mut ended = Vec::new();
        for _ in 0..5 {
            let cookie = log_in(&layer, "alice", "");
            assert_eq!(page(&layer, &cookie).await.status, StatusCode::OK);
            send(&layer, request(&format!("GET /logout\ncookie: {cookie}"))).await;
            ended.push(cookie);
            for cookie in &ended {
                refused_for(&page(&layer, cookie).await, 401, Reason::ExpiredCookie);
            }
        }
    }
}

#[tokio::test]
async fn after_many_logouts_of_a_user_every_ended_cookie_is_refused_and_the_next_login_is_valid() {
    let clock = TestClock::new(START);
    let layer = server(&clock);
    let his = log_in(&layer, "bob", "");
    let mut hers = Vec::new();
    for _ in 0..40 {
        let cookie = log_in(&layer, "alice", "");
        let head = request(&format!("POST /bye\ncookie: {cookie}"));
        layer
            .logout(RequestHead::new(&head))
            .await
            .expect("cookies of a usual size");
        hers.push(cookie);
        clock.advance(Duration::from_millis(600));
    }
    for cookie in &hers {
        refused_for(&page(&layer, cookie).await, 401, Reason::ExpiredCookie);
    }
    for cookie in [&his, &log_in(&layer, "alice", "")] {
        assert_eq!(page(&layer, cookie).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_logout_by_a_handler_ends_it_too_and_no_longer_life_brings_it_back() {
    let clock = TestClock::new(START);
    let layer = server(&clock);
    let cookie = log_in(&layer, "alice", "");
    let head = request(&format!("POST /bye\ncookie: {cookie}"));
    let _ = layer
        .logout(RequestHead::new(&head))
        .await
        .expect("cookies of a usual size");
    for passed in [HOUR, 12 * HOUR] {
        refused_for(&page(&layer, &cookie).await, 401, Reason::ExpiredCookie);
        clock.advance(passed);
        clock.set(START);
    }
}

#[tokio::test]
async fn all_cookies_of_one_login_end_with_it_renewed_and_changed_ones_too() {
    let clock = TestClock::new(START);
    let layer = server(&clock);
    let first = log_in(&layer, "alice", "");
    clock.advance(HOUR);
    let renewed = page(&layer, &first).await.cookie("username-localhost=");
    clock.advance(Duration::from_secs(1));
    let changed = log_in(&layer, "alice", &renewed);
    assert!(first != renewed && renewed != changed);
    send(&layer, request(&format!("GET /logout\ncookie: {renewed}"))).await;
    for cookie in [&first, &renewed, &changed] {
        refused_for(&page(&layer, cookie).await, 401, Reason::ExpiredCookie);
    }
}

#[tokio::test]
async fn a_future_that_waits_for_the_end_completes_at_the_logout() {
    let clock = TestClock::new(START);
    let layer = server(&clock);
    let (hers, his) = (log_in(&layer, "alice", ""), log_in(&layer, "bob", ""));
    let (hers_session, his_session) = (session(&layer, &hers).await, session(&layer, &his).await);
    let mut hers_end = pin!(layer.session_ended(&hers_session));
    let mut his_end = pin!(layer.optional().session_ended(&his_session));
    assert!(!is_over(hers_end.as_mut()));
    send(&layer, request(&format!("GET /logout\ncookie: {hers}"))).await;
    assert!(is_over(hers_end) && !is_over(his_end.as_mut()));
    let mut too_late = pin!(layer.session_ended(&hers_session));
    assert!(
        is_over(too_late.as_mut()),
        "a future that is created after the end is ready at once"
    );

    let by_token = request(&format!("GET /\nauthorization: Bearer {TOKEN}"));
    let by_token = layer
        .authenticate(RequestHead::new(&by_token))
        .await
        .expect("a good token");
    assert!(
        !is_over(pin!(layer.session_ended(&by_token))),
        "a token does not log out"
    );
}

#[tokio::test]
async fn a_grant_that_does_not_fit_into_a_cookie_starts_no_login() {
    let layer = server(&TestClock::new(START));
    let login = |length: usize| {
        let grant = Grant::new(Identity::new("u").with_name(&"x".repeat(length)));
        layer
            .login(RequestHead::new(&request("POST /own-login")), grant)
            .ready()
    };
    assert!(login(1_000).is_ok());
    let error = login(4_000).expect_err("more than a cookie holds");
    assert_eq!(error.reason(), Reason::TooLarge);
}

/// Logs out with these cookies and the browser's own, and tries a copy of each cookie afterwards.
async fn log_out_with(planted: &[String], expected: StatusCode) {
    let clock = TestClock::new(START);
    for place in [0, planted.len() / 2, planted.len()] {
        let layer = server(&clock);
        let (hers, other) = (log_in(&layer, "alice", ""), log_in(&layer, "bob", ""));
        let planted = planted.iter().map(|cookie| cookie.replace("<other>", &other));
        let mut cookies: Vec<String> = planted.collect();
        cookies.insert(place, hers.clone());
        let answer = send(
            &layer,
            request(&format!("GET /logout\ncookie: {}", cookies.join("; "))),
        )
        .await;
        assert_eq!(answer.status, expected, "{answer:?}");
        let ended = expected == StatusCode::OK;
        assert_eq!(answer.text.contains("You are logged out"), ended, "{answer:?}");
        for (cookie, ended) in [(&hers, ended), (&other, ended && cookies.contains(&other))] {
            let copy = page(&layer, cookie).await.status;
            assert_eq!(copy == StatusCode::UNAUTHORIZED, ended, "a copy of {cookie}");
        }
    }
}

#[tokio::test]
async fn logout_ends_the_login_despite_planted_cookies() {
    let junk = |count: usize| {
        (0..count)
            .map(|n| format!("username-localhost=junk{n}"))
            .collect::<Vec<_>>()
    };
    log_out_with(&["<other>".to_owned()], StatusCode::OK).await;
    for count in [1, 7, 8, 9, 200] {
        log_out_with(&junk(count), StatusCode::OK).await;
        let mut with_other = junk(count);
        with_other.push("<other>".to_owned());
        log_out_with(&with_other, StatusCode::OK).await;
    }
}

#[tokio::test]
async fn logout_that_cannot_read_the_cookies_is_refused_and_ends_nothing() {
    let too_large = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    let many = (0..600).map(|n| format!("a{n}=1")).collect::<Vec<_>>();
    log_out_with(&many, too_large).await;
    log_out_with(&[format!("other={}", "x".repeat(17_000))], too_large).await;
}

#[tokio::test]
async fn logout_of_another_site_is_refused_where_planted_cookies_hide_the_login() {
    let clock = TestClock::new(START);
    let layer = server(&clock);
    let (hers, other) = (log_in(&layer, "alice", ""), log_in(&layer, "bob", ""));
    for signal in ["origin: https://evil.example", "sec-fetch-site: cross-site"] {
        let lines = format!(
            "POST /logout\ncontent-type: application/x-www-form-urlencoded\ncookie: {hers}; {other}\n{signal}"
        );
        let answer = send(&layer, request(&lines)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{signal}");
        assert_eq!(page(&layer, &hers).await.status, StatusCode::OK, "{signal}");
    }
}

#[tokio::test]
async fn xsrf_value_of_a_login_that_ended_is_not_accepted_for_the_next_one() {
    let clock = TestClock::new(START);
    let layer = server(&clock);
    let first = log_in(&layer, "alice", "");
    let value = page(&layer, &first).await.cookie("_xsrf=");
    let post = |session: &str, value: &str| {
        let lines = format!(
            "POST /\norigin: http://localhost\nx-xsrftoken: {}\ncookie: {session}; {value}",
            &value[6..]
        );
        request(&lines)
    };
    assert_eq!(send(&layer, post(&first, &value)).await.status, StatusCode::OK);
    send(&layer, request(&format!("GET /logout\ncookie: {first}"))).await;
    clock.advance(Duration::from_secs(10));
    let second = log_in(&layer, "alice", "");
    let refused = send(&layer, post(&second, &value)).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{refused:?}");
    // The refusal brings the value of the present session.
    let value = refused.cookie("_xsrf=");
    assert_eq!(send(&layer, post(&second, &value)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn login_cookies_of_200_other_ports_do_not_stop_a_login() {
    let clock = TestClock::new(START);
    let layer = server(&clock);
    let others: String = (0..200)
        .map(|port| format!("username-localhost-{}={}; ", 9000 + port, "x".repeat(400)))
        .collect();
    let hers = log_in(&layer, "alice", &others);
    assert_eq!(
        page(&layer, &format!("{others}{hers}")).await.status,
        StatusCode::OK
    );
    assert_eq!(page(&layer, &others).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn page_about_cookies_that_are_too_large_offers_a_button_that_removes_those_of_this_server() {
    let clock = TestClock::new(START);
    let layer = server(&clock);
    let hers = log_in(&layer, "alice", "");
    let planted = format!("cookie: {hers}; other={}", "x".repeat(17_000));
    let refused = send(
        &layer,
        request(&format!("GET /lab\naccept: text/html\n{planted}")),
    )
    .await;
    assert_eq!(refused.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let form = "<form method=\"post\" action=\"/logout\"><input type=\"hidden\" name=\"remove_cookies\" value=\"1\">";
    for text in [form, "Delete the cookies of this site", "16384"] {
        assert!(refused.text.contains(text), "{text}: {}", refused.text);
    }
    assert!(refused.set_cookies().is_empty(), "{refused:?}");

    let press = async |method: &str, fields: &str| {
        let lines = format!(
            "{method} /logout\naccept: text/html\ncontent-type: application/x-www-form-urlencoded\n{planted}\n{fields}"
        );
        let mut request = request(&lines);
        *request.body_mut() = "remove_cookies=1".into();
        send(&layer, request).await
    };
    for (method, fields, status) in [
        (
            "GET",
            "sec-fetch-site: same-origin\nsec-fetch-mode: navigate\nsec-fetch-dest: document",
            431,
        ),
        ("POST", "sec-fetch-site: cross-site", 403),
        ("POST", "sec-fetch-site: same-site", 403),
        ("POST", "origin: https://evil.example", 403),
    ] {
        let answer = press(method, fields).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {fields}");
        assert!(answer.set_cookies().is_empty(), "{method} {fields}: {answer:?}");
    }
    let removed = press("POST", "sec-fetch-site: same-origin\norigin: http://localhost").await;
    assert_eq!(removed.status, StatusCode::OK);
    let names: Vec<String> = removed
        .set_cookies()
        .iter()
        .filter_map(|line| Some(line.split_once('=')?.0.to_owned()))
        .collect();
    assert_eq!(names, ["username-localhost", "_xsrf"], "{removed:?}");
    assert!(removed.text.contains("href=\"/login\""), "{}", removed.text);
    // The login was not read, so it has not ended.
    assert_eq!(page(&layer, &hers).await.status, StatusCode::OK);
}
