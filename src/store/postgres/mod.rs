//! Tokens in a server that several processes share.

mod fault;
#[cfg(feature = "provider")]
mod hub;
mod schema;
mod settings;
mod statements;
mod token_store;

pub use self::{settings::PostgresTokenStoreBuilder, token_store::PostgresTokenStore};
