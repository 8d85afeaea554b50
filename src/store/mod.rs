//! What is remembered from one request to another: tokens, sessions, and the OAuth codes of a hub.
//!
//! | store | feature | for |
//! |---|---|---|
//! | [`MemoryTokenStore`] | | tests, and tokens and sessions that may end with the process |
//! | `SqliteTokenStore` | `sqlite` | one machine: one file, which several processes may use, such as a server and a command that creates tokens |
//! | `PostgresTokenStore` | `postgres` | several processes at once |
//!
//! All three implement [`TokenStore`] and [`SessionStore`], and with the feature `hub-server` also `HubStore`, which adds OAuth
//! codes and the activity of users. So can a store of your own: `token_store_conformance` and `session_store_conformance` in `portcullis::testing`
//! (feature `testing`) test it. The example `redis_sessions` is such a store, of sessions in Redis or Valkey. A session that
//! ends takes the tokens and codes made in it along, and a token the sessions that came from it. Most programs hold a store by
//! [`StoredTokens`](crate::verify::StoredTokens), which issues, verifies, lists and revokes. All three implement
//! [`AttemptStore`] too, in which replicas count wrong passwords together (`attempt_store_conformance`).
//!
//! # What a store sees
//!
//! Hashes. A token, a code, the value of a session cookie are 256 random bits, created and hashed above the store; it
//! gets only their [`TokenHash`](crate::token::TokenHash). An attacker with a copy of the store cannot log in with it.
//!
//! # When a revocation takes effect
//!
//! At once, in all processes that share the store: no store caches. Each lookup queries the database, and a database
//! shows each statement all changes that were committed before it.

mod attempt_record;
mod attempt_store;
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
mod session;
mod session_endings;
#[cfg(feature = "sqlite")]
mod sqlite;
mod token_filter;
mod token_record;
mod token_store;
mod worker;

pub use crate::{maybe_future::BoxFuture, session::RecordId};
pub(crate) use expiring_map::ExpiringMap;
#[cfg(feature = "hub-server")]
pub use hub::{
    ActivityRecord, ClientRecord, CodeRecord, CodeRedemption, HubStore, RefreshHashes, RefreshRotation,
};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresTokenStore, PostgresTokenStoreBuilder};
pub(crate) use revoked_sessions::{RevokedSessions, SessionKey};
pub(crate) use salted_hash::find_among;
pub(crate) use session_endings::SessionEndings;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteTokenStore, SqliteTokenStoreBuilder};
pub use {
    attempt_record::{AttemptKey, AttemptRecord},
    attempt_store::AttemptStore,
    error::{StoreError, StoreErrorKind},
    memory::MemoryTokenStore,
    salted_hash::{SaltedHashStore, SaltedTokenHash},
    session::{
        EndedSessions, SessionCondition, SessionCredential, SessionFilter, SessionListener, SessionRecord,
        SessionStore, SessionTouch,
    },
    token_filter::TokenFilter,
    token_record::TokenRecord,
    token_store::TokenStore,
};
