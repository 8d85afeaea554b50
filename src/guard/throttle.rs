//! How often somebody may be wrong.

use std::{
    collections::hash_map::RandomState,
    fmt,
    hash::BuildHasher,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use super::pace::{Count, Pace};
use crate::{
    denial::{Denial, Reason},
    store::Expiring,
    time::Moment,
};

/// How many wrong passwords are listened to: by account and by client address, each wrong one dearer than the
/// one before.
///
/// 1. An *account* that strangers try has 5 failures free. The sixth attempt must wait a second, each one after
///    that twice as long as the one before, at most 15 minutes. From 100 failures in a row on, a day. One
///    failure is forgiven for each day of quiet, all of them when somebody logs in as a stranger.
/// 2. An *address* that tries accounts it is a stranger to has 10 failures free, then waits in the same way; one
///    failure is forgiven for each minute of quiet. An IPv6 address counts by its first 64 bits.
/// 3. An address that somebody has logged in from is *known* to that account for 30 days, 8 addresses an
///    account. It is no stranger: it has a count of its own, as in 1, ended by a login, and neither of the others
///    concerns it. So whoever attacks from elsewhere does not keep the owner out.
/// 4. Accounts that do not exist are counted like others.
///
/// An attempt counts as failed from the moment it is let through, so of many at once no more are heard than one
/// after another; [`Throttle::succeeded`] and [`Throttle::withdraw`] take it back. A [`Permit`] that is dropped,
/// whatever the reason, remains a failure.
///
/// Nothing here is asked for a cookie or for a token in a header: a good one is good however many wrong ones
/// were sent, and one of 128 random bits cannot be guessed.
///
/// # Security
///
/// Counts live in this process alone and are forgotten with it. At most 32,768 accounts and as many addresses are
/// counted, whatever their names; when more come, the count that would be forgiven first is forgotten. While an
/// attack lasts, somebody without a cookie, a token and a known address competes with the attackers for the
/// few attempts that strangers are allowed.
///
/// Without a client's address (no [`Peer`](crate::Peer), or a proxy that does not tell) only rule 1 holds, and
/// an attack does keep the owner out for as long as it lasts. Behind a proxy, name it in
/// [`TrustedProxies`](crate::TrustedProxies), or all its clients share one address. A gate tells once that a client had
/// no address: [`Event::UnknownClient`](crate::Event::UnknownClient).
///
/// # Example
///
/// ```
/// use portcullis::{Moment, Throttle};
///
/// let throttle = Throttle::new();
/// let client = "192.0.2.7".parse().ok();
/// for _ in 0..5 {
///     let permit = throttle.check("alice", client, Moment::now()).expect("a few are free");
///     drop(permit); // the password was wrong
/// }
/// let throttled = throttle.check("alice", client, Moment::now()).unwrap_err();
/// assert_eq!(throttled.retry_after().as_secs(), 1);
/// ```
pub struct Throttle {
    /// What strangers did to an account.
    accounts: Expiring<u64, Count>,
    /// What an address did to accounts it is a stranger to.
    addresses: Expiring<u64, Count>,
    /// The addresses each account is known at, oldest login first.
    known: Expiring<u64, Vec<Known>>,
    /// Names and addresses are kept as keyed hashes, all of one size. A collision shares a count; nobody can
    /// cause one without the key.
    hasher: RandomState,
}

/// Some 5 MiB for each of the maps, full.
const CAPACITY: usize = 32_768;
const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
const KNOWN_ADDRESSES: usize = 8;

impl Throttle {
    /// A throttle that has seen nobody yet.
    pub fn new() -> Self {
        Self {
            accounts: Expiring::new(CAPACITY),
            addresses: Expiring::new(CAPACITY),
            known: Expiring::new(CAPACITY),
            hasher: RandomState::new(),
        }
    }

    /// Whether `client` may try a password for `account` now. To be asked before anything is hashed; a server
    /// with one account has the empty name for it.
    ///
    /// # Errors
    ///
    /// [`Throttled`]: not now, and when. The attempt was not listened to and is not counted.
    pub fn check(&self, account: &str, client: Option<IpAddr>, now: Moment) -> Result<Permit, Throttled> {
        let account = self.hasher.hash_one(account);
        let address = client.map(|client| self.hasher.hash_one(network(client)));
        if let Some(verdict) = self.try_known(account, address, now) {
            return verdict.map(|()| Permit {
                account,
                address,
                known: true,
            });
        }
        // Looked at before either is charged, so that an attempt not listened to costs nothing.
        let wait = self.wait(account, address, now);
        if !wait.is_zero() {
            return Err(Throttled { wait });
        }
        // The address first: if another attempt comes in between, the account is not charged for this one.
        if let Some(address) = address {
            let change = |present| charge(present, Pace::ADDRESS, now);
            self.addresses.update(address, now, change)?;
        }
        let change = |present| charge(present, Pace::ACCOUNT, now);
        self.accounts.update(account, now, change)?;
        Ok(Permit {
            account,
            address,
            known: false,
        })
    }

    /// The password was right: the failures of the account are forgiven, and the address is known to it from now
    /// on.
    #[expect(clippy::needless_pass_by_value, reason = "a permit is settled once")]
    pub fn succeeded(&self, permit: Permit, now: Moment) {
        let Permit {
            account,
            address,
            known,
        } = permit;
        if !known {
            self.accounts.take(&account, now);
        }
        if let Some(address) = address {
            if !known {
                // Its other failures stay: whoever has an account of his own could wash them off by it.
                self.addresses.update(address, now, take_one_back);
            }
            self.know(account, address, now);
        }
    }

    /// The attempt was not decided, for example because the hashing queue was full: it does not count.
    #[expect(clippy::needless_pass_by_value, reason = "a permit is settled once")]
    pub fn withdraw(&self, permit: Permit, now: Moment) {
        let Permit {
            account,
            address,
            known,
        } = permit;
        if known {
            self.with_known(account, address, now, |known| known.count.take_back());
            return;
        }
        self.accounts.update(account, now, take_one_back);
        if let Some(address) = address {
            self.addresses.update(address, now, take_one_back);
        }
    }

    /// How long a stranger still has to wait.
    fn wait(&self, account: u64, address: Option<u64>, now: Moment) -> Duration {
        let account = self.accounts.get(&account, now);
        let address = address.and_then(|address| self.addresses.get(&address, now));
        let account = account.map_or(Duration::ZERO, |count| Pace::ACCOUNT.wait(count, now));
        let address = address.map_or(Duration::ZERO, |count| Pace::ADDRESS.wait(count, now));
        account.max(address)
    }

    /// The verdict on an address that is known to the account.
    fn try_known(&self, account: u64, address: Option<u64>, now: Moment) -> Option<Result<(), Throttled>> {
        self.with_known(account, address, now, |known| {
            known.count = Pace::ACCOUNT
                .next(known.count, now)
                .map_err(|wait| Throttled { wait })?;
            Ok(())
        })
    }

    fn with_known<T>(
        &self,
        account: u64,
        address: Option<u64>,
        now: Moment,
        work: impl FnOnce(&mut Known) -> T,
    ) -> Option<T> {
        let address = address?;
        self.known.update(account, now, |mut present| {
            let known = present
                .iter_mut()
                .flat_map(|(addresses, _)| addresses)
                .find(|known| known.address == address && known.until > now);
            let told = known.map(work);
            (present, told)
        })
    }

    fn know(&self, account: u64, address: u64, now: Moment) {
        let until = now.after(KNOWN_FOR);
        self.known.update(account, now, |present| {
            let mut addresses = present.map_or_else(Vec::new, |(addresses, _)| addresses);
            addresses.retain(|known| known.address != address && known.until > now);
            if addresses.len() >= KNOWN_ADDRESSES {
                addresses.remove(0);
            }
            addresses.push(Known {
                address,
                count: Count::default(),
                until,
            });
            (Some((addresses, until)), ())
        });
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle").finish_non_exhaustive()
    }
}

/// Leave to try one password, counted as a failure until [`Throttle::succeeded`] or [`Throttle::withdraw`] takes
/// it back.
#[derive(Debug)]
#[must_use = "a permit that is dropped is a failed attempt"]
pub struct Permit {
    account: u64,
    address: Option<u64>,
    known: bool,
}

/// Too many wrong attempts: the word when to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttled {
    wait: Duration,
}

impl Throttled {
    /// When the next attempt is listened to, in whole seconds, rounded up.
    pub fn retry_after(self) -> Duration {
        let seconds = self.wait.as_secs();
        Duration::from_secs(if self.wait.subsec_nanos() > 0 {
            seconds + 1
        } else {
            seconds
        })
    }
}

impl From<Throttled> for Denial {
    fn from(throttled: Throttled) -> Self {
        Self::new(Reason::Throttled).with_retry_after(throttled.retry_after())
    }
}

/// An address that somebody logged in from, and its failures since.
#[derive(Clone, Copy, Debug)]
struct Known {
    address: u64,
    count: Count,
    until: Moment,
}

/// The count with one more failure, unless there is still to wait.
fn charge(
    present: Option<(Count, Moment)>,
    pace: Pace,
    now: Moment,
) -> (Option<(Count, Moment)>, Result<(), Throttled>) {
    let count = present.map(|(count, _)| count).unwrap_or_default();
    match pace.next(count, now) {
        Ok(next) => (Some((next, pace.end(next))), Ok(())),
        Err(wait) => (present, Err(Throttled { wait })),
    }
}

/// One failure less, forgotten when it would have been: a little late, which nobody notices.
fn take_one_back(present: Option<(Count, Moment)>) -> (Option<(Count, Moment)>, ()) {
    let next = present.and_then(|(mut count, end)| {
        count.take_back();
        (count.failures > 0).then_some((count, end))
    });
    (next, ())
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
    fn whoever_comes_by_the_million_takes_the_room_of_the_capacity() {
        let throttle = Throttle::new();
        let flood = |from: u32, count: u32| {
            for number in from..from + count {
                let now = Moment::from_start(Duration::from_millis(u64::from(number)));
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
        assert_eq!(throttle.known.len(), 0, "nobody logged in");
    }
}
