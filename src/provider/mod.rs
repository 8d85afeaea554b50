//! Being the hub.

mod client;
mod date;
mod member;
mod scope;
mod username;

pub use client::Client;
pub use member::{Member, Members};
pub use username::Username;
