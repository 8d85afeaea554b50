//! A custom login page lets the layer check the password, and the layer applies its rate limits.

use std::time::Duration;

use http::HeaderMap;
use portcullis::{
    AuthLayer, Grant, Identity, PasswordHash, Reason, RequestHead, Token,
    clock::UnixTime,
    cookies::SetCookies,
    request::Peer,
    testing::TestClock,
    verify::{MemoryPasswordStore, StoredPasswords},
};

use crate::common::{Ready as _, request, send};

const PASSWORD: &str = "purple tricycle nine";

fn layer(clock: &TestClock) -> AuthLayer {
    let hash = PasswordHash::hash(&PASSWORD.into()).expect("a good password");
    let long = Identity::new("long").with_name(&"x".repeat(5_000));
    let users = [
        (Identity::new("alice"), hash.clone()),
        (Identity::new("bob"), hash.clone()),
        (long, hash),
    ];
    AuthLayer::builder()
        .password_verifier(StoredPasswords::new(
            MemoryPasswordStore::new(users).expect("users"),
        ))
        .custom_login_page()
        .peer_extractor(|_| Some(Peer::Ip(([192, 0, 2, 7], 1).into())))
        .clock(clock.clone())
        .build()
        .expect("a layer")
}

async fn try_password(
    layer: &AuthLayer,
    fields: &str,
    username: &str,
    password: &str,
) -> Result<SetCookies, Reason> {
    let request = request(&format!("POST /login\n{fields}"));
    let answer = layer.verify_password(RequestHead::new(&request), username, &password.into());
    match answer.await {
        Ok(login) => {
            assert_eq!(login.session().identity().username(), username);
            Ok(login.into_set_cookies())
        }
        Err(denial) => Err(denial.reason()),
    }
}

fn pair(cookies: SetCookies, name: &str) -> String {
    let mut headers = HeaderMap::new();
    cookies.append_to(&mut headers);
    let lines = headers.get_all("set-cookie").iter();
    let mut lines = lines.map(|line| line.to_str().expect("ASCII"));
    let line = lines.find(|line| line.starts_with(name)).expect("a cookie");
    line.split(';').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_right_password_gives_the_cookies_of_its_user_and_all_else_a_denial() {
    let clock = TestClock::new(UnixTime::from_secs(1_700_000_000));
    let layer = layer(&clock);
    let cookies = try_password(&layer, "", "alice", PASSWORD)
        .await
        .expect("alice's own");
    let session = pair(cookies, "username-localhost=");
    let inside = send(&layer, request(&format!("GET /\ncookie: {session}"))).await;
    assert_eq!(inside.text, "alice by Cookie");
    for (fields, username, password, reason) in [
        ("", "alice", "wrong", Reason::IncorrectPassword),
        ("", "no-such-user", PASSWORD, Reason::IncorrectPassword),
        (
            "origin: https://evil.example",
            "alice",
            PASSWORD,
            Reason::CrossSite,
        ),
        ("sec-fetch-site: cross-site", "alice", PASSWORD, Reason::CrossSite),
        ("", "long", PASSWORD, Reason::TooLarge),
    ] {
        let result = try_password(&layer, fields, username, password).await;
        assert_eq!(result.err(), Some(reason), "{fields} {username} {password}");
    }
    let without = AuthLayer::token(Token::generate());
    let result = try_password(&without, "", "alice", PASSWORD).await;
    assert_eq!(
        result.err(),
        Some(Reason::IncorrectPassword),
        "a layer without passwords"
    );
}

#[tokio::test]
async fn it_is_rate_limited_like_the_built_in_form() {
    let clock = TestClock::new(UnixTime::from_secs(1_700_000_000));
    let layer = layer(&clock);
    let mut reason = None;
    for _ in 0..20 {
        reason = try_password(&layer, "", "bob", "wrong").await.err();
    }
    assert_eq!(reason, Some(Reason::RateLimited));
    assert_eq!(
        try_password(&layer, "", "bob", PASSWORD).await.err(),
        Some(Reason::RateLimited)
    );
    clock.advance(Duration::from_secs(3_600));
    assert!(
        try_password(&layer, "", "bob", PASSWORD).await.is_ok(),
        "after the wait"
    );
}

#[tokio::test]
async fn the_limits_of_a_layer_can_be_set() {
    use portcullis::rate_limit::RateLimits;

    let limits = RateLimits::new().with_account_attempts(1).expect("limits");
    let hash = PasswordHash::hash(&PASSWORD.into()).expect("a good password");
    let builder = AuthLayer::builder().password(hash).login_rate_limits(limits);
    let clock = TestClock::new(UnixTime::from_secs(1_700_000_000));
    let layer = builder.clock(clock).build().expect("a layer");
    for reason in [Reason::IncorrectPassword, Reason::RateLimited] {
        let found = try_password(&layer, "", "", "wrong").await.err();
        assert_eq!(found, Some(reason));
    }
}

#[tokio::test]
async fn the_value_for_a_form_belongs_to_the_login_or_to_before_it() {
    let layer = layer(&TestClock::new(UnixTime::from_secs(1_700_000_000)));
    let unauthenticated = request("GET /login");
    let before = layer
        .csrf_token(RequestHead::new(&unauthenticated))
        .expect("a value");
    let value = before.value().to_owned();
    let cookie = pair(before.into_set_cookies(), "_xsrf=");
    let sent = |cookie: &str, field: &str| {
        let request = request(&format!(
            "POST /login\norigin: http://localhost\ncookie: {cookie}"
        ));
        layer.verify_csrf(RequestHead::new(&request), field).is_ok()
    };
    assert!(sent(&cookie, &value));
    assert!(!sent("a=b", &value), "the cookie is missing");
    assert!(!sent(&cookie, "wrong") && !sent(&cookie, ""));

    let by_hand = request("POST /login");
    let login = |name: &str| {
        let grant = Grant::new(Identity::new(name));
        let cookies = layer
            .login(RequestHead::new(&by_hand), grant)
            .ready()
            .expect("it fits");
        pair(cookies, "username-localhost=")
    };
    let (alice, bob) = (login("alice"), login("bob"));
    let page = request(&format!("GET /form\ncookie: {alice}"));
    let hers = layer.csrf_token(RequestHead::new(&page)).expect("a value");
    assert!(sent(&alice, hers.value()), "the login alone is enough");
    assert!(!sent(&bob, hers.value()), "it is another's");
    assert!(
        !sent(&format!("{alice}; {cookie}"), &value),
        "it is of before the login"
    );
    let action = request(&format!("POST /rename?_xsrf={}\ncookie: {alice}", hers.value()));
    assert_eq!(
        send(&layer, action).await.status,
        200,
        "the layer finds it in the query"
    );
}

#[tokio::test]
async fn a_login_page_that_decides_by_itself_needs_no_password_and_no_token() {
    let layer = AuthLayer::builder().custom_login_page().build().expect("a layer");
    let page = send(&layer, request("GET /login")).await;
    assert_eq!(page.status, 200, "the page is the service's own, and public");
    let page = send(&layer, request("GET /\naccept: text/html")).await;
    assert_eq!(page.header("location"), "/login?next=%2F");
    assert_eq!(
        send(&layer, request("GET /?token=abc\nauthorization: token abc"))
            .await
            .status,
        401
    );

    let form = request("POST /login");
    let cookies = layer
        .login(RequestHead::new(&form), Grant::new(Identity::new("alice")))
        .await;
    let session = pair(cookies.expect("it fits"), "username-localhost=");
    let inside = send(&layer, request(&format!("GET /\ncookie: {session}"))).await;
    assert_eq!(inside.text, "alice by Cookie");
    assert!(layer.launch_link("http://localhost/").is_ok());
    let left = request(&format!("GET /\ncookie: {session}"));
    layer
        .logout(RequestHead::new(&left))
        .await
        .expect("cookies that can be read");
    assert_eq!(send(&layer, left).await.status, 401);
}
