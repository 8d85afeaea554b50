//! What the gate tells its operator.

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

/// Something worth a line in a log or a count in a metric.
///
/// An event cannot be given a secret: it holds identities, reasons, labels and a [`RedactedPath`], none of
/// which can be made from a credential.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Somebody came in and was given a session cookie.
    LoggedIn {
        /// Who.
        identity: &'a Identity,
        /// From where, if that is known.
        client: Option<IpAddr>,
    },
    /// A session was ended by its owner.
    LoggedOut {
        /// Who.
        identity: &'a Identity,
        /// From where, if that is known.
        client: Option<IpAddr>,
    },
    /// The shared password was changed, which ended every session by cookie.
    PasswordChanged {
        /// From where, if that is known.
        client: Option<IpAddr>,
    },
    /// A request with a session was passed to the service: once for each request, whatever its credential. The grant of
    /// the session has the label of the token.
    Admitted {
        /// Who, and how that was proved.
        session: &'a Session,
        /// The method of the request.
        method: &'a Method,
        /// What was asked for.
        path: RedactedPath<'a>,
        /// From where, if that is known.
        client: Option<IpAddr>,
    },
    /// A hub issued a token.
    TokenIssued {
        /// The user whose token it is.
        username: &'a str,
        /// The id of its record in the store.
        id: u64,
        /// The label, if it has one.
        label: Option<&'a str>,
        /// The OAuth client that it was issued to, if it was one.
        client_id: Option<&'a str>,
        /// From where it was asked for, if that is known.
        client: Option<IpAddr>,
    },
    /// A hub revoked tokens.
    TokenRevoked {
        /// The user whose tokens they were.
        username: &'a str,
        /// The id of the record in the store; `None` for all tokens of the user.
        id: Option<u64>,
        /// From where, if that is known.
        client: Option<IpAddr>,
    },
    /// A user of a hub was sent back to an OAuth client with a code: by consent, or because the client needs none.
    ClientAuthorized {
        /// The user.
        username: &'a str,
        /// The OAuth client.
        client_id: &'a str,
        /// The scopes that the client was given.
        scopes: &'a [String],
        /// From where, if that is known.
        client: Option<IpAddr>,
    },
    /// A request was turned away.
    Denied {
        /// Why.
        reason: Reason,
        /// Who, where the credential was known and still refused. What was typed as a user name is not told, because it
        /// may be a password.
        identity: Option<&'a Identity>,
        /// The label of the grant, where the credential was known and still refused.
        label: Option<&'a str>,
        /// The method of the request; `None` for a password that was refused.
        method: Option<&'a Method>,
        /// What was asked for.
        path: RedactedPath<'a>,
        /// From where, if that is known.
        client: Option<IpAddr>,
    },
    /// A store, a hub or a hashing queue did not answer.
    Unavailable {
        /// What it said. The text is the store's own and is not checked.
        error: &'a (dyn std::error::Error + Send + Sync + 'static),
        /// What was asked for.
        path: RedactedPath<'a>,
    },
    /// Somebody tried a password from an address that is not known, so the throttle counts by account alone, and
    /// whoever guesses keeps the owner out. Told once by each gate.
    ///
    /// Without TCP, as on a socket of this machine, that is as it has to be. Else insert a [`Peer`](crate::request::Peer) into
    /// requests, and name the proxies that are in front.
    ClientAddressUnknown,
    /// The store of `shared_rate_limits` does not answer: this process counts wrong passwords in memory until it does. Reported
    /// once for each outage.
    SharedRateLimitsUnavailable {
        /// What the store reported.
        error: &'a (dyn std::error::Error + Send + Sync + 'static),
    },
    /// `trusted_proxies` is set, but a request has no peer address, so no proxy is trusted: cookies are not `Secure` behind
    /// TLS that ends at the proxy, and the rate limit does not tell clients apart. Reported once by each layer and hub.
    ///
    /// Insert a [`Peer`](crate::request::Peer) into requests, or name the place where it is found by `peer_extractor`.
    PeerAddressMissing,
    /// Somebody came in by a password whose stored hash is weak and stays so: set the password anew.
    WeakPasswordHash {
        /// Who.
        identity: &'a Identity,
    },
}

/// The path of a request as it may be logged: without the query, at most 64 octets, nothing but visible
/// ASCII, an ellipsis where it was cut. It is cut behind `token=` and behind `pcl_`, which generated tokens
/// begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedactedPath<'a> {
    path: &'a str,
    cut: bool,
}

impl<'a> RedactedPath<'a> {
    /// The longest path that is logged whole, in octets.
    pub const MAX_LEN: usize = 64;

    pub(crate) fn new(path: &'a str) -> Self {
        let mut end = path.len().min(Self::MAX_LEN);
        while !path.is_char_boundary(end) {
            end -= 1;
        }
        // Only what is logged is looked at: a path may be a thousand times as long.
        let end = find_token_start(&path[..end]);
        let whole = end == path.len();
        Self {
            path: &path[..end],
            cut: !whole,
        }
    }
}

/// Where a token begins that went astray into `path`, as by a link whose `?` was escaped; else its end.
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

/// Somebody who is told every [`Event`]: a log, a counter, a test.
///
/// Called while a request is being decided, so it must not wait. Every closure of the right shape is one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an observer",
    label = "expected an `Observer`, or a closure with its type written out",
    note = "a closure looks like `|event: &Event<'_>| {{ … }}`"
)]
pub trait Observer: Send + Sync + 'static {
    /// Takes note of `event`.
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
