//! Tokens in a file.

mod attempt_store;
mod builder;
mod error;
#[cfg(feature = "hub-server")]
mod hub;
mod schema;
mod session_store;
mod statements;
mod token_store;
mod workers;

pub use self::{builder::SqliteTokenStoreBuilder, token_store::SqliteTokenStore};
