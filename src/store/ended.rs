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

use super::Expiring;
use crate::time::Moment;

/// Logins that were ended before their time, and whoever waits for the end of one.
///
/// A login is named by its user and by the second it began at, which its cookie holds through all renewals. Both
/// are kept as one keyed hash: a collision ends another login, and nobody can cause one without the key.
///
/// As long as no login was ended, to ask costs one look at a flag. At most 32,768 ended logins are kept; when
/// more come, the one whose cookies end first is forgotten.
pub(crate) struct EndedLogins {
    any: AtomicBool,
    ended: Expiring<u64, ()>,
    /// Counts the changes of keys, each of which ends all logins.
    epoch: AtomicU16,
    waiting: Mutex<BTreeMap<(u64, u64), Waiting>>,
    numbers: AtomicU64,
    hasher: RandomState,
}

/// Some 3 MiB, full.
const CAPACITY: usize = 32_768;

/// One who waits for the end of a login.
enum Waiting {
    Ended,
    Still(Option<Waker>),
}

/// Which login: its user, and the last 32 bits of the second it began at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Login<'a> {
    pub(crate) username: &'a str,
    pub(crate) started: u32,
}

impl EndedLogins {
    pub(crate) fn new() -> Self {
        Self {
            any: AtomicBool::new(false),
            ended: Expiring::new(CAPACITY),
            epoch: AtomicU16::new(0),
            waiting: Mutex::default(),
            numbers: AtomicU64::new(0),
            hasher: RandomState::new(),
        }
    }

    /// Whether `login` was ended.
    #[inline]
    pub(crate) fn holds(&self, login: Login<'_>, now: impl FnOnce() -> Moment) -> bool {
        self.any.load(Ordering::Relaxed) && self.is_ended(self.key(login), now())
    }

    #[cold]
    fn is_ended(&self, key: u64, now: Moment) -> bool {
        self.ended.get(&key, now).is_some()
    }

    /// Ends `login`, whose cookies are good until `until` at the latest.
    pub(crate) fn end(&self, login: Login<'_>, until: Moment, now: Moment) {
        let key = self.key(login);
        self.ended.insert(key, (), until, now);
        self.any.store(true, Ordering::Relaxed);
        self.wake(|waiting| {
            let all = waiting.range_mut((key, 0)..=(key, u64::MAX));
            all.filter_map(|(_, waiting)| waiting.end()).collect()
        });
    }

    /// The number of changes of keys so far.
    pub(crate) fn epoch(&self) -> u16 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Ends all logins of before `epoch`, whose cookies no key opens any more.
    pub(crate) fn end_all_before(&self, epoch: u16) {
        self.epoch.store(epoch, Ordering::Release);
        self.wake(|waiting| waiting.values_mut().filter_map(Waiting::end).collect());
    }

    /// The end of `login`, whose cookie was opened in `epoch`.
    pub(crate) fn wait(self: &Arc<Self>, login: Login<'_>, epoch: u16, now: Moment) -> LoginEnd {
        let key = (self.key(login), self.numbers.fetch_add(1, Ordering::Relaxed));
        // Looked at while the lock is held: whoever ends it takes note first, and then looks for who waits.
        let mut waiting = self.waiting();
        let is_over = epoch != self.epoch() || self.is_ended(key.0, now);
        let state = if is_over {
            Waiting::Ended
        } else {
            Waiting::Still(None)
        };
        waiting.insert(key, state);
        drop(waiting);
        LoginEnd {
            logins: Arc::clone(self),
            key,
        }
    }

    fn key(&self, login: Login<'_>) -> u64 {
        self.hasher.hash_one((login.username, login.started))
    }

    /// Wakes those whom `find` finds, after the lock is let go.
    fn wake(&self, find: impl FnOnce(&mut BTreeMap<(u64, u64), Waiting>) -> Vec<Waker>) {
        let wakers = find(&mut self.waiting());
        wakers.into_iter().for_each(Waker::wake);
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<(u64, u64), Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn end(&mut self) -> Option<Waker> {
        match std::mem::replace(self, Self::Ended) {
            Self::Ended => None,
            Self::Still(waker) => waker,
        }
    }
}

impl fmt::Debug for EndedLogins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndedLogins").finish_non_exhaustive()
    }
}

/// The end of a login, to come.
pub(crate) struct LoginEnd {
    logins: Arc<EndedLogins>,
    key: (u64, u64),
}

impl Future for LoginEnd {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match self.logins.waiting().get_mut(&self.key) {
            Some(Waiting::Still(waker)) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }
}

impl Drop for LoginEnd {
    fn drop(&mut self) {
        self.logins.waiting().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_start(Duration::from_secs(seconds))
    }

    fn login(username: &str) -> Login<'_> {
        Login { username, started: 7 }
    }

    fn is_ready(end: &mut LoginEnd) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(end).poll(&mut context).is_ready()
    }

    #[test]
    fn an_ended_login_stays_ended_as_long_as_its_cookies_live_and_no_other_ends() {
        let logins = EndedLogins::new();
        let later = Login {
            started: 8,
            ..login("alice")
        };
        assert!(!logins.holds(login("alice"), || panic!(
            "no clock is read before a login was ended"
        )));
        logins.end(login("alice"), at(100), at(0));
        for (login, now, ended) in [
            (login("alice"), 99, true),
            (login("alice"), 100, false),
            (login("bob"), 1, false),
            (later, 1, false),
        ] {
            assert_eq!(logins.holds(login, || at(now)), ended, "{login:?} at {now}");
        }
    }

    #[test]
    fn whoever_waits_is_told_of_the_end_and_of_no_other() {
        let logins = Arc::new(EndedLogins::new());
        let [mut hers, mut hers_too, mut his] =
            ["alice", "alice", "bob"].map(|name| logins.wait(login(name), 0, at(0)));
        assert!(!is_ready(&mut hers) && !is_ready(&mut his));
        logins.end(login("alice"), at(100), at(0));
        assert!(is_ready(&mut hers) && is_ready(&mut hers_too) && !is_ready(&mut his));
        let mut too_late = logins.wait(login("alice"), 0, at(1));
        assert!(is_ready(&mut too_late), "it had ended before");
        logins.end_all_before(1);
        assert!(is_ready(&mut his));
        let mut of_before = logins.wait(login("carol"), 0, at(1));
        let mut of_now = logins.wait(login("carol"), 1, at(1));
        assert!(is_ready(&mut of_before) && !is_ready(&mut of_now));
        drop((hers, hers_too, his, too_late, of_before, of_now));
        assert!(logins.waiting().is_empty(), "nobody is left behind");
    }
}
