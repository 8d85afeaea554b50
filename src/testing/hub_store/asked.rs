//! What stores are asked for in many of these tests.

use std::time::Duration;

use crate::{
    clock::UnixTime,
    store::{CodeRecord, CodeRedemption, HubStore, LoginFilter, LoginRecord, TokenRecord},
    testing::token_store::{NOW, new_hash, record},
    token::TokenHash,
};

/// When codes and logins of these tests end, unless they say otherwise.
pub(super) const END: UnixTime = NOW.saturating_add(Duration::from_secs(60));

pub(super) async fn begin(store: &dyn HubStore, login: &LoginRecord, replaced: Option<&str>) -> TokenHash {
    let hash = new_hash();
    let begun = store.insert_login(hash, login.clone(), replaced.map(str::to_owned));
    begun.await.expect("a new login is kept");
    hash
}

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
    assert!(kept, "a code is kept where somebody is logged in");
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
        .expect("a store that can be asked");
    (redeemed, hash)
}

pub(super) async fn end(store: &dyn HubStore, which: LoginFilter) -> u64 {
    store
        .revoke_logins(which)
        .await
        .expect("a store that can be written to")
}

pub(super) async fn find_login(store: &dyn HubStore, hash: TokenHash) -> Option<LoginRecord> {
    store.find_login(hash).await.expect("a store that can be asked")
}

pub(super) async fn find_code(store: &dyn HubStore, hash: TokenHash) -> Option<CodeRecord> {
    store.find_code(hash).await.expect("a store that can be asked")
}
