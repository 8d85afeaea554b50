//! How many guesses are allowed, and who is not kept out by them.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use portcullis::{
    Denial, Reason,
    clock::MonotonicTime,
    rate_limit::{LoginRateLimiter, RateLimited},
};
use proptest::{collection::vec, prelude::*, sample::select};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

fn at(seconds: u64) -> MonotonicTime {
    MonotonicTime::from_duration(Duration::from_secs(seconds))
}

fn client(number: u32) -> Option<IpAddr> {
    Some(Ipv4Addr::from_bits(0xc633_0000 + number).into())
}

const HOME: u32 = 0x0001_0000;
const ELSEWHERE: u32 = 0x0002_0000;

/// The attempts that were allowed of `guesses` evenly spread over `seconds` from `start` on, all of them wrong.
fn attack(
    throttle: &LoginRateLimiter,
    account: impl Fn(u32) -> String,
    addresses: u32,
    guesses: u32,
    start: u64,
    seconds: u64,
) -> usize {
    (0..guesses)
        .filter(|&guess| {
            let passed = Duration::from_secs(seconds) * guess / guesses;
            throttle
                .check(
                    &account(guess),
                    client(guess % addresses),
                    at(start).saturating_add(passed),
                )
                .is_ok()
        })
        .count()
}

fn log_in(
    throttle: &LoginRateLimiter,
    account: &str,
    from: u32,
    now: MonotonicTime,
) -> Result<(), RateLimited> {
    let permit = throttle.check(account, client(from), now)?;
    throttle.record_success(permit, now);
    Ok(())
}

#[test]
fn of_a_hundred_thousand_guesses_seventeen_are_allowed_in_an_hour_from_any_addresses() {
    for addresses in [1, 10_000] {
        let throttle = LoginRateLimiter::new();
        let alice = |_| "alice".to_owned();
        let allowed = attack(&throttle, alice, addresses, 100_000, 0, HOUR);
        assert_eq!(allowed, 17, "{addresses} addresses");
        let allowed = attack(&throttle, alice, addresses, 100_000, HOUR, HOUR);
        assert_eq!(allowed, 4, "{addresses} addresses, the second hour");
    }
}

#[test]
fn a_hundred_guesses_are_allowed_in_a_row_and_then_one_a_day() {
    let throttle = LoginRateLimiter::new();
    let alice = |_| "alice".to_owned();
    assert_eq!(attack(&throttle, alice, 10_000, 100_000, 0, DAY), 100);
    let allowed = attack(&throttle, alice, 10_000, 100_000, DAY, 30 * DAY);
    assert!((29..=31).contains(&allowed), "{allowed} in the month after");
}

#[test]
fn one_address_has_some_twenty_attempts_an_hour_for_any_number_of_accounts() {
    let throttle = LoginRateLimiter::new();
    let each_its_own = |guess| format!("user{guess}");
    let allowed = attack(&throttle, each_its_own, 1, 100_000, 0, HOUR);
    assert_eq!(allowed, 22);
    assert!(throttle.check("user1", client(1), at(HOUR)).is_ok(), "others are");
}

#[test]
fn the_owner_gets_in_from_a_known_address_at_every_minute_of_an_attack() {
    let throttle = LoginRateLimiter::new();
    log_in(&throttle, "alice", HOME, at(0)).expect("before the attack");
    for minute in 1..=10 * 60 {
        attack(&throttle, |_| "alice".to_owned(), 10_000, 500, minute * 60, 60);
        let now = at(minute * 60 + 59);
        for _ in 0..3 {
            throttle
                .check("alice", client(HOME), now)
                .expect("mistyped")
                .known_to_be_wrong();
        }
        log_in(&throttle, "alice", HOME, now).expect("no attack from elsewhere is in the way");
    }
}

/// Says in the tests what dropping means.
trait Wrong {
    fn known_to_be_wrong(self);
}

impl Wrong for portcullis::rate_limit::LoginAttempt {
    fn known_to_be_wrong(self) {
        drop(self);
    }
}

#[test]
fn the_owner_gets_in_from_an_unknown_address_after_the_penalty_and_is_known_there_from_then_on() {
    let throttle = LoginRateLimiter::new();
    attack(&throttle, |_| "alice".to_owned(), 10_000, 100_000, 0, HOUR);
    let throttled = log_in(&throttle, "alice", ELSEWHERE, at(HOUR)).expect_err("the attack just ended");
    let wait = throttled.retry_after();
    assert!(wait <= Duration::from_secs(900), "{wait:?}");
    let too_early = at(HOUR).saturating_add(wait - Duration::from_secs(1));
    log_in(&throttle, "alice", ELSEWHERE, too_early).expect_err("a second early");
    let now = at(HOUR).saturating_add(wait);
    log_in(&throttle, "alice", ELSEWHERE, now).expect("the wait has ended");

    attack(&throttle, |_| "alice".to_owned(), 10_000, 100_000, 2 * HOUR, HOUR);
    log_in(&throttle, "alice", ELSEWHERE, at(3 * HOUR)).expect("known by now");
}

#[test]
fn an_address_is_known_to_one_account_for_a_month_and_eight_of_them() {
    let throttle = LoginRateLimiter::new();
    for number in 0..9 {
        log_in(&throttle, "alice", HOME + number, at(0)).expect("nothing happened yet");
    }
    attack(&throttle, |_| "alice".to_owned(), 10_000, 1_000, 0, HOUR);
    attack(&throttle, |_| "bob".to_owned(), 10_000, 1_000, 0, HOUR);
    let is_allowed =
        |account: &str, from: u32, seconds| throttle.check(account, client(from), at(seconds)).is_ok();
    assert!(!is_allowed("alice", HOME, HOUR), "the oldest of nine");
    assert!(is_allowed("alice", HOME + 1, HOUR));
    assert!(is_allowed("alice", HOME + 8, HOUR));
    assert!(!is_allowed("bob", HOME + 8, HOUR), "known to alice alone");

    log_in(&throttle, "alice", HOME + 9, at(15 * DAY)).expect("after the attack");
    attack(&throttle, |_| "alice".to_owned(), 10_000, 100_000, 29 * DAY, DAY);
    assert!(
        !is_allowed("alice", HOME + 8, 30 * DAY),
        "a month after its own login"
    );
    assert!(
        is_allowed("alice", HOME + 9, 30 * DAY),
        "a fortnight after its own"
    );
}

#[test]
fn a_rejected_attempt_costs_nothing() {
    let throttle = LoginRateLimiter::new();
    let tries = |account: &str, from: u32| throttle.check(account, client(from), at(0)).is_ok();
    assert_eq!((1..100).filter(|&from| tries("alice", from)).count(), 5);
    assert!(!(0..100).any(|_| tries("alice", HOME)));
    let others = (0..100).filter(|number| tries(&format!("user{number}"), HOME));
    assert_eq!(others.count(), 10, "all that the address has free");
    let wait = log_in(&throttle, "alice", 200, at(0))
        .expect_err("not yet")
        .retry_after();
    assert_eq!(wait, Duration::from_secs(1), "as after the fifth");
}

#[test]
fn a_known_address_that_guesses_is_limited_as_well_and_free_again_after_a_login() {
    let throttle = LoginRateLimiter::new();
    log_in(&throttle, "alice", HOME, at(0)).expect("nothing happened yet");
    let guesses = (0..1_000).filter(|&second| throttle.check("alice", client(HOME), at(second)).is_ok());
    assert_eq!(guesses.count(), 14);
    let wait = log_in(&throttle, "alice", HOME, at(1_000))
        .expect_err("not yet")
        .retry_after();
    log_in(&throttle, "alice", HOME, at(1_000).saturating_add(wait)).expect("waited for");
    for _ in 0..5 {
        throttle
            .check("alice", client(HOME), at(1_000).saturating_add(wait))
            .expect("all is forgiven")
            .known_to_be_wrong();
    }
}

#[test]
fn logins_to_an_own_account_do_not_reset_the_failures_of_an_address() {
    let throttle = LoginRateLimiter::new();
    let allowed = (0..1_000_u64)
        .filter(|second| {
            let _ = log_in(&throttle, "mallory", HOME, at(*second));
            throttle
                .check(&format!("user{second}"), client(HOME), at(*second))
                .is_ok()
        })
        .count();
    assert_eq!(allowed, 19);
}

#[test]
fn without_an_address_accounts_are_counted_each_for_itself() {
    let throttle = LoginRateLimiter::new();
    for _ in 0..5 {
        throttle
            .check("alice", None, at(0))
            .expect("free")
            .known_to_be_wrong();
    }
    let throttled = throttle.check("alice", None, at(0)).expect_err("the sixth");
    assert_eq!(throttled.retry_after(), Duration::from_secs(1));
    for number in 0..1_000 {
        assert!(
            throttle.check(&format!("user{number}"), None, at(0)).is_ok(),
            "no one bucket for all"
        );
    }
}

#[test]
fn an_attempt_that_is_withdrawn_never_was() {
    let throttle = LoginRateLimiter::new();
    for (start, whose) in [(0, "of an unknown address"), (1_000, "of a known address")] {
        for second in start..start + 100 {
            let permit = throttle.check("alice", client(HOME), at(second)).expect(whose);
            throttle.cancel(permit, at(second));
        }
        log_in(&throttle, "alice", HOME, at(start + 100)).expect(whose);
    }
}

#[test]
fn of_many_attempts_at_once_no_more_are_allowed_than_one_after_another() {
    for round in 0..50 {
        let (throttle, start, allowed) = (LoginRateLimiter::new(), Barrier::new(32), AtomicUsize::new(0));
        thread::scope(|scope| {
            for number in 0..32 {
                let (throttle, start, allowed) = (&throttle, &start, &allowed);
                scope.spawn(move || {
                    start.wait();
                    if throttle.check("alice", client(number), at(0)).is_ok() {
                        allowed.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(allowed.into_inner(), 5, "round {round}");
    }
}

#[test]
fn a_limited_attempt_gets_429_with_retry_after() {
    let throttle = LoginRateLimiter::new();
    while throttle.check("alice", client(1), at(0)).is_ok() {}
    let half = Duration::from_millis(500);
    let denial: Denial = throttle
        .check("alice", client(1), at(0).saturating_add(half))
        .expect_err("half a second too early")
        .into();
    assert_eq!(
        (denial.reason(), denial.status().as_u16()),
        (Reason::RateLimited, 429)
    );
    assert_eq!(denial.retry_after(), Some(Duration::from_secs(1)), "rounded up");
}

/// What a test does to the throttle.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Fail,
    Pause(u64),
    Succeed,
    Withdraw,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn after_the_wait_an_attempt_is_always_allowed_and_a_known_address_without_failures_is_never_limited(
        deeds in vec(
            (
                select(vec![
                    Deed::Fail, Deed::Fail, Deed::Fail, Deed::Pause(0), Deed::Pause(1), Deed::Pause(60),
                    Deed::Pause(900), Deed::Pause(DAY), Deed::Succeed, Deed::Withdraw,
                ]),
                0..3_usize,
                0..4_u32,
            ),
            0..200,
        ),
    ) {
        let throttle = LoginRateLimiter::new();
        log_in(&throttle, "user0", HOME, at(0)).expect("nothing happened yet");
        let mut now = at(0);
        for (deed, account, from) in deeds {
            let name = format!("user{account}");
            match (deed, throttle.check(&name, client(from), now)) {
                (Deed::Pause(seconds), permit) => {
                    if let Ok(permit) = permit {
                        throttle.cancel(permit, now);
                    }
                    now = now.saturating_add(Duration::from_secs(seconds));
                }
                (Deed::Fail, Ok(permit)) => permit.known_to_be_wrong(),
                (Deed::Succeed, Ok(permit)) => throttle.record_success(permit, now),
                (Deed::Withdraw, Ok(permit)) => throttle.cancel(permit, now),
                (_, Err(throttled)) => {
                    let wait = throttled.retry_after();
                    prop_assert!(!wait.is_zero() && wait <= Duration::from_secs(DAY));
                    now = now.saturating_add(wait);
                    let permit = throttle.check(&name, client(from), now);
                    prop_assert!(permit.is_ok(), "{:?} after {:?}", permit, wait);
                }
            }
            prop_assert!(log_in(&throttle, "user0", HOME, now).is_ok(), "{:?}", now);
        }
    }
}

#[test]
fn limits_are_checked_and_change_how_many_attempts_are_allowed() {
    use portcullis::rate_limit::RateLimits;

    let (limits, seconds) = (RateLimits::new, Duration::from_secs);
    for (built, expected) in [
        (
            limits().with_account_attempts(0),
            "account_attempts: expected 1 to 100 attempts, found 0",
        ),
        (
            limits().with_account_attempts(101),
            "account_attempts: expected 1 to 100 attempts, found 101",
        ),
        (
            limits().with_address_attempts(0),
            "address_attempts: expected 1 to 10000 attempts, found 0",
        ),
        (
            limits().with_account_window(seconds(0)),
            "account_window: expected one second to 30 days, found 0ns",
        ),
        (
            limits().with_address_window(Duration::MAX),
            "address_window: expected one second to 30 days, found",
        ),
        (
            limits().with_queue(65_537),
            "queue: expected 0 to 65536 attempts, found 65537",
        ),
    ] {
        let error = built.expect_err(expected).to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let allowed = |limits: RateLimits, accounts: u64, addresses: u64, now: &dyn Fn(u64) -> MonotonicTime| {
        let throttle = LoginRateLimiter::with_limits(limits);
        let tries = (0..200).filter(|number| {
            let account = format!("user {}", number % accounts);
            let client = format!("192.0.2.{}", number % addresses).parse().ok();
            throttle.check(&account, client, now(*number)).is_ok()
        });
        tries.count()
    };
    let at_once = |_| at(9);
    for attempts in [1, 3, 50] {
        let account = limits().with_account_attempts(attempts).expect("limits");
        assert_eq!(
            allowed(account, 1, 200, &at_once),
            attempts as usize,
            "by account"
        );
        let address = limits().with_address_attempts(attempts).expect("limits");
        assert_eq!(
            allowed(address, 200, 1, &at_once),
            attempts as usize,
            "by address"
        );
    }
    // One attempt a minute is forgiven as fast as it comes, or never within these hours.
    let slowly = |number: u64| at(60 * number);
    let quick = limits().with_account_window(seconds(1)).expect("limits");
    assert_eq!(allowed(quick, 1, 200, &slowly), 200);
    assert!(allowed(limits(), 1, 200, &slowly) < 30);
}
