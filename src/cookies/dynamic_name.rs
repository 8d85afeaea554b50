//! The name of a cookie that may depend on the request's host.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, OnceLock},
};

use super::name::{CookieName, CookiePrefix};

/// A fixed name, or one that is built from the `Host` header of the request.
#[derive(Clone)]
pub(super) enum DynamicName {
    FromHost(Arc<HostNameCache>),
    Fixed(CookieName),
}

/// The names for the first hosts of requests.
///
/// A server is reached by a few names (`localhost`, `127.0.0.1`, one more); these cost a comparison. Other names are
/// built for each request, so the `Host` headers of unauthenticated clients take no memory.
#[derive(Default)]
pub(super) struct HostNameCache {
    prefix: Option<CookiePrefix>,
    seen: [OnceLock<Seen>; 4],
}

/// Maximum length of a host that is read, in bytes: a name of 255 with its port, which is the longest possible.
const HOST_LIMIT: usize = 255 + ":65535".len();

struct Seen {
    host: Box<[u8]>,
    name: CookieName,
}

impl DynamicName {
    pub(super) fn by_host(prefix: Option<CookiePrefix>) -> Self {
        Self::FromHost(Arc::new(HostNameCache {
            prefix,
            ..HostNameCache::default()
        }))
    }

    pub(super) fn at<'h>(&self, host: impl FnOnce() -> &'h [u8]) -> Cow<'_, CookieName> {
        match self {
            Self::FromHost(hosts) => hosts.name(host()),
            Self::Fixed(name) => Cow::Borrowed(name),
        }
    }

    pub(super) fn prefix(&self) -> Option<CookiePrefix> {
        match self {
            Self::FromHost(hosts) => hosts.prefix,
            Self::Fixed(name) => name.prefix(),
        }
    }

    pub(super) fn with_prefix(&self, prefix: CookiePrefix) -> Self {
        match self {
            Self::FromHost(_) => Self::by_host(Some(prefix)),
            Self::Fixed(name) => Self::Fixed(name.with_prefix(prefix)),
        }
    }
}

impl HostNameCache {
    fn name(&self, host: &[u8]) -> Cow<'_, CookieName> {
        let host = host.get(..HOST_LIMIT).unwrap_or(host);
        for slot in &self.seen {
            let seen = slot.get_or_init(|| Seen {
                host: host.into(),
                name: self.make(host),
            });
            if *seen.host == *host {
                return Cow::Borrowed(&seen.name);
            }
        }
        Cow::Owned(self.make(host))
    }

    fn make(&self, host: &[u8]) -> CookieName {
        let name = CookieName::server(host);
        match self.prefix {
            Some(prefix) => name.with_prefix(prefix),
            None => name,
        }
    }
}

impl fmt::Debug for DynamicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FromHost(hosts) => {
                let prefix = hosts.prefix.map_or("", CookiePrefix::as_str);
                write!(f, "{prefix}username-<host>")
            }
            Self::Fixed(name) => f.write_str(name.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_host_no_more_is_read_than_a_host_can_have() {
        let name = DynamicName::by_host(None);
        let found = name.at(|| &[b'a'; 100_000]).as_str().len();
        assert_eq!(found, "username-".len() + HOST_LIMIT);
    }

    #[test]
    fn the_first_hosts_are_remembered_and_all_others_still_named() {
        let name = DynamicName::by_host(None);
        for round in 0..2 {
            for number in 0..9 {
                let host = format!("host:{number}");
                let found = name.at(|| host.as_bytes());
                assert_eq!(found.as_str(), format!("username-host-{number}"));
                assert_eq!(
                    matches!(found, Cow::Borrowed(_)),
                    number < 4,
                    "round {round}, {host}"
                );
            }
        }
    }
}
