//! A store that ends with the process.

mod error;
#[cfg(feature = "hub-server")]
mod hub;
#[cfg(feature = "hub-server")]
mod hub_state;
mod state;
mod token_store;

pub use self::token_store::MemoryTokenStore;
