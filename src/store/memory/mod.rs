//! A store that ends with the process.

mod attempt_store;
mod attempts;
#[cfg(feature = "hub-server")]
mod codes;
mod error;
#[cfg(feature = "hub-server")]
mod hub;
mod session_store;
mod sessions;
mod state;
mod token_store;

pub use self::token_store::MemoryTokenStore;
