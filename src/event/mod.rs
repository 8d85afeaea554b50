//! Events for logs and metrics.

#[cfg(feature = "tracing")]
mod span;
#[cfg(feature = "tracing")]
mod tracing_observer;
#[cfg(feature = "tracing")]
pub use span::request_span;
#[cfg(feature = "tracing")]
pub use tracing_observer::TracingObserver;

use std::{fmt, net::IpAddr};

use http::Method;

use crate::{
    denial::Reason,
    session::{Session, identity::Identity},
};

/// An event for a log or a metric.
///
/// It cannot contain a secret: it holds identities, reasons, labels and a [`RedactedPath`], none of which can be made
/// from a credential.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A user logged in and received a session cookie.
    LoggedIn {
        /// The user.
        identity: &'a Identity,
        /// The address of the client, if known.
        client: Option<IpAddr>,
    },
    /// A user logged out.
    LoggedOut {
        /// The user.
        identity: &'a Identity,
        /// The address of the client, if known.
        client: Option<IpAddr>,
    },
    /// The shared password was changed, which ended every session by cookie.
    PasswordChanged {
        /// The address of the client, if known.
        client: Option<IpAddr>,
    },
    /// A request with a session was passed to the service: once for each request, whatever its credential. The grant
    /// of the session has the label of the token.
    Admitted {
        /// The user, and how they were authenticated.
        session: &'a Session,
        /// The method of the request.
        method: &'a Method,
        /// The path of the request.
        path: RedactedPath<'a>,
        /// The address of the client, if known.
        client: Option<IpAddr>,
    },
    /// A hub issued a token.
    TokenIssued {
        /// The user who owns the token.
        username: &'a str,
        /// The id of its record in the store.
        id: u64,
        /// The label of the token.
        label: Option<&'a str>,
        /// The OAuth client that it was issued to.
        client_id: Option<&'a str>,
        /// The address of the client, if known.
        client: Option<IpAddr>,
    },
    /// A hub revoked tokens.
    TokenRevoked {
        /// The user who owned the tokens.
        username: &'a str,
        /// The id of the record in the store; `None` for all tokens of the user.
        id: Option<u64>,
        /// The address of the client, if known.
        client: Option<IpAddr>,
    },
    /// A user of a hub was redirected to an OAuth client with a code: by consent, or because the client needs none.
    ClientAuthorized {
        /// The user.
        username: &'a str,
        /// The OAuth client.
        client_id: &'a str,
        /// The scopes that the client was given.
        scopes: &'a [String],
        /// The address of the client, if known.
        client: Option<IpAddr>,
    },
    /// An OAuth client registered itself at a hub.
    ClientRegistered {
        /// The identifier that it got.
        client_id: &'a str,
        /// The name that it gave itself.
        name: &'a str,
        /// The address of the client, if known.
        client: Option<IpAddr>,
    },
    /// A request was denied.
    Denied {
        /// The reason.
        reason: Reason,
        /// The user, if the credential was known but denied. A username from a form is not reported, because it may
        /// be a password.
        identity: Option<&'a Identity>,
        /// The label of the grant, if the credential was known but denied.
        label: Option<&'a str>,
        /// The method of the request; `None` for a rejected password.
        method: Option<&'a Method>,
        /// The path of the request.
        path: RedactedPath<'a>,
        /// The address of the client, if known.
        client: Option<IpAddr>,
    },
    /// A store, a hub or a hashing queue did not respond.
    Unavailable {
        /// The error. Its text comes from the store and is not checked.
        error: &'a (dyn std::error::Error + Send + Sync + 'static),
        /// The path of the request.
        path: RedactedPath<'a>,
    },
    /// A password was tried by a client whose address is unknown, so rate limiting is per account only, and an
    /// attacker can lock the user out. Emitted once per layer.
    ///
    /// This is expected on a Unix socket. Otherwise insert a [`Peer`](crate::request::Peer) into requests, and
    /// configure the trusted proxies.
    ClientAddressUnknown,
    /// The store of `shared_rate_limits` does not answer: this process counts wrong passwords in memory until it does. Reported
    /// once for each outage.
    SharedRateLimitsUnavailable {
        /// What the store reported.
        error: &'a (dyn std::error::Error + Send + Sync + 'static),
    },
    /// A `JwtVerifier` rejected a token. The layer reports it as unknown or unsupported.
    JwtRejected {
        /// Why, and the setting to look at. It contains nothing of the token.
        reason: &'static str,
    },
    /// A `JwtVerifier` cannot read the keys of its issuer. It uses the keys from before for a day. Reported once for each
    /// outage.
    KeySetUnavailable {
        /// What failed.
        error: &'a (dyn std::error::Error + Send + Sync + 'static),
    },
    /// `trusted_proxies` is set, but a request has no peer address, so no proxy is trusted: cookies are not `Secure`
    /// behind TLS that ends at the proxy, and the rate limit cannot distinguish clients. Emitted once per layer and
    /// hub.
    ///
    /// Insert a [`Peer`](crate::request::Peer) into requests, or set `peer_extractor`.
    PeerAddressMissing,
    /// A user logged in by a password whose stored hash is weak and is not replaced: set the password again.
    WeakPasswordHash {
        /// The user.
        identity: &'a Identity,
    },
}

/// The path of a request for a log: without the query, at most 64 bytes of visible ASCII, with an ellipsis if it was
/// truncated. It is truncated after `token=` and after `pcl_`, the prefix of generated tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedactedPath<'a> {
    path: &'a str,
    cut: bool,
}

impl<'a> RedactedPath<'a> {
    /// Maximum length of a path that is logged whole, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Redacts the path of a URI, for a log of your own.
    ///
    /// ```
    /// use portcullis::event::RedactedPath;
    ///
    /// let path = RedactedPath::new("/next%3Ftoken%3Dpcl_secret");
    /// assert_eq!(path.to_string(), "/next%3Ftoken%3D...");
    /// ```
    pub fn new(path: &'a str) -> Self {
        let mut end = path.len().min(Self::MAX_LEN);
        while !path.is_char_boundary(end) {
            end -= 1;
        }
        // Only the logged part is examined: a path may be a thousand times as long.
        let end = find_token_start(&path[..end]);
        let whole = end == path.len();
        Self {
            path: &path[..end],
            cut: !whole,
        }
    }
}

/// Returns the start of a token in `path`, such as of a link whose `?` was escaped, or the end of `path`.
fn find_token_start(path: &str) -> usize {
    let small = path.to_ascii_lowercase();
    let behind = |mark: &str| small.find(mark).map(|place| place + mark.len());
    let places = ["token=", "token%3d", "pcl_"].into_iter().filter_map(behind);
    places.min().unwrap_or(path.len())
}

impl fmt::Display for RedactedPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;

        for character in self.path.chars() {
            if character.is_ascii_graphic() {
                f.write_char(character)?;
            } else {
                write!(f, "{}", character.escape_default())?;
            }
        }
        if self.cut { f.write_str("...") } else { Ok(()) }
    }
}

/// Receives every [`Event`], for example to log or count it.
///
/// Called while a request is being processed, so it must not block. Closures of this signature implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an observer",
    label = "expected an `Observer`, or a closure with its type written out",
    note = "a closure looks like `|event: &Event<'_>| {{ … }}`"
)]
pub trait Observer: Send + Sync + 'static {
    /// Receives an event.
    fn observe(&self, event: &Event<'_>);
}

impl<F: Fn(&Event<'_>) + Send + Sync + 'static> Observer for F {
    fn observe(&self, event: &Event<'_>) {
        self(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_path_only_what_is_logged_is_looked_at() {
        let long = "/a".repeat(30_000);
        let copied = allocation_counter::measure(|| {
            std::hint::black_box(RedactedPath::new(&long));
        });
        assert!(copied.bytes_max <= RedactedPath::MAX_LEN as u64, "{copied:?}");
    }

    #[test]
    fn a_logged_path_is_cut_and_escaped() {
        let long = format!("/{}", "a".repeat(80));
        for (path, expected) in [
            ("/hub/login", "/hub/login".to_owned()),
            ("/a\nb", "/a\\nb".to_owned()),
            ("/\u{202e}x", "/\\u{202e}x".to_owned()),
            ("/lab%3Ftoken=abc", "/lab%3Ftoken=...".to_owned()),
            ("/lab;TOKEN%3Dabc/x", "/lab;TOKEN%3D...".to_owned()),
            ("/x/pcl_abc?", "/x/pcl_...".to_owned()),
            ("/token=", "/token=".to_owned()),
            ("/tokens/a=b", "/tokens/a=b".to_owned()),
            (long.as_str(), format!("/{}...", "a".repeat(63))),
        ] {
            assert_eq!(RedactedPath::new(path).to_string(), expected, "{path:?}");
        }
        let straddling = format!("{}\u{e9}", "a".repeat(63));
        assert_eq!(
            RedactedPath::new(&straddling).to_string(),
            format!("{}...", "a".repeat(63))
        );
    }
}
