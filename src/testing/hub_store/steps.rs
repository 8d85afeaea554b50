//! Steps that many of these tests share.

use crate::{
    clock::UnixTime,
    store::{CodeRecord, CodeRedemption, HubStore, TokenRecord},
    testing::{
        session_steps::END,
        token_store::{NOW, new_hash, record},
    },
    token::TokenHash,
};

/// A new code of this session, or of none if its id is empty.
pub(super) async fn code(store: &dyn HubStore, session_id: &str) -> TokenHash {
    let (hash, code) = (new_hash(), CodeRecord::new("c", "/", "coder", END));
    let code = if session_id.is_empty() {
        code
    } else {
        code.with_session(session_id)
    };
    let kept = store
        .insert_code(hash, code, NOW)
        .await
        .expect("a new code is kept");
    assert!(kept, "a code of a current session is kept");
    hash
}

pub(super) async fn redeem(
    store: &dyn HubStore,
    code: TokenHash,
    now: UnixTime,
) -> (CodeRedemption, TokenHash) {
    let (hash, token) = (
        new_hash(),
        TokenRecord::new(record("redeemer").grant().clone(), now),
    );
    let redeemed = store
        .redeem_code(code, hash, token)
        .await
        .expect("the store answers");
    (redeemed, hash)
}

pub(super) async fn find_code(store: &dyn HubStore, hash: TokenHash) -> Option<CodeRecord> {
    store.find_code(hash).await.expect("the store answers")
}
