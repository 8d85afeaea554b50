//! For tests of one's own: a clock that stands still until it is told, and password hashes that take no time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

#[cfg(feature = "password")]
use crate::password::HashCost;
use crate::time::{Clock, UnixTime};

/// The least cost that argon2 takes: 8 KiB, one pass. A hash of it withstands nobody.
///
/// # Example
///
/// ```
/// use portcullis::{HashingPool, testing};
///
/// let pool = HashingPool::new().with_cost(testing::cheapest_hash());
/// ```
#[cfg(feature = "password")]
pub fn cheapest_hash() -> HashCost {
    HashCost::tiny()
}

/// A clock that shows what a test sets. Clones show the same time.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use portcullis::{Clock, UnixTime, testing::TestClock};
///
/// let clock = TestClock::at(UnixTime::from_secs(1_700_000_000));
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now(), UnixTime::from_secs(1_700_000_060));
/// ```
#[derive(Clone, Debug)]
pub struct TestClock(Arc<AtomicU64>);

impl TestClock {
    /// A clock that shows `time`.
    pub fn at(time: UnixTime) -> Self {
        Self(Arc::new(AtomicU64::new(time.as_secs())))
    }

    /// Shows `time` from now on, earlier or later than before.
    pub fn set(&self, time: UnixTime) {
        self.0.store(time.as_secs(), Ordering::Relaxed);
    }

    /// Goes forward by `duration`, in whole seconds.
    pub fn advance(&self, duration: Duration) {
        self.set(self.now().after(duration));
    }
}

impl Clock for TestClock {
    fn now(&self) -> UnixTime {
        UnixTime::from_secs(self.0.load(Ordering::Relaxed))
    }
}
