//! What is remembered from one request to another: tokens, and what a hub keeps besides.
//!
//! | store | feature | for |
//! |---|---|---|
//! | [`MemoryTokenStore`] | | tests, and tokens that may end with the process |
//! | `SqliteTokenStore` | `sqlite` | one process, one file, nothing to install |
//! | `PostgresTokenStore` | `postgres` | several processes at once |
//!
//! All three are a [`TokenStore`]; so can be one of your own, and
//! `portcullis::testing::token_store_conformance` (feature `testing`) tells whether it is. With the feature `hub-server` they
//! are a `HubStore` as well, which adds logins and OAuth codes. Most programs hold a store by
//! [`StoredTokens`](crate::verify::StoredTokens), which issues, verifies, lists and revokes.
//!
//! # What a store sees
//!
//! Hashes. A token, a code, the value of a login cookie are 256 random bits, made and hashed above the store; only
//! their [`TokenHash`](crate::token::TokenHash) comes down here. A thief of the store finds nothing to log in with.
//!
//! # When a revocation is felt
//!
//! At once, by everybody who shares the store: no store keeps an answer. A look-up asks the database, and a database
//! shows each statement what was committed before it.

mod error;
mod expiring_map;
#[cfg(feature = "hub-server")]
mod hub;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
mod queue;
mod revoked_sessions;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod row;
mod salted_hash;
#[cfg(feature = "sqlite")]
mod sqlite;
mod token_filter;
mod token_record;
mod token_store;
mod worker;

pub use crate::maybe_future::BoxFuture;
pub(crate) use expiring_map::ExpiringMap;
#[cfg(feature = "hub-server")]
pub use hub::{CodeRecord, CodeRedemption, HubStore, LoginFilter, LoginRecord};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresTokenStore, PostgresTokenStoreBuilder};
pub(crate) use revoked_sessions::{RevokedSessions, SessionEnded, SessionKey};
pub(crate) use salted_hash::find_among;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteTokenStore, SqliteTokenStoreBuilder};
pub use {
    error::{StoreError, StoreErrorKind},
    memory::MemoryTokenStore,
    salted_hash::{SaltedHashStore, SaltedTokenHash},
    token_filter::TokenFilter,
    token_record::{RecordId, TokenRecord},
    token_store::TokenStore,
};
