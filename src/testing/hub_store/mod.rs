//! What every store of a hub must be able to do.

mod activity;
mod clients;
mod codes;
mod refresh;
mod sessions;
mod steps;
mod token_sessions;

use super::session_store_conformance;
use crate::store::HubStore;

/// Tests a store for all that [`HubStore`] promises in addition to [`TokenStore`](crate::store::TokenStore), with
/// [`session_store_conformance`]: run it in a test, on a new store, as well as
/// [`token_store_conformance`](super::token_store_conformance).
///
/// # Panics
///
/// If the store breaks a promise; the message says which.
///
/// # Example
///
/// ```
/// use portcullis::{store::MemoryTokenStore, testing::hub_store_conformance};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// hub_store_conformance(&MemoryTokenStore::new()).await;
/// # });
/// ```
pub async fn hub_store_conformance(store: &dyn HubStore) {
    session_store_conformance(store).await;
    sessions::a_session_that_ends_takes_tokens_and_codes_with_it(store).await;
    sessions::a_new_session_takes_the_tokens_of_the_old_one(store).await;
    sessions::a_session_that_is_refused_replaces_nothing(store).await;
    activity::each_time_is_kept_and_never_goes_back(store).await;
    activity::users_are_listed_by_name_and_in_pages(store).await;
    activity::the_newest_tokens_come_first_and_in_pages(store).await;
    clients::no_more_clients_are_kept_than_the_limit_says(store).await;
    clients::a_client_that_is_used_is_kept(store).await;
    codes::a_code_is_found_as_it_was_made(store).await;
    codes::no_code_is_created_without_a_session(store).await;
    codes::a_code_is_good_once_and_its_token_ends_at_the_second_try(store).await;
    codes::a_rejected_token_does_not_use_up_the_code(store).await;
    codes::of_many_who_redeem_a_code_one_gets_the_token(store).await;
    codes::a_logout_during_an_exchange_leaves_no_token(store).await;
    refresh::a_refresh_token_is_replaced_at_each_use(store).await;
    refresh::a_use_moves_the_end_of_a_refresh_token(store).await;
    refresh::a_rejected_token_does_not_use_up_the_refresh_token(store).await;
    refresh::what_ends_one_token_of_a_family_ends_all(store).await;
    refresh::a_code_that_is_used_twice_ends_the_family(store).await;
    refresh::of_many_who_use_a_refresh_token_one_gets_a_token_which_ends(store).await;
    refresh::a_revocation_or_logout_during_a_refresh_leaves_nothing(store).await;
    token_sessions::a_session_ends_with_the_token_that_it_came_from(store).await;
    token_sessions::a_revocation_during_a_logout_leaves_neither(store).await;
}
