//! Limits on wrong passwords.

mod attempt;
mod backoff;
mod limits;
mod outcome;
mod rate_limited;
mod shared;
mod shared_count;

use self::attempt::Charge;
pub use self::{attempt::LoginAttempt, limits::RateLimits, rate_limited::RateLimited};
pub(crate) use self::{
    outcome::AttemptOutcome,
    shared::{SharedAttempt, SharedRateLimits, SharedReservation},
};

use std::{
    collections::hash_map::RandomState,
    convert::Infallible,
    fmt,
    hash::BuildHasher,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use super::rate_limit::backoff::{BackoffPolicy, FailureCount};
use crate::{clock::MonotonicTime, store::ExpiringMap};

/// Limits how many wrong passwords are checked, by account and by client address. The wait grows with each wrong one.
///
/// 1. An *account* has 5 free failures from unknown addresses. The sixth attempt must wait a second, each one after
///    that twice as long as the one before, at most 15 minutes. From 100 failures in a row on, a day. One
///    failure is removed from the count for each day without an attempt, all of them by a login from an unknown address.
/// 2. An *address* that is not known to the accounts that it tries has 10 free failures, then waits in the same way; one
///    failure is removed for each minute without an attempt, and for each 20 accounts that log in from it for the first
///    time, so that a class of users who share it may mistype. An IPv6 address counts by its first 64 bits.
/// 3. An address that a user has logged in from is *known* to that account for 30 days, 8 addresses per account. It has
///    its own count for this account, as in 1, reset by a login, and neither of the others applies to it. So an attacker
///    at another address does not lock out the user.
/// 4. Accounts that do not exist are counted like others.
///
/// An attempt counts as failed from the moment it is allowed, so of many at once no more are allowed than one
/// after another; [`LoginRateLimiter::record_success`] and [`LoginRateLimiter::cancel`] take it back. A [`LoginAttempt`] that is dropped,
/// whatever the reason, remains a failure.
///
/// Cookies and tokens in a header are not limited: a valid one is accepted after any number of wrong ones, and one of 128
/// random bits cannot be guessed.
///
/// # Security
///
/// Counts live in this process alone and are forgotten with it; a layer with
/// [`shared_rate_limits`](crate::AuthLayerBuilder::shared_rate_limits) counts rule 1 in a store, over all replicas. At most
/// 32,768 accounts and as many addresses are counted, whatever their names; when more come, the count that would be forgiven
/// first is forgotten. While an
/// attack lasts, a user without a cookie, a token and a known address competes with the attackers for the
/// few attempts that unknown addresses have.
///
/// Without a client's address (no [`Peer`](crate::request::Peer), or a proxy that does not send it) only rule 1 holds, and
/// an attack does keep the owner out for as long as it lasts. Behind a proxy, name it in
/// [`TrustedProxies`](crate::TrustedProxies), or all its clients share one address. A layer reports once that a client had
/// no address: [`Event::ClientAddressUnknown`](crate::Event::ClientAddressUnknown).
///
/// # Example
///
/// ```
/// use portcullis::{clock::MonotonicTime, rate_limit::LoginRateLimiter};
///
/// let throttle = LoginRateLimiter::new();
/// let client = "192.0.2.7".parse().ok();
/// for _ in 0..5 {
///     let permit = throttle.check("alice", client, MonotonicTime::now()).expect("a few are free");
///     drop(permit); // the password was wrong
/// }
/// let throttled = throttle.check("alice", client, MonotonicTime::now()).unwrap_err();
/// assert_eq!(throttled.retry_after().as_secs(), 1);
/// ```
pub struct LoginRateLimiter {
    /// The failures of accounts, from unknown addresses.
    accounts: ExpiringMap<u64, FailureCount>,
    /// The failures of addresses, at accounts to which they are not known.
    addresses: ExpiringMap<u64, FailureCount>,
    /// The addresses each account is known at, oldest login first.
    known: ExpiringMap<u64, Vec<KnownAddress>>,
    /// Names and addresses are kept as keyed hashes, all of one size. A collision shares a count, and cannot be caused
    /// without the key.
    hasher: RandomState,
    account: BackoffPolicy,
    address: BackoffPolicy,
}

/// Some 5 MiB for each of the maps, full.
const CAPACITY: usize = 32_768;
const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
const KNOWN_ADDRESSES: usize = 8;

impl LoginRateLimiter {
    /// A limiter without any counts.
    pub fn new() -> Self {
        Self::with_limits(RateLimits::new())
    }

    /// A limiter with these limits.
    pub fn with_limits(limits: RateLimits) -> Self {
        Self {
            account: limits.account,
            address: limits.address,
            accounts: ExpiringMap::new(CAPACITY),
            addresses: ExpiringMap::new(CAPACITY),
            known: ExpiringMap::new(CAPACITY),
            hasher: RandomState::new(),
        }
    }

    /// Whether `client` may try a password for `account` now. Call it before anything is hashed; a server with one
    /// account uses the empty name.
    ///
    /// # Errors
    ///
    /// [`RateLimited`]: not now, and when. The attempt is not counted.
    pub fn check(
        &self,
        account: &str,
        client: Option<IpAddr>,
        now: MonotonicTime,
    ) -> Result<LoginAttempt, RateLimited> {
        self.admit(account, client, now, Charge::Failure)
    }

    /// As `check`, for an attempt that counts as failed only when [`LoginRateLimiter::settle`] says so, and takes a place until it
    /// is settled. Not for several threads at the same time.
    ///
    /// `is_shared` says that a store judges the failures of the account: here the account is charged a place and never waits.
    pub(crate) fn reserve(
        &self,
        account: &str,
        client: Option<IpAddr>,
        now: MonotonicTime,
        is_shared: bool,
    ) -> Result<LoginAttempt, RateLimited> {
        self.admit(account, client, now, Charge::Place { is_shared })
    }

    fn admit(
        &self,
        account: &str,
        client: Option<IpAddr>,
        now: MonotonicTime,
        charge: Charge,
    ) -> Result<LoginAttempt, RateLimited> {
        let reserved = matches!(charge, Charge::Place { .. });
        let permit = |account, address, known| LoginAttempt {
            account,
            address,
            known,
            reserved,
        };
        let charge_account = |count: FailureCount| match charge {
            Charge::Place { is_shared: true } => self.account.reserve_only(count),
            _ => self.account.charge(count, now, reserved),
        };
        let charge_address = |count| self.address.charge(count, now, reserved);
        let account = self.hasher.hash_one(account);
        let address = client.map(|client| self.hasher.hash_one(network(client)));
        let by_known = self.with_known(account, address, now, |known| {
            known.count = self.account.charge(known.count, now, reserved)?;
            Ok(())
        });
        if let Some(result) = by_known {
            return result.map(|()| permit(account, address, true));
        }
        // Checked before either is charged, so that a rejected attempt costs nothing.
        let by_account = charge_account(self.accounts.get(&account, now).unwrap_or_default()).err();
        let by_address = address.and_then(|address| {
            let count = self.addresses.get(&address, now).unwrap_or_default();
            charge_address(count).err()
        });
        if let Some(throttled) = by_account
            .into_iter()
            .chain(by_address)
            .max_by_key(|no| (!no.until_settled, no.wait))
        {
            return Err(throttled);
        }
        // The address first: if another attempt is counted meanwhile, the account is not charged for this one.
        if let Some(address) = address {
            update(&self.addresses, self.address, address, now, charge_address)?;
        }
        update(&self.accounts, self.account, account, now, charge_account)?;
        Ok(permit(account, address, false))
    }

    /// The password was right: the failures of the account are forgiven, and the address is known to it from now
    /// on.
    #[expect(clippy::needless_pass_by_value, reason = "a permit is settled once")]
    pub fn record_success(&self, permit: LoginAttempt, now: MonotonicTime) {
        let LoginAttempt {
            account,
            address,
            known,
            ..
        } = permit;
        if !known {
            change(&self.accounts, self.account, account, now, |count| {
                permit.give_back(count);
                count.failures = 0;
            });
        }
        let Some(address) = address else {
            return;
        };
        let is_new = self.remember_address(&permit, address, now);
        if !known {
            // Only a small part of its other failures is removed: otherwise an attacker with an account could reset
            // them.
            change(&self.addresses, self.address, address, now, |count| {
                permit.give_back(count);
                if is_new {
                    count.logged_in();
                }
            });
        }
    }

    /// The attempt was not decided, for example because the hashing queue was full: it does not count.
    #[expect(clippy::needless_pass_by_value, reason = "a permit is settled once")]
    pub fn cancel(&self, permit: LoginAttempt, now: MonotonicTime) {
        self.change_counts(&permit, now, |_, count| permit.give_back(count));
    }

    /// Settles a permit of [`LoginRateLimiter::reserve`].
    pub(crate) fn settle(&self, permit: LoginAttempt, outcome: AttemptOutcome, now: MonotonicTime) {
        match outcome {
            AttemptOutcome::Cancelled => self.cancel(permit, now),
            AttemptOutcome::Succeeded => self.record_success(permit, now),
            AttemptOutcome::Failed => self.change_counts(&permit, now, |pace, count| {
                permit.give_back(count);
                *count = pace.failed(*count, now);
            }),
        }
    }

    /// Forgives the failures of the account beyond those that the replicas count together: a login at another replica
    /// has forgiven them.
    pub(crate) fn limit_failures(&self, permit: &LoginAttempt, failures: u32, now: MonotonicTime) {
        change(&self.accounts, self.account, permit.account, now, |count| {
            count.failures = count.failures.min(failures);
        });
    }

    /// Changes every count that the attempt was charged to.
    fn change_counts(
        &self,
        permit: &LoginAttempt,
        now: MonotonicTime,
        change_count: impl Fn(BackoffPolicy, &mut FailureCount),
    ) {
        if permit.known {
            self.with_known(permit.account, permit.address, now, |known| {
                change_count(self.account, &mut known.count);
            });
            return;
        }
        change(&self.accounts, self.account, permit.account, now, |count| {
            change_count(self.account, count);
        });
        if let Some(address) = permit.address {
            change(&self.addresses, self.address, address, now, |count| {
                change_count(self.address, count);
            });
        }
    }

    fn with_known<T>(
        &self,
        account: u64,
        address: Option<u64>,
        now: MonotonicTime,
        work: impl FnOnce(&mut KnownAddress) -> T,
    ) -> Option<T> {
        let address = address?;
        self.known.update(account, now, |mut present| {
            let known = present
                .iter_mut()
                .flat_map(|(addresses, _)| addresses)
                .find(|known| known.address == address && known.until > now);
            let result = known.map(work);
            (present, result)
        })
    }

    /// Makes the address known to the account, and forgives its failures. Whether it was not known before.
    fn remember_address(&self, permit: &LoginAttempt, address: u64, now: MonotonicTime) -> bool {
        let until = now.saturating_add(KNOWN_FOR);
        self.known.update(permit.account, now, |present| {
            let mut addresses = present.map_or_else(Vec::new, |(addresses, _)| addresses);
            addresses.retain(|known| known.until > now);
            let place = addresses.iter().position(|known| known.address == address);
            let mut count = place.map_or_else(FailureCount::default, |place| addresses.remove(place).count);
            if permit.known {
                permit.give_back(&mut count);
            }
            count.failures = 0;
            if addresses.len() >= KNOWN_ADDRESSES {
                addresses.remove(0);
            }
            addresses.push(KnownAddress {
                address,
                count,
                until,
            });
            (Some((addresses, until)), place.is_none())
        })
    }
}

impl Default for LoginRateLimiter {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LoginRateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginRateLimiter").finish_non_exhaustive()
    }
}

/// An address from which a user logged in, and its failures since.
#[derive(Clone, Copy, Debug)]
struct KnownAddress {
    address: u64,
    count: FailureCount,
    until: MonotonicTime,
}

/// Changes the count under `key`, unless `change` refuses. Without anything to count there is no entry.
fn update<E>(
    counts: &ExpiringMap<u64, FailureCount>,
    pace: BackoffPolicy,
    key: u64,
    now: MonotonicTime,
    change: impl FnOnce(FailureCount) -> Result<FailureCount, E>,
) -> Result<(), E> {
    counts.update(key, now, |present| {
        match change(present.map(|(count, _)| count).unwrap_or_default()) {
            Ok(next) if next.is_empty() => (None, Ok(())),
            Ok(next) => (Some((next, pace.expires_at(next, now))), Ok(())),
            Err(refused) => (present, Err(refused)),
        }
    })
}

fn change(
    counts: &ExpiringMap<u64, FailureCount>,
    pace: BackoffPolicy,
    key: u64,
    now: MonotonicTime,
    change: impl FnOnce(&mut FailureCount),
) {
    let Ok(()) = update(counts, pace, key, now, |mut count| {
        change(&mut count);
        Ok::<_, Infallible>(count)
    });
}

/// What of an address counts as one client: an IPv4 address, or the 64 bits that an IPv6 network hands to one
/// customer at least.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(ip) => Ipv4Addr::into(ip),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_counts_by_its_network_and_an_ipv4_one_in_any_clothes() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
            ("::1", "127.0.0.1", false),
        ] {
            let network = |text: &str| network(text.parse().expect("an address"));
            assert_eq!(network(one) == network(other), same, "{one} {other}");
        }
    }

    #[test]
    fn a_million_accounts_take_the_memory_of_the_capacity() {
        let throttle = LoginRateLimiter::new();
        let flood = |from: u32, count: u32| {
            for number in from..from + count {
                let now = MonotonicTime::from_duration(Duration::from_millis(u64::from(number)));
                let client = IpAddr::from(number.to_be_bytes());
                let account = number.to_le_bytes();
                let account = String::from_utf8_lossy(&account);
                let _ = throttle.check(&account, Some(client), now);
            }
        };
        let filled = allocation_counter::measure(|| flood(0, 900_000));
        assert!(filled.bytes_max < 12 << 20, "{filled:?}");
        for map in [&throttle.accounts, &throttle.addresses] {
            assert!(map.len() <= CAPACITY, "{}", map.len());
        }
        assert!(throttle.accounts.len() > CAPACITY * 9 / 10);
        let more = allocation_counter::measure(|| flood(900_000, 100_000));
        assert!(filled.bytes_current + more.bytes_current < 12 << 20, "{more:?}");
        assert_eq!(throttle.known.len(), 0, "no user logged in");
    }
}
