//! How long a login cookie is valid: over restarts, until it expires, and not after the token changed.

use std::time::Duration;

use http::StatusCode;
use portcullis::{
    AuthLayer, Keyring, Reason, RequestHead, Secret, Token, clock::UnixTime, cookies::Lifetime,
    testing::TestClock,
};

use crate::common::{Answered, Ready as _, TOKEN, refused_for, request, send};

const START: UnixTime = UnixTime::from_secs(1_700_000_000);
const DAY: Duration = Duration::from_secs(86_400);

fn secret(byte: u8) -> Secret {
    Secret::from(&[byte; 32][..])
}

fn keyring() -> Keyring {
    Keyring::from_secret(secret(1)).expect("32 bytes")
}

/// A server as it is after a start.
fn server(token: &str, keyring: Keyring, clock: &TestClock) -> AuthLayer {
    let token: Token = token.parse().expect("a token");
    AuthLayer::builder()
        .token(token)
        .keyring(keyring)
        .clock(clock.clone())
        .build()
        .expect("a layer")
}

async fn log_in(layer: &AuthLayer, token: &str) -> String {
    let answer = send(layer, request(&format!("GET /?token={token}\naccept: text/html"))).await;
    answer.cookie("username-localhost=")
}

async fn with_cookie(layer: &AuthLayer, cookie: &str) -> Answered {
    send(layer, request(&format!("GET /\ncookie: {cookie}"))).await
}

#[tokio::test]
async fn a_restart_with_the_same_secret_and_token_keeps_every_login() {
    let clock = TestClock::new(START);
    let cookie = log_in(&server(TOKEN, keyring(), &clock), TOKEN).await;
    let answer = with_cookie(&server(TOKEN, keyring(), &clock), &cookie).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn another_token_or_another_secret_ends_every_login() {
    let clock = TestClock::new(START);
    let cookie = log_in(&server(TOKEN, keyring(), &clock), TOKEN).await;
    let other_secret = Keyring::from_secret(secret(2)).expect("32 bytes");
    for layer in [
        server("another-token", keyring(), &clock),
        server(TOKEN, other_secret, &clock),
        server(TOKEN, keyring().bound_to_password("argon2:changed"), &clock),
    ] {
        refused_for(&with_cookie(&layer, &cookie).await, 401, Reason::InvalidCookie);
    }
}

#[tokio::test]
async fn a_generated_token_is_not_part_of_the_key_so_logins_outlive_it() {
    let start = || {
        let token = Token::generate();
        let text = token.expose().to_owned();
        (
            AuthLayer::builder()
                .token(token)
                .keyring(keyring())
                .build()
                .expect("a layer"),
            text,
        )
    };
    let (first, token) = start();
    let cookie = log_in(&first, &token).await;
    let (second, _) = start();
    assert_eq!(with_cookie(&second, &cookie).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_login_ends_after_its_lifetime_the_cookie_is_removed_and_the_login_page_says_so() {
    let clock = TestClock::new(START);
    let layer = AuthLayer::builder()
        .token(TOKEN.parse().expect("a token"))
        .session_lifetime(Lifetime::absolute(7 * DAY))
        .clock(clock.clone())
        .build()
        .expect("a layer");
    let cookie = log_in(&layer, TOKEN).await;
    clock.set(START.saturating_add(7 * DAY));
    assert_eq!(
        with_cookie(&layer, &cookie).await.status,
        StatusCode::OK,
        "its last second"
    );
    clock.advance(Duration::from_secs(1));
    let answer = with_cookie(&layer, &cookie).await;
    refused_for(&answer, 401, Reason::ExpiredCookie);
    let page = format!("GET /\naccept: text/html\ncookie: {cookie}");
    let answer = send(&layer, request(&page)).await;
    assert!(
        answer.set_cookies().iter().any(|line| line.contains("Max-Age=0")),
        "{answer:?}"
    );
    let login = answer.header("location");
    assert_eq!(login, "/login?next=%2F&session=ended");
    for (target, ended) in [(login, true), ("/login?next=%2F", false)] {
        let form = send(&layer, request(&format!("GET {target}\naccept: text/html"))).await;
        assert_eq!(
            form.text.contains("Your session ended. Please log in again."),
            ended,
            "{form:?}"
        );
    }
}

#[tokio::test]
async fn a_replaced_key_ends_no_login_until_it_retires() {
    let clock = TestClock::new(START);
    let cookie = log_in(&server(TOKEN, keyring(), &clock), TOKEN).await;
    let rotated = Keyring::from_secret(secret(2))
        .and_then(|ring| ring.with_previous_key(secret(1), START.saturating_add(DAY)))
        .expect("32 bytes");
    let layer = server(TOKEN, rotated, &clock);
    assert_eq!(with_cookie(&layer, &cookie).await.status, StatusCode::OK);
    clock.advance(2 * DAY);
    refused_for(&with_cookie(&layer, &cookie).await, 401, Reason::InvalidCookie);
}

#[tokio::test]
async fn no_jump_of_the_clock_panics_or_stretches_a_login() {
    let clock = TestClock::new(START);
    let layer = server(TOKEN, keyring(), &clock);
    let cookie = log_in(&layer, TOKEN).await;
    let hour = Duration::from_secs(3_600);
    let decade = 3_652 * DAY;
    for (time, good) in [
        (START.saturating_sub(Duration::from_secs(300)), true),
        (START.saturating_sub(hour), false),
        (START.saturating_sub(decade), false),
        (UnixTime::from_secs(0), false),
        (START.saturating_add(hour), true),
        (START.saturating_add(decade), false),
        (UnixTime::from_secs(u64::MAX), false),
        (START, true),
    ] {
        clock.set(time);
        assert_eq!(
            with_cookie(&layer, &cookie).await.status == StatusCode::OK,
            good,
            "{time}"
        );
    }
}

#[tokio::test]
async fn an_expired_grant_is_rejected_for_every_authenticator() {
    use portcullis::{AuthMethod, Grant, Identity, Outcome, Session, authenticator_fn};

    let clock = TestClock::new(START);
    let layer = AuthLayer::builder()
        .authenticator(authenticator_fn(|_| {
            let grant = Grant::new(Identity::new("me")).with_expiry(START.saturating_add(DAY));
            Outcome::Authenticated(Session::new(grant, AuthMethod::Other { ambient: false }))
        }))
        .clock(clock.clone())
        .build()
        .expect("a layer");
    assert_eq!(send(&layer, request("GET /")).await.status, StatusCode::OK);
    clock.advance(DAY);
    refused_for(&send(&layer, request("GET /")).await, 401, Reason::ExpiredToken);
}

#[tokio::test]
async fn a_login_has_its_grant_and_ends_with_it() {
    use portcullis::{Grant, Identity, RequestHead};

    let clock = TestClock::new(START);
    let layer = server(TOKEN, keyring(), &clock);
    let grant = Grant::new(Identity::new("carol"))
        .with_scopes(["read"])
        .with_expiry(START.saturating_add(DAY));
    let mut headers = http::HeaderMap::new();
    layer
        .login(RequestHead::new(&request("POST /own-login")), grant)
        .await
        .expect("a grant that fits")
        .append_to(&mut headers);
    let line = headers["set-cookie"].to_str().expect("ASCII").to_owned();
    let cookie = line.split(';').next().unwrap_or_default();
    assert_eq!(
        with_cookie(&layer.require_scope("read"), cookie).await.text,
        "carol by Cookie"
    );
    refused_for(
        &with_cookie(&layer.require_scope("write"), cookie).await,
        403,
        Reason::InsufficientScope,
    );
    clock.advance(DAY);
    refused_for(&with_cookie(&layer, cookie).await, 401, Reason::ExpiredCookie);
}

#[tokio::test]
async fn a_gateway_leaves_the_xsrf_cookie_to_its_service() {
    let new = || AuthLayer::builder().token(TOKEN.parse().expect("a token"));
    for (layer, has_csrf_cookie) in [
        (new().build().expect("a layer"), true),
        (new().csrf_by_origin().build().expect("a layer"), false),
    ] {
        let xsrf = |answer: &Answered| answer.set_cookies().iter().any(|line| line.starts_with("_xsrf="));
        let login = send(&layer, request("GET /login\naccept: text/html")).await;
        assert!(xsrf(&login), "the login form has one in any case: {login:?}");
        let answer = send(
            &layer,
            request(&format!("GET /?token={TOKEN}\naccept: text/html")),
        )
        .await;
        assert_eq!(xsrf(&answer), has_csrf_cookie, "with a login: {answer:?}");
        let cookie = answer.cookie("username-localhost=");
        for (what, lines) in [
            ("a page", "GET /\nsec-fetch-site: none"),
            ("a page with the service's own", "GET /\ncookie: _xsrf=services"),
            (
                "a logout with a confirmation",
                "GET /logout\nsec-fetch-site: cross-site",
            ),
            (
                "a logout",
                "GET /logout\nsec-fetch-site: same-origin\nsec-fetch-mode: navigate\nsec-fetch-dest: document",
            ),
        ] {
            let answer = send(&layer, request(&format!("{lines}\ncookie: {cookie}"))).await;
            assert_eq!(answer.status, StatusCode::OK, "{what}: {answer:?}");
            assert_eq!(xsrf(&answer), has_csrf_cookie, "{what}: {answer:?}");
        }
    }
}

/// A server whose logins end after two hours without a request, and after a day.
fn idle_server(clock: &TestClock) -> AuthLayer {
    AuthLayer::builder()
        .token(TOKEN.parse().expect("a token"))
        .keyring(keyring())
        .session_lifetime(Lifetime::absolute(DAY).with_idle_timeout(2 * HOUR))
        .clock(clock.clone())
        .build()
        .expect("a layer")
}

const HOUR: Duration = Duration::from_secs(3_600);

/// What is set of the login cookie: its pair, and how long a browser keeps it.
fn renewal(answer: &Answered) -> Option<(String, u64)> {
    let lines = answer.set_cookies();
    let line = lines.iter().find(|line| line.starts_with("username-"))?;
    let (pair, attributes) = line.split_once(';')?;
    let life = attributes.split("Max-Age=").nth(1)?.split(';').next()?;
    Some((pair.to_owned(), life.parse().ok()?))
}

#[tokio::test]
async fn a_login_that_is_used_goes_on_and_ends_with_its_absolute_life() {
    let clock = TestClock::new(START);
    let layer = idle_server(&clock);
    let mut cookie = log_in(&layer, TOKEN).await;
    clock.advance(HOUR - Duration::from_secs(1));
    assert_eq!(
        renewal(&with_cookie(&layer, &cookie).await),
        None,
        "half of it has not passed"
    );
    clock.advance(Duration::from_secs(1));
    let who = with_cookie(&layer, &cookie).await.text;
    for hour in 1..24 {
        let answer = with_cookie(&layer, &cookie).await;
        assert_eq!(
            (answer.status, &*answer.text),
            (StatusCode::OK, &*who),
            "hour {hour}"
        );
        let (next, life) = renewal(&answer).expect("half of it has passed");
        assert_eq!(life, 7_200.min(86_400 - hour * 3_600), "hour {hour}");
        assert_ne!(next, cookie);
        cookie = next;
        clock.advance(HOUR);
    }
    assert_eq!(
        with_cookie(&layer, &cookie).await.status,
        StatusCode::OK,
        "its last second"
    );
    clock.advance(Duration::from_secs(1));
    refused_for(&with_cookie(&layer, &cookie).await, 401, Reason::ExpiredCookie);
}

#[tokio::test]
async fn a_login_that_is_not_used_ends_after_its_idle_time() {
    let clock = TestClock::new(START);
    let layer = idle_server(&clock);
    let cookie = log_in(&layer, TOKEN).await;
    clock.advance(2 * HOUR + Duration::from_secs(1));
    refused_for(&with_cookie(&layer, &cookie).await, 401, Reason::ExpiredCookie);
}

#[tokio::test]
async fn an_old_cookie_with_its_renewal_is_the_same_user() {
    let clock = TestClock::new(START);
    let layer = idle_server(&clock);
    let old = log_in(&layer, TOKEN).await;
    clock.advance(HOUR);
    let (new, _) = renewal(&with_cookie(&layer, &old).await).expect("half of it has passed");
    for both in [format!("{old}; {new}"), format!("{new}; {old}")] {
        let answer = with_cookie(&layer, &both).await;
        assert_eq!(
            (answer.status, renewal(&answer)),
            (StatusCode::OK, None),
            "{both}"
        );
    }
}

#[tokio::test]
async fn a_cookie_is_not_renewed_by_a_denial_a_logout_or_with_a_handlers_own() {
    use portcullis::{RequestHead, cookies::SetCookies};
    use tower::{Layer, ServiceExt, service_fn};

    let clock = TestClock::new(START);
    let layer = idle_server(&clock);
    let cookie = log_in(&layer, TOKEN).await;
    clock.advance(HOUR);
    for lines in ["POST /", "GET /logout", "GET /login"] {
        let answer = send(&layer, request(&format!("{lines}\ncookie: {cookie}"))).await;
        let good = renewal(&answer).filter(|(_, life)| *life > 0);
        assert_eq!(good, None, "{lines}: {answer:?}");
        if lines == "POST /" {
            assert_eq!(answer.status, StatusCode::FORBIDDEN);
        }
    }

    let layer = idle_server(&clock);
    let auth = layer.clone();
    let service = layer.layer(service_fn(move |request: http::Request<_>| {
        let cookies: SetCookies = auth
            .logout(RequestHead::new(&request))
            .ready()
            .expect("cookies of a usual size");
        let mut response = http::Response::new(http_body_util::Full::<hyper::body::Bytes>::default());
        cookies.append_to(response.headers_mut());
        async { Ok::<_, std::convert::Infallible>(response) }
    }));
    let answer = service
        .oneshot(request(&format!("GET /bye\ncookie: {cookie}")))
        .await
        .expect("infallible");
    let lines: Vec<_> = answer.headers().get_all("set-cookie").iter().collect();
    let logins = lines
        .iter()
        .map(|line| line.to_str().expect("ASCII"))
        .filter(|line| line.starts_with("username-"));
    for line in logins {
        assert!(line.contains("Max-Age=0"), "{line}");
    }
}

#[tokio::test]
async fn a_cookie_of_a_retiring_key_is_reissued_and_ends_when_it_would_have() {
    let clock = TestClock::new(START);
    let cookie = log_in(&server(TOKEN, keyring(), &clock), TOKEN).await;
    let rotated = Keyring::from_secret(secret(2))
        .and_then(|ring| ring.with_previous_key(secret(1), START.saturating_add(2 * DAY)))
        .expect("32 bytes");
    clock.advance(DAY);
    let layer = server(TOKEN, rotated, &clock);
    let (next, life) = renewal(&with_cookie(&layer, &cookie).await).expect("a reading key opened it");
    assert_eq!(life, 29 * 86_400);
    clock.advance(2 * DAY);
    assert_eq!(with_cookie(&layer, &next).await.status, StatusCode::OK);
    clock.advance(27 * DAY);
    assert_eq!(
        with_cookie(&layer, &next).await.status,
        StatusCode::OK,
        "its last second"
    );
    clock.advance(Duration::from_secs(1));
    refused_for(&with_cookie(&layer, &next).await, 401, Reason::ExpiredCookie);
}

#[tokio::test]
async fn a_login_under_the_same_name_goes_on_with_the_one_that_is_there() {
    use portcullis::{Grant, Identity, RequestHead};

    let clock = TestClock::new(START);
    let layer = server(TOKEN, keyring(), &clock);
    let give = |with: &str| {
        let mut headers = http::HeaderMap::new();
        let request = request(&format!("PATCH /api/me\ncookie: {with}"));
        let grant = Grant::new(Identity::new("carol").with_name("Carol"));
        let cookies = layer
            .login(RequestHead::new(&request), grant)
            .ready()
            .expect("it fits");
        cookies.append_to(&mut headers);
        let line = headers["set-cookie"].to_str().expect("ASCII");
        line.split(';').next().unwrap_or_default().to_owned()
    };
    let first = give("");
    clock.advance(29 * DAY);
    let (again, fresh) = (give(&first), give(""));
    clock.advance(2 * DAY);
    refused_for(&with_cookie(&layer, &again).await, 401, Reason::ExpiredCookie);
    assert_eq!(with_cookie(&layer, &fresh).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_session_knows_when_its_login_began_also_after_a_renewal() {
    let clock = TestClock::new(START);
    let layer = AuthLayer::builder()
        .token(TOKEN.parse().expect("a token"))
        .session_lifetime(Lifetime::absolute(7 * DAY).with_idle_timeout(DAY))
        .clock(clock.clone())
        .build()
        .expect("a layer");
    let started_at = |lines: String| {
        let request = request(&lines);
        let answer = layer.authenticate(RequestHead::new(&request));
        async move { answer.await.expect("a session").started_at() }
    };
    let cookie = log_in(&layer, TOKEN).await;
    clock.advance(DAY / 2);
    assert_eq!(started_at(format!("GET /\ncookie: {cookie}")).await, Some(START));
    let renewed = with_cookie(&layer, &cookie).await.cookie("username-localhost=");
    clock.advance(DAY / 4);
    assert_eq!(started_at(format!("GET /\ncookie: {renewed}")).await, Some(START));
    assert_eq!(
        started_at(format!("GET /\nauthorization: Bearer {TOKEN}")).await,
        None
    );
}

/// The `Max-Age` of a login cookie, or `None` where the browser forgets it when it closes.
fn max_age(lines: &[String]) -> Option<u64> {
    let line = lines.iter().find(|line| line.starts_with("username-"));
    let line = line.unwrap_or_else(|| panic!("a login in {lines:?}"));
    let life = line.split("Max-Age=").nth(1)?.split(';').next()?;
    Some(life.parse().expect("a number"))
}

fn lines(cookies: &portcullis::cookies::SetCookies) -> Vec<String> {
    let lines = cookies
        .iter()
        .map(|line| line.to_str().expect("ASCII").to_owned());
    lines.collect()
}

#[tokio::test]
async fn a_login_cookie_ends_with_its_grant_by_every_way_to_log_in() {
    use http_body_util::Full;
    use portcullis::{
        Grant, Identity, PasswordHash,
        verify::{MemoryPasswordStore, StoredPasswords},
    };

    const PASSWORD: &str = "purple tricycle nine";
    let clock = TestClock::new(START);
    let end = START.saturating_add(HOUR);
    let grant = |name: &str| Grant::new(Identity::new(name)).with_expiry(end);
    let hash = PasswordHash::hash(&PASSWORD.into()).expect("a good password");
    let users = MemoryPasswordStore::from_grants([(grant("alice"), hash)]).expect("users");
    let builder = || {
        let token = "a-key".parse().expect("a token");
        AuthLayer::builder()
            .token_with_grant(token, grant("alice"))
            .password_verifier(StoredPasswords::new(users.clone()))
            .clock(clock.clone())
    };
    let layer = builder().build().expect("a layer");
    let typed = |password: &str| {
        let body = format!("username=alice&password={}", password.replace(' ', "+"));
        let layer = &layer;
        async move {
            let xsrf = send(layer, request("GET /login\naccept: text/html"))
                .await
                .cookie("_xsrf=");
            let form =
                format!("POST /login\ncontent-type: application/x-www-form-urlencoded\ncookie: {xsrf}");
            send(
                layer,
                request(&form).map(|_| Full::from(format!("{xsrf}&{body}"))),
            )
            .await
        }
    };
    let post = request("POST /own-login");
    let head = RequestHead::new(&post);
    let by_hand = layer.verify_password(head, "alice", &PASSWORD.into()).await;
    for (way, lines) in [
        (
            "query",
            send(&layer, request("GET /?token=a-key\naccept: text/html"))
                .await
                .set_cookies(),
        ),
        ("typed token", typed("a-key").await.set_cookies()),
        ("typed password", typed(PASSWORD).await.set_cookies()),
        (
            "login",
            lines(&layer.login(head, grant("alice")).ready().expect("it fits")),
        ),
        (
            "verify_password",
            lines(&by_hand.expect("the password").into_set_cookies()),
        ),
    ] {
        assert_eq!(max_age(&lines), Some(HOUR.as_secs()), "{way}");
    }
    // Renewals too, and an earlier end of the idle time counts.
    let idle = Lifetime::absolute(DAY).with_idle_timeout(HOUR / 2);
    let layer = builder().session_lifetime(idle).build().expect("a layer");
    let mut login = lines(&layer.login(head, grant("alice")).ready().expect("it fits"));
    for expected in [30, 30, 30, 15] {
        assert_eq!(max_age(&login), Some(expected * 60));
        let line = login.iter().find(|line| line.starts_with("username-"));
        let cookie = line.and_then(|line| line.split(';').next()).expect("a login");
        clock.advance(HOUR / 4);
        login = with_cookie(&layer, cookie).await.set_cookies();
    }
}

#[tokio::test]
async fn a_login_without_remember_me_is_forgotten_when_the_browser_closes() {
    use http_body_util::Full;
    use portcullis::{Grant, Identity};

    let clock = TestClock::new(START);
    let builder = || {
        let token = TOKEN.parse().expect("a token");
        let lifetime = Lifetime::absolute(DAY).with_idle_timeout(2 * HOUR);
        AuthLayer::builder()
            .token(token)
            .session_lifetime(lifetime)
            .clock(clock.clone())
    };
    let layer = builder().remember_me().build().expect("a layer");
    for (layer, ticked, shown, expected) in [
        (&layer, "", true, None),
        (&layer, "&remember=on", true, Some(2 * HOUR.as_secs())),
        (
            &builder().build().expect("a layer"),
            "",
            false,
            Some(2 * HOUR.as_secs()),
        ),
    ] {
        let page = send(layer, request("GET /login\naccept: text/html")).await;
        assert_eq!(page.text.contains("name=\"remember\""), shown);
        let form = |password: &str| {
            let xsrf = page.cookie("_xsrf=");
            let form =
                format!("POST /login\ncontent-type: application/x-www-form-urlencoded\ncookie: {xsrf}");
            let body = format!("{xsrf}&password={password}{ticked}");
            send(layer, request(&form).map(|_| Full::from(body)))
        };
        let again = form("wrong").await;
        assert_eq!(
            again.text.contains(" checked"),
            ticked == "&remember=on",
            "the form keeps the tick"
        );
        let login = form(TOKEN).await;
        assert_eq!(max_age(&login.set_cookies()), expected, "{ticked:?}");
        // A renewal keeps the choice.
        let cookie = login.cookie("username-localhost=");
        clock.advance(HOUR);
        assert_eq!(
            max_age(&with_cookie(layer, &cookie).await.set_cookies()),
            expected,
            "{ticked:?}"
        );
    }
    let by_hand = |cookie: &str| {
        let request = request(&format!("POST /own-login\ncookie: {cookie}"));
        let (head, grant) = (RequestHead::new(&request), Grant::new(Identity::new("carol")));
        let temporary = layer.login_for_browser_session(head, grant.clone());
        let other = layer.login(head, grant);
        [temporary, other].map(|cookies| lines(&cookies.ready().expect("it fits")))
    };
    let [temporary, other] = by_hand("");
    assert_eq!(
        (max_age(&temporary), max_age(&other)),
        (None, Some(2 * HOUR.as_secs()))
    );
    let cookie = temporary[0].split(';').next().unwrap_or_default();
    let [_, changed] = by_hand(cookie);
    assert_eq!(
        max_age(&changed),
        None,
        "a change of the name goes on with the login"
    );
}
