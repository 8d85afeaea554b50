//! What holds for the activity of users, and for the newest tokens of an owner.

use std::time::Duration;

use super::super::token_store::{NOW, all, insert, new_hash, record};
use crate::{
    clock::UnixTime,
    maybe_future::BoxFuture,
    session::{grant::Grant, identity::Identity},
    store::{ActivityRecord, HubStore, TokenFilter, TokenRecord},
};

fn at(seconds: u64) -> UnixTime {
    NOW.saturating_add(Duration::from_secs(seconds))
}

async fn note<const N: usize>(store: &dyn HubStore, records: [ActivityRecord; N]) {
    let noted = store.record_activity(records.to_vec()).await;
    noted.expect("activity is recorded");
}

async fn of(store: &dyn HubStore, owners: &[&str]) -> Vec<ActivityRecord> {
    let owners = owners.iter().map(|owner| (*owner).to_owned()).collect();
    let mut found = store.activity(owners).await.expect("the store answers");
    found.sort_by(|one, other| (one.owner(), one.server()).cmp(&(other.owner(), other.server())));
    found
}

pub(super) async fn each_time_is_kept_and_never_goes_back(store: &dyn HubStore) {
    let [user, default, gpu] =
        [None, Some(""), Some("gpu ö'")].map(|server| ActivityRecord::new("walker", server));
    let other = ActivityRecord::new("walk", None).with_last_activity(at(9));
    assert_eq!(of(store, &["walker"]).await, [], "a new user has no activity");
    note(store, []).await;
    note(
        store,
        [
            user.clone().with_last_activity(at(5)),
            gpu.clone().with_last_activity(at(5)),
            default.clone().with_stopped(at(7)),
            other.clone(),
        ],
    )
    .await;
    let first = [
        user.clone().with_last_activity(at(5)),
        default.clone().with_stopped(at(7)),
        gpu.clone().with_last_activity(at(5)),
    ];
    assert_eq!(
        of(store, &["walker"]).await,
        first,
        "records are found as they were made"
    );
    note(
        store,
        [
            user.clone().with_last_activity(at(4)),
            default.clone().with_stopped(at(6)),
        ],
    )
    .await;
    assert_eq!(
        of(store, &["walker"]).await,
        first,
        "an older time changes nothing"
    );

    let [late, later] = [at(20), at(30)].map(|time| -> BoxFuture<()> {
        let recorded = store.record_activity(vec![
            default.clone().with_started(time),
            gpu.clone().with_last_activity(time),
        ]);
        Box::pin(async move { recorded.await.expect("activity is recorded") })
    });
    all([later, late]).await;
    let second = [
        other,
        user.with_last_activity(at(5)),
        default.with_stopped(at(7)).with_started(at(30)),
        gpu.with_last_activity(at(30)),
    ];
    let found = of(store, &["walk", "walker", "unknown"]).await;
    assert_eq!(found, second, "of several users, and the latest of each");
    assert_eq!(of(store, &[]).await, []);
}

pub(super) async fn users_are_listed_by_name_and_in_pages(store: &dyn HubStore) {
    let names = ["listed Z", "listed _", "listed a", "listed ä", "listed"];
    for name in names {
        let user = ActivityRecord::new(name, None).with_last_activity(NOW);
        note(store, [user.clone(), user]).await;
        note(store, [ActivityRecord::new(name, Some("")).with_stopped(NOW)]).await;
    }
    note(
        store,
        [ActivityRecord::new("listed not", Some("")).with_stopped(NOW)],
    )
    .await;
    let list = async |offset, limit| store.list_users(offset, limit).await.expect("a list");
    let (every, total) = list(0, 1_000).await;
    assert_eq!(total, every.len() as u64, "the total counts each user once");
    let listed: Vec<_> = every.iter().filter(|name| name.starts_with("listed")).collect();
    let mut sorted = names;
    sorted.sort_unstable();
    assert_eq!(listed, sorted, "users are listed by the bytes of their names");
    let mut pages = Vec::new();
    for offset in 0..total {
        let (page, counted) = list(offset, 1).await;
        assert_eq!((page.len(), counted), (1, total), "a page has its length");
        pages.extend(page);
    }
    assert_eq!(pages, every, "pages come to the whole");
    assert_eq!(
        list(total, 10).await,
        (Vec::new(), total),
        "no page is after the last"
    );
}

pub(super) async fn the_newest_tokens_come_first_and_in_pages(store: &dyn HubStore) {
    let (grant, mut made) = (Grant::new(Identity::new("collector")), Vec::new());
    for place in 0..12 {
        // Several are of the same second.
        let mut token = TokenRecord::new(grant.clone(), at(place / 3));
        if place % 4 == 0 {
            token = token.with_client("c");
        }
        insert(store, new_hash(), &token).await;
        made.push(token);
    }
    insert(store, new_hash(), &record("another")).await;
    let expired = TokenRecord::new(grant.with_expiry(at(90)), at(80));
    insert(store, new_hash(), &expired).await;
    made.sort_by_key(|token| std::cmp::Reverse((token.created(), token.id())));
    let of = TokenFilter::owner("collector");
    let page = async |which: &TokenFilter, offset, limit| {
        let page = store.newest_tokens(which.clone(), at(90), offset, limit).await;
        page.expect("a list")
    };
    assert_eq!(
        page(&of, 0, 100).await,
        made,
        "newest first, and no other's nor an expired one"
    );
    assert_eq!(page(&of, 0, 5).await, made[..5]);
    assert_eq!(page(&of, 5, 5).await, made[5..10]);
    assert_eq!(page(&of, 10, 5).await, made[10..]);
    assert_eq!(page(&of, 12, 5).await, []);
    let given: Vec<_> = made
        .into_iter()
        .filter(|token| token.client_id().is_some())
        .collect();
    assert_eq!(page(&of.clone().and_client("c"), 1, 5).await, given[1..]);
}
