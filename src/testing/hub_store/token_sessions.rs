//! What holds for the sessions that come from a token.

use super::{
    super::{
        ended_sessions::Listener,
        session_steps::{after, begin, end, find_session, session},
        token_store::{NOW, all, find, insert, new_hash, record},
    },
    steps::{code, find_code, redeem},
};
use crate::{
    store::{HubStore, SessionCredential, SessionFilter, TokenFilter, TokenRecord},
    token::TokenHash,
};

pub(super) async fn a_session_ends_with_the_token_that_it_came_from(store: &dyn HubStore) {
    let listener = Listener::of(store);
    for how in [
        "is revoked by its id",
        "is revoked with others of its owner",
        "is revoked with the session that it was made in",
        "belongs to another user than the session that replaces its own",
        "is of a code that was used twice",
        "has expired and is removed",
    ] {
        begin(store, &session("tokens", "t0"), None).await;
        let mut granted = TokenRecord::new(record("token").grant().clone().with_expiry(after(30)), NOW);
        granted = granted.with_session("t0");
        let code_of_token = code(store, "t0").await;
        let token = match how.contains("code") {
            true => redeem(store, code_of_token, NOW).await.1,
            false => {
                let hash = new_hash();
                insert(store, hash, &granted).await;
                hash
            }
        };
        let came_from = |session_id, credential| session("tokens", session_id).with_credential(credential);
        let first = came_from("t1", SessionCredential::Token(token));
        let first_hash = begin(store, &first, None).await;
        let (next_token, next_code) = (new_hash(), code(store, "t1").await);
        insert(store, next_token, &record("other").with_session("t1")).await;
        let second = came_from("t2", SessionCredential::Token(next_token));
        let second_hash = begin(store, &second, None).await;
        let stays = [
            ("t3", SessionCredential::Token(new_hash())),
            ("t4", SessionCredential::Fingerprint(token)),
        ];
        let mut staying = Vec::new();
        for (session_id, credential) in stays {
            staying.push(begin(store, &came_from(session_id, credential), None).await);
        }
        let revoke = async |which| {
            let revoked = store.revoke(which).await;
            assert_eq!(
                revoked.expect("a store that can be written to"),
                1,
                "when it {how}"
            );
        };
        match how {
            "is revoked by its id" => revoke(TokenFilter::id(granted.id())).await,
            "is revoked with others of its owner" => revoke(TokenFilter::owner("token")).await,
            "is revoked with the session that it was made in" => {
                let ended = end(store, SessionFilter::owner("tokens").and_session("t0")).await;
                assert_eq!(ended, 1, "only the sessions that were selected count");
            }
            "is of a code that was used twice" => drop(redeem(store, code_of_token, NOW).await),
            "has expired and is removed" => {
                for _ in 0..4_096 {
                    if find(store, token).await.is_none() {
                        break;
                    }
                    let later = TokenRecord::new(record("later").grant().clone(), after(30));
                    insert(store, new_hash(), &later).await;
                }
            }
            _ => drop(begin(store, &session("else", "t5"), Some("t0")).await),
        }
        assert_eq!(find(store, token).await, None, "a token that {how} is not found");
        let found = async |hash| find_session(store, hash).await.is_some();
        assert!(!found(first_hash).await, "a session ends with a token that {how}");
        assert!(find_code(store, next_code).await.is_none(), "its codes do, too");
        assert_eq!(find(store, next_token).await, None, "and its tokens");
        assert!(!found(second_hash).await, "and the sessions that came from those");
        for hash in staying {
            assert!(found(hash).await, "others stay where a token {how}");
        }
        if let Some(listener) = &listener {
            for ended in [&first, &second] {
                assert!(listener.was_called_with(ended), "a listener is called with each");
            }
        }
        for owner in ["tokens", "else"] {
            end(store, SessionFilter::owner(owner)).await;
        }
    }
}

/// Each of them ends what the other one begins with.
pub(super) async fn a_revocation_during_a_logout_leaves_neither(store: &dyn HubStore) {
    for round in 0..16 {
        let session_ids = [0, 1, 2].map(|number| format!("meet {round} {number}"));
        let mut hashes: Vec<TokenHash> = Vec::new();
        let mut token = None;
        for session_id in &session_ids {
            let mut began = session("meeter", session_id);
            if let Some(token) = token {
                began = began.with_credential(SessionCredential::Token(token));
            }
            hashes.push(begin(store, &began, None).await);
            let made = new_hash();
            insert(store, made, &record("meeter").with_session(session_id)).await;
            token = Some(made);
        }
        let answers = all([
            store.end_sessions(SessionFilter::owner("meeter")),
            store.revoke(TokenFilter::owner("meeter")),
            store.end_sessions(SessionFilter::owner("meeter").and_session(&session_ids[1])),
            store.revoke(TokenFilter::session(&session_ids[0])),
        ])
        .await;
        for answer in answers {
            answer.expect("no one is refused because of another");
        }
        for hash in hashes {
            assert_eq!(find_session(store, hash).await, None, "all of them end");
        }
    }
}
