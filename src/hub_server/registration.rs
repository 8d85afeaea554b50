//! Which clients may register themselves, and how many.

use std::{net::IpAddr, time::Duration};

use super::client::OAuthClientConfig;
use crate::{
    clock::MonotonicTime,
    session::scopes::Scopes,
    store::{ClientRecord, ExpiringMap},
};

/// How many may register from one address in an hour.
const PER_ADDRESS: u32 = 10;
const HOUR: Duration = Duration::from_secs(60 * 60);
/// How many addresses are counted.
const ADDRESSES: usize = 4_096;
/// How long a client is remembered that no user has authorized, and after its last token has expired.
pub(crate) const UNUSED: Duration = Duration::from_secs(24 * 60 * 60);
/// What the id of each begins with.
pub(crate) const PREFIX: &str = "dynamic-";

/// How clients may register themselves.
pub(crate) struct Registration {
    pub(crate) limit: u64,
    /// What they may request from users, in addition to their identity.
    pub(crate) scopes: Scopes,
    /// The number of registrations by address.
    counts: ExpiringMap<u128, u32>,
}

impl Registration {
    pub(crate) fn new(limit: u64, scopes: Scopes) -> Self {
        Self {
            limit,
            scopes,
            counts: ExpiringMap::new(ADDRESSES),
        }
    }

    /// Counts a registration. Fails with the time until the next one.
    pub(crate) fn count(&self, address: Option<IpAddr>, now: MonotonicTime) -> Result<(), Duration> {
        // An IPv6 address counts by its first 64 bits. Without an address all count together.
        let key = match address.map(|address| address.to_canonical()) {
            None => 0,
            Some(IpAddr::V4(address)) => address.to_ipv6_mapped().to_bits(),
            Some(IpAddr::V6(address)) => address.to_bits() >> 64 << 64,
        };
        self.counts.update(key, now, |count| match count {
            None => (Some((1, now.saturating_add(HOUR))), Ok(())),
            Some((count, end)) if count < PER_ADDRESS => (Some((count + 1, end)), Ok(())),
            Some((count, end)) => (Some((count, end)), Err(end.saturating_duration_since(now))),
        })
    }

    /// The client of a record; none if it is not as it was when it was registered.
    pub(crate) fn client(&self, record: &ClientRecord) -> Option<OAuthClientConfig> {
        let client = OAuthClientConfig::public(record.id(), record.redirect_uris()).ok()?;
        let client = client.with_name(record.name()).registered_itself();
        client.with_allowed_scopes(self.scopes.clone()).ok()
    }
}
