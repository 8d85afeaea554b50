//! How waiting grows from failure to failure, and is forgiven.

use std::time::Duration;

use crate::clock::Moment;

/// How dear the failures of one account or one address are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// So many cost nothing. The wait after them is a second, and doubles.
    free: u32,
    /// The quiet, after the wait, for which one failure is forgiven.
    forgiven_each: Duration,
    /// From so many failures on the wait is a day.
    most_in_a_row: u32,
}

/// The failures that are not forgiven yet, the moment of the last one, and the attempts that are not settled.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    pub(super) failures: u32,
    pub(super) reserved: u16,
    /// Logins since a failure was last forgiven for them.
    logins: u16,
    last: Moment,
}

/// For so many logins one failure is forgiven.
const LOGINS: u16 = 20;

const LONGEST: Duration = Duration::from_secs(15 * 60);
const A_DAY: Duration = Duration::from_secs(24 * 3600);

impl Pace {
    /// NIST SP 800-63B-4 section 3.2.2 wants no more than 100 in a row. To close the account for good would be
    /// a lock for strangers to turn, so from there on it opens once a day.
    pub(super) const ACCOUNT: Self = Self {
        free: 5,
        forgiven_each: A_DAY,
        most_in_a_row: 100,
    };

    /// Whole offices and classes share an address, so it is forgiven sooner.
    pub(super) const ADDRESS: Self = Self {
        free: 10,
        forgiven_each: Duration::from_secs(60),
        most_in_a_row: u32::MAX,
    };

    /// How long there is still to wait. Nothing where there is no penalty, even if another thread read its clock
    /// a little later and came in before.
    pub(super) fn wait(self, count: Count, now: Moment) -> Duration {
        if self.penalty(count.failures).is_zero() {
            return Duration::ZERO;
        }
        self.open_at(count).since(now)
    }

    /// The count with one more failure.
    ///
    /// # Errors
    ///
    /// How long there is still to wait.
    pub(super) fn next(self, count: Count, now: Moment) -> Result<Count, Duration> {
        let wait = self.wait(count, now);
        if !wait.is_zero() {
            return Err(wait);
        }
        Ok(self.failed(count, now))
    }

    /// The count with one more failure, whether or not there is still to wait.
    pub(super) fn failed(self, count: Count, now: Moment) -> Count {
        Count {
            failures: self.unforgiven(count, now).saturating_add(1),
            last: now,
            ..count
        }
    }

    /// The count with one more reserved attempt, if there is room: if all that are reserved fail, no more have been heard
    /// than one after another.
    pub(super) fn reserve(self, count: Count, now: Moment) -> Option<Count> {
        let room = self.free.saturating_sub(self.unforgiven(count, now)).max(1);
        (u32::from(count.reserved) < room).then(|| Count {
            reserved: count.reserved + 1,
            ..count
        })
    }

    /// The failures that the quiet since the last one has not forgiven.
    fn unforgiven(self, count: Count, now: Moment) -> u32 {
        let quiet = now.since(self.open_at(count));
        let forgiven = quiet.as_nanos() / self.forgiven_each.as_nanos();
        let forgiven = u32::try_from(forgiven).unwrap_or(u32::MAX);
        count.failures.saturating_sub(forgiven)
    }

    /// When all is forgiven, even if every reserved attempt fails now.
    pub(super) fn end(self, count: Count, now: Moment) -> Moment {
        let mut worst = count;
        if count.reserved > 0 {
            worst.failures = count.failures.saturating_add(count.reserved.into());
            worst.last = now.max(count.last);
        }
        self.open_at(worst)
            .after(self.forgiven_each.saturating_mul(worst.failures))
    }

    fn open_at(self, count: Count) -> Moment {
        count.last.after(self.penalty(count.failures))
    }

    /// How long after the last of so many failures nothing is listened to.
    fn penalty(self, failures: u32) -> Duration {
        if failures >= self.most_in_a_row {
            return A_DAY;
        }
        match failures.checked_sub(self.free) {
            None => Duration::ZERO,
            Some(doublings) => LONGEST.min(Duration::from_secs(1 << doublings.min(32))),
        }
    }
}

impl Count {
    /// One failure less.
    pub(super) fn take_back(&mut self) {
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
            self.take_back();
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

    fn at(seconds: u64) -> Moment {
        Moment::from_start(Duration::from_secs(seconds))
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
            assert_eq!(Pace::ACCOUNT.penalty(failures).as_secs(), account, "{failures}");
            assert_eq!(Pace::ADDRESS.penalty(failures).as_secs(), address, "{failures}");
        }
    }

    #[test]
    fn quiet_forgives_one_by_one_and_at_the_end_all() {
        let six = Count {
            failures: 6,
            ..Count::default()
        };
        for (seconds, failures) in [
            (2, 7),
            (2 + DAY - 1, 7),
            (2 + DAY, 6),
            (2 + 5 * DAY, 2),
            (2 + 6 * DAY, 1),
            (2 + 99 * DAY, 1),
        ] {
            let next = Pace::ACCOUNT.next(six, at(seconds)).expect("waited for");
            assert_eq!(next.failures, failures, "after {seconds} s");
        }
        assert_eq!(Pace::ACCOUNT.next(six, at(1)).err(), Some(Duration::from_secs(1)));
        assert_eq!(Pace::ACCOUNT.end(six, at(0)), at(2 + 6 * DAY));
        let free = Count {
            failures: 1,
            last: at(9),
            ..Count::default()
        };
        assert!(Pace::ACCOUNT.next(free, at(8)).is_ok(), "read a little earlier");
    }

    proptest! {
        /// Whoever chooses the moments, at most 100 failures are heard at once and one more each day.
        #[test]
        fn no_pattern_of_attempts_is_heard_more_often_than_the_pace_allows(
            pauses in vec(select(vec![0, 1, 59, 60, 61, 900, 901, 3600, DAY, DAY + 900, 2 * DAY]), 0..600),
        ) {
            for (pace, at_once, each) in [(Pace::ACCOUNT, 100, DAY), (Pace::ADDRESS, 20, 60)] {
                let (mut count, mut heard, mut now) = (Count::default(), 0, 0);
                for pause in &pauses {
                    now += pause;
                    match pace.next(count, at(now)) {
                        Ok(next) => {
                            prop_assert!(pace.wait(next, at(now)) <= A_DAY);
                            prop_assert!(pace.end(next, at(now)) > at(now));
                            (count, heard) = (next, heard + 1);
                        }
                        Err(wait) => prop_assert!(pace.next(count, at(now).after(wait)).is_ok()),
                    }
                }
                prop_assert!(heard <= at_once + 1 + now / each, "{} heard in {} s", heard, now);
            }
        }
    }
}
