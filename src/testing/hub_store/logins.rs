//! What holds for logins, and for what lives as long as they do.

use std::time::Duration;

use super::{
    super::token_store::{NOW, find, insert, new_hash, record},
    asked::{END, begin, code, end, find_code, find_login, redeem},
};
use crate::{
    store::{CodeRedemption, HubStore, LoginFilter, LoginRecord, RecordId, StoreErrorKind},
    token::TokenHash,
};

pub(super) async fn a_login_is_found_as_it_began(store: &dyn HubStore) {
    for text in ["carol", "", "' é\u{202e}🔑\n"] {
        let login = LoginRecord::new(text, &format!("begun {text}"), NOW, END).with_note(text);
        let hash = begin(store, &login, None).await;
        assert_eq!(
            find_login(store, hash).await,
            Some(login),
            "a login is found as it began"
        );
    }
    assert_eq!(
        find_login(store, new_hash()).await,
        None,
        "nobody is logged in by another hash"
    );
}

pub(super) async fn a_second_login_of_the_same_is_refused(store: &dyn HubStore) {
    let login = LoginRecord::new("twice", "twice", NOW, END);
    let hash = begin(store, &login, None).await;
    for (hash, second) in [
        (hash, LoginRecord::new("twice", "other", NOW, END)),
        (
            new_hash(),
            LoginRecord::new("twice", "other", NOW, END).with_id(login.id()),
        ),
        (new_hash(), LoginRecord::new("twice", "twice", NOW, END)),
    ] {
        let refused = store
            .insert_login(hash, second, None)
            .await
            .map_err(|error| error.kind());
        assert_eq!(
            refused,
            Err(StoreErrorKind::Duplicate),
            "a second of one hash, id or session is refused"
        );
    }
    assert_eq!(
        find_login(store, hash).await,
        Some(login),
        "the first stays as it was"
    );
}

pub(super) async fn logins_are_listed(store: &dyn HubStore) {
    let began = |second| NOW.saturating_add(Duration::from_secs(second));
    let second = LoginRecord::new("lister", "l2", began(2), END);
    let first = LoginRecord::new("lister", "l1", began(1), END);
    let expired = LoginRecord::new("lister", "l3", began(1), began(3));
    let foreign = LoginRecord::new("Lister", "l4", began(1), END);
    for login in [&second, &first, &expired, &foreign] {
        begin(store, login, None).await;
    }
    let mine = || LoginFilter::owner("lister");
    for (which, expected) in [
        (mine(), &[&first, &second][..]),
        (mine().and_session("l2"), &[&second]),
        (mine().and_id(first.id()), &[&first]),
        (mine().and_id(first.id()).and_session("l2"), &[]),
        (mine().and_id(foreign.id()), &[]),
        (mine().and_id(RecordId::from(u64::MAX)), &[]),
        (LoginFilter::owner("nobody"), &[]),
    ] {
        let found = store.list_logins(which.clone(), began(3)).await.expect("a list");
        let expected: Vec<LoginRecord> = expected.iter().map(|&login| login.clone()).collect();
        assert_eq!(found, expected, "the list of {which:?}, oldest first");
    }
}

pub(super) async fn a_login_that_ends_takes_tokens_and_codes_with_it(store: &dyn HubStore) {
    let one = LoginRecord::new("ender", "e1", NOW, END);
    let two = LoginRecord::new("ender", "e2", NOW, END);
    let foreign = LoginRecord::new("other", "e3", NOW, END);
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
        end(store, LoginFilter::owner("ender").and_session("e3")).await,
        0,
        "nobody ends another's login"
    );
    assert_eq!(
        end(store, LoginFilter::owner("ender").and_id(foreign.id())).await,
        0
    );
    assert_eq!(
        end(store, LoginFilter::owner("ender").and_id(one.id())).await,
        1,
        "one login ends by its id"
    );
    let state = async |hash, (token, code): &(TokenHash, TokenHash)| {
        let (token, code) = (
            find(store, *token).await.is_some(),
            find_code(store, *code).await.is_some(),
        );
        (find_login(store, hash).await.is_some(), token, code)
    };
    assert_eq!(
        state(hash_one, &of_session[0]).await,
        (false, false, false),
        "all of it is gone"
    );
    assert_eq!(
        redeem(store, of_session[0].1, NOW).await.0,
        CodeRedemption::Unknown,
        "its code is worth nothing"
    );
    assert_eq!(
        state(hash_two, &of_session[1]).await,
        (true, true, true),
        "the other stays"
    );
    assert_eq!(
        end(store, LoginFilter::owner("ender")).await,
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
    let old = LoginRecord::new("renewer", "old", NOW, END);
    let old_hash = begin(store, &old, None).await;
    let [own, foreign, elsewhere] = [new_hash(), new_hash(), new_hash()];
    insert(store, own, &record("renewer").with_session("old")).await;
    insert(store, foreign, &record("other").with_session("old")).await;
    insert(store, elsewhere, &record("renewer").with_session("nobody's")).await;
    let code = code(store, "old").await;

    let new = LoginRecord::new("renewer", "new", NOW, END);
    let new_hash = begin(store, &new, Some("old")).await;
    assert_eq!(find_login(store, old_hash).await, None, "the old login ends");
    assert_eq!(find_login(store, new_hash).await, Some(new), "the new one begins");
    let session = async |hash| {
        find(store, hash)
            .await
            .map(|record| record.session_id().map(str::to_owned))
    };
    assert_eq!(
        session(own).await,
        Some(Some("new".to_owned())),
        "one's own tokens move"
    );
    assert_eq!(session(foreign).await, None, "another's are revoked");
    assert_eq!(find_code(store, code).await, None, "codes go");
    assert_eq!(
        end(store, LoginFilter::owner("renewer").and_session("new")).await,
        1
    );
    assert_eq!(
        find(store, own).await,
        None,
        "what moved ends with the new session"
    );

    let unknown = LoginRecord::new("renewer", "newer", NOW, END);
    begin(store, &unknown, Some("nobody's")).await;
    let kept = Some(Some("nobody's".to_owned()));
    assert_eq!(
        session(elsewhere).await,
        kept,
        "a session that nobody is logged in to gives nothing away"
    );
}

pub(super) async fn a_login_that_is_refused_replaces_nothing(store: &dyn HubStore) {
    let (hash, token) = (
        begin(store, &LoginRecord::new("loser", "kept", NOW, END), None).await,
        new_hash(),
    );
    insert(store, token, &record("another").with_session("kept")).await;
    let second = LoginRecord::new("loser", "never", NOW, END);
    let taken = begin(store, &LoginRecord::new("another", "taken", NOW, END), None).await;
    let refused = store.insert_login(taken, second, Some("kept".to_owned())).await;
    assert!(refused.is_err(), "a hash that is there already is refused");
    assert!(
        find_login(store, hash).await.is_some(),
        "the login that was to be replaced stays"
    );
    assert!(
        find(store, token).await.is_some(),
        "so do the tokens of its session"
    );
}
