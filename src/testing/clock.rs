//! A clock that a test sets and advances.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::clock::{Clock, MonotonicTime, UnixTime};

/// A clock that shows what a test sets. Clones show the same time.
///
/// Setting the date leaves the [`MonotonicTime`] as it is, as setting a computer's does: that is how a test makes the
/// date jump.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use portcullis::{clock::{Clock, UnixTime}, testing::TestClock};
///
/// let clock = TestClock::new(UnixTime::from_secs(1_700_000_000));
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now(), UnixTime::from_secs(1_700_000_060));
/// ```
#[derive(Clone, Debug)]
pub struct TestClock(Arc<Shown>);

#[derive(Debug)]
struct Shown {
    date: AtomicU64,
    /// Nanoseconds since the test began.
    passed: AtomicU64,
}

impl TestClock {
    /// A clock that shows `time`.
    pub fn new(time: UnixTime) -> Self {
        Self(Arc::new(Shown {
            date: AtomicU64::new(time.as_secs()),
            passed: AtomicU64::new(0),
        }))
    }

    /// Shows the date `time` from now on, earlier or later than before; no time passes.
    pub fn set(&self, time: UnixTime) {
        self.0.date.store(time.as_secs(), Ordering::Relaxed);
    }

    /// Lets `duration` pass. The date goes forward in whole seconds.
    pub fn advance(&self, duration: Duration) {
        self.set(self.now().saturating_add(duration));
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.0.passed.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> UnixTime {
        UnixTime::from_secs(self.0.date.load(Ordering::Relaxed))
    }

    fn monotonic_now(&self) -> MonotonicTime {
        MonotonicTime::from_duration(Duration::from_nanos(self.0.passed.load(Ordering::Relaxed)))
    }
}
