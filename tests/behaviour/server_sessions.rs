//! Sessions in a store: a login, its end, and what a user directory says in between.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::StatusCode;
use http_body_util::Full;
use hyper::body::Bytes;
use portcullis::{
    AuthLayer, AuthLayerBuilder, BackendError, Grant, Identity, Keyring, MaybeFuture, Reason, RequestHead,
    Secret, Session, Token, TokenSet,
    clock::{Clock as _, UnixTime},
    cookies::{Lifetime, SetCookies},
    store::{
        BoxFuture, MemoryTokenStore, SessionFilter, SessionRecord, SessionStore, SessionTouch, StoreError,
        StoreErrorKind, TokenFilter,
    },
    testing::{TestClock, fast_password_hash},
    token::TokenHash,
    verify::{MemoryPasswordStore, StoredPasswords, StoredTokens, UserLookup},
};

use crate::common::{Answered, TOKEN, refused_for, request, send};

const START: UnixTime = UnixTime::from_secs(1_700_000_000);
const MINUTE: Duration = Duration::from_secs(60);

fn keyring() -> Keyring {
    Keyring::from_secret(Secret::from(vec![7; 32])).expect("a key of 32 bytes")
}

/// A replica: a layer on this store, whose logins are made by the application.
fn replica(
    store: &Arc<MemoryTokenStore>,
    clock: &TestClock,
    settings: impl FnOnce(AuthLayerBuilder) -> AuthLayerBuilder,
) -> AuthLayer {
    let builder = AuthLayer::builder()
        .custom_login_page()
        .keyring(keyring())
        .clock(clock.clone())
        .sessions(Arc::clone(store));
    settings(builder).build().expect("a layer")
}

/// Users, what they may do, and whether the directory answers.
#[derive(Clone, Default)]
struct Directory {
    users: Arc<Mutex<HashMap<String, Grant>>>,
    down: Arc<Mutex<bool>>,
    asked: Arc<AtomicUsize>,
}

impl Directory {
    fn set(&self, grant: Grant) {
        let name = grant.identity().username().to_owned();
        self.users.lock().expect("users").insert(name, grant);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl UserLookup for Directory {
    fn current(&self, username: &str) -> MaybeFuture<Result<Option<Grant>, BackendError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if *self.down.lock().expect("a flag") {
            return Err(
                BackendError::new("the directory is down").with_retry_after(7 * Duration::from_secs(1))
            )
            .into();
        }
        let found = self.users.lock().expect("users").get(username).cloned();
        // An answer that has to be waited for.
        MaybeFuture::from_future(async move { Ok(found) })
    }
}

fn grant(name: &str) -> Grant {
    Grant::new(Identity::new(name))
}

/// The value of the cookie that a login of `grant` sets, in a browser that has the cookie `with`.
async fn log_in(layer: &AuthLayer, grant: Grant, with: &str) -> String {
    let request = request(&format!(
        "POST /own-login\ncookie: {with}\nuser-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    ));
    let cookies = layer
        .login(RequestHead::new(&request), grant)
        .await
        .expect("a login");
    cookie(lines(&cookies))
}

/// The `Set-Cookie` lines of a login.
fn lines(cookies: &SetCookies) -> Vec<String> {
    let lines = cookies.iter();
    lines
        .map(|line| line.to_str().expect("ASCII").to_owned())
        .collect()
}

/// The `_xsrf` cookie of the login page, as a pair, and its value.
async fn login_form(layer: &AuthLayer) -> (String, String) {
    let page = send(layer, request("GET /login\naccept: text/html")).await;
    let pair = page.cookie("_xsrf=");
    let value = pair.split_once('=').expect("a pair").1.to_owned();
    (pair, value)
}

/// A form with these cookies and fields.
fn post(path: &str, cookies: &str, fields: String) -> http::Request<Full<Bytes>> {
    let head = format!("POST {path}\ncontent-type: application/x-www-form-urlencoded\ncookie: {cookies}");
    request(&head).map(|_| fields.into())
}

/// The signed cookie of a login of alice.
async fn signed_login(layer: &AuthLayer) -> String {
    let form = request("POST /own-login");
    let cookies = layer
        .login(RequestHead::new(&form), grant("alice"))
        .await
        .expect("a login");
    let [line, ..] = &*lines(&cookies) else {
        panic!("a cookie")
    };
    line.split(';').next().unwrap_or_default().to_owned()
}

/// `session=…` of these `Set-Cookie` lines.
fn cookie(lines: impl IntoIterator<Item = String>) -> String {
    let session = lines.into_iter().find(|line| line.starts_with("session="));
    let session = session.expect("a session cookie");
    session.split(';').next().unwrap_or_default().to_owned()
}

async fn get(layer: &AuthLayer, cookie: &str) -> Answered {
    send(layer, request(&format!("GET /\ncookie: {cookie}"))).await
}

#[tokio::test]
async fn login_is_known_to_every_replica_and_after_a_restart_and_a_logout_too() {
    let (store, clock) = (Arc::new(MemoryTokenStore::new()), TestClock::new(START));
    let [one, other] = [(); 2].map(|()| replica(&store, &clock, |builder| builder));
    let alice = log_in(&one, grant("alice").with_scopes(["read"]), "").await;
    for layer in [&one, &other, &replica(&store, &clock, |builder| builder)] {
        assert_eq!(get(layer, &alice).await.text, "alice by Cookie");
    }
    let leaving = request(&format!("POST /own-logout\ncookie: {alice}"));
    let removed = other.logout(RequestHead::new(&leaving)).await.expect("a logout");
    assert!(removed.iter().any(|line| {
        let line = line.to_str().expect("ASCII");
        line.starts_with("session=;") && line.contains("Max-Age=0")
    }));
    for layer in [&one, &other, &replica(&store, &clock, |builder| builder)] {
        refused_for(&get(layer, &alice).await, 401, Reason::ExpiredCookie);
    }
}

#[tokio::test]
async fn cookie_holds_nothing_that_the_store_does_and_the_store_nothing_that_logs_in() {
    let (store, clock) = (Arc::new(MemoryTokenStore::new()), TestClock::new(START));
    let layer = replica(&store, &clock, |builder| builder);
    let request = request(
        "POST /own-login\nuser-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\n",
    );
    let cookies = layer
        .login(RequestHead::new(&request), grant("alice"))
        .await
        .expect("a login");
    let lines = lines(&cookies);
    let session = cookie(lines.clone());
    assert_eq!(
        session.len(),
        "session=".len() + 43,
        "256 bits in base64: {session}"
    );
    let attributes = lines[0].split_once(';').expect("attributes").1;
    assert_eq!(attributes, " HttpOnly; SameSite=Lax; Path=/; Max-Age=2592000");
    let [record] = &*store
        .list_sessions(SessionFilter::owner("alice"), START)
        .await
        .expect("a list")
    else {
        panic!("one session")
    };
    assert!(record.note().is_some_and(|note| note.contains("Firefox/140.0")));
    assert_eq!(record.created(), START);
    // Its own names log no user in, nor does the cookie under another key.
    for value in [
        record.session_id().to_owned(),
        record.id().to_string(),
        "x".repeat(43),
    ] {
        let refused = get(&layer, &format!("session={value}")).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{value}");
    }
    let foreign = replica(&store, &clock, |builder| builder.keyring(Keyring::generate()));
    refused_for(&get(&foreign, &session).await, 401, Reason::ExpiredCookie);
}

#[tokio::test]
async fn login_with_an_old_session_ends_the_old_one_and_begins_one_of_its_own() {
    let (store, clock) = (Arc::new(MemoryTokenStore::new()), TestClock::new(START));
    let layer = replica(&store, &clock, |builder| builder);
    let old = log_in(&layer, grant("alice"), "").await;
    // An attacker's session in the victim's browser: what the victim logs in to is not the attacker's.
    let new = log_in(&layer, grant("bob"), &old).await;
    assert_ne!(old, new);
    refused_for(&get(&layer, &old).await, 401, Reason::ExpiredCookie);
    assert_eq!(get(&layer, &new).await.text, "bob by Cookie");
    // Many at once: one session each, and the old one has ended.
    let logins = (0..64).map(|number| {
        let (layer, new) = (layer.clone(), new.clone());
        tokio::spawn(async move { log_in(&layer, grant(&format!("user-{number}")), &new).await })
    });
    let mut cookies = Vec::new();
    for login in logins.collect::<Vec<_>>() {
        cookies.push(login.await.expect("a login"));
    }
    refused_for(&get(&layer, &new).await, 401, Reason::ExpiredCookie);
    for (number, cookie) in cookies.iter().enumerate() {
        assert_eq!(get(&layer, cookie).await.text, format!("user-{number} by Cookie"));
    }
}

#[tokio::test]
async fn session_ends_when_it_is_idle_or_old_and_each_use_puts_the_idle_end_off() {
    let (store, clock) = (Arc::new(MemoryTokenStore::new()), TestClock::new(START));
    let lifetime = Lifetime::absolute(60 * MINUTE).with_idle_timeout(20 * MINUTE);
    let layer = replica(&store, &clock, |builder| builder.session_lifetime(lifetime));
    let idle = log_in(&layer, grant("alice"), "").await;
    let used = log_in(&layer, grant("bob"), "").await;
    for passed in (15..60).step_by(15) {
        clock.advance(15 * MINUTE);
        let answer = get(&layer, &used).await;
        assert_eq!(answer.text, "bob by Cookie", "after {passed} minutes");
        assert!(
            answer
                .set_cookies()
                .iter()
                .any(|line| line.starts_with(&used) && line.contains("Max-Age=1200")),
            "the browser keeps it as long"
        );
    }
    refused_for(&get(&layer, &idle).await, 401, Reason::ExpiredCookie);
    clock.advance(15 * MINUTE);
    refused_for(&get(&layer, &used).await, 401, Reason::ExpiredCookie);
}

#[tokio::test]
async fn lifetime_that_was_made_shorter_holds_for_sessions_that_are_there() {
    let (store, clock) = (Arc::new(MemoryTokenStore::new()), TestClock::new(START));
    let longer = replica(&store, &clock, |builder| builder);
    let (alice, bob) = (
        log_in(&longer, grant("alice"), "").await,
        log_in(&longer, grant("bob"), "").await,
    );
    let shorter = replica(&store, &clock, |builder| {
        builder.session_lifetime(Lifetime::absolute(10 * MINUTE))
    });
    clock.advance(9 * MINUTE);
    assert_eq!(get(&shorter, &alice).await.status, StatusCode::OK);
    clock.advance(MINUTE);
    for cookie in [&alice, &bob] {
        refused_for(&get(&shorter, cookie).await, 401, Reason::ExpiredCookie);
    }
}

#[tokio::test]
async fn use_is_written_once_a_minute_at_most() {
    let (store, clock) = (Arc::new(MemoryTokenStore::new()), TestClock::new(START));
    let layer = replica(&store, &clock, |builder| builder);
    let alice = log_in(&layer, grant("alice"), "").await;
    let last_used = || async {
        let list = store
            .list_sessions(SessionFilter::owner("alice"), START)
            .await
            .expect("a list");
        list[0].last_used().saturating_duration_since(START).as_secs()
    };
    for (passed, written) in [(59, 0), (60, 60), (119, 60), (120, 120)] {
        clock.set(START.saturating_add(Duration::from_secs(passed)));
        assert_eq!(get(&layer, &alice).await.status, StatusCode::OK);
        assert_eq!(last_used().await, written, "after {passed} s");
    }
}

#[tokio::test]
async fn directory_changes_rights_and_ends_sessions_at_the_refresh_interval() {
    let (store, clock, users) = (
        Arc::new(MemoryTokenStore::new()),
        TestClock::new(START),
        Directory::default(),
    );
    let layer = replica(&store, &clock, |builder| builder.user_lookup(users.clone()));
    let admin = layer.require_scope("admin");
    users.set(grant("alice").with_scopes(["admin"]));
    let alice = log_in(&layer, grant("alice").with_scopes(["admin"]), "").await;
    assert_eq!(get(&admin, &alice).await.status, StatusCode::OK);
    assert_eq!(users.asked(), 0, "the login has said it just now");

    users.set(grant("alice"));
    clock.advance(59 * Duration::from_secs(1));
    assert_eq!(
        get(&admin, &alice).await.status,
        StatusCode::OK,
        "still within the interval"
    );
    clock.advance(Duration::from_secs(1));
    refused_for(&get(&admin, &alice).await, 403, Reason::InsufficientScope);
    assert_eq!(get(&layer, &alice).await.status, StatusCode::OK);
    assert_eq!(users.asked(), 1, "its answer is kept for the interval");

    *users.down.lock().expect("a flag") = true;
    clock.advance(MINUTE);
    let unavailable = get(&layer, &alice).await;
    refused_for(&unavailable, 503, Reason::Unavailable);
    assert_eq!(unavailable.header("retry-after"), "7");
    assert!(
        unavailable.set_cookies().is_empty(),
        "the browser stays logged in"
    );
    *users.down.lock().expect("a flag") = false;
    assert_eq!(get(&layer, &alice).await.status, StatusCode::OK);

    users.users.lock().expect("users").clear();
    clock.advance(MINUTE);
    refused_for(&get(&layer, &alice).await, 401, Reason::ExpiredCookie);
    users.set(grant("alice"));
    refused_for(&get(&layer, &alice).await, 401, Reason::ExpiredCookie);
    let left = store.list_sessions(SessionFilter::owner("alice"), START).await;
    assert_eq!(left.expect("a list"), [], "the session has ended");
}

#[tokio::test]
async fn interval_of_zero_queries_at_every_request() {
    let (store, clock, users) = (
        Arc::new(MemoryTokenStore::new()),
        TestClock::new(START),
        Directory::default(),
    );
    let layer = replica(&store, &clock, |builder| {
        builder
            .user_lookup(users.clone())
            .refresh_interval(Duration::ZERO)
    });
    users.set(grant("alice"));
    let alice = log_in(&layer, grant("alice"), "").await;
    for asked in 1..4 {
        assert_eq!(get(&layer, &alice).await.status, StatusCode::OK);
        assert_eq!(users.asked(), asked);
    }
    users.users.lock().expect("users").clear();
    refused_for(&get(&layer, &alice).await, 401, Reason::ExpiredCookie);
}

#[tokio::test]
async fn another_security_stamp_ends_the_session_after_a_restart_as_well() {
    let (store, clock, users) = (
        Arc::new(MemoryTokenStore::new()),
        TestClock::new(START),
        Directory::default(),
    );
    let layer = || replica(&store, &clock, |builder| builder.user_lookup(users.clone()));
    let stamped = |name: &str, stamp: &str| grant(name).with_security_stamp(stamp);
    for name in ["alice", "bob"] {
        users.set(stamped(name, "old hash"));
    }
    let alice = log_in(&layer(), stamped("alice", "old hash"), "").await;
    let bob = log_in(&layer(), stamped("bob", "old hash"), "").await;
    users.set(stamped("alice", "new hash"));
    clock.advance(MINUTE);
    refused_for(&get(&layer(), &alice).await, 401, Reason::ExpiredCookie);
    assert_eq!(get(&layer(), &bob).await.text, "bob by Cookie");
}

#[tokio::test]
async fn session_from_a_token_ends_with_the_token_and_has_its_rights() {
    let (store, clock) = (Arc::new(MemoryTokenStore::new()), TestClock::new(START));
    let tokens = StoredTokens::new(store.clone());
    let layer = AuthLayer::builder()
        .bearer_tokens(tokens.clone())
        .allow_token_login()
        .keyring(keyring())
        .clock(clock.clone())
        .sessions(store.clone())
        .build()
        .expect("a layer");
    let (token, _) = tokens
        .issue(grant("alice").with_scopes(["read"]))
        .await
        .expect("a token");
    let (xsrf, value) = login_form(&layer).await;
    let fields = format!("_xsrf={value}&password={}", token.expose());
    let logged_in = send(&layer, post("/login", &xsrf, fields)).await;
    assert_eq!(logged_in.status, StatusCode::FOUND, "{}", logged_in.text);
    let session = cookie(logged_in.set_cookies());
    assert_eq!(
        get(&layer.require_scope("read"), &session).await.text,
        "alice by Cookie"
    );
    refused_for(
        &get(&layer.require_scope("write"), &session).await,
        403,
        Reason::InsufficientScope,
    );
    tokens.revoke(TokenFilter::owner("alice")).await.expect("revoked");
    clock.advance(MINUTE);
    refused_for(&get(&layer, &session).await, 401, Reason::ExpiredCookie);
}

#[tokio::test]
async fn token_in_the_url_begins_a_session_for_a_page_and_none_for_a_script() {
    let (store, clock) = (Arc::new(MemoryTokenStore::new()), TestClock::new(START));
    let layer = AuthLayer::builder()
        .token(TOKEN.parse().expect("a token"))
        .keyring(keyring())
        .clock(clock)
        .sessions(store.clone())
        .build()
        .expect("a layer");
    let script = send(&layer, request(&format!("GET /api?token={TOKEN}"))).await;
    assert_eq!(script.status, StatusCode::OK);
    assert!(
        script
            .set_cookies()
            .iter()
            .all(|line| !line.starts_with("session="))
    );
    let open = |with: String| {
        send(
            &layer,
            request(&format!("GET /?token={TOKEN}\naccept: text/html\ncookie: {with}")),
        )
    };
    let page = open(String::new()).await;
    assert_eq!(
        (page.status, page.header("location")),
        (StatusCode::SEE_OTHER, "/")
    );
    let session = cookie(page.set_cookies());
    assert_eq!(get(&layer, &session).await.status, StatusCode::OK);
    // Again in the same browser: it stays logged in by the session that it has.
    let again = open(session.clone()).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER);
    assert_eq!(get(&layer, &session).await.status, StatusCode::OK);
    let all = store
        .remove_expired_sessions(UnixTime::from_secs(u64::MAX), 10)
        .await;
    assert_eq!(all.expect("sessions"), 1, "one of the page, none of the script");
}

#[tokio::test]
async fn of_two_session_cookies_the_valid_one_counts_and_two_valid_ones_none() {
    let (store, clock) = (Arc::new(MemoryTokenStore::new()), TestClock::new(START));
    let layer = replica(&store, &clock, |builder| builder);
    let [alice, bob] = [
        log_in(&layer, grant("alice"), "").await,
        log_in(&layer, grant("bob"), "").await,
    ];
    let stale = format!("session={}", "a".repeat(43));
    for cookies in [
        format!("{stale}; {alice}"),
        format!("{alice}; {stale}"),
        format!("{alice}; session=x"),
    ] {
        assert_eq!(get(&layer, &cookies).await.text, "alice by Cookie", "{cookies}");
    }
    refused_for(
        &get(&layer, &format!("{alice}; {bob}")).await,
        401,
        Reason::InvalidCookie,
    );
    for wrong in ["session=", "session=short", "session=a b"] {
        assert_eq!(
            get(&layer, wrong).await.status,
            StatusCode::UNAUTHORIZED,
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn browser_session_stays_one_through_renewals_and_a_change_of_name() {
    let (store, clock) = (Arc::new(MemoryTokenStore::new()), TestClock::new(START));
    let lifetime = Lifetime::absolute(600 * MINUTE).with_idle_timeout(20 * MINUTE);
    let layer = replica(&store, &clock, |builder| builder.session_lifetime(lifetime));
    let form = request("POST /own-login");
    let cookies = layer
        .login_for_browser_session(RequestHead::new(&form), grant("alice"))
        .await;
    let lines = lines(&cookies.expect("a login"));
    assert!(!lines[0].contains("Max-Age"), "{}", lines[0]);
    let session = cookie(lines);
    clock.advance(15 * MINUTE);
    let renewed = get(&layer, &session).await.set_cookies();
    assert!(
        renewed
            .iter()
            .any(|line| line.starts_with(&session) && !line.contains("Max-Age"))
    );
    let form = request(&format!("POST /rename\ncookie: {session}"));
    let renamed = layer
        .login(RequestHead::new(&form), grant("alice").with_label("Alice"))
        .await
        .expect("a login");
    let line = renamed
        .iter()
        .next()
        .expect("a line")
        .to_str()
        .expect("ASCII")
        .to_owned();
    assert!(!line.contains("Max-Age"), "{line}");
    clock.advance(10 * MINUTE);
    let inside = get(&layer, &cookie([line])).await;
    assert_eq!(inside.status, StatusCode::OK);
    let mine = store
        .list_sessions(SessionFilter::owner("alice"), clock.now())
        .await
        .expect("a list");
    assert_eq!(mine.len(), 1);
    assert_eq!(mine[0].created(), START, "it ends when it would have ended");
}

#[tokio::test]
async fn a_future_for_the_end_of_a_session_completes_at_its_logout_and_no_other() {
    let (store, clock) = (Arc::new(MemoryTokenStore::new()), TestClock::new(START));
    let layer = replica(&store, &clock, |builder| builder);
    let [alice, bob] = [
        log_in(&layer, grant("alice"), "").await,
        log_in(&layer, grant("bob"), "").await,
    ];
    let mut context = Context::from_waker(Waker::noop());
    let session = |cookie: String| {
        let layer = layer.clone();
        async move {
            let request = request(&format!("GET /\ncookie: {cookie}"));
            let session: Session = layer
                .authenticate(RequestHead::new(&request))
                .await
                .expect("a session");
            session
        }
    };
    let (hers, his) = (session(alice.clone()).await, session(bob).await);
    assert!(hers.record_id().is_some() && hers.record_id() != his.record_id());
    let (mut hers, mut his) = (pin!(layer.session_ended(&hers)), pin!(layer.session_ended(&his)));
    assert!(hers.as_mut().poll(&mut context).is_pending() && his.as_mut().poll(&mut context).is_pending());
    let leaving = request(&format!("POST /own-logout\ncookie: {alice}"));
    let _ = layer.logout(RequestHead::new(&leaving)).await.expect("a logout");
    assert_eq!(hers.as_mut().poll(&mut context), Poll::Ready(()));
    assert!(his.as_mut().poll(&mut context).is_pending());
}

#[tokio::test]
async fn users_see_their_own_sessions_on_a_page_and_end_them() {
    let (store, clock) = (Arc::new(MemoryTokenStore::new()), TestClock::new(START));
    let layer = replica(&store, &clock, AuthLayerBuilder::sessions_page);
    let mut browsers = Vec::new();
    for name in ["alice", "alice", "alice", "bob"] {
        browsers.push(log_in(&layer, grant(name), "").await);
        clock.advance(5 * MINUTE);
    }
    let [phone, desk, this, bob] = <[String; 4]>::try_from(browsers).expect("four browsers");
    let page = |with: String| {
        send(
            &layer,
            request(&format!("GET /sessions\naccept: text/html\ncookie: {with}")),
        )
    };
    let listed = page(this.clone()).await;
    assert_eq!(listed.status, StatusCode::OK, "{}", listed.text);
    assert_eq!(
        listed.text.matches("<section").count(),
        3,
        "her own: {}",
        listed.text
    );
    assert_eq!(listed.text.matches("Firefox on Linux (this session)").count(), 1);
    assert!(listed.text.contains(">20 minutes ago</time>"), "{}", listed.text);
    let anonymous = page(String::new()).await;
    assert_eq!(
        (anonymous.status, anonymous.header("location")),
        (StatusCode::FOUND, "/login?next=%2Fsessions")
    );

    let xsrf = listed.cookie("_xsrf=");
    let value = xsrf.split_once('=').expect("a pair").1.to_owned();
    let sessions = layer.sessions().expect("a store");
    let mine = sessions.list("alice").await.expect("a list");
    let id_of_bob = sessions.list("bob").await.expect("a list")[0].id;
    let post = |end: String, value: &str| {
        let fields = format!("_xsrf={value}&end={end}");
        send(&layer, post("/sessions", &format!("{this}; {xsrf}"), fields))
    };
    assert_eq!(
        post("others".to_owned(), "wrong").await.status,
        StatusCode::FORBIDDEN
    );
    for nothing in [id_of_bob.to_string(), "nonsense".to_owned(), String::new()] {
        let answer = post(nothing, &value).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (StatusCode::SEE_OTHER, "/sessions")
        );
    }
    for cookie in [&phone, &desk, &this, &bob] {
        assert_eq!(
            get(&layer, cookie).await.status,
            StatusCode::OK,
            "nothing has ended"
        );
    }
    let oldest = mine
        .iter()
        .min_by_key(|session| session.created)
        .expect("three sessions");
    let ended = post(oldest.id.to_string(), &value).await;
    assert_eq!(
        (ended.status, ended.header("location")),
        (StatusCode::SEE_OTHER, "/sessions?done=one")
    );
    refused_for(&get(&layer, &phone).await, 401, Reason::ExpiredCookie);
    assert_eq!(get(&layer, &desk).await.status, StatusCode::OK);
    let ended = post("others".to_owned(), &value).await;
    assert_eq!(ended.header("location"), "/sessions?done=others");
    for (query, status) in [
        ("?done=one", Some("Session logged out.")),
        ("?done=others", Some("All other sessions logged out.")),
        ("?done=%3Cb%3E", None),
        ("", None),
    ] {
        let target = format!("GET /sessions{query}\naccept: text/html\ncookie: {this}");
        let page = send(&layer, request(&target)).await.text;
        let found = page.split_once("role=\"status\">").map(|(_, rest)| rest);
        let found = found.and_then(|rest| rest.split('<').next());
        assert_eq!(found, status, "{query}");
    }
    refused_for(&get(&layer, &desk).await, 401, Reason::ExpiredCookie);
    for cookie in [&this, &bob] {
        assert_eq!(get(&layer, cookie).await.status, StatusCode::OK);
    }
    assert_eq!(sessions.end_all("bob").await.expect("ended"), 1);
    refused_for(&get(&layer, &bob).await, 401, Reason::ExpiredCookie);
}

#[tokio::test]
async fn directory_is_queried_for_signed_cookies_as_well() {
    let (clock, users) = (TestClock::new(START), Directory::default());
    let layer = AuthLayer::builder()
        .custom_login_page()
        .clock(clock.clone())
        .user_lookup(users.clone())
        .build()
        .expect("a layer");
    users.set(grant("alice").with_scopes(["admin"]));
    let alice = signed_login(&layer).await;
    let admin = layer.require_scope("admin");
    for _ in 0..3 {
        assert_eq!(
            get(&admin, &alice).await.status,
            StatusCode::OK,
            "she has become an administrator"
        );
    }
    assert_eq!(users.asked(), 1);
    users.set(grant("alice"));
    *users.down.lock().expect("a flag") = true;
    clock.advance(MINUTE);
    refused_for(&get(&admin, &alice).await, 503, Reason::Unavailable);
    *users.down.lock().expect("a flag") = false;
    refused_for(&get(&admin, &alice).await, 403, Reason::InsufficientScope);
    users.users.lock().expect("users").clear();
    clock.advance(MINUTE);
    refused_for(&get(&layer, &alice).await, 401, Reason::ExpiredCookie);
}

#[tokio::test]
async fn signed_cookies_of_before_are_accepted_until_the_time_that_is_set() {
    let (store, clock) = (Arc::new(MemoryTokenStore::new()), TestClock::new(START));
    let before = AuthLayer::builder()
        .custom_login_page()
        .keyring(keyring())
        .clock(clock.clone());
    let before = before.build().expect("a layer");
    let signed = signed_login(&before).await;
    assert!(signed.starts_with("username-localhost="), "{signed}");

    refused_for(
        &get(&replica(&store, &clock, |builder| builder), &signed).await,
        401,
        Reason::MissingCredential,
    );
    let until = START.saturating_add(60 * MINUTE);
    let after = replica(&store, &clock, |builder| {
        builder.accept_signed_cookies_until(until)
    });
    assert_eq!(get(&after, &signed).await.text, "alice by Cookie");
    let both = log_in(&after, grant("alice"), &signed).await;
    assert_eq!(
        get(&after, &both).await.text,
        "alice by Cookie",
        "the next login is in the store"
    );
    clock.advance(60 * MINUTE);
    refused_for(&get(&after, &signed).await, 401, Reason::MissingCredential);
    assert_eq!(get(&after, &both).await.status, StatusCode::OK);

    clock.set(START);
    let leaving = request(&format!("POST /own-logout\ncookie: {signed}"));
    let removed = after.logout(RequestHead::new(&leaving)).await.expect("a logout");
    assert!(
        removed
            .iter()
            .any(|line| line.to_str().expect("ASCII").starts_with("username-localhost=;"))
    );
    refused_for(&get(&after, &signed).await, 401, Reason::ExpiredCookie);
}

#[tokio::test]
async fn store_that_does_not_answer_is_503_and_the_browser_keeps_its_cookie() {
    let remote = Remote::default();
    remote.set_down(true);
    let (store, clock) = (Arc::new(MemoryTokenStore::new()), TestClock::new(START));
    let broken = AuthLayer::builder()
        .custom_login_page()
        .keyring(keyring())
        .clock(clock.clone())
        .sessions(remote)
        .build()
        .expect("a layer");
    let alice = log_in(&replica(&store, &clock, |builder| builder), grant("alice"), "").await;
    let page = send(
        &broken,
        request(&format!("GET /\naccept: text/html\ncookie: {alice}")),
    )
    .await;
    refused_for(&page, 503, Reason::Unavailable);
    assert!(page.set_cookies().is_empty(), "{page:?}");
    let leaving = request(&format!(
        "POST /logout\nsec-fetch-site: same-origin\ncookie: {alice}"
    ));
    let leaving = send(&broken, leaving).await;
    assert_eq!(leaving.status, StatusCode::SERVICE_UNAVAILABLE, "{leaving:?}");
    assert!(leaving.set_cookies().is_empty() && !leaving.header("retry-after").is_empty());
    let form = request("POST /own-login");
    let denial = broken
        .login(RequestHead::new(&form), grant("alice"))
        .await
        .expect_err("no store");
    assert_eq!(denial.reason(), Reason::Unavailable);
}

/// A store whose answers have to be waited for, and which does not respond while it is down.
#[derive(Clone, Default)]
struct Remote {
    store: Arc<MemoryTokenStore>,
    is_down: Arc<AtomicBool>,
}

impl Remote {
    fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Relaxed);
    }

    fn answer<T: Send + 'static>(
        &self,
        ask: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> BoxFuture<Result<T, StoreError>> {
        match self.is_down.load(Ordering::Relaxed) {
            true => Box::pin(async { Err(StoreError::new(StoreErrorKind::Unavailable, "the disk is gone")) }),
            false => Box::pin(ask),
        }
    }
}

impl SessionStore for Remote {
    fn insert_session(
        &self,
        hash: TokenHash,
        session: SessionRecord,
        replaced: Option<String>,
    ) -> BoxFuture<Result<(), StoreError>> {
        let store = Arc::clone(&self.store);
        self.answer(async move { store.insert_session(hash, session, replaced).await })
    }

    fn find_session(&self, hash: TokenHash) -> MaybeFuture<Result<Option<SessionRecord>, StoreError>> {
        let store = Arc::clone(&self.store);
        MaybeFuture::Future(self.answer(async move { store.find_session(hash).await }))
    }

    fn touch_session(&self, hash: TokenHash, touch: SessionTouch) -> BoxFuture<Result<bool, StoreError>> {
        let store = Arc::clone(&self.store);
        self.answer(async move { store.touch_session(hash, touch).await })
    }

    fn list_sessions(
        &self,
        which: SessionFilter,
        now: UnixTime,
    ) -> BoxFuture<Result<Vec<SessionRecord>, StoreError>> {
        let store = Arc::clone(&self.store);
        self.answer(async move { store.list_sessions(which, now).await })
    }

    fn end_sessions(&self, which: SessionFilter) -> BoxFuture<Result<u64, StoreError>> {
        let store = Arc::clone(&self.store);
        self.answer(async move { store.end_sessions(which).await })
    }

    fn remove_expired_sessions(&self, now: UnixTime, limit: usize) -> BoxFuture<Result<u64, StoreError>> {
        let store = Arc::clone(&self.store);
        self.answer(async move { store.remove_expired_sessions(now, limit).await })
    }
}

#[tokio::test]
async fn launch_link_is_not_used_up_by_a_login_that_the_store_did_not_keep() {
    let (store, clock) = (Remote::default(), TestClock::new(START));
    let layer = AuthLayer::builder()
        .token(TOKEN.parse().expect("a token"))
        .clock(clock.clone())
        .sessions(store.clone())
        .build()
        .expect("a layer");
    let link = || {
        let link = layer.launch_link("http://localhost/").expect("a link");
        let target = link.expose_url().trim_start_matches("http://localhost");
        format!("GET {target}\naccept: text/html\nsec-fetch-mode: navigate\nsec-fetch-dest: document")
    };
    let (link, late) = (link(), link());
    store.set_down(true);
    for _ in 0..2 {
        let unavailable = send(&layer, request(&link)).await;
        assert_eq!(
            unavailable.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{unavailable:?}"
        );
        assert!(unavailable.set_cookies().is_empty() && !unavailable.header("retry-after").is_empty());
    }
    assert_eq!(
        send(&layer, request(&late)).await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    store.set_down(false);
    let opened = send(&layer, request(&link)).await;
    assert_eq!(opened.status, StatusCode::SEE_OTHER, "{opened:?}");
    assert_eq!(
        get(&layer, &opened.cookie("session=")).await.status,
        StatusCode::OK
    );
    assert_eq!(
        send(&layer, request(&link)).await.status,
        StatusCode::FORBIDDEN,
        "once"
    );
    clock.advance(MINUTE);
    assert_eq!(
        send(&layer, request(&late)).await.status,
        StatusCode::FORBIDDEN,
        "its minute has ended"
    );
}

#[tokio::test]
async fn logout_needs_the_same_proof_whether_or_not_the_store_answers_at_once() {
    let clock = TestClock::new(START);
    let layer = |builder: AuthLayerBuilder| {
        let builder = builder
            .custom_login_page()
            .keyring(keyring())
            .clock(clock.clone());
        builder.build().expect("a layer")
    };
    let remote = Remote::default();
    for (which, layer) in [
        (
            "in memory",
            layer(AuthLayer::builder().sessions(MemoryTokenStore::new())),
        ),
        ("remote", layer(AuthLayer::builder().sessions(remote.clone()))),
    ] {
        let session = log_in(&layer, grant("alice"), "").await;
        let page = request(&format!(
            "GET /logout\nsec-fetch-site: cross-site\ncookie: {session}"
        ));
        let page = send(&layer, page).await;
        let xsrf = page.text.split("name=\"_xsrf\" value=\"").nth(1);
        let xsrf = xsrf.and_then(|rest| rest.split('"').next());
        let xsrf = xsrf.unwrap_or_else(|| panic!("{which}: no hidden field in {page:?}"));
        for (site, fields, status) in [
            ("cross-site", String::new(), 403),
            ("same-site", format!("_xsrf={}", "x".repeat(97)), 403),
            ("same-origin", String::new(), 403),
            ("same-origin", format!("_xsrf={xsrf}"), 200),
        ] {
            let mut form = post("/logout", &session, fields.clone());
            form.headers_mut()
                .insert("sec-fetch-site", site.parse().expect("a value"));
            let answer = send(&layer, form).await;
            assert_eq!(
                answer.status, status,
                "{which}, {site}, {fields:?}: {}",
                answer.text
            );
            let is_logged_in = get(&layer, &session).await.status == StatusCode::OK;
            assert_eq!(is_logged_in, status == 403, "{which}, {site}, {fields:?}");
        }
    }
}

#[tokio::test]
async fn expired_sessions_are_removed_and_others_stay() {
    let (store, clock) = (Arc::new(MemoryTokenStore::new()), TestClock::new(START));
    let layer = replica(&store, &clock, |builder| {
        builder.session_lifetime(Lifetime::absolute(60 * MINUTE))
    });
    for number in 0..3 {
        log_in(&layer, grant(&format!("early-{number}")), "").await;
    }
    clock.advance(30 * MINUTE);
    let late = log_in(&layer, grant("late"), "").await;
    clock.advance(30 * MINUTE);
    let sessions = layer.sessions().expect("a store");
    assert_eq!(sessions.remove_expired().await.expect("removed"), 3);
    assert_eq!(sessions.remove_expired().await.expect("removed"), 0);
    assert_eq!(get(&layer, &late).await.text, "late by Cookie");
}

#[test]
fn settings_of_sessions_without_a_store_or_of_users_without_names_are_configuration_errors() {
    for (setting, builder) in [
        (
            "sessions_page",
            AuthLayer::builder().custom_login_page().sessions_page(),
        ),
        (
            "accept_signed_cookies_until",
            AuthLayer::builder()
                .custom_login_page()
                .accept_signed_cookies_until(START),
        ),
        (
            "user_lookup",
            AuthLayer::builder()
                .token(TOKEN.parse().expect("a token"))
                .user_lookup(Directory::default()),
        ),
    ] {
        let error = builder.build().expect_err(setting);
        assert_eq!(error.setting(), setting);
    }
}

#[tokio::test]
async fn login_by_a_token_needs_its_user_in_the_directory_with_and_without_a_store() {
    for stored in [true, false] {
        let (clock, users) = (TestClock::new(START), Directory::default());
        let grants =
            [("alice", "read"), ("bob", "read")].map(|(name, scope)| grant(name).with_scopes([scope]));
        let keys = [
            "key-of-alice-0123456789abcdef0123456789",
            "key-of-bob-0123456789abcdef0123456789abc",
        ];
        let tokens = keys.map(|key| key.parse::<Token>().expect("a token"));
        let known = TokenSet::new(tokens.iter().cloned().zip(grants)).expect("two tokens");
        let builder = AuthLayer::builder()
            .bearer_tokens(known)
            .allow_token_login()
            .clock(clock.clone())
            .user_lookup(users.clone());
        let builder = if stored {
            builder.sessions(MemoryTokenStore::new())
        } else {
            builder
        };
        let layer = builder.build().expect("a layer");
        users.set(grant("alice").with_scopes(["read", "write"]));
        for (token, status) in tokens.iter().zip([StatusCode::OK, StatusCode::UNAUTHORIZED]) {
            let (xsrf, value) = login_form(&layer).await;
            let fields = format!("_xsrf={value}&password={}", token.expose());
            let logged_in = send(&layer, post("/login", &xsrf, fields)).await;
            assert_eq!(logged_in.status, StatusCode::FOUND, "{}", logged_in.text);
            let name = if stored { "session=" } else { "username-" };
            let session = logged_in.cookie(name);
            clock.advance(MINUTE);
            assert_eq!(get(&layer, &session).await.status, status, "stored: {stored}");
            let writes = get(&layer.require_scope("write"), &session).await;
            assert_ne!(writes.status, StatusCode::OK, "no more than the token may do");
        }
    }
}

#[tokio::test]
async fn session_with_a_stamp_outlives_a_change_of_the_keyring_until_the_old_key_retires() {
    let (store, clock, users) = (
        Arc::new(MemoryTokenStore::new()),
        TestClock::new(START),
        Directory::default(),
    );
    let key = |number| Secret::from(vec![number; 32]);
    let with = |keyring: Keyring| {
        replica(&store, &clock, |builder| {
            builder.keyring(keyring).user_lookup(users.clone())
        })
    };
    let stamped = grant("alice").with_security_stamp("a hash");
    users.set(stamped.clone());
    let old = with(Keyring::from_secret(key(7)).expect("a key"));
    let alice = log_in(&old, stamped, "").await;
    let retires = START.saturating_add(60 * MINUTE);
    let keyring = Keyring::from_secret(key(8)).and_then(|new| new.with_previous_key(key(7), retires));
    let new = with(keyring.expect("two keys"));
    clock.advance(2 * MINUTE);
    assert_eq!(get(&new, &alice).await.text, "alice by Cookie");
    users.set(grant("alice").with_security_stamp("another hash"));
    clock.advance(MINUTE);
    refused_for(&get(&new, &alice).await, 401, Reason::ExpiredCookie);
    clock.advance(60 * MINUTE);
    let alice = log_in(&old, grant("alice"), "").await;
    refused_for(&get(&new, &alice).await, 401, Reason::ExpiredCookie);
}

#[tokio::test]
async fn renewal_never_writes_a_value_that_was_planted() {
    let (store, clock) = (Arc::new(MemoryTokenStore::new()), TestClock::new(START));
    let lifetime = Lifetime::absolute(600 * MINUTE).with_idle_timeout(20 * MINUTE);
    let layer = replica(&store, &clock, |builder| builder.session_lifetime(lifetime));
    let alice = log_in(&layer, grant("alice"), "").await;
    clock.advance(15 * MINUTE);
    let answer = get(&layer, &format!("session={}; {alice}", "a".repeat(43))).await;
    assert_eq!(answer.text, "alice by Cookie");
    assert!(
        answer
            .set_cookies()
            .iter()
            .all(|line| !line.starts_with("session=")),
        "{answer:?}"
    );
    clock.advance(15 * MINUTE);
    assert_eq!(
        get(&layer, &alice).await.status,
        StatusCode::OK,
        "it was used in between"
    );
}

#[tokio::test]
async fn changed_password_ends_the_sessions_made_with_the_old_one_and_a_better_hash_not_the_login_that_made_it()
 {
    let clock = TestClock::new(START);
    let weak = fast_password_hash("alice's").expose().parse().expect("a hash");
    let users = [("alice", weak), ("bob", fast_password_hash("bob's"))];
    let users = users.map(|(name, hash)| (Identity::new(name), hash));
    let users = MemoryPasswordStore::new(users).expect("two users");
    let passwords = StoredPasswords::new(users.clone());
    let layer = AuthLayer::builder()
        .password_verifier(passwords.clone())
        .user_lookup(passwords)
        .clock(clock.clone())
        .sessions(MemoryTokenStore::new())
        .build()
        .expect("a layer");
    let mut sessions = Vec::new();
    for name in ["alice", "bob"] {
        let (xsrf, value) = login_form(&layer).await;
        let fields = format!("_xsrf={value}&username={name}&password={name}'s");
        let logged_in = send(&layer, post("/login", &xsrf, fields)).await;
        assert_eq!(logged_in.status, StatusCode::FOUND, "{}", logged_in.text);
        sessions.push(logged_in.cookie("session="));
    }
    clock.advance(MINUTE);
    for session in &sessions {
        assert_eq!(get(&layer, session).await.status, StatusCode::OK);
    }
    assert!(users.set_password("alice", fast_password_hash("another")));
    clock.advance(MINUTE);
    refused_for(&get(&layer, &sessions[0]).await, 401, Reason::ExpiredCookie);
    assert_eq!(get(&layer, &sessions[1]).await.text, "bob by Cookie");
    assert!(users.remove("bob"));
    clock.advance(MINUTE);
    refused_for(&get(&layer, &sessions[1]).await, 401, Reason::ExpiredCookie);
}

#[tokio::test]
async fn logout_ends_the_session_despite_planted_cookies() {
    let (store, clock) = (Arc::new(MemoryTokenStore::new()), TestClock::new(START));
    let layer = replica(&store, &clock, |builder| builder);
    let alice = log_in(&layer, grant("alice"), "").await;
    let planted: String = (100..300)
        .map(|number| format!("session={}{number}; ", "a".repeat(40)))
        .collect();
    let leaving = request(&format!(
        "POST /logout\nsec-fetch-site: same-origin\ncookie: {planted}{alice}"
    ));
    assert_eq!(send(&layer, leaving).await.status, StatusCode::OK);
    refused_for(&get(&layer, &alice).await, 401, Reason::ExpiredCookie);
}
