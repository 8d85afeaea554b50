//! A store that ends with the process.

mod error;
#[cfg(feature = "provider")]
mod hub;
#[cfg(feature = "provider")]
mod hub_state;
mod state;
mod token_store;

pub use self::token_store::MemoryTokenStore;
