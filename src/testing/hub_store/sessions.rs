//! What holds for the tokens and codes that are made in a session.

use super::{
    super::{
        session_steps::{begin, end, find_session, session},
        token_store::{NOW, find, insert, new_hash, record},
    },
    steps::{code, find_code, redeem},
};
use crate::{
    store::{CodeRedemption, HubStore, SessionFilter},
    token::TokenHash,
};

pub(super) async fn a_session_that_ends_takes_tokens_and_codes_with_it(store: &dyn HubStore) {
    let one = session("ender", "e1");
    let two = session("ender", "e2");
    let foreign = session("other", "e3");
    let [hash_one, hash_two, hash_foreign] = [
        begin(store, &one, None).await,
        begin(store, &two, None).await,
        begin(store, &foreign, None).await,
    ];
    let mut of_session = Vec::new();
    for session_id in ["e1", "e2", "e3"] {
        let token = new_hash();
        insert(store, token, &record("ender").with_session(session_id)).await;
        of_session.push((token, code(store, session_id).await));
    }
    let (lasting, free) = (new_hash(), code(store, "").await);
    insert(store, lasting, &record("ender")).await;

    assert_eq!(
        end(store, SessionFilter::owner("ender").and_session("e3")).await,
        0,
        "no one ends another's session"
    );
    assert_eq!(
        end(store, SessionFilter::owner("ender").and_id(foreign.id())).await,
        0
    );
    assert_eq!(
        end(store, SessionFilter::owner("ender").and_id(one.id())).await,
        1,
        "one session ends by its id"
    );
    let state = async |hash, (token, code): &(TokenHash, TokenHash)| {
        let (token, code) = (
            find(store, *token).await.is_some(),
            find_code(store, *code).await.is_some(),
        );
        (find_session(store, hash).await.is_some(), token, code)
    };
    assert_eq!(
        state(hash_one, &of_session[0]).await,
        (false, false, false),
        "all of it is gone"
    );
    assert_eq!(
        redeem(store, of_session[0].1, NOW).await.0,
        CodeRedemption::Unknown,
        "its code cannot be redeemed"
    );
    assert_eq!(
        state(hash_two, &of_session[1]).await,
        (true, true, true),
        "the other stays"
    );
    assert_eq!(
        end(store, SessionFilter::owner("ender")).await,
        1,
        "all that are left end at once"
    );
    assert_eq!(state(hash_two, &of_session[1]).await, (false, false, false));
    assert_eq!(
        state(hash_foreign, &of_session[2]).await,
        (true, true, true),
        "another's stays"
    );
    assert!(
        find(store, lasting).await.is_some(),
        "a token of no session stays"
    );
    assert!(
        find_code(store, free).await.is_some(),
        "a code of no session stays"
    );
}

pub(super) async fn a_new_session_takes_the_tokens_of_the_old_one(store: &dyn HubStore) {
    let old = session("renewer", "old");
    let old_hash = begin(store, &old, None).await;
    let [own, foreign, elsewhere] = [new_hash(), new_hash(), new_hash()];
    insert(store, own, &record("renewer").with_session("old")).await;
    insert(store, foreign, &record("other").with_session("old")).await;
    insert(store, elsewhere, &record("renewer").with_session("other session")).await;
    let code = code(store, "old").await;

    let new = session("renewer", "new");
    let new_hash = begin(store, &new, Some("old")).await;
    assert_eq!(find_session(store, old_hash).await, None, "the old session ends");
    assert_eq!(
        find_session(store, new_hash).await,
        Some(new),
        "the new one begins"
    );
    let session_of = async |hash| {
        find(store, hash)
            .await
            .map(|record| record.session_id().map(str::to_owned))
    };
    assert_eq!(
        session_of(own).await,
        Some(Some("new".to_owned())),
        "the user's own tokens move"
    );
    assert_eq!(session_of(foreign).await, None, "another's are revoked");
    assert_eq!(find_code(store, code).await, None, "codes go");
    assert_eq!(
        end(store, SessionFilter::owner("renewer").and_session("new")).await,
        1
    );
    assert_eq!(
        find(store, own).await,
        None,
        "what moved ends with the new session"
    );

    let unknown = session("renewer", "newer");
    begin(store, &unknown, Some("other session")).await;
    let kept = Some(Some("other session".to_owned()));
    assert_eq!(
        session_of(elsewhere).await,
        kept,
        "a session that is not there gives nothing away"
    );
}

pub(super) async fn a_session_that_is_refused_replaces_nothing(store: &dyn HubStore) {
    let (hash, token) = (begin(store, &session("loser", "kept"), None).await, new_hash());
    insert(store, token, &record("another").with_session("kept")).await;
    let second = session("loser", "never");
    let taken = begin(store, &session("another", "taken"), None).await;
    let refused = store.insert_session(taken, second, Some("kept".to_owned())).await;
    assert!(refused.is_err(), "a hash that is there already is refused");
    assert!(
        find_session(store, hash).await.is_some(),
        "the session that was to be replaced stays"
    );
    assert!(
        find(store, token).await.is_some(),
        "so do the tokens of its session"
    );
}
