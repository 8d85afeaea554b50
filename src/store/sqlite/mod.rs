//! Tokens in a file.

mod fault;
#[cfg(feature = "provider")]
mod hub;
mod schema;
mod settings;
mod statements;
mod threads;
mod token_store;

pub use self::{settings::SqliteTokenStoreBuilder, token_store::SqliteTokenStore};
