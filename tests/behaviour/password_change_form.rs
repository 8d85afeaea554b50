//! A user who has the shared password, or the shared token, sets another password by the form; it holds at once and at the next
//! start, and every other browser is logged out.

use std::{
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Waker},
};

use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use portcullis::{
    AuthLayer, AuthLayerBuilder, BackendError, Event, Identity, Keyring, MaybeFuture, PasswordHash, Reason,
    RequestHead, Secret, Token,
    clock::UnixTime,
    password::PasswordPolicy,
    testing::TestClock,
    verify::{MemoryPasswordStore, StoredPasswords},
};

use crate::{
    common::{Answered, TOKEN, refused_for, request, send},
    secret_scanner::{Canary, Sinks},
};

const OLD: &str = "purple tricycle nine";
const NEW: &str = "a green unicycle, ten";

/// The stored hash, and the reported events.
#[derive(Clone, Default)]
struct Disk {
    hashes: Arc<Mutex<Vec<PasswordHash>>>,
    events: Arc<Mutex<Vec<String>>>,
}

impl Disk {
    fn last(&self) -> Option<PasswordHash> {
        self.hashes.lock().expect("one at a time").last().cloned()
    }

    fn events(&self) -> Vec<String> {
        std::mem::take(&mut *self.events.lock().expect("one at a time"))
    }

    fn builder(&self) -> AuthLayerBuilder {
        let (hashes, events) = (self.hashes.clone(), self.events.clone());
        AuthLayer::builder()
            .keyring(Keyring::from_secret(Secret::from(&[1; 32][..])).expect("32 bytes"))
            .allow_password_change(PasswordPolicy::new(), move |hash: &PasswordHash| {
                hashes.lock().expect("one at a time").push(hash.clone());
                MaybeFuture::Ready(Ok(()))
            })
            .observer(move |event: &Event<'_>| {
                let event = format!("{event:?}");
                let name = event.split([' ', '{']).next().unwrap_or_default().to_owned();
                events.lock().expect("one at a time").push(name);
            })
    }

    fn server(&self, hash: PasswordHash) -> AuthLayer {
        self.builder().password(hash).build().expect("a layer")
    }
}

fn hash(password: &str) -> PasswordHash {
    PasswordHash::hash(&password.into()).expect("a good password")
}

fn post(target: &str, fields: &str, body: &str) -> Request<Full<Bytes>> {
    let lines = format!("POST {target}\ncontent-type: application/x-www-form-urlencoded\n{fields}");
    request(&lines).map(|_| Full::from(body.to_owned()))
}

/// Sends the form with these fields, from a browser with this session or without one.
async fn submit(layer: &AuthLayer, session: &str, fields: &[(&str, &str)]) -> Answered {
    let page = request(&format!(
        "GET /login?change=password\naccept: text/html\ncookie: {session}"
    ));
    let page = send(layer, page).await;
    let xsrf = page.cookie("_xsrf=");
    let mut body = format!("_xsrf={}", xsrf.split_once('=').expect("a pair").1);
    for (name, value) in fields {
        body.push_str(&format!("&{name}={}", value.replace(' ', "+")));
    }
    send(
        layer,
        post("/login?next=%2Flab", &format!("cookie: {session}; {xsrf}"), &body),
    )
    .await
}

async fn log_in(layer: &AuthLayer, password: &str) -> Answered {
    submit(layer, "a=b", &[("password", password)]).await
}

async fn is_in(layer: &AuthLayer, session: &str) -> bool {
    let answer = send(layer, request(&format!("GET /\ncookie: {session}"))).await;
    answer.status == StatusCode::OK
}

#[tokio::test]
async fn a_new_password_keeps_the_spaces_at_its_ends() {
    let disk = Disk::default();
    let layer = disk.server(hash(OLD));
    let new = format!(" {NEW} ");
    let change = |again: &str| {
        let fields = [
            ("password", OLD),
            ("new_password", &new),
            ("new_password_again", again),
        ];
        let fields = fields.map(|(name, value)| (name, value.to_owned()));
        let layer = &layer;
        async move {
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            submit(layer, "a=b", &fields).await.status
        }
    };
    assert_eq!(change(NEW).await, StatusCode::BAD_REQUEST, "two different ones");
    assert_eq!(change(&new).await, StatusCode::FOUND);
    assert_eq!(log_in(&layer, NEW).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(log_in(&layer, &new).await.status, StatusCode::FOUND);
}

#[tokio::test]
async fn a_change_ends_every_session_but_that_of_who_made_it_and_outlives_a_restart() {
    let disk = Disk::default();
    let layer = disk.server(hash(OLD));
    let mine = log_in(&layer, OLD).await.cookie("username-localhost=");
    let others = log_in(&layer, OLD).await.cookie("username-localhost=");
    let head = request(&format!("GET /\ncookie: {others}"));
    let session = layer
        .authenticate(RequestHead::new(&head))
        .await
        .expect("a good cookie");
    let mut ended = pin!(layer.session_ended(&session));
    let mut context = Context::from_waker(Waker::noop());
    assert!(ended.as_mut().poll(&mut context).is_pending());
    disk.events();

    let changed = submit(&layer, &mine, &[("password", OLD), ("new_password", NEW)]).await;
    assert_eq!(
        (changed.status, changed.header("location")),
        (StatusCode::FOUND, "/lab"),
        "{changed:?}"
    );
    assert_eq!(disk.events(), ["PasswordChanged", "LoggedIn"]);
    assert!(
        ended.as_mut().poll(&mut context).is_ready(),
        "an open socket ends"
    );
    let fresh = changed.cookie("username-localhost=");
    let kept = disk.last().expect("it was kept");
    for (layer, when) in [(layer.clone(), "at once"), (disk.server(kept), "after a restart")] {
        assert!(is_in(&layer, &fresh).await, "{when}");
        for old in [&mine, &others] {
            let answer = send(&layer, request(&format!("GET /\ncookie: {old}"))).await;
            refused_for(&answer, 401, Reason::InvalidCookie);
        }
        assert_eq!(
            log_in(&layer, OLD).await.status,
            StatusCode::UNAUTHORIZED,
            "{when}"
        );
        assert_eq!(log_in(&layer, NEW).await.status, StatusCode::FOUND, "{when}");
    }

    let next = "and now a monowheel, eleven";
    let again = submit(&layer, &fresh, &[("password", NEW), ("new_password", next)]).await;
    assert_eq!(again.status, StatusCode::FOUND, "{again:?}");
    assert!(!is_in(&layer, &fresh).await && is_in(&layer, &again.cookie("username-")).await);
}

#[tokio::test]
async fn a_form_of_after_the_change_works_in_a_tab_that_was_logged_out() {
    let disk = Disk::default();
    let layer = disk.server(hash(OLD));
    let other_tab = log_in(&layer, OLD).await;
    let cookies = format!(
        "{}; {}",
        other_tab.cookie("username-"),
        other_tab.cookie("_xsrf=")
    );
    submit(&layer, "a=b", &[("password", OLD), ("new_password", NEW)]).await;
    let page = send(&layer, request(&format!("GET /login\ncookie: {cookies}"))).await;
    let xsrf = page.cookie("_xsrf=");
    let value = xsrf.split_once('=').expect("a pair").1;
    let body = format!("_xsrf={value}&password={}", NEW.replace(' ', "+"));
    let answer = send(&layer, post("/login", &format!("cookie: {xsrf}"), &body)).await;
    assert_eq!(answer.status, StatusCode::FOUND, "{answer:?}");
}

#[tokio::test]
async fn what_is_not_proven_or_will_not_do_changes_nothing() {
    let disk = Disk::default();
    let layer = disk.server(hash(OLD));
    let session = log_in(&layer, OLD).await.cookie("username-localhost=");
    for (password, new, again, status, says) in [
        ("wrong", NEW, NEW, 401, "Incorrect password."),
        ("", NEW, NEW, 401, "Incorrect password."),
        ("wrong", "tiny5", "tiny5", 401, "Incorrect password."),
        (
            OLD,
            "tiny5",
            "tiny5",
            400,
            "The password is too short: expected at least 15 characters, found 5.",
        ),
        (
            OLD,
            "password12345678",
            "password12345678",
            400,
            "too easy to guess",
        ),
        (
            OLD,
            NEW,
            "another one, eleven",
            400,
            "The passwords do not match.",
        ),
    ] {
        let fields = [
            ("password", password),
            ("new_password", new),
            ("new_password_again", again),
        ];
        let answer = submit(&layer, &session, &fields).await;
        assert_eq!(answer.status.as_u16(), status, "{new}: {answer:?}");
        assert!(answer.text.contains(says), "{says}: {}", answer.text);
        assert!(
            answer.text.contains("name=\"new_password\""),
            "the same form again"
        );
        assert!(!answer.text.contains(new), "what was typed is not shown again");
    }
    assert!(disk.last().is_none() && is_in(&layer, &session).await);
    let forged = post(
        "/login",
        &format!("cookie: {session}"),
        &format!(
            "_xsrf=wrong&password={}&new_password={}",
            OLD.replace(' ', "+"),
            NEW.replace(' ', "+")
        ),
    );
    assert_eq!(send(&layer, forged).await.status, StatusCode::FORBIDDEN);
    assert!(disk.last().is_none());
}

#[tokio::test]
async fn policy_checks_no_password_before_the_rate_limit_and_the_old_password() {
    let layer = Disk::default()
        .builder()
        .password(hash(OLD))
        .clock(TestClock::new(UnixTime::from_secs(1_700_000_000)))
        .build()
        .expect("a layer");
    // As slow to take apart as any.
    let new = format!("{}\u{e9}", "abcdefghijklmnopqrstuvwxyz".repeat(3).split_at(63).0);
    for attempt in 0..20 {
        let new = if attempt % 2 == 0 { "short" } else { &new };
        let fields = [("password", "wrong"), ("new_password", new)];
        let answer = submit(&layer, "a=b", &fields).await;
        let expected = if attempt < 5 { 401 } else { 429 };
        assert_eq!(answer.status.as_u16(), expected, "{attempt}: {answer:?}");
    }
}

#[tokio::test]
async fn the_token_sets_the_first_password() {
    let disk = Disk::default();
    let token = || TOKEN.parse::<Token>().expect("a token");
    let layer = disk.builder().token(token()).build().expect("a layer");
    let page = send(&layer, request("GET /login")).await;
    assert!(
        page.text.contains(">Token</label>"),
        "there is no password yet: {}",
        page.text
    );
    assert_eq!(
        log_in(&layer, "any password").await.status,
        StatusCode::UNAUTHORIZED
    );
    let session = log_in(&layer, TOKEN).await.cookie("username-localhost=");
    let changed = submit(&layer, "a=b", &[("password", TOKEN), ("new_password", NEW)]).await;
    assert_eq!(changed.status, StatusCode::FOUND, "{changed:?}");
    assert!(!is_in(&layer, &session).await);
    for typed in [NEW, TOKEN] {
        assert_eq!(log_in(&layer, typed).await.status, StatusCode::FOUND, "{typed}");
    }
    let page = send(&layer, request("GET /login")).await;
    assert!(page.text.contains(">Password or token</label>"), "{}", page.text);
    let kept = disk.last().expect("it was kept");
    let next_start = disk
        .builder()
        .token(token())
        .password(kept)
        .build()
        .expect("a layer");
    assert!(is_in(&next_start, &changed.cookie("username-")).await);
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_set() {
    let layer = AuthLayer::builder()
        .password(hash(OLD))
        .allow_password_change(PasswordPolicy::new(), |_: &PasswordHash| {
            MaybeFuture::from_future(async { Err(BackendError::new("the disk is full")) })
        })
        .build()
        .expect("a layer");
    let session = log_in(&layer, OLD).await.cookie("username-localhost=");
    let answer = submit(&layer, &session, &[("password", OLD), ("new_password", NEW)]).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        answer.text.contains("could not be saved") && !answer.text.contains("disk"),
        "{}",
        answer.text
    );
    assert!(is_in(&layer, &session).await);
    assert_eq!(
        log_in(&layer, OLD).await.status,
        StatusCode::FOUND,
        "the old one still holds"
    );
}

#[tokio::test]
async fn of_two_changes_at_once_one_is_made_and_kept() {
    let disk = Disk::default();
    let layer = disk.server(hash(OLD));
    let other = "a third thing, twelve";
    let to = |new| [("password", OLD), ("new_password", new)];
    let (first, second) = (to(NEW), to(other));
    let (one, two) = tokio::join!(submit(&layer, "a=b", &first), submit(&layer, "a=b", &second));
    let made = [&one, &two].map(|answer| answer.status == StatusCode::FOUND);
    assert!(made[0] != made[1], "{one:?} {two:?}");
    let (right, wrong) = if made[0] { (NEW, other) } else { (other, NEW) };
    assert!(disk.last().expect("it was kept").verify(&right.into()));
    assert_eq!(log_in(&layer, right).await.status, StatusCode::FOUND);
    assert_eq!(log_in(&layer, wrong).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn where_it_is_not_allowed_nothing_is_offered_and_nothing_changes() {
    let layer = AuthLayer::password(hash(OLD));
    let page = send(&layer, request("GET /login?change=password")).await;
    assert!(
        !page.text.contains("new_password") && !page.text.contains("Change"),
        "{}",
        page.text
    );
    let answer = submit(&layer, "a=b", &[("password", OLD), ("new_password", NEW)]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(log_in(&layer, OLD).await.status, StatusCode::FOUND);
}

#[test]
fn a_password_change_that_no_user_could_make_is_a_configuration_error() {
    let changes = || Disk::default().builder();
    let users = || {
        StoredPasswords::new(MemoryPasswordStore::new([(Identity::new("alice"), hash(OLD))]).expect("users"))
    };
    for (what, builder) in [
        (
            "nothing to prove",
            changes().authenticator(portcullis::authenticator_fn(|_| portcullis::Outcome::Absent)),
        ),
        ("users with names", changes().password_verifier(users())),
        (
            "users with names, and a token",
            changes().password_verifier(users()).token(Token::generate()),
        ),
    ] {
        let error = builder.build().expect_err(what);
        assert_eq!(error.setting(), "allow_password_change", "{what}");
    }
}

#[tokio::test]
async fn a_weak_hash_and_a_client_without_an_address_are_reported() {
    let disk = Disk::default();
    // The legacy form of Jupyter's: sha1 of the password, then the salt.
    let weak = "sha1:12345678:c65c037cedb2104a268bd9fce486426a4dd9405a";
    let layer = disk.server(weak.parse().expect("a hash"));
    let _ = log_in(&layer, "wrong").await;
    assert_eq!(disk.events(), ["ClientAddressUnknown", "Denied"]);
    let _ = log_in(&layer, "purple tricycle nine").await;
    assert_eq!(
        disk.events(),
        ["WeakPasswordHash", "LoggedIn"],
        "each weak login, and the address once"
    );
}

#[tokio::test]
async fn no_password_old_new_or_wrong_is_leaked() {
    let [old, new, wrong, again] = ["old", "new", "wrong", "again"].map(Canary::new);
    let sinks = Sinks::default();
    for kept in [true, false] {
        let log = sinks.clone();
        let layer = AuthLayer::builder()
            .password(hash(old.text()))
            .allow_password_change(PasswordPolicy::new(), move |_: &PasswordHash| {
                MaybeFuture::Ready(
                    kept.then_some(())
                        .ok_or_else(|| BackendError::new("the disk is full")),
                )
            })
            .observer(move |event: &Event<'_>| log.debug("event", event))
            .build()
            .expect("a layer");
        sinks.debug("Debug", &layer);
        let (right, next) = (("password", old.text()), ("new_password", new.text()));
        for fields in [
            &[("password", wrong.text()), next][..],
            &[right, ("new_password", "short")],
            &[right, next, ("new_password_again", again.text())],
            &[
                right,
                ("new_password", new.text()),
                ("new_password_again", new.text()),
            ],
            &[right, next],
        ] {
            sinks.debug("answer", &submit(&layer, "a=b", fields).await);
        }
    }
    for canary in [&old, &new, &wrong, &again] {
        assert_eq!(sinks.leaks_of(canary, &[]), [] as [String; 0]);
    }
    assert!(sinks.count("answer") > 4 && sinks.count("event") > 3);
}
