//! A hub whose members are in a directory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use portcullis::{
    BackendError, Grant, Identity, MaybeFuture,
    hub_server::{Hub, HubUser, HubUsers},
    store::MemoryTokenStore,
    verify::UserLookup,
};

use super::{PASSWORD, People, SERVER_TOKEN, World, authorize_query, exchange_fields, json};

/// A directory that tests change, and that records each name that is looked up.
#[derive(Clone, Default)]
struct Directory(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    users: BTreeMap<String, Grant>,
    is_down: bool,
    asked: Vec<String>,
}

impl Directory {
    fn of_three() -> Self {
        let directory = Self::default();
        directory.set("admin", |grant| grant.as_admin());
        directory.set("alice", |grant| grant.with_scopes(["read:users!group=staff"]));
        directory.set("bob", |grant| grant.with_groups(["staff"]));
        directory
    }

    fn set(&self, name: &str, change: impl FnOnce(Grant) -> Grant) {
        let grant = change(Grant::new(Identity::new(name)));
        self.0
            .lock()
            .expect("a lock")
            .users
            .insert(name.to_owned(), grant);
    }

    fn remove(&self, name: &str) {
        self.0.lock().expect("a lock").users.remove(name);
    }

    fn fail(&self, is_down: bool) {
        self.0.lock().expect("a lock").is_down = is_down;
    }

    /// The names that were looked up since the last call.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("a lock").asked)
    }
}

impl UserLookup for Directory {
    fn current(&self, username: &str) -> MaybeFuture<Result<Option<Grant>, BackendError>> {
        let mut state = self.0.lock().expect("a lock");
        state.asked.push(username.to_owned());
        let found = match state.is_down {
            true => Err(BackendError::new("directory down").with_retry_after(Duration::from_secs(7))),
            false => Ok(state.users.get(username).cloned()),
        };
        MaybeFuture::from_future(async move {
            tokio::task::yield_now().await;
            found
        })
    }
}

fn world() -> (World, Directory) {
    let directory = Directory::of_three();
    let world = World::without_users(|hub| hub.user_lookup(directory.clone()));
    (world, directory)
}

fn login_of(name: &str) -> String {
    format!(r#"{{"auth": {{"username": "{name}", "password": "{PASSWORD}"}}}}"#)
}

async fn token_of(world: &World, name: &str) -> String {
    let path = format!("/users/{name}/tokens");
    let made = json(&world.call("POST", &path, None, &login_of(name)).await);
    made["token"]
        .as_str()
        .unwrap_or_else(|| panic!("{made}"))
        .to_owned()
}

#[test]
fn members_come_from_one_place() {
    let hub = || {
        Hub::builder(MemoryTokenStore::new())
            .password_verifier(People)
            .user_lookup(Directory::default())
    };
    assert!(hub().build().is_ok());
    for both in [
        hub().user(HubUser::new("alice").expect("a name")),
        hub().users(HubUsers::default()),
    ] {
        let error = both.build().expect_err("two places");
        assert_eq!(error.setting(), "user_lookup");
    }
}

#[tokio::test]
async fn what_a_directory_says_of_a_user_holds_at_the_next_request() {
    let (world, directory) = world();
    let mut browser = world.browser_of("alice").await;
    let token = token_of(&world, "alice").await;
    let bobs = || world.call("GET", "/users/bob", Some(&token), "");
    assert_eq!(bobs().await.status, 200, "alice may read about the staff");

    directory.set("bob", |grant| grant);
    assert_eq!(bobs().await.status, 404, "bob left the staff");
    directory.set("bob", |grant| grant.with_groups(["staff"]));
    directory.set("alice", |grant| grant);
    assert_eq!(bobs().await.status, 404, "alice holds the scope no more");
    directory.set("alice", |grant| grant.as_admin());
    let answer = bobs().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let me = json(&world.call("GET", "/user", Some(&token), "").await);
    assert_eq!(
        (&me["admin"], &me["name"]),
        (&true.into(), &"alice".into()),
        "{me}"
    );

    for gone in ["removed", "expired"] {
        match gone {
            "removed" => directory.remove("alice"),
            _ => directory.set("alice", |grant| grant.with_expiry(super::NOW)),
        }
        assert_eq!(
            world.call("GET", "/user", Some(&token), "").await.status,
            403,
            "{gone}"
        );
        assert_eq!(
            world.call("GET", "/user", Some(SERVER_TOKEN), "").await.status,
            403,
            "{gone}: so is the token of her server"
        );
        let answer = browser.clone().get("/hub/home").await;
        assert_eq!(answer.status, 302, "{gone}: {answer:?}");
        let login = world
            .call("POST", "/users/alice/tokens", None, &login_of("alice"))
            .await;
        assert_eq!(login.status, 403, "{gone}");
    }
    directory.set("alice", |grant| grant);
    assert_eq!(browser.get("/hub/home").await.status, 200);
}

#[tokio::test]
async fn while_the_directory_is_down_requests_get_503_and_logins_stay() {
    let (world, directory) = world();
    let mut browser = world.browser_of("bob").await;
    let token = token_of(&world, "bob").await;
    let mut admin = world.browser_of("admin").await;
    let code = world.code(&mut admin, &authorize_query()).await.expect("a code");
    let xsrf = browser.xsrf().await;
    let before = browser.cookies.clone();

    directory.fail(true);
    let mut anonymous = world.browser();
    let answers = [
        ("home", browser.get("/hub/home").await),
        ("login page", browser.get("/hub/login").await),
        (
            "authorize",
            browser
                .get(&format!("/hub/api/oauth2/authorize?{}", authorize_query()))
                .await,
        ),
        (
            "form",
            browser
                .post("/hub/home", &[("_xsrf", &xsrf), ("action", "revoke all")])
                .await,
        ),
        ("link", browser.get("/hub/user-redirect/lab").await),
        ("server", browser.get("/hub/user/bob/lab").await),
        ("login", anonymous.log_in("bob", PASSWORD).await),
        ("token", world.call("GET", "/user", Some(&token), "").await),
        (
            "server's token",
            world.call("GET", "/user", Some(SERVER_TOKEN), "").await,
        ),
        (
            "login by the API",
            world
                .call("POST", "/users/bob/tokens", None, &login_of("bob"))
                .await,
        ),
        ("exchange", world.exchange(&exchange_fields(&code)).await),
    ];
    for (what, answer) in answers {
        assert_eq!(answer.status, 503, "{what}: {answer:?}");
        assert_eq!(answer.header("retry-after"), "7", "{what}: {answer:?}");
        let removed = answer
            .set_cookies()
            .into_iter()
            .find(|line| line.contains("Max-Age=0"));
        assert_eq!(removed, None, "{what} removes no cookie");
        assert!(!answer.text.contains("directory down"), "{what}: {answer:?}");
    }
    assert_eq!(browser.cookies, before);

    directory.fail(false);
    assert_eq!(
        browser.get("/hub/home").await.status,
        200,
        "no user was logged out"
    );
    assert_eq!(world.call("GET", "/user", Some(&token), "").await.status, 200);
    assert_eq!(
        world.exchange(&exchange_fields(&code)).await.status,
        200,
        "the code is still valid"
    );

    directory.fail(true);
    let answer = browser.post("/hub/logout", &[("_xsrf", &xsrf)]).await;
    assert_eq!(answer.status, 302, "a logout needs no directory: {answer:?}");
}

#[tokio::test]
async fn a_request_queries_the_directory_once_for_each_user() {
    let (world, directory) = world();
    // Normalised as it is typed, so that the directory sees one form of each name.
    let mut browser = world.browser();
    assert_eq!(browser.log_in(" Alice ", PASSWORD).await.status, 302);
    assert!(directory.asked().iter().all(|name| name == "alice"));
    let token = token_of(&world, "alice").await;
    directory.asked();
    for (path, expected) in [
        ("/user", &["alice"][..]),
        ("/users/alice", &["alice"]),
        ("/users/BOB", &["alice", "bob"]),
        ("/users/bob/../x", &[]),
        ("/users/alice/tokens", &["alice"]),
    ] {
        world.call("GET", path, Some(&token), "").await;
        assert_eq!(directory.asked(), expected, "{path}");
    }
    browser.get("/hub/home").await;
    assert_eq!(directory.asked(), ["alice"], "a page");
    world.call("GET", "/user", Some("unknown"), "").await;
    assert_eq!(directory.asked(), [""; 0], "an unknown token has no user");
}
