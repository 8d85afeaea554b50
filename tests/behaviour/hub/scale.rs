//! A hub of many users, tokens and reports: how much of them one request reads and writes.

use std::sync::{Arc, Mutex};

use http::Request;
use portcullis::{
    BackendError, Grant, Identity, MaybeFuture, Token,
    clock::UnixTime,
    hub_server::{HubUser, HubUsers},
    store::{
        ActivityRecord, BoxFuture, CodeRecord, CodeRedemption, HubStore, MemoryTokenStore, RecordId,
        SessionFilter, SessionRecord, SessionStore, SessionTouch, StoreError, TokenFilter, TokenRecord,
        TokenStore,
    },
    testing::TestClock,
    token::TokenHash,
    verify::UserLookup,
};
use serde_json::Value;

use super::{MINUTE, NOW, SECRET, SERVER_TOKEN, World, authorize_query, builder, json, with_users};
use crate::common::Answered;

/// A store that counts what the hub reads and writes.
#[derive(Clone, Default)]
struct Counted {
    store: Arc<MemoryTokenStore>,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    tokens_read: usize,
    names_read: usize,
    activity_written: Vec<ActivityRecord>,
}

impl Counted {
    /// What was counted since the last call.
    fn counts(&self) -> Counts {
        std::mem::take(&mut *self.counts.lock().expect("a lock"))
    }

    fn count<T: Send + 'static>(
        &self,
        read: BoxFuture<Result<T, StoreError>>,
        count: impl FnOnce(&mut Counts, &T) + Send + 'static,
    ) -> BoxFuture<Result<T, StoreError>> {
        let counts = Arc::clone(&self.counts);
        Box::pin(async move {
            let read = read.await?;
            count(&mut counts.lock().expect("a lock"), &read);
            Ok(read)
        })
    }
}

type Answer<T> = BoxFuture<Result<T, StoreError>>;

impl TokenStore for Counted {
    fn find(&self, hash: TokenHash) -> MaybeFuture<Result<Option<TokenRecord>, StoreError>> {
        self.store.find(hash)
    }
    fn insert(&self, hash: TokenHash, token: TokenRecord) -> Answer<()> {
        self.store.insert(hash, token)
    }
    fn list(&self, which: TokenFilter, now: UnixTime) -> Answer<Vec<TokenRecord>> {
        let read = self.store.list(which, now);
        self.count(read, |counts, tokens| counts.tokens_read += tokens.len())
    }
    fn revoke(&self, which: TokenFilter) -> Answer<u64> {
        self.store.revoke(which)
    }
    fn record_use(&self, id: RecordId, now: UnixTime) {
        self.store.record_use(id, now);
    }
}

impl SessionStore for Counted {
    fn insert_session(
        &self,
        hash: TokenHash,
        session: SessionRecord,
        replaced: Option<String>,
    ) -> Answer<()> {
        self.store.insert_session(hash, session, replaced)
    }
    fn find_session(&self, hash: TokenHash) -> MaybeFuture<Result<Option<SessionRecord>, StoreError>> {
        self.store.find_session(hash)
    }
    fn touch_session(&self, hash: TokenHash, touch: SessionTouch) -> Answer<bool> {
        self.store.touch_session(hash, touch)
    }
    fn list_sessions(&self, which: SessionFilter, now: UnixTime) -> Answer<Vec<SessionRecord>> {
        self.store.list_sessions(which, now)
    }
    fn end_sessions(&self, which: SessionFilter) -> Answer<u64> {
        self.store.end_sessions(which)
    }
    fn remove_expired_sessions(&self, now: UnixTime, limit: usize) -> Answer<u64> {
        self.store.remove_expired_sessions(now, limit)
    }
}

impl HubStore for Counted {
    fn insert_code(&self, hash: TokenHash, code: CodeRecord, now: UnixTime) -> Answer<bool> {
        self.store.insert_code(hash, code, now)
    }
    fn find_code(&self, hash: TokenHash) -> Answer<Option<CodeRecord>> {
        self.store.find_code(hash)
    }
    fn redeem_code(&self, code: TokenHash, hash: TokenHash, token: TokenRecord) -> Answer<CodeRedemption> {
        self.store.redeem_code(code, hash, token)
    }
    fn record_activity(&self, records: Vec<ActivityRecord>) -> Answer<()> {
        let written = self.store.record_activity(records.clone());
        self.count(written, |counts, ()| counts.activity_written.extend(records))
    }
    fn activity(&self, owners: Vec<String>) -> Answer<Vec<ActivityRecord>> {
        self.store.activity(owners)
    }
    fn list_users(&self, offset: u64, limit: u64) -> Answer<(Vec<String>, u64)> {
        let read = self.store.list_users(offset, limit);
        self.count(read, |counts, (names, _)| counts.names_read += names.len())
    }
    fn newest_tokens(
        &self,
        which: TokenFilter,
        now: UnixTime,
        offset: u64,
        limit: u64,
    ) -> Answer<Vec<TokenRecord>> {
        let read = self.store.newest_tokens(which, now, offset, limit);
        self.count(read, |counts, tokens| counts.tokens_read += tokens.len())
    }
}

/// A hub of the three users whose store counts.
fn world() -> (World, Counted) {
    let (store, clock) = (Counted::default(), TestClock::new(NOW));
    let world = World {
        hub: with_users(builder(store.clone(), &clock)).build().expect("a hub"),
        clock,
        store: Arc::clone(&store.store),
    };
    (world, store)
}

#[tokio::test]
async fn a_page_about_a_user_of_10_000_tokens_reads_100_of_them() {
    let (world, store) = world();
    let mut alice = world.browser_of("alice").await;
    let grant = Grant::new(Identity::new("alice")).with_scopes(["read:users:name!user"]);
    for number in 0..10_000_u32 {
        let label = format!("token number {number}.");
        let mut record = TokenRecord::new(
            grant.clone().with_label(&label),
            NOW.saturating_add(MINUTE * number),
        );
        if number % 2 == 1 {
            record = record.with_client("service-ext");
        }
        store
            .insert(Token::generate().hash(), record)
            .await
            .expect("kept");
    }
    store.counts();

    let (mut url, mut pages, mut numbers) = ("/hub/home".to_owned(), 0, Vec::new());
    loop {
        let page = alice.get(&url).await;
        assert_eq!(page.status, 200, "{url}");
        assert!(store.counts().tokens_read <= 101, "{url}");
        let labels = page.text.split("<p>token number ").skip(1);
        numbers.extend(labels.map(|rest| {
            rest.split('.')
                .next()
                .unwrap_or_default()
                .parse::<u32>()
                .expect("a number")
        }));
        pages += 1;
        let links = page.text.split("<a href=\"").skip(1);
        let mut older = links.filter(|link| link.contains("Older tokens"));
        match older.next() {
            Some(link) => link.split('"').next().unwrap_or_default().clone_into(&mut url),
            None => break,
        }
        assert!(pages < 200, "the pages end");
    }
    assert_eq!(pages, 100);
    let expected: Vec<u32> = (0..10_000).rev().filter(|number| number % 2 == 0).collect();
    assert_eq!(
        numbers, expected,
        "each of the user's own tokens is on one page, the newest first"
    );
    for url in [
        "/hub/home?offset=20000",
        "/hub/home?offset=-1",
        "/hub/home?offset=18446744073709551615",
    ] {
        assert_eq!(alice.get(url).await.status, 200, "{url}");
    }

    store.counts();
    let mut admin = world.browser_of("admin").await;
    assert_eq!(
        admin
            .get(&format!("/hub/api/oauth2/authorize?{}", authorize_query()))
            .await
            .status,
        200
    );
    assert!(
        store.counts().tokens_read <= 100,
        "so does the question of a client"
    );
}

/// A directory that counts its lookups, and knows all but `user7`.
#[derive(Clone, Default)]
struct Directory(Arc<Mutex<usize>>);

impl UserLookup for Directory {
    fn current(&self, username: &str) -> MaybeFuture<Result<Option<Grant>, BackendError>> {
        *self.0.lock().expect("a lock") += 1;
        let grant = Grant::new(Identity::new(username));
        MaybeFuture::Ready(Ok((username != "user7").then_some(grant)))
    }
}

async fn users(world: &World, accept: &str, url: &str) -> Answered {
    let request = Request::get(url)
        .header("host", "localhost")
        .header("accept", accept)
        .header("authorization", format!("token {SECRET}"));
    world
        .send(request.body(String::new().into()).expect("a request"))
        .await
}

fn names(list: &Value) -> Vec<String> {
    let names = list.as_array().expect("a list").iter();
    names
        .map(|user| user["name"].as_str().expect("a name").to_owned())
        .collect()
}

const PAGES: &str = "application/jupyterhub-pagination+json";

#[tokio::test]
async fn users_of_a_directory_are_listed_page_by_page() {
    let (store, clock, directory) = (Counted::default(), TestClock::new(NOW), Directory::default());
    let world = World {
        hub: builder(store.clone(), &clock)
            .user_lookup(directory.clone())
            .build()
            .expect("a hub"),
        clock,
        store: Arc::clone(&store.store),
    };
    let mut expected = Vec::new();
    for number in 0..120 {
        let name = format!("user{number}");
        let active = ActivityRecord::new(&name, None).with_last_activity(NOW);
        store.record_activity(vec![active]).await.expect("kept");
        expected.push(name);
    }
    expected.retain(|name| name != "user7");
    expected.sort_unstable();

    let (mut url, mut found, mut totals) = (
        "/hub/api/users?state=inactive&limit=50".to_owned(),
        Vec::new(),
        Vec::new(),
    );
    loop {
        store.counts();
        let lookups = std::mem::take(&mut *directory.0.lock().expect("a lock"));
        assert!(lookups <= 50, "a page looks up its own users: {lookups}");
        let page = json(&users(&world, &format!("text/html, {PAGES}"), &url).await);
        assert!(store.counts().names_read <= 50);
        found.extend(names(&page["items"]));
        let about = &page["_pagination"];
        totals.push((
            about["offset"].clone(),
            about["limit"].clone(),
            about["total"].clone(),
        ));
        let Some(next) = about["next"]["url"].as_str() else {
            break;
        };
        let path = next.strip_prefix("http://localhost").expect("this origin");
        assert!(path.contains("state=inactive&") && path != url, "{path}");
        path.clone_into(&mut url);
    }
    assert_eq!(found, expected);
    let total = |offset: u64| (offset.into(), 50.into(), 120.into());
    assert_eq!(totals, [0, 50, 100].map(total));
    let ready = json(&users(&world, PAGES, "/hub/api/users?state=ready").await);
    assert_eq!(
        names(&ready["items"]),
        ["alice"],
        "who has a server, active or not"
    );
}

#[tokio::test]
async fn listed_users_are_paged_as_by_a_jupyterhub() {
    let member = |name: String| HubUser::new(&name).expect("a name");
    let members =
        HubUsers::new((0..1_000).map(|number| member(format!("user{number:03}")))).expect("members");
    let world = World::without_users(|hub| hub.users(members));
    for (query, accept, first, count, limit) in [
        ("", PAGES, "user000", 50, 50),
        ("?limit=7&offset=990", PAGES, "user990", 7, 7),
        ("?limit=100000", PAGES, "user000", 200, 200),
        ("?limit=0", PAGES, "user000", 1, 1),
        ("?limit=-3&offset=-5", PAGES, "user005", 3, 3),
        ("?offset=997", PAGES, "user997", 3, 50),
        ("", "*/*", "user000", 200, 200),
        ("?offset=850", "application/json", "user850", 150, 200),
    ] {
        let answer = json(&users(&world, accept, &format!("/hub/api/users{query}")).await);
        let (items, case) = (
            answer.get("items").unwrap_or(&answer),
            format!("{query} {accept}"),
        );
        assert_eq!(answer.is_array(), accept != PAGES, "{case}");
        let found = names(items);
        assert_eq!(
            (found.first().map(String::as_str), found.len()),
            (Some(first), count),
            "{case}"
        );
        if accept == PAGES {
            let about = &answer["_pagination"];
            assert_eq!(
                (&about["limit"], &about["total"]),
                (&limit.into(), &1_000.into()),
                "{case}"
            );
            let last: usize = found
                .last()
                .and_then(|name| name.get(4..)?.parse().ok())
                .expect("a number");
            assert_eq!(about["next"].is_null(), last == 999, "{case}: {about}");
        }
    }
    for wrong in [
        "offset=x",
        "limit=",
        "limit=1.5",
        "offset=99999999999999999999",
        "state=idle",
    ] {
        let answer = users(&world, PAGES, &format!("/hub/api/users?{wrong}")).await;
        assert_eq!(answer.status, 400, "{wrong}: {answer:?}");
    }
}

#[tokio::test]
async fn activity_is_written_once_a_minute_and_outlives_the_hub() {
    let (world, store) = world();
    let report = async |time: &str| {
        let body = format!(r#"{{"servers": {{"": {{"last_activity": "{time}"}}}}}}"#);
        let answer = world
            .call("POST", "/users/alice/activity", Some(SERVER_TOKEN), &body)
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        store.counts().activity_written.len()
    };
    for (time, written) in [
        // Of the server, and of its user.
        ("2026-11-22T01:40:00Z", 2),
        ("2026-11-22T01:40:00Z", 0),
        ("2026-11-22T01:40:59Z", 0),
        ("2026-11-22T01:41:00Z", 2),
        ("2026-11-22T01:30:00Z", 0),
    ] {
        assert_eq!(report(time).await, written, "{time}");
    }
    world.browser_of("bob").await;
    assert_eq!(
        store.counts().activity_written.len(),
        1,
        "a login is activity of the user"
    );
    world.browser_of("bob").await;
    assert_eq!(store.counts().activity_written.len(), 0);

    let restarted = world.restarted();
    let answer = json(&restarted.call("GET", "/users", Some(SECRET), "").await);
    let last: Vec<&Value> = answer
        .as_array()
        .expect("a list")
        .iter()
        .map(|user| &user["last_activity"])
        .collect();
    let expected = [
        Value::Null,
        "2026-11-22T01:41:00.000000Z".into(),
        "2026-11-22T01:53:40.000000Z".into(),
    ];
    assert_eq!(last, expected.iter().collect::<Vec<_>>(), "{answer}");
}
