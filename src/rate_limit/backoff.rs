//! How waiting grows from failure to failure, and is forgiven.

use std::time::Duration;

use super::rate_limited::RateLimited;
use crate::clock::MonotonicTime;

/// How the failures of one account or one address are limited.
#[derive(Clone, Copy, Debug)]
pub(super) struct BackoffPolicy {
    /// The number of failures without a wait. The wait after the next one is a second, and doubles.
    pub(super) free_attempts: u32,
    /// The quiet, after the wait, for which one failure is forgiven.
    pub(super) decay: Duration,
    /// The number of failures from which on the wait is a day.
    lockout_after: u32,
}

/// The failures that are not forgiven yet, the moment of the last one, and the attempts that are not settled.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FailureCount {
    pub(super) failures: u32,
    pub(super) reserved: u16,
    /// Logins since a failure was last forgiven for them.
    logins: u16,
    last: MonotonicTime,
}

/// The number of logins for which one failure is removed from the count.
const LOGINS: u16 = 20;

const LONGEST: Duration = Duration::from_secs(15 * 60);
const A_DAY: Duration = Duration::from_secs(24 * 3600);

impl BackoffPolicy {
    /// NIST SP 800-63B-4 section 3.2.2 allows no more than 100 in a row. If the account were closed permanently, an
    /// attacker could lock out the user, so from there on it opens once a day.
    pub(super) const ACCOUNT: Self = Self {
        free_attempts: 5,
        decay: A_DAY,
        lockout_after: 100,
    };

    /// Whole offices and classes share an address, so its failures are reset sooner.
    pub(super) const ADDRESS: Self = Self {
        free_attempts: 10,
        decay: Duration::from_secs(60),
        lockout_after: u32::MAX,
    };

    /// How long there is still to wait. Nothing where there is no penalty, even if another thread read its clock
    /// a little later and came in before.
    pub(super) fn wait(self, count: FailureCount, now: MonotonicTime) -> Duration {
        if self.delay(count.failures).is_zero() {
            return Duration::ZERO;
        }
        self.open_at(count).saturating_duration_since(now)
    }

    /// The count with one more failure.
    ///
    /// # Errors
    ///
    /// How long there is still to wait.
    pub(super) fn next(self, count: FailureCount, now: MonotonicTime) -> Result<FailureCount, Duration> {
        let wait = self.wait(count, now);
        if !wait.is_zero() {
            return Err(wait);
        }
        Ok(self.failed(count, now))
    }

    /// The count that lets one more attempt through: with one more failure, or one more reserved place.
    ///
    /// # Errors
    ///
    /// If the attempt must wait.
    pub(super) fn charge(
        self,
        count: FailureCount,
        now: MonotonicTime,
        reserved: bool,
    ) -> Result<FailureCount, RateLimited> {
        let failed = self.next(count, now).map_err(|wait| RateLimited {
            wait,
            until_settled: false,
        })?;
        if reserved {
            self.reserve(count, now).ok_or(RateLimited::UNTIL_SETTLED)
        } else {
            Ok(failed)
        }
    }

    /// The count with one more reserved place, whatever the failures are.
    pub(super) fn reserve_only(self, count: FailureCount) -> Result<FailureCount, RateLimited> {
        let none = FailureCount { failures: 0, ..count };
        let reserved = self.reserve(none, count.last).ok_or(RateLimited::UNTIL_SETTLED)?;
        Ok(FailureCount {
            failures: count.failures,
            ..reserved
        })
    }

    /// The count with one more failure, whether or not there is still to wait.
    pub(super) fn failed(self, count: FailureCount, now: MonotonicTime) -> FailureCount {
        FailureCount {
            failures: self.unforgiven(count, now).saturating_add(1),
            last: now,
            ..count
        }
    }

    /// The count with one more reserved attempt, if the limit allows it: if all reserved attempts fail, no more were
    /// allowed than one after another.
    pub(super) fn reserve(self, count: FailureCount, now: MonotonicTime) -> Option<FailureCount> {
        let free = self
            .free_attempts
            .saturating_sub(self.unforgiven(count, now))
            .max(1);
        (u32::from(count.reserved) < free).then(|| FailureCount {
            reserved: count.reserved + 1,
            ..count
        })
    }

    /// The failures that the quiet since the last one has not forgiven.
    fn unforgiven(self, count: FailureCount, now: MonotonicTime) -> u32 {
        let quiet = now.saturating_duration_since(self.open_at(count));
        let forgiven = quiet.as_nanos() / self.decay.as_nanos();
        let forgiven = u32::try_from(forgiven).unwrap_or(u32::MAX);
        count.failures.saturating_sub(forgiven)
    }

    /// When all is forgiven, even if every reserved attempt fails now.
    pub(super) fn expires_at(self, count: FailureCount, now: MonotonicTime) -> MonotonicTime {
        let mut worst = count;
        if count.reserved > 0 {
            worst.failures = count.failures.saturating_add(count.reserved.into());
            worst.last = now.max(count.last);
        }
        self.open_at(worst)
            .saturating_add(self.decay.saturating_mul(worst.failures))
    }

    fn open_at(self, count: FailureCount) -> MonotonicTime {
        count.last.saturating_add(self.delay(count.failures))
    }

    /// How long after the last of this number of failures all attempts are rejected.
    fn delay(self, failures: u32) -> Duration {
        if failures >= self.lockout_after {
            return A_DAY;
        }
        match failures.checked_sub(self.free_attempts) {
            None => Duration::ZERO,
            Some(doublings) => LONGEST.min(Duration::from_secs(1 << doublings.min(32))),
        }
    }
}

impl FailureCount {
    pub(super) fn new(failures: u32, last: MonotonicTime, reserved: usize) -> Self {
        Self {
            failures,
            reserved: u16::try_from(reserved).unwrap_or(u16::MAX),
            logins: 0,
            last,
        }
    }

    /// The moment of the last failure.
    pub(super) fn last(self) -> MonotonicTime {
        self.last
    }

    /// One failure less.
    pub(super) fn decrement(&mut self) {
        self.failures = self.failures.saturating_sub(1);
    }

    /// One reserved attempt less.
    pub(super) fn give_back(&mut self) {
        self.reserved = self.reserved.saturating_sub(1);
    }

    /// One login more.
    pub(super) fn logged_in(&mut self) {
        self.logins += 1;
        if self.logins == LOGINS {
            self.logins = 0;
            self.decrement();
        }
    }

    /// Whether there is nothing to count.
    pub(super) fn is_empty(self) -> bool {
        self.failures == 0 && self.reserved == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    const DAY: u64 = 24 * 3600;

    fn at(seconds: u64) -> MonotonicTime {
        MonotonicTime::from_duration(Duration::from_secs(seconds))
    }

    #[test]
    fn some_failures_are_free_then_each_costs_twice_the_last() {
        for (failures, account, address) in [
            (0, 0, 0),
            (4, 0, 0),
            (5, 1, 0),
            (6, 2, 0),
            (9, 16, 0),
            (10, 32, 1),
            (14, 512, 16),
            (15, 900, 32),
            (19, 900, 512),
            (20, 900, 900),
            (99, 900, 900),
            (100, DAY, 900),
            (u32::MAX - 1, DAY, 900),
        ] {
            assert_eq!(
                BackoffPolicy::ACCOUNT.delay(failures).as_secs(),
                account,
                "{failures}"
            );
            assert_eq!(
                BackoffPolicy::ADDRESS.delay(failures).as_secs(),
                address,
                "{failures}"
            );
        }
    }

    #[test]
    fn quiet_forgives_one_by_one_and_at_the_end_all() {
        let six = FailureCount {
            failures: 6,
            ..FailureCount::default()
        };
        for (seconds, failures) in [
            (2, 7),
            (2 + DAY - 1, 7),
            (2 + DAY, 6),
            (2 + 5 * DAY, 2),
            (2 + 6 * DAY, 1),
            (2 + 99 * DAY, 1),
        ] {
            let next = BackoffPolicy::ACCOUNT.next(six, at(seconds)).expect("waited for");
            assert_eq!(next.failures, failures, "after {seconds} s");
        }
        assert_eq!(
            BackoffPolicy::ACCOUNT.next(six, at(1)).err(),
            Some(Duration::from_secs(1))
        );
        assert_eq!(BackoffPolicy::ACCOUNT.expires_at(six, at(0)), at(2 + 6 * DAY));
        let free = FailureCount {
            failures: 1,
            last: at(9),
            ..FailureCount::default()
        };
        assert!(
            BackoffPolicy::ACCOUNT.next(free, at(8)).is_ok(),
            "read a little earlier"
        );
    }

    proptest! {
        /// Regardless of the timing, at most 100 failures are allowed at once and one more each day.
        #[test]
        fn no_pattern_of_attempts_exceeds_the_limits(
            pauses in vec(select(vec![0, 1, 59, 60, 61, 900, 901, 3600, DAY, DAY + 900, 2 * DAY]), 0..600),
        ) {
            for (pace, at_once, each) in [(BackoffPolicy::ACCOUNT, 100, DAY), (BackoffPolicy::ADDRESS, 20, 60)] {
                let (mut count, mut allowed, mut now) = (FailureCount::default(), 0, 0);
                for pause in &pauses {
                    now += pause;
                    match pace.next(count, at(now)) {
                        Ok(next) => {
                            prop_assert!(pace.wait(next, at(now)) <= A_DAY);
                            prop_assert!(pace.expires_at(next, at(now)) > at(now));
                            (count, allowed) = (next, allowed + 1);
                        }
                        Err(wait) => prop_assert!(pace.next(count, at(now).saturating_add(wait)).is_ok()),
                    }
                }
                prop_assert!(allowed <= at_once + 1 + now / each, "{} allowed in {} s", allowed, now);
            }
        }
    }
}
