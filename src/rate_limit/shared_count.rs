//! The count of an account whose attempts several replicas share: the limits of [`BackoffPolicy`], on a record of the store.

use std::time::Duration;

use super::{
    backoff::{BackoffPolicy, FailureCount},
    outcome::AttemptOutcome,
    rate_limited::RateLimited,
};
use crate::{clock::UnixTime, store::AttemptRecord};

/// How long a pending attempt keeps its place. One that is not settled by then, because its replica ended, counts as a
/// failure.
const LEASE: Duration = Duration::from_secs(60);

/// Times in the store are whole seconds. A failure counts from the next one, so that no wait is shorter than it should be.
const SECOND: Duration = Duration::from_secs(1);

type UnderWay = Vec<(u64, UnixTime)>;

/// The record with the attempt `id` reserved.
///
/// # Errors
///
/// If the attempt must wait.
pub(super) fn reserve(
    policy: BackoffPolicy,
    record: &AttemptRecord,
    id: u64,
    now: UnixTime,
) -> Result<AttemptRecord, RateLimited> {
    let (count, mut under_way) = read(policy, record, now);
    policy.charge(count, now.moment(), true)?;
    under_way.push((id, now + LEASE));
    Ok(write(policy, count, under_way, now))
}

/// The record without the attempt `id`; `None` if it is not in the record, so that settling it twice changes nothing.
pub(super) fn settle(
    policy: BackoffPolicy,
    record: &AttemptRecord,
    id: u64,
    outcome: AttemptOutcome,
    now: UnixTime,
) -> Option<AttemptRecord> {
    let others = record.under_way().iter().filter(|(other, _)| *other != id);
    let others = record.clone().with_under_way(others.copied());
    if others == *record {
        return None;
    }
    let (mut count, under_way) = read(policy, &others, now);
    match outcome {
        AttemptOutcome::Cancelled => {}
        AttemptOutcome::Failed => count = policy.failed(count, (now + SECOND).moment()),
        AttemptOutcome::Succeeded => count.failures = 0,
    }
    Some(write(policy, count, under_way, now))
}

/// The count, and the pending attempts that still have their places.
fn read(policy: BackoffPolicy, record: &AttemptRecord, now: UnixTime) -> (FailureCount, UnderWay) {
    let attempts = record.under_way().iter().copied();
    let (under_way, expired): (UnderWay, UnderWay) = attempts.partition(|(_, until)| *until > now);
    let count = FailureCount::new(record.failures(), record.last_failure().moment(), under_way.len());
    let count = expired.into_iter().fold(count, |count, (_, until)| {
        policy.failed(count, until.moment().max(count.last()))
    });
    (count, under_way)
}

fn write(policy: BackoffPolicy, count: FailureCount, under_way: UnderWay, now: UnixTime) -> AttemptRecord {
    let count = FailureCount::new(count.failures, count.last(), under_way.len());
    let expires_at = policy.expires_at(count, (now + LEASE).moment());
    AttemptRecord::new(UnixTime::from_moment(expires_at))
        .with_failures(count.failures, UnixTime::from_moment(count.last()))
        .with_under_way(under_way)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: BackoffPolicy = BackoffPolicy::ACCOUNT;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_secs(1_700_000_000 + seconds)
    }

    /// The record after these failures, all at the start.
    fn failed(failures: u32) -> AttemptRecord {
        AttemptRecord::new(at(0)).with_failures(failures, at(1))
    }

    fn reserved(record: &AttemptRecord, id: u64, seconds: u64) -> AttemptRecord {
        reserve(POLICY, record, id, at(seconds)).expect("a place")
    }

    #[test]
    fn failures_and_pending_attempts_leave_as_many_places_as_in_memory() {
        for (failures, places) in [(0, 5), (1, 4), (3, 2), (4, 1), (5, 1), (50, 1)] {
            let mut record = failed(failures);
            // The wait after the failures has ended.
            let mut taken = 0;
            while let Ok(next) = reserve(POLICY, &record, taken, at(1_000)) {
                (record, taken) = (next, taken + 1);
            }
            assert_eq!(taken, places, "{failures} failures");
            let refused = reserve(POLICY, &record, taken, at(1_000)).expect_err("no place");
            assert!(refused.is_until_settled());
        }
    }

    #[test]
    fn no_wait_is_shorter_than_in_memory_and_none_longer_by_more_than_a_second() {
        for (failures, seconds) in [(4, 0), (5, 1), (6, 2), (9, 16), (20, 900), (100, 24 * 3600)] {
            let waits = reserve(POLICY, &failed(failures), 1, at(0)).err();
            let expected = (seconds > 0).then_some(seconds + 1);
            let found = waits.map(|limited| limited.retry_after().as_secs());
            assert_eq!(found, expected, "{failures} failures");
        }
    }

    #[test]
    fn an_attempt_is_settled_once() {
        let record = reserved(&reserved(&failed(3), 7, 0), 8, 0);
        for (outcome, failures) in [
            (AttemptOutcome::Cancelled, 3),
            (AttemptOutcome::Failed, 4),
            (AttemptOutcome::Succeeded, 0),
        ] {
            let settled = settle(POLICY, &record, 7, outcome, at(9)).expect("a pending attempt");
            assert_eq!(settled.failures(), failures, "{outcome:?}");
            let ids: Vec<u64> = settled.under_way().iter().map(|(id, _)| *id).collect();
            assert_eq!(ids, [8], "{outcome:?}");
            assert_eq!(settle(POLICY, &settled, 7, outcome, at(9)), None, "{outcome:?}");
        }
    }

    #[test]
    fn an_attempt_whose_replica_ended_counts_as_a_failure_after_a_minute() {
        let record = reserved(&failed(3), 7, 0);
        let next = reserved(&record, 8, 59);
        assert_eq!((next.failures(), next.under_way().len()), (3, 2));
        let next = reserved(&record, 8, 60);
        assert_eq!((next.failures(), next.under_way().len()), (4, 1));
        let late = settle(POLICY, &next, 7, AttemptOutcome::Succeeded, at(61));
        assert_eq!(late, None, "it counts already");
        let late = settle(POLICY, &record, 7, AttemptOutcome::Succeeded, at(61));
        assert_eq!(
            late.map(|record| record.failures()),
            Some(0),
            "nothing was counted in between"
        );
    }

    #[test]
    fn a_record_expires_when_all_is_forgiven() {
        let empty = settle(
            POLICY,
            &reserved(&failed(3), 7, 5),
            7,
            AttemptOutcome::Succeeded,
            at(5),
        );
        assert!(
            empty.is_some_and(|record| record.has_expired(at(5))),
            "nothing is left to keep"
        );
        let days = |days: u64| at(60 + days * 24 * 3600);
        let record = reserved(&failed(3), 7, 0);
        assert_eq!(
            record.expires_at(),
            days(4),
            "3 failures, and the attempt if it fails"
        );
    }
}
