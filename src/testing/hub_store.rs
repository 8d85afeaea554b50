//! What every store of a hub must be able to do.

use std::time::Duration;

use super::store::{NOW, all, find, insert, new_hash, record};
use crate::{
    answer::BoxFuture,
    store::{
        CodeRecord, HubStore, LoginRecord, Logins, RecordId, Redeemed, StoreErrorKind, TokenRecord, Tokens,
    },
    time::UnixTime,
    token::TokenHash,
};

/// When codes and logins of these tests end, unless they say otherwise.
const END: UnixTime = NOW.after(Duration::from_secs(60));

/// Holds a store against all that [`HubStore`] promises besides [`TokenStore`](crate::store::TokenStore): run it in a
/// test, on a store that is new, beside [`store_conformance`](super::store_conformance).
///
/// # Panics
///
/// If the store breaks a promise; the message says which.
///
/// # Example
///
/// ```
/// use portcullis::{MemoryTokenStore, testing::hub_store_conformance};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// hub_store_conformance(&MemoryTokenStore::new()).await;
/// # });
/// ```
pub async fn hub_store_conformance(store: &dyn HubStore) {
    a_login_is_found_as_it_began(store).await;
    a_second_login_of_the_same_is_refused(store).await;
    logins_are_listed(store).await;
    a_login_that_ends_takes_tokens_and_codes_with_it(store).await;
    a_new_session_takes_the_tokens_of_the_old_one(store).await;
    a_login_that_is_refused_replaces_nothing(store).await;
    a_code_is_found_as_it_was_made(store).await;
    no_code_is_made_where_nobody_is_logged_in(store).await;
    a_code_is_good_once_and_its_token_ends_at_the_second_try(store).await;
    a_token_that_is_refused_burns_no_code(store).await;
    of_many_who_redeem_a_code_one_gets_the_token(store).await;
    a_logout_beside_an_exchange_leaves_no_token(store).await;
}

async fn a_login_is_found_as_it_began(store: &dyn HubStore) {
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

async fn a_second_login_of_the_same_is_refused(store: &dyn HubStore) {
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
            .begin_login(hash, second, None)
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

async fn logins_are_listed(store: &dyn HubStore) {
    let began = |second| NOW.after(Duration::from_secs(second));
    let second = LoginRecord::new("lister", "l2", began(2), END);
    let first = LoginRecord::new("lister", "l1", began(1), END);
    let expired = LoginRecord::new("lister", "l3", began(1), began(3));
    let foreign = LoginRecord::new("Lister", "l4", began(1), END);
    for login in [&second, &first, &expired, &foreign] {
        begin(store, login, None).await;
    }
    let mine = || Logins::of("lister");
    for (which, expected) in [
        (mine(), &[&first, &second][..]),
        (mine().in_session("l2"), &[&second]),
        (mine().known_as(first.id()), &[&first]),
        (mine().known_as(first.id()).in_session("l2"), &[]),
        (mine().known_as(foreign.id()), &[]),
        (mine().known_as(RecordId::from(u64::MAX)), &[]),
        (Logins::of("nobody"), &[]),
    ] {
        let found = store.list_logins(which.clone(), began(3)).await.expect("a list");
        let expected: Vec<LoginRecord> = expected.iter().map(|&login| login.clone()).collect();
        assert_eq!(found, expected, "the list of {which:?}, oldest first");
    }
}

async fn a_login_that_ends_takes_tokens_and_codes_with_it(store: &dyn HubStore) {
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
        insert(store, token, &record("ender").in_session(session_id)).await;
        of_session.push((token, code(store, session_id).await));
    }
    let (lasting, free) = (new_hash(), code(store, "").await);
    insert(store, lasting, &record("ender")).await;

    assert_eq!(
        end(store, Logins::of("ender").in_session("e3")).await,
        0,
        "nobody ends another's login"
    );
    assert_eq!(end(store, Logins::of("ender").known_as(foreign.id())).await, 0);
    assert_eq!(
        end(store, Logins::of("ender").known_as(one.id())).await,
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
        Redeemed::Unknown,
        "its code is worth nothing"
    );
    assert_eq!(
        state(hash_two, &of_session[1]).await,
        (true, true, true),
        "the other stays"
    );
    assert_eq!(
        end(store, Logins::of("ender")).await,
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

async fn a_new_session_takes_the_tokens_of_the_old_one(store: &dyn HubStore) {
    let old = LoginRecord::new("renewer", "old", NOW, END);
    let old_hash = begin(store, &old, None).await;
    let [own, foreign, elsewhere] = [new_hash(), new_hash(), new_hash()];
    insert(store, own, &record("renewer").in_session("old")).await;
    insert(store, foreign, &record("other").in_session("old")).await;
    insert(store, elsewhere, &record("renewer").in_session("nobody's")).await;
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
    assert_eq!(end(store, Logins::of("renewer").in_session("new")).await, 1);
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

async fn a_login_that_is_refused_replaces_nothing(store: &dyn HubStore) {
    let (hash, token) = (
        begin(store, &LoginRecord::new("loser", "kept", NOW, END), None).await,
        new_hash(),
    );
    insert(store, token, &record("another").in_session("kept")).await;
    let second = LoginRecord::new("loser", "never", NOW, END);
    let taken = begin(store, &LoginRecord::new("another", "taken", NOW, END), None).await;
    let refused = store.begin_login(taken, second, Some("kept".to_owned())).await;
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

async fn a_code_is_found_as_it_was_made(store: &dyn HubStore) {
    begin(store, &LoginRecord::new("coder", "coding", NOW, END), None).await;
    let bare = CodeRecord::new("c", "/callback", "coder", END);
    let full = CodeRecord::new("service-é'", "https://example.org/?a=%41", "coder", END)
        .with_code_challenge("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
        .with_scopes(["read", "access:services!service=grader"])
        .in_session("coding");
    for code in [bare, full] {
        let hash = new_hash();
        let kept = store
            .insert_code(hash, code.clone(), NOW)
            .await
            .expect("a new code is kept");
        assert!(kept, "a code is kept");
        assert_eq!(
            find_code(store, hash).await,
            Some(code.clone()),
            "a code is found as it was made"
        );
        let again = store
            .insert_code(hash, code, NOW)
            .await
            .map_err(|error| error.kind());
        assert_eq!(
            again,
            Err(StoreErrorKind::Duplicate),
            "a second of one hash is refused"
        );
    }
    assert_eq!(find_code(store, new_hash()).await, None);
}

async fn no_code_is_made_where_nobody_is_logged_in(store: &dyn HubStore) {
    begin(store, &LoginRecord::new("gone", "expired", NOW, END), None).await;
    begin(store, &LoginRecord::new("gone", "ended", NOW, END), None).await;
    end(store, Logins::of("gone").in_session("ended")).await;
    for session_id in ["never began", "expired", "ended"] {
        let (hash, code) = (
            new_hash(),
            CodeRecord::new("c", "/", "gone", END).in_session(session_id),
        );
        let kept = store
            .insert_code(hash, code, END)
            .await
            .expect("a store that can be asked");
        assert!(!kept, "no code is made in a session that {session_id}");
        assert_eq!(find_code(store, hash).await, None);
    }
}

async fn a_code_is_good_once_and_its_token_ends_at_the_second_try(store: &dyn HubStore) {
    begin(store, &LoginRecord::new("redeemer", "redeeming", NOW, END), None).await;
    let code = code(store, "redeeming").await;
    let (issued, first) = redeem(store, code, NOW).await;
    assert_eq!(issued, Redeemed::Issued, "a good code is redeemed");
    let found = find(store, first).await.expect("its token is kept");
    assert_eq!(
        found.session_id(),
        Some("redeeming"),
        "the token is of the code's session"
    );
    assert!(
        find_code(store, code).await.is_some(),
        "a redeemed code is remembered"
    );
    let (again, second) = redeem(store, code, NOW).await;
    assert_eq!(again, Redeemed::Again { revoked: 1 }, "it is not redeemed twice");
    assert_eq!(find(store, first).await, None, "the first token ends");
    assert_eq!(find(store, second).await, None, "there is no second one");
    assert_eq!(redeem(store, code, NOW).await.0, Redeemed::Again { revoked: 0 });

    let late = self::code(store, "").await;
    let (expired, token) = redeem(store, late, END).await;
    assert_eq!(expired, Redeemed::Unknown, "an expired code is worth nothing");
    assert_eq!(find(store, token).await, None);
    assert_eq!(
        redeem(store, new_hash(), NOW).await.0,
        Redeemed::Unknown,
        "so is one that nobody made"
    );
}

async fn a_token_that_is_refused_burns_no_code(store: &dyn HubStore) {
    let (code, taken) = (code(store, "").await, new_hash());
    insert(store, taken, &record("holder")).await;
    let refused = store
        .redeem(code, taken, record("second"))
        .await
        .map_err(|error| error.kind());
    assert_eq!(
        refused,
        Err(StoreErrorKind::Duplicate),
        "a token that is there already is refused"
    );
    assert_eq!(
        redeem(store, code, NOW).await.0,
        Redeemed::Issued,
        "the code is as good as before"
    );
}

async fn of_many_who_redeem_a_code_one_gets_the_token(store: &dyn HubStore) {
    for _ in 0..4 {
        let (code, tokens) = (code(store, "").await, [(); 64].map(|()| new_hash()));
        let redeemed = all(tokens.map(|token| store.redeem(code, token, record("racer")))).await;
        let issued = redeemed
            .iter()
            .filter(|redeemed| matches!(redeemed, Ok(Redeemed::Issued)));
        assert_eq!(issued.count(), 1, "of many who redeem a code one gets a token");
        let again = redeemed
            .iter()
            .filter(|redeemed| matches!(redeemed, Ok(Redeemed::Again { .. })));
        assert_eq!(again.count(), 63, "all others are told that they came late");
        for token in tokens {
            assert_eq!(find(store, token).await, None, "and the token ends");
        }
    }
}

async fn a_logout_beside_an_exchange_leaves_no_token(store: &dyn HubStore) {
    for round in 0..64 {
        let session_id = format!("raced {round}");
        begin(store, &LoginRecord::new("raced", &session_id, NOW, END), None).await;
        let codes = [code(store, &session_id).await, code(store, &session_id).await];
        let late = [(); 4].map(|()| new_hash());
        let [first, second] = codes.map(|code| -> BoxFuture<()> {
            let redeemed = store.redeem(code, new_hash(), record("raced"));
            Box::pin(async move { redeemed.await.map(drop).expect("an answer") })
        });
        let ended = store.end_logins(Logins::of("raced"));
        let ended: BoxFuture<()> = Box::pin(async move { ended.await.map(drop).expect("an answer") });
        // Some are asked before the logout, and some after.
        let [one, two, three, four] = late.map(|late| -> BoxFuture<()> {
            let record = CodeRecord::new("c", "/", "raced", END).in_session(&session_id);
            let made = store.insert_code(late, record, NOW);
            Box::pin(async move { made.await.map(drop).expect("an answer") })
        });
        all([first, one, two, ended, three, four, second]).await;
        for code in codes.into_iter().chain(late) {
            let (redeemed, _) = redeem(store, code, NOW).await;
            assert_ne!(
                redeemed,
                Redeemed::Issued,
                "after a logout no code of its session is good"
            );
        }
        let left = store.list(Tokens::of("raced"), NOW).await.expect("a list");
        assert_eq!(left, [], "after a logout no token of its session is left");
    }
}

async fn begin(store: &dyn HubStore, login: &LoginRecord, replaced: Option<&str>) -> TokenHash {
    let hash = new_hash();
    let begun = store.begin_login(hash, login.clone(), replaced.map(str::to_owned));
    begun.await.expect("a new login is kept");
    hash
}

/// A new code of this session, or of none if its id is empty.
async fn code(store: &dyn HubStore, session_id: &str) -> TokenHash {
    let (hash, code) = (new_hash(), CodeRecord::new("c", "/", "coder", END));
    let code = if session_id.is_empty() {
        code
    } else {
        code.in_session(session_id)
    };
    let kept = store
        .insert_code(hash, code, NOW)
        .await
        .expect("a new code is kept");
    assert!(kept, "a code is kept where somebody is logged in");
    hash
}

async fn redeem(store: &dyn HubStore, code: TokenHash, now: UnixTime) -> (Redeemed, TokenHash) {
    let (hash, token) = (
        new_hash(),
        TokenRecord::new(record("redeemer").grant().clone(), now),
    );
    let redeemed = store
        .redeem(code, hash, token)
        .await
        .expect("a store that can be asked");
    (redeemed, hash)
}

async fn end(store: &dyn HubStore, which: Logins) -> u64 {
    store
        .end_logins(which)
        .await
        .expect("a store that can be written to")
}

async fn find_login(store: &dyn HubStore, hash: TokenHash) -> Option<LoginRecord> {
    store.find_login(hash).await.expect("a store that can be asked")
}

async fn find_code(store: &dyn HubStore, hash: TokenHash) -> Option<CodeRecord> {
    store.find_code(hash).await.expect("a store that can be asked")
}
