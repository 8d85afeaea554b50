//! Tokens of a set or a store, typed into the form: a login has the grant of the token, and ends with it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http_body_util::Full;
use portcullis::{
    AuthLayer, AuthLayerBuilder, BackendError, Grant, Identity, MaybeFuture, PasswordHash, Reason, Token,
    TokenSet, TokenVerifier, Verification,
    authenticate::TokenSource,
    clock::UnixTime,
    request::Peer,
    testing::TestClock,
    token::{PresentedToken, TokenHash},
    verify::{MemoryPasswordStore, StoredPasswords},
};

use crate::common::{Answered, TOKEN, refused_for, request, send};

const START: UnixTime = UnixTime::from_secs(1_700_000_000);

fn grant(name: &str) -> Grant {
    Grant::new(Identity::new(name)).with_scopes(["read"])
}

fn set(key: &str, grant: Grant) -> TokenSet {
    TokenSet::new([(key.parse::<Token>().expect("a token"), grant)]).expect("a set")
}

fn built(builder: AuthLayerBuilder) -> AuthLayer {
    builder.allow_token_login().build().expect("a layer")
}

async fn type_in(auth: &AuthLayer, typed: &str) -> Answered {
    let page = send(auth, request("GET /login\naccept: text/html")).await;
    let xsrf = page.cookie("_xsrf=");
    let lines = format!("POST /login\ncontent-type: application/x-www-form-urlencoded\ncookie: {xsrf}");
    let body = format!("{xsrf}&password={}", typed.replace(' ', "+"));
    send(auth, request(&lines).map(|_| Full::from(body))).await
}

async fn visit(auth: &AuthLayer, login: &Answered) -> Answered {
    let cookie = login.cookie("username-localhost=");
    send(auth, request(&format!("GET /\ncookie: {cookie}"))).await
}

#[tokio::test]
async fn a_login_has_the_current_grant_of_its_token() {
    let keys = set("first-key", grant("alice"));
    let auth = built(AuthLayer::builder().bearer_tokens(keys.clone()));
    let login = type_in(&auth, " first-key ").await;
    assert_eq!(login.status, 302, "{login:?}");
    assert_eq!(visit(&auth, &login).await.text, "alice by Cookie");
    assert_eq!(visit(&auth.require_scope("read"), &login).await.status, 200);
    assert_eq!(visit(&auth.require_scope("write"), &login).await.status, 403);

    keys.replace(set("first-key", grant("alice").with_scopes(["write"])));
    assert_eq!(visit(&auth.require_scope("write"), &login).await.status, 200);
    keys.replace(set("second-key", grant("alice")));
    refused_for(&visit(&auth, &login).await, 401, Reason::ExpiredCookie);
    let cookie = login.cookie("username-localhost=");
    let ended = send(
        &auth,
        request(&format!("GET /\naccept: text/html\ncookie: {cookie}")),
    )
    .await;
    assert!(
        ended
            .set_cookies()
            .iter()
            .any(|line| line.starts_with("username-localhost=")),
        "{ended:?}"
    );
    assert_eq!(type_in(&auth, "first-key").await.status, 401);
    assert_eq!(type_in(&auth, "second-key").await.status, 302);
}

#[tokio::test]
async fn an_ended_token_starts_no_login_and_ends_its_logins() {
    let clock = TestClock::new(START);
    let key = set(
        "a-key",
        grant("alice").with_expiry(START.saturating_add(Duration::from_secs(60))),
    );
    let auth = built(AuthLayer::builder().bearer_tokens(key).clock(clock.clone()));
    let login = type_in(&auth, "a-key").await;
    assert_eq!(visit(&auth, &login).await.status, 200);
    clock.advance(Duration::from_secs(60));
    assert_eq!(visit(&auth, &login).await.status, 401);
    assert_eq!(type_in(&auth, "a-key").await.status, 401);
}

#[tokio::test]
async fn a_token_has_its_grant_by_every_login() {
    let clock = TestClock::new(START);
    let end = START.saturating_add(Duration::from_secs(60));
    let token: Token = "a-key".parse().expect("a token");
    let auth = AuthLayer::builder()
        .token_with_grant(token, grant("alice").with_expiry(end))
        .clock(clock.clone())
        .build()
        .expect("a layer");
    let page = "accept: text/html";
    let by_header = send(&auth, request("GET /\nauthorization: Bearer a-key")).await;
    assert_eq!(by_header.text, "alice by Token");
    let by_query = send(&auth, request(&format!("GET /?token=a-key\n{page}"))).await;
    assert_eq!(
        (by_query.status.as_u16(), by_query.header("location")),
        (303, "/")
    );
    for login in [by_query, type_in(&auth, "a-key").await] {
        assert_eq!(visit(&auth, &login).await.text, "alice by Cookie");
        assert_eq!(visit(&auth.require_scope("read"), &login).await.status, 200);
        assert_eq!(visit(&auth.require_scope("write"), &login).await.status, 403);
        clock.set(end);
        assert_eq!(visit(&auth, &login).await.status, 401);
        clock.set(START);
    }
    assert_eq!(send(&auth, request("GET /?token=another")).await.status, 401);
    let mixed = AuthLayer::builder()
        .token_with_grant("a-key".parse().expect("a token"), grant("alice"))
        .bearer_tokens(set("b-key", grant("bob")))
        .build()
        .expect("a layer");
    assert_eq!(
        type_in(&mixed, "b-key").await.status,
        401,
        "not typed unless it is said"
    );
}

#[tokio::test]
async fn tokens_start_no_login_unless_configured() {
    let auth = AuthLayer::builder()
        .bearer_tokens(set("a-key", grant("alice")))
        .build()
        .expect("a layer");
    let page = send(&auth, request("GET /login\naccept: text/html")).await;
    refused_for(&page, 401, Reason::MissingCredential);
}

#[tokio::test]
async fn a_cookie_of_a_token_is_nothing_where_tokens_do_not_log_in() {
    let keyring = portcullis::Keyring::generate;
    let keyring = keyring();
    let (keys, token) = (
        set("a-key", grant("alice")),
        TOKEN.parse::<Token>().expect("a token"),
    );
    let before = built(
        AuthLayer::builder()
            .token(token.clone())
            .bearer_tokens(keys.clone())
            .keyring(keyring.clone()),
    );
    let after = AuthLayer::builder()
        .token(token)
        .bearer_tokens(keys)
        .custom_login_page()
        .token_sources([TokenSource::Authorization])
        .keyring(keyring)
        .build()
        .expect("a layer");
    let login = type_in(&before, "a-key").await;
    assert_eq!(visit(&before, &login).await.text, "alice by Cookie");
    refused_for(&visit(&after, &login).await, 401, Reason::ExpiredCookie);
    let shared = type_in(&before, TOKEN).await;
    assert_eq!(
        visit(&after, &shared).await.status,
        200,
        "the keyring is the same"
    );
}

#[tokio::test]
async fn a_token_or_the_password_may_be_typed() {
    // It might be a token.
    let password = "a-long-enough-passphrase";
    let hash = PasswordHash::hash(&password.into()).expect("a good password");
    let auth = built(
        AuthLayer::builder()
            .bearer_tokens(set("a-key", grant("alice")))
            .password(hash),
    );
    for (typed, status) in [("a-key", 302), (password, 302), ("another-key", 401)] {
        assert_eq!(type_in(&auth, typed).await.status, status, "{typed}");
    }
}

/// A store that answers later, and may be down.
#[derive(Clone)]
struct Database(Arc<AtomicBool>);

impl Database {
    fn answer(&self, hash: TokenHash) -> MaybeFuture<Verification> {
        let database = self.clone();
        MaybeFuture::from_future(async move {
            tokio::task::yield_now().await;
            if database.0.load(Ordering::Relaxed) {
                return Verification::Unavailable(BackendError::new("down"));
            }
            match hash == "a-key".parse::<Token>().expect("a token").hash() {
                true => Verification::Valid(grant("alice")),
                false => Verification::Unknown,
            }
        })
    }
}

impl TokenVerifier for Database {
    fn verify(&self, token: PresentedToken<'_>) -> MaybeFuture<Verification> {
        self.answer(token.hash())
    }

    fn verify_hash(&self, hash: TokenHash) -> MaybeFuture<Verification> {
        self.answer(hash)
    }
}

/// Knows a token of 8,000 characters, as another system issues them.
struct Jwts;

impl TokenVerifier for Jwts {
    fn verify(&self, token: PresentedToken<'_>) -> MaybeFuture<Verification> {
        match token.expose().len() {
            8_000 => Verification::Valid(grant("jane")).into(),
            _ => Verification::Unknown.into(),
        }
    }
}

#[tokio::test]
async fn a_token_as_long_as_a_header_carries_it_may_be_typed_in() {
    let auth = built(
        AuthLayer::builder()
            .bearer_tokens(set("other-key", grant("bob")))
            .bearer_tokens(Jwts),
    );
    for (length, status) in [(8_000, 302), (7_999, 401), (8_001, 401)] {
        assert_eq!(
            type_in(&auth, &"x".repeat(length)).await.status,
            status,
            "{length}"
        );
    }
}

#[tokio::test]
async fn a_store_that_is_down_ends_no_login() {
    let down = Arc::new(AtomicBool::new(false));
    let auth = built(
        AuthLayer::builder()
            .bearer_tokens(set("other-key", grant("bob")))
            .bearer_tokens(Database(down.clone())),
    );
    let login = type_in(&auth, "a-key").await;
    assert_eq!(visit(&auth, &login).await.text, "alice by Cookie");
    assert_eq!(type_in(&auth, "wrong").await.status, 401);

    down.store(true, Ordering::Relaxed);
    assert_eq!(type_in(&auth, "a-key").await.status, 503);
    let answer = visit(&auth, &login).await;
    refused_for(&answer, 503, Reason::Unavailable);
    assert!(answer.set_cookies().is_empty(), "{answer:?}");
    assert_eq!(
        type_in(&auth, "other-key").await.status,
        302,
        "who is known need not wait for others"
    );

    down.store(false, Ordering::Relaxed);
    assert_eq!(visit(&auth, &login).await.text, "alice by Cookie");
}

const PASSWORD: &str = "purple tricycle nine";

/// Sends the form with this user name and this password or token, from the client at this address.
async fn type_in_from(auth: &AuthLayer, address: u8, username: &str, typed: &str) -> Answered {
    let page = send(auth, request("GET /login\naccept: text/html")).await;
    let xsrf = page.cookie("_xsrf=");
    let lines = format!("POST /login\ncontent-type: application/x-www-form-urlencoded\ncookie: {xsrf}");
    let typed = typed.replace(' ', "+");
    let body = format!("{xsrf}&username={username}&password={typed}");
    let mut form = request(&lines).map(|_| Full::from(body));
    let peer = Peer::Ip(([192, 0, 2, address], 1).into());
    form.extensions_mut().insert(peer);
    send(auth, form).await
}

/// Servers where a password and a token log in, each with a token that is not alice's.
fn servers() -> Vec<(AuthLayer, &'static str)> {
    let hash = || PasswordHash::hash(&PASSWORD.into()).expect("a good password");
    let alice = || MemoryPasswordStore::new([(Identity::new("alice"), hash())]).expect("users");
    let builder = || AuthLayer::builder().clock(TestClock::new(START));
    let named = || builder().password_verifier(StoredPasswords::new(alice()));
    let keys = || set("key-of-mallory", grant("mallory"));
    let shared_token = || TOKEN.parse::<Token>().expect("a token");
    vec![
        (built(named().bearer_tokens(keys())), "key-of-mallory"),
        (
            built(builder().password(hash()).bearer_tokens(keys())),
            "key-of-mallory",
        ),
        (built(named().token(shared_token())), TOKEN),
        (built(builder().password(hash()).token(shared_token())), TOKEN),
    ]
}

#[tokio::test]
async fn login_by_a_token_leaves_the_failures_of_the_typed_account() {
    for (number, (auth, own_token)) in servers().into_iter().enumerate() {
        let (mut checked, mut logged_in) = (0, 0);
        for _ in 0..200 {
            let login = type_in_from(&auth, 7, "alice", own_token).await;
            logged_in += u32::from(login.status == 302);
            let guess = type_in_from(&auth, 7, "alice", "a wrong password").await;
            match guess.status.as_u16() {
                401 => checked += 1,
                429 => {}
                status => panic!("server {number}: {status}"),
            }
        }
        assert_eq!(checked, 5, "server {number}");
        assert_eq!(logged_in, 5, "server {number}: before there is a wait");
    }
}

#[tokio::test]
async fn login_by_a_token_makes_no_address_known_to_the_typed_account() {
    for (number, (auth, own_token)) in servers().into_iter().enumerate() {
        let home = 1;
        let login = type_in_from(&auth, home, "alice", PASSWORD).await;
        assert_eq!(login.status, 302, "server {number}");
        for address in 10..20 {
            let login = type_in_from(&auth, address, "alice", own_token).await;
            assert_eq!(login.status, 302, "server {number}, address {address}");
        }
        for address in 10..20 {
            type_in_from(&auth, address, "alice", "a wrong password").await;
        }
        let unauthenticated = type_in_from(&auth, 10, "alice", PASSWORD).await;
        assert_eq!(unauthenticated.status, 429, "server {number}: not known there");
        let owner = type_in_from(&auth, home, "alice", PASSWORD).await;
        assert_eq!(owner.status, 302, "server {number}: still known at home");
    }
}
