//! What holds for codes, and for the tokens they are exchanged for.

use super::{
    super::{
        session_steps::{END, begin, end, session},
        token_store::{NOW, all, find, insert, new_hash, record},
    },
    steps::{code, find_code, redeem},
};
use crate::{
    maybe_future::BoxFuture,
    store::{CodeRecord, CodeRedemption, HubStore, SessionFilter, StoreErrorKind, TokenFilter},
};

pub(super) async fn a_code_is_found_as_it_was_made(store: &dyn HubStore) {
    begin(store, &session("coder", "coding"), None).await;
    let bare = CodeRecord::new("c", "/callback", "coder", END);
    let full = CodeRecord::new("service-é'", "https://example.org/?a=%41", "coder", END)
        .with_code_challenge("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
        .with_scopes(["read", "access:services!service=grader"])
        .with_session("coding")
        .with_resource("https://mcp.example.org/é'");
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

pub(super) async fn no_code_is_created_without_a_session(store: &dyn HubStore) {
    begin(store, &session("gone", "expired"), None).await;
    begin(store, &session("gone", "ended"), None).await;
    end(store, SessionFilter::owner("gone").and_session("ended")).await;
    for session_id in ["never began", "expired", "ended"] {
        let (hash, code) = (
            new_hash(),
            CodeRecord::new("c", "/", "gone", END).with_session(session_id),
        );
        let kept = store
            .insert_code(hash, code, END)
            .await
            .expect("the store answers");
        assert!(!kept, "no code is made in a session that {session_id}");
        assert_eq!(find_code(store, hash).await, None);
    }
}

pub(super) async fn a_code_is_good_once_and_its_token_ends_at_the_second_try(store: &dyn HubStore) {
    begin(store, &session("redeemer", "redeeming"), None).await;
    let code = code(store, "redeeming").await;
    let (issued, first) = redeem(store, code, NOW).await;
    assert_eq!(issued, CodeRedemption::Issued, "a good code is redeemed");
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
    assert_eq!(
        again,
        CodeRedemption::AlreadyUsed { revoked: 1 },
        "it is not redeemed twice"
    );
    assert_eq!(find(store, first).await, None, "the first token ends");
    assert_eq!(find(store, second).await, None, "there is no second one");
    assert_eq!(
        redeem(store, code, NOW).await.0,
        CodeRedemption::AlreadyUsed { revoked: 0 }
    );

    let late = self::code(store, "").await;
    let (expired, token) = redeem(store, late, END).await;
    assert_eq!(
        expired,
        CodeRedemption::Unknown,
        "an expired code cannot be redeemed"
    );
    assert_eq!(find(store, token).await, None);
    assert_eq!(
        redeem(store, new_hash(), NOW).await.0,
        CodeRedemption::Unknown,
        "nor can one that was never issued"
    );
}

pub(super) async fn a_rejected_token_does_not_use_up_the_code(store: &dyn HubStore) {
    let (code, taken) = (code(store, "").await, new_hash());
    insert(store, taken, &record("holder")).await;
    let refused = store
        .redeem_code(code, taken, record("second"))
        .await
        .map_err(|error| error.kind());
    assert_eq!(
        refused,
        Err(StoreErrorKind::Duplicate),
        "a token that is there already is refused"
    );
    assert_eq!(
        redeem(store, code, NOW).await.0,
        CodeRedemption::Issued,
        "the code is as good as before"
    );
}

pub(super) async fn of_many_who_redeem_a_code_one_gets_the_token(store: &dyn HubStore) {
    for _ in 0..4 {
        let (code, tokens) = (code(store, "").await, [(); 64].map(|()| new_hash()));
        let redeemed = all(tokens.map(|token| store.redeem_code(code, token, record("racer")))).await;
        let issued = redeemed
            .iter()
            .filter(|redeemed| matches!(redeemed, Ok(CodeRedemption::Issued)));
        assert_eq!(issued.count(), 1, "of many who redeem a code one gets a token");
        let again = redeemed
            .iter()
            .filter(|redeemed| matches!(redeemed, Ok(CodeRedemption::AlreadyUsed { .. })));
        assert_eq!(again.count(), 63, "all others find that it was used");
        for token in tokens {
            assert_eq!(find(store, token).await, None, "and the token ends");
        }
    }
}

pub(super) async fn a_logout_during_an_exchange_leaves_no_token(store: &dyn HubStore) {
    for round in 0..64 {
        let session_id = format!("raced {round}");
        begin(store, &session("raced", &session_id), None).await;
        let codes = [code(store, &session_id).await, code(store, &session_id).await];
        let late = [(); 4].map(|()| new_hash());
        let [first, second] = codes.map(|code| -> BoxFuture<()> {
            let redeemed = store.redeem_code(code, new_hash(), record("raced"));
            Box::pin(async move { redeemed.await.map(drop).expect("an answer") })
        });
        let ended = store.end_sessions(SessionFilter::owner("raced"));
        let ended: BoxFuture<()> = Box::pin(async move { ended.await.map(drop).expect("an answer") });
        // Some are redeemed before the logout, and some after.
        let [one, two, three, four] = late.map(|late| -> BoxFuture<()> {
            let record = CodeRecord::new("c", "/", "raced", END).with_session(&session_id);
            let made = store.insert_code(late, record, NOW);
            Box::pin(async move { made.await.map(drop).expect("an answer") })
        });
        all([first, one, two, ended, three, four, second]).await;
        for code in codes.into_iter().chain(late) {
            let (redeemed, _) = redeem(store, code, NOW).await;
            assert_ne!(
                redeemed,
                CodeRedemption::Issued,
                "after a logout no code of its session is valid"
            );
        }
        let left = store
            .list(TokenFilter::owner("raced"), NOW)
            .await
            .expect("a list");
        assert_eq!(left, [], "after a logout no token of its session is left");
    }
}
