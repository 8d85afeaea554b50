//! Time as the crate reads it, from a clock that can be replaced: the date in whole seconds, and the time that
//! passes whatever the date is set to.

use std::{
    fmt,
    ops::{Add, Sub},
    sync::LazyLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Whole seconds since 1970-01-01T00:00:00Z.
///
/// Arithmetic saturates, so no clock reading makes a check panic or wrap.
///
/// # Example
///
/// ```
/// use portcullis::clock::UnixTime;
/// use std::time::{Duration, SystemTime};
///
/// let expires_at = UnixTime::from(SystemTime::now()) + Duration::from_secs(3_600);
/// assert!(SystemTime::from(expires_at) > SystemTime::now());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// The time `seconds` after the epoch.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds since the epoch.
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// Returns this time plus `duration`, in whole seconds; the greatest time on overflow.
    pub const fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }

    /// This time less `duration`, in whole seconds; the epoch if that lies before it.
    pub const fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration.as_secs()))
    }

    /// The same time as a moment whose beginning is 1970, for counts that several processes share.
    pub(crate) const fn moment(self) -> MonotonicTime {
        MonotonicTime::from_duration(Duration::from_secs(self.0))
    }

    /// The time of a moment whose beginning is 1970, in whole seconds, rounded up.
    pub(crate) const fn from_moment(moment: MonotonicTime) -> Self {
        Self(moment.0.div_ceil(1_000_000_000))
    }

    /// How long ago `earlier` was; zero if it has not come yet.
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for UnixTime {
    type Output = Self;

    /// The same as [`UnixTime::saturating_add`].
    fn add(self, duration: Duration) -> Self {
        self.saturating_add(duration)
    }
}

impl Sub<Duration> for UnixTime {
    type Output = Self;

    /// The same as [`UnixTime::saturating_sub`].
    fn sub(self, duration: Duration) -> Self {
        self.saturating_sub(duration)
    }
}

impl From<SystemTime> for UnixTime {
    /// Drops the fraction of a second. A time before 1970 becomes the epoch.
    fn from(time: SystemTime) -> Self {
        Self(
            time.duration_since(UNIX_EPOCH)
                .map_or(0, |passed| passed.as_secs()),
        )
    }
}

impl From<UnixTime> for SystemTime {
    /// A time later than the system can represent becomes one in the far future.
    fn from(time: UnixTime) -> Self {
        let after_epoch = |seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        after_epoch(time.0)
            .or_else(|| (1..u64::BITS).find_map(|bits| after_epoch(u64::MAX >> bits)))
            .unwrap_or(UNIX_EPOCH)
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s since 1970", self.0)
    }
}

/// A moment within this process: how long after a beginning that stays the same.
///
/// Monotonic times never go back, even if the system's date is set back, so durations are measured by them. They
/// mean nothing to another process, or after a restart. Arithmetic saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonotonicTime(u64);

impl MonotonicTime {
    /// The moment `passed` after the beginning, to the nanosecond.
    pub const fn from_duration(passed: Duration) -> Self {
        Self(nanoseconds(passed))
    }

    /// The moment now, by the system's monotonic clock. The beginning is the first call.
    pub fn now() -> Self {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        Self::from_duration(START.elapsed())
    }

    /// This moment and `duration` more.
    pub const fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanoseconds(duration)))
    }

    /// How long ago `earlier` was; zero if it has not come yet.
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// At most 584 years.
const fn nanoseconds(duration: Duration) -> u64 {
    let nanoseconds = duration.as_nanos();
    if nanoseconds > u64::MAX as u128 {
        u64::MAX
    } else {
        nanoseconds as u64
    }
}

/// Where the time comes from: [`SystemClock`], or a clock of a test's own.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> UnixTime;

    /// The moment now, which no setting of the date moves. Default: [`MonotonicTime::now`].
    fn monotonic_now(&self) -> MonotonicTime {
        MonotonicTime::now()
    }
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> UnixTime {
        (**self).now()
    }

    fn monotonic_now(&self) -> MonotonicTime {
        (**self).monotonic_now()
    }
}

/// The system's clock. A clock set before 1970 reads as the epoch.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    // The coarse clock is some milliseconds late, which whole seconds do not show, and a quarter of the work.
    #[cfg(target_os = "linux")]
    fn now(&self) -> UnixTime {
        use rustix::time::{ClockId, clock_gettime};

        UnixTime(u64::try_from(clock_gettime(ClockId::RealtimeCoarse).tv_sec).unwrap_or(0))
    }

    #[cfg(not(target_os = "linux"))]
    fn now(&self) -> UnixTime {
        UnixTime::from(SystemTime::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_time_converts_to_system_time_and_back() {
        for seconds in [0, 1, 1_800_000_000] {
            let time = UnixTime::from_secs(seconds);
            assert_eq!(UnixTime::from(SystemTime::from(time)), time);
        }
        let with_fraction = UNIX_EPOCH + Duration::from_millis(7_999);
        assert_eq!(UnixTime::from(with_fraction), UnixTime::from_secs(7));
    }

    #[test]
    fn times_out_of_range_saturate() {
        let before_1970 = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(UnixTime::from(before_1970), UnixTime::from_secs(0));
        let latest = UnixTime::from_secs(u64::MAX);
        let year_10000 = UNIX_EPOCH + Duration::from_secs(253_402_300_800);
        assert!(SystemTime::from(latest) > year_10000);
    }

    #[test]
    fn unix_time_plus_and_minus_a_duration_saturates_in_whole_seconds() {
        let time = UnixTime::from_secs(10);
        assert_eq!(time + Duration::from_millis(2_900), UnixTime::from_secs(12));
        assert_eq!(time - Duration::from_millis(2_900), UnixTime::from_secs(8));
        assert_eq!(time - Duration::from_secs(11), UnixTime::from_secs(0));
        assert_eq!(time + Duration::MAX, UnixTime::from_secs(u64::MAX));
    }

    #[test]
    fn moments_go_forward_and_saturate() {
        let first = MonotonicTime::now();
        assert!(MonotonicTime::now() >= first);
        let late = MonotonicTime::from_duration(Duration::MAX);
        assert_eq!(late.saturating_add(Duration::MAX), late);
        assert_eq!(first.saturating_duration_since(late), Duration::ZERO);
        let second = first.saturating_add(Duration::from_millis(1_500));
        assert_eq!(
            second.saturating_duration_since(first),
            Duration::from_millis(1_500)
        );
    }
}
