//! Tokens in a server that several processes share.

mod attempt_store;
mod builder;
mod ending;
mod error;
#[cfg(feature = "hub-server")]
mod hub;
mod listening;
mod schema;
mod session_store;
mod statements;
mod token_store;

pub use self::{builder::PostgresTokenStoreBuilder, token_store::PostgresTokenStore};
