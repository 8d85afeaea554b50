//! Launch links: one-time links that open a browser, logged in.
//!
//! A program that starts a server wants the browser of its user to be logged in. A link with the token of the server
//! would end up in the history, the process list and chats. A launch link has a separate one-time token:
//!
//! ```text
//! <origin><base>launch?token=pcl1_<43 random characters>
//! ```
//!
//! 1. It is valid once: of concurrent requests, one is logged in. The server keeps only its hash. For a day, a
//!    request with the session of the user whom the link has logged in is redirected to the target of the link; every
//!    other request with a used link is rejected.
//! 2. It is valid for a minute, at most for ten, regardless of clock changes.
//! 3. It is valid for one target and one identity. It is not an API token, and an API token is not a launch link.
//! 4. It is passed to the browser in a page file that only its owner can read ([`LaunchLink::write_page`]), so the
//!    command line of the browser names a file and no secret.
//! 5. It is used up by a login, not by programs that prefetch links ([`LinkAction`]), and not while the session store does not
//!    respond: then the response is 503, and the link stays valid.
//!
//! The parameter is named `token` because logs, redirects and [`Query`](crate::request::Query) already treat that
//! name as a secret.

mod endpoint;
mod link;
mod prefetch;

use std::time::Duration;

use crate::{
    clock::{Clock, MonotonicTime, UnixTime},
    error::ConfigError,
    random,
    redirect::NextUrl,
    request::base_url::BaseUrl,
    request_policy::Origin,
    secret::Secret,
    session::identity::Identity,
    store::ExpiringMap,
    token::{PresentedToken, TokenHash},
};

pub use self::{
    link::{LaunchLink, LaunchPageFile},
    prefetch::LinkAction,
};

/// Prefix of launch tokens. It differs from that of API tokens, so neither is mistaken for the other.
const PREFIX: &str = "pcl1_";
/// 43 characters in base 62 hold 256 bits.
const RANDOM: usize = 43;
/// Maximum number of pending links.
const CAPACITY: usize = 512;
/// How long a used link still redirects the user whom it has logged in.
const USED_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// The pending launch links of one server.
///
/// At most 512; for one more, the one that expires first is removed.
///
/// # Example
///
/// ```
/// use portcullis::{
///     clock::SystemClock, launch_link::{LaunchLinkStore, LaunchTarget},
///     redirect::{NextUrl, RedirectPolicy}, token::PresentedToken, BaseUrl,
/// };
///
/// let base: BaseUrl = "/user/alice/".parse()?;
/// let links = LaunchLinkStore::new(base.clone());
/// let next = NextUrl::parse("/user/alice/lab", RedirectPolicy::new(&base)).expect("a URL of this server");
/// let link = links.issue(&"http://127.0.0.1:8888".parse()?, LaunchTarget::new(next), &SystemClock);
/// assert!(link.expose_url().starts_with("http://127.0.0.1:8888/user/alice/launch?token=pcl1_"));
///
/// let (_, token) = link.expose_url().split_once("token=").expect("a token");
/// let token = PresentedToken::new(token.as_bytes()).expect("well-formed");
/// let launch = links.redeem(token, &SystemClock).expect("the first time");
/// assert_eq!(launch.next().as_str(), "/user/alice/lab");
/// assert!(links.redeem(token, &SystemClock).is_none());
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct LaunchLinkStore {
    base_url: BaseUrl,
    life: Duration,
    /// By the hash of the token. The lookup uses all of it, so its time reveals nothing about any token but the one
    /// that was sent.
    links: ExpiringMap<[u8; 32], IssuedLink>,
    /// The links that have logged a user in: the username, and where they led. Apart from `links`, which they would
    /// push out.
    used: ExpiringMap<[u8; 32], (Box<str>, NextUrl)>,
}

/// A launch, and the date after which it is void even if the monotonic clock stood still, as it does while a
/// computer sleeps.
#[derive(Debug)]
struct IssuedLink {
    launch: LaunchTarget,
    until: UnixTime,
    /// When it ends by the monotonic clock.
    end: MonotonicTime,
}

impl LaunchLinkStore {
    /// Where links lead to, below the base URL.
    pub const PATH: &'static str = "launch";

    /// The longest life of a link.
    pub const MAX_TTL: Duration = Duration::from_secs(600);

    /// Creates an empty store, for the server below `base_url`.
    pub fn new(base_url: BaseUrl) -> Self {
        Self {
            base_url,
            life: Duration::from_secs(60),
            links: ExpiringMap::new(CAPACITY),
            used: ExpiringMap::new(CAPACITY),
        }
    }

    /// Sets how long a link is valid, in whole seconds. Defaults to 60 seconds.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] for `ttl` unless it is 1 second to 10 minutes.
    pub fn with_ttl(mut self, life: Duration) -> Result<Self, ConfigError> {
        if !(Duration::from_secs(1)..=Self::MAX_TTL).contains(&life) {
            return Err(ConfigError::new(
                "ttl",
                format!("expected 1 second to 10 minutes, found {life:?}"),
            ));
        }
        self.life = Duration::from_secs(life.as_secs());
        Ok(self)
    }

    /// Issues a link for `launch`, to the server that browsers reach at `origin`.
    ///
    /// # Panics
    ///
    /// If the system's random generator fails.
    pub fn issue(&self, origin: &Origin, launch: LaunchTarget, clock: &dyn Clock) -> LaunchLink {
        let token = format!("{PREFIX}{}", random::text(random::BASE62, RANDOM));
        let url = format!("{origin}{}?token={token}", self.base_url.join(Self::PATH));
        let token = Secret::from(token);
        let issued = IssuedLink {
            launch,
            until: clock.now().saturating_add(self.life),
            end: clock.monotonic_now().saturating_add(self.life),
        };
        let presented = PresentedToken::new(token.expose()).expect("a launch token is visible ASCII");
        self.put(presented.hash(), issued, clock);
        LaunchLink::new(url, self.life)
    }

    /// Returns what the link with `token` was issued for, and uses it up in the same step. Returns `None` if there is
    /// no such link, or it was used already, or it has expired, without a distinction.
    ///
    /// Call [`LinkAction::from_head`] first.
    pub fn redeem(&self, token: PresentedToken<'_>, clock: &dyn Clock) -> Option<LaunchTarget> {
        self.take(token.hash(), clock).map(|issued| issued.launch)
    }

    fn put(&self, hash: TokenHash, issued: IssuedLink, clock: &dyn Clock) {
        let end = issued.end;
        self.links
            .insert(*hash.as_bytes(), issued, end, clock.monotonic_now());
    }

    fn take(&self, hash: TokenHash, clock: &dyn Clock) -> Option<IssuedLink> {
        let issued = self.links.remove(hash.as_bytes(), clock.monotonic_now())?;
        (clock.now() < issued.until).then_some(issued)
    }

    /// Remembers that the link with this hash has logged `username` in.
    fn record_use(&self, hash: TokenHash, username: &str, next: NextUrl, clock: &dyn Clock) {
        let (now, used) = (clock.monotonic_now(), (username.into(), next));
        self.used
            .insert(*hash.as_bytes(), used, now.saturating_add(USED_LIFE), now);
    }

    /// Where the link with `token` led, if it has logged `identity` in.
    fn next_of_used(
        &self,
        token: PresentedToken<'_>,
        identity: &Identity,
        clock: &dyn Clock,
    ) -> Option<NextUrl> {
        let used = self.used.get(token.hash().as_bytes(), clock.monotonic_now());
        used.filter(|(username, _)| **username == *identity.username())
            .map(|(_, next)| next)
    }
}

/// What a launch link is for: the page it leads to, and optionally the user whom it logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchTarget {
    next: NextUrl,
    identity: Option<Identity>,
}

impl LaunchTarget {
    /// A launch that leads to `next`, as the one user of the server.
    pub fn new(next: NextUrl) -> Self {
        Self { next, identity: None }
    }

    /// Default: none. The user whom the link logs in.
    #[must_use]
    pub fn with_identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Where the browser is sent.
    pub fn next(&self) -> &NextUrl {
        &self.next
    }

    /// The user whom the link logs in, if it was issued for one.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_a_second_to_ten_minutes() {
        let with_life = |life| LaunchLinkStore::new(BaseUrl::default()).with_ttl(life);
        for (life, expected) in [
            (Duration::from_secs(1), 1),
            (Duration::from_millis(59_999), 59),
            (Duration::from_secs(600), 600),
        ] {
            assert_eq!(with_life(life).expect("in bounds").life.as_secs(), expected);
        }
        for life in [
            Duration::ZERO,
            Duration::from_millis(999),
            Duration::from_secs(601),
            Duration::MAX,
        ] {
            let error = with_life(life).expect_err("out of bounds");
            assert_eq!(error.setting(), "ttl");
        }
        let error = with_life(Duration::from_secs(3600))
            .expect_err("an hour")
            .to_string();
        assert_eq!(error, "ttl: expected 1 second to 10 minutes, found 3600s");
    }
}
