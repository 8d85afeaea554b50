//! For tests of one's own: a clock that stands still until it is told, and what every store must be able to do.

mod clock;
#[cfg(feature = "provider")]
mod hub_store;
mod store;

#[cfg(feature = "provider")]
pub use self::hub_store::hub_store_conformance;
pub use self::{clock::TestClock, store::store_conformance};
