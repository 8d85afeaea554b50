//! What every store of a hub must be able to do.

mod codes;
mod logins;

use std::time::Duration;

use super::store::{NOW, new_hash, record};
use crate::{
    store::{CodeRecord, HubStore, LoginRecord, Logins, Redeemed, TokenRecord},
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
    logins::a_login_is_found_as_it_began(store).await;
    logins::a_second_login_of_the_same_is_refused(store).await;
    logins::logins_are_listed(store).await;
    logins::a_login_that_ends_takes_tokens_and_codes_with_it(store).await;
    logins::a_new_session_takes_the_tokens_of_the_old_one(store).await;
    logins::a_login_that_is_refused_replaces_nothing(store).await;
    codes::a_code_is_found_as_it_was_made(store).await;
    codes::no_code_is_made_where_nobody_is_logged_in(store).await;
    codes::a_code_is_good_once_and_its_token_ends_at_the_second_try(store).await;
    codes::a_token_that_is_refused_burns_no_code(store).await;
    codes::of_many_who_redeem_a_code_one_gets_the_token(store).await;
    codes::a_logout_beside_an_exchange_leaves_no_token(store).await;
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
