//! What holds for clients that registered themselves.

use super::super::{
    session_steps::{END, after},
    token_store::{NOW, all},
};
use crate::store::{ClientRecord, HubStore, StoreErrorKind};

fn client(id: &str) -> ClientRecord {
    ClientRecord::new(id, NOW, END)
}

async fn find(store: &dyn HubStore, id: &str) -> Option<ClientRecord> {
    store.find_client(id).await.expect("the store answers")
}

pub(super) async fn no_more_clients_are_kept_than_the_limit_says(store: &dyn HubStore) {
    let full = client("full")
        .with_name("An <é>")
        .with_redirect_uris(["http://127.0.0.1/cb", "https://example.org/?a='"]);
    for (client, limit, expected) in [
        (full.clone(), 1, true),
        (client("second"), 1, false),
        (client("second"), 2, true),
        (client("third"), 2, false),
    ] {
        let kept = store
            .insert_client(client.clone(), limit)
            .await
            .expect("an answer");
        assert_eq!(kept, expected, "{limit}");
        let found = find(store, client.id()).await;
        assert_eq!(
            found,
            expected.then_some(client),
            "a client is found as it was kept"
        );
    }
    let again = store.insert_client(full, 9).await.map_err(|error| error.kind());
    assert_eq!(again, Err(StoreErrorKind::Duplicate));
    let many = ["a", "b", "c", "d", "e", "f"].map(|id| store.insert_client(client(id), 4));
    let kept = all(many)
        .await
        .into_iter()
        .filter(|kept| matches!(kept, Ok(true)));
    assert_eq!(kept.count(), 2, "of many that come at once no more either");
}

pub(super) async fn a_client_that_is_used_is_kept(store: &dyn HubStore) {
    let later = after(90_000_000);
    store.keep_client("full", later).await.expect("an answer");
    store.keep_client("full", NOW).await.expect("an answer");
    store.keep_client("none", later).await.expect("an answer");
    let found = find(store, "full").await.expect("a client");
    assert_eq!(found.expires_at(), later, "its end only moves on");
    assert_eq!(find(store, "none").await, None);
    let next = ClientRecord::new("next", END, later);
    assert!(
        store.insert_client(next, 2).await.expect("an answer"),
        "an expired client makes place for another"
    );
    assert!(find(store, "full").await.is_some(), "and one that is kept stays");
    assert_eq!(find(store, "second").await, None);
}
