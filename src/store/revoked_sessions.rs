//! Logins that were ended before their time.

use std::{
    collections::{BTreeMap, hash_map::RandomState},
    fmt,
    future::Future,
    hash::BuildHasher,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use super::ExpiringMap;
use crate::clock::MonotonicTime;

/// Logins that were ended before their time, and the futures that wait for the end of one.
///
/// A login is named by its user and by the second it began at, which its cookie holds through all renewals.
/// Users are kept as a keyed hash: a collision ends logins of another user, and cannot be caused without the key.
///
/// As long as no login was ended, a lookup is one load of a flag.
///
/// # Bounds
///
/// An ended login never becomes valid again before its cookies expire. When there are too many, logins that are
/// still valid end as well:
///
/// 1. Of each user the last [`KEPT_PER_USER`] ended logins are kept, by the second they began at. When there are
///    more, every login *of this user* ends that began no later than the earliest of them. So a flood of logouts
///    of one user fills the space of one user.
/// 2. At most [`USERS`] users are kept. When there are more, the user whose ended logins expire first is
///    forgotten, and every login *of any user* ends that began no later than the latest of its ended logins.
pub(crate) struct RevokedSessions {
    any: AtomicBool,
    users: ExpiringMap<u64, EndedOfUser>,
    /// Every login of any user that began before this second has ended.
    begun_before: AtomicU64,
    /// Counts the changes of keys, each of which ends all logins.
    epoch: AtomicU16,
    waiting: Mutex<BTreeMap<WaiterKey, Waiter>>,
    numbers: AtomicU64,
    hasher: RandomState,
}

/// Some 5 MiB, full, with one ended login for each user; some 9 MiB with as many as are kept.
const USERS: usize = 32_768;

/// A user who logs in and out once a day has no more in the default lifetime of 30 days, so that the logins
/// which end by rule 1 had expired before.
const KEPT_PER_USER: usize = 32;

/// A user by hash, the second a login began at, and a number that makes the waiter unique.
type WaiterKey = (u64, u32, u64);

/// The state of a future that waits for the end of a login.
enum Waiter {
    Ended,
    Still(Option<Waker>),
}

/// Which login: its user, and the last 32 bits of the second it began at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionKey<'a> {
    pub(crate) username: &'a str,
    pub(crate) started: u32,
}

/// The ended logins of one user, by the seconds they began at.
#[derive(Clone, Default)]
struct EndedOfUser {
    /// Every login that began before this second has ended.
    begun_before: u64,
    /// Those that began later, in order.
    begun_at: Vec<u32>,
}

impl EndedOfUser {
    fn contains(&self, started: u32) -> bool {
        u64::from(started) < self.begun_before || self.begun_at.binary_search(&started).is_ok()
    }

    fn end(&mut self, started: u32) {
        if u64::from(started) < self.begun_before {
            return;
        }
        match self.begun_at.binary_search(&started) {
            Ok(_) => {}
            Err(place) if self.begun_at.len() < KEPT_PER_USER => self.begun_at.insert(place, started),
            Err(0) => self.begun_before = after(started),
            Err(place) => {
                self.begun_before = after(self.begun_at.remove(0));
                self.begun_at.insert(place - 1, started);
            }
        }
    }

    /// The second after the last one whose login has ended.
    fn end_of_known(&self) -> u64 {
        self.begun_at
            .last()
            .map_or(self.begun_before, |last| after(*last))
    }
}

fn after(second: u32) -> u64 {
    u64::from(second) + 1
}

impl RevokedSessions {
    pub(crate) fn new() -> Self {
        Self::of_users(USERS)
    }

    fn of_users(capacity: usize) -> Self {
        Self {
            any: AtomicBool::new(false),
            users: ExpiringMap::new(capacity),
            begun_before: AtomicU64::new(0),
            epoch: AtomicU16::new(0),
            waiting: Mutex::default(),
            numbers: AtomicU64::new(0),
            hasher: RandomState::new(),
        }
    }

    /// Whether `login` was ended.
    #[inline]
    pub(crate) fn contains(&self, login: SessionKey<'_>, now: impl FnOnce() -> MonotonicTime) -> bool {
        self.any.load(Ordering::Relaxed) && self.is_ended(self.user(login), login.started, now())
    }

    #[cold]
    fn is_ended(&self, user: u64, started: u32, now: MonotonicTime) -> bool {
        let of_user = self.users.read(&user, now, |user| user.contains(started));
        // In this order: before a user is forgotten, the mark for all users is set.
        of_user.unwrap_or(false) || u64::from(started) < self.begun_before.load(Ordering::Acquire)
    }

    /// Ends `login`, whose cookies are valid until `until` at the latest.
    pub(crate) fn revoke(&self, login: SessionKey<'_>, until: MonotonicTime, now: MonotonicTime) {
        let (user, before) = (self.user(login), self.begun_before.load(Ordering::Acquire));
        let ended = self.users.update_or_evict(
            user,
            now,
            |known| {
                let (mut ended, end) = known.unwrap_or_else(|| (EndedOfUser::default(), until));
                ended.end(login.started);
                (Some((ended.clone(), end.max(until))), ended)
            },
            |evicted| {
                self.begun_before
                    .fetch_max(evicted.end_of_known(), Ordering::AcqRel);
            },
        );
        self.any.store(true, Ordering::Relaxed);
        self.wake(|waiting| {
            let of_user = waiting.range_mut((user, 0, 0)..=(user, u32::MAX, u64::MAX));
            let over = of_user.filter(|((_, started, _), _)| ended.contains(*started));
            over.filter_map(|(_, waiting)| waiting.end()).collect()
        });
        let begun_before = self.begun_before.load(Ordering::Acquire);
        if begun_before > before {
            self.wake(|waiting| {
                let over = waiting
                    .iter_mut()
                    .filter(|((_, started, _), _)| u64::from(*started) < begun_before);
                over.filter_map(|(_, waiting)| waiting.end()).collect()
            });
        }
    }

    /// The number of changes of keys so far.
    pub(crate) fn key_generation(&self) -> u16 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Ends all logins of before `key_generation`, whose cookies no key opens any more.
    pub(crate) fn revoke_all_before(&self, epoch: u16) {
        self.epoch.store(epoch, Ordering::Release);
        self.wake(|waiting| waiting.values_mut().filter_map(Waiter::end).collect());
    }

    /// A future that completes when `login` ends, whose cookie was opened in `key_generation`.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        login: SessionKey<'_>,
        epoch: u16,
        now: MonotonicTime,
    ) -> SessionEnded {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let key = (self.user(login), login.started, number);
        // Looked up while the lock is held: a logout notes the end first, and wakes the waiters afterwards.
        let mut waiting = self.waiting();
        let is_over = epoch != self.key_generation() || self.is_ended(key.0, key.1, now);
        let state = if is_over {
            Waiter::Ended
        } else {
            Waiter::Still(None)
        };
        waiting.insert(key, state);
        drop(waiting);
        SessionEnded {
            logins: Arc::clone(self),
            key,
        }
    }

    fn user(&self, login: SessionKey<'_>) -> u64 {
        self.hasher.hash_one(login.username)
    }

    /// Wakes the waiters that `find` returns, after the lock is released.
    fn wake(&self, find: impl FnOnce(&mut BTreeMap<WaiterKey, Waiter>) -> Vec<Waker>) {
        let wakers = find(&mut self.waiting());
        wakers.into_iter().for_each(Waker::wake);
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<WaiterKey, Waiter>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    fn end(&mut self) -> Option<Waker> {
        match std::mem::replace(self, Self::Ended) {
            Self::Ended => None,
            Self::Still(waker) => waker,
        }
    }
}

impl fmt::Debug for RevokedSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndedLogins").finish_non_exhaustive()
    }
}

/// Completes when a login ends.
pub(crate) struct SessionEnded {
    logins: Arc<RevokedSessions>,
    key: WaiterKey,
}

impl Future for SessionEnded {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match self.logins.waiting().get_mut(&self.key) {
            Some(Waiter::Still(waker)) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }
}

impl Drop for SessionEnded {
    fn drop(&mut self) {
        self.logins.waiting().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn at(seconds: u64) -> MonotonicTime {
        MonotonicTime::from_duration(Duration::from_secs(seconds))
    }

    fn login(username: &str) -> SessionKey<'_> {
        SessionKey { username, started: 7 }
    }

    fn begun(username: &str, started: u32) -> SessionKey<'_> {
        SessionKey { username, started }
    }

    /// More than are kept of one user.
    const MANY: u32 = KEPT_PER_USER as u32 + 1;

    fn is_ready(end: &mut SessionEnded) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(end).poll(&mut context).is_ready()
    }

    #[test]
    fn an_ended_login_stays_ended_as_long_as_its_cookies_live_and_no_other_ends() {
        let logins = RevokedSessions::new();
        let later = SessionKey {
            started: 8,
            ..login("alice")
        };
        assert!(!logins.contains(login("alice"), || panic!(
            "no clock is read before a login was ended"
        )));
        logins.revoke(login("alice"), at(100), at(0));
        for (login, now, ended) in [
            (login("alice"), 99, true),
            (login("alice"), 100, false),
            (login("bob"), 1, false),
            (later, 1, false),
        ] {
            assert_eq!(logins.contains(login, || at(now)), ended, "{login:?} at {now}");
        }
    }

    #[test]
    fn a_waiting_future_completes_when_its_login_ends_and_not_before() {
        let logins = Arc::new(RevokedSessions::new());
        let [mut hers, mut hers_too, mut his] =
            ["alice", "alice", "bob"].map(|name| logins.subscribe(login(name), 0, at(0)));
        assert!(!is_ready(&mut hers) && !is_ready(&mut his));
        logins.revoke(login("alice"), at(100), at(0));
        assert!(is_ready(&mut hers) && is_ready(&mut hers_too) && !is_ready(&mut his));
        let mut too_late = logins.subscribe(login("alice"), 0, at(1));
        assert!(is_ready(&mut too_late), "it had ended before");
        logins.revoke_all_before(1);
        assert!(is_ready(&mut his));
        let mut of_before = logins.subscribe(login("carol"), 0, at(1));
        let mut of_now = logins.subscribe(login("carol"), 1, at(1));
        assert!(is_ready(&mut of_before) && !is_ready(&mut of_now));
        drop((hers, hers_too, his, too_late, of_before, of_now));
        assert!(logins.waiting().is_empty(), "no future is left");
    }

    #[test]
    fn a_flood_of_one_users_logouts_ends_no_login_of_others_and_forgets_none() {
        let logins = RevokedSessions::of_users(2);
        logins.revoke(begun("alice", 500), at(100), at(0));
        for second in 1..10 * MANY {
            logins.revoke(begun("mallory", second), at(200), at(1));
        }
        let holds = |login| logins.contains(login, || at(2));
        assert!(holds(begun("alice", 500)), "the ended login of another user");
        for second in [1, 499, 501] {
            assert!(!holds(begun("alice", second)), "a valid login of another user");
        }
        assert!((1..10 * MANY).all(|second| holds(begun("mallory", second))));
        assert!(!holds(begun("mallory", 10 * MANY)), "the next login is valid");
        let of_mallory = logins.users.get(&logins.user(login("mallory")), at(2));
        assert_eq!(of_mallory.expect("present").begun_at.len(), KEPT_PER_USER);
    }

    #[test]
    fn beyond_those_kept_of_a_user_the_logins_begun_before_end_too() {
        let logins = Arc::new(RevokedSessions::new());
        let waits = |second| logins.subscribe(begun("alice", second), 0, at(1));
        let (mut earlier, mut between, mut later) = (waits(9), waits(11), waits(1_000));
        for second in (0..MANY).map(|number| 10 + 2 * number) {
            assert!(!is_ready(&mut earlier), "{second}");
            logins.revoke(begun("alice", second), at(100), at(1));
        }
        assert!(is_ready(&mut earlier) && !is_ready(&mut between) && !is_ready(&mut later));
        for (second, ended) in [(9, true), (10, true), (11, false), (12, true), (1_000, false)] {
            assert_eq!(
                logins.contains(begun("alice", second), || at(2)),
                ended,
                "{second}"
            );
        }
    }

    #[test]
    fn too_many_users_end_the_logins_begun_before_the_forgotten_ones() {
        let logins = Arc::new(RevokedSessions::of_users(2));
        logins.revoke(begun("alice", 20), at(100), at(0));
        logins.revoke(begun("alice", 30), at(100), at(0));
        logins.revoke(begun("bob", 40), at(101), at(1));
        let waits = |second| logins.subscribe(begun("dave", second), 0, at(1));
        let (mut as_late, mut later) = (waits(30), waits(31));
        assert!(!is_ready(&mut as_late));
        logins.revoke(begun("carol", 50), at(102), at(2));
        assert!(is_ready(&mut as_late) && !is_ready(&mut later));
        for (login, ended) in [
            (begun("alice", 20), true),
            (begun("alice", 30), true),
            (begun("alice", 31), false),
            (begun("bob", 40), true),
            (begun("carol", 50), true),
            (begun("dave", 30), true),
            (begun("dave", 31), false),
        ] {
            assert_eq!(logins.contains(login, || at(3)), ended, "{login:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_else_ends_an_ended_login_never_becomes_valid_again(
            users in 1..4_usize,
            ends in vec((0..6_u8, 0..50_u32, 0..3_u64), 0..400),
        ) {
            const LIFE: u64 = 100;
            let logins = RevokedSessions::of_users(users);
            let (mut now, mut ended) = (0, Vec::new());
            for (user, started, passed) in ends {
                now += passed;
                logins.revoke(begun(&user.to_string(), started), at(now + LIFE), at(now));
                ended.push((user, started, now + LIFE));
                for (user, started, until) in &ended {
                    let holds = logins.contains(begun(&user.to_string(), *started), || at(now));
                    prop_assert!(holds || *until <= now, "{user} {started} at {now}");
                }
            }
        }
    }
}
