//! The configuration of all guards, and what they read from every request.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use http::{Extensions, Method};

use super::{
    allowed_hosts::AllowedHosts,
    origin::{AllowedOrigins, Origin},
    target::{self, EffectiveTarget},
    trusted_proxies::TrustedProxies,
    violation::PolicyViolation,
};
use crate::{
    denial::Denial,
    request::{
        head::RequestHead,
        peer::{Peer, Scheme},
    },
};

/// A place in the request's extensions where the peer is found.
pub type PeerExtractor = fn(&Extensions) -> Option<Peer>;

/// Which cookie requests need an `_xsrf` value. The login form needs one in every mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CsrfMode {
    /// Also of safe requests that are no navigation, as behind a hub, where users share an origin.
    AllMethods,
    /// Of none: unsafe requests must show by `Sec-Fetch-Site: same-origin` or an own Origin where they come
    /// from; a program without either sends `X-XSRFToken`. For a gateway whose upstream has an `_xsrf` of its own.
    OriginOnly,
    /// Of every method but GET, HEAD and OPTIONS: the default.
    #[default]
    UnsafeMethods,
}

/// The request checks of one layer, configured.
///
/// The setters take parsed values and cannot fail; their order does not matter. What is checked, in which
/// order, is the [decision table](super) of the module.
///
/// # Example
///
/// ```
/// use portcullis::{request_policy::{RequestPolicy, RequestKind}, RequestHead};
///
/// let guards = RequestPolicy::new();
/// let from = |site: &str| {
///     http::Request::post("/api/contents")
///         .header("host", "localhost:8888")
///         .header("sec-fetch-site", site)
///         .body(())
///         .unwrap()
/// };
/// for (site, passes) in [("same-origin", true), ("cross-site", false)] {
///     let request = from(site);
///     let head = RequestHead::new(&request);
///     let target = guards.check_target(head).unwrap();
///     // No login is required here, so there is no session that `_xsrf` could be bound to.
///     let result = guards.check_cross_site(&target, head, RequestKind::from_head(head), None);
///     assert_eq!(result.is_ok(), passes);
/// }
/// ```
#[derive(Clone, Debug)]
pub struct RequestPolicy {
    hosts: Option<AllowedHosts>,
    pub(super) origins: AllowedOrigins,
    pub(super) public_origin: Option<Origin>,
    proxies: TrustedProxies,
    has_reported_missing_peer: Arc<AtomicBool>,
    peer_finders: Vec<PeerExtractor>,
    /// The public origin's scheme, else the server's own: used unless a trusted proxy states another.
    scheme: Scheme,
    pub(super) xsrf: CsrfMode,
    trust_unverified_https: bool,
}

impl RequestPolicy {
    /// The defaults: loopback hosts, no foreign origin, no trusted proxy, `_xsrf` of unsafe requests.
    pub fn new() -> Self {
        Self {
            hosts: Some(AllowedHosts::loopback()),
            origins: AllowedOrigins::none(),
            public_origin: None,
            proxies: TrustedProxies::none(),
            has_reported_missing_peer: Arc::default(),
            peer_finders: Vec::new(),
            scheme: Scheme::Unknown,
            xsrf: CsrfMode::UnsafeMethods,
            trust_unverified_https: false,
        }
    }

    /// Default: [`AllowedHosts::loopback`]. The hosts this server answers for.
    #[must_use]
    pub fn with_allowed_hosts(self, hosts: AllowedHosts) -> Self {
        Self {
            hosts: Some(hosts),
            ..self
        }
    }

    /// Default: the host is checked. Answers for every host, and looks at none.
    ///
    /// # Security
    ///
    /// Safe if only header tokens give access: a page that rebinds its name has no token.
    /// Elsewhere such a page is same-origin to the browser, and sees all that needs no login.
    #[must_use]
    pub fn danger_allow_any_host(self) -> Self {
        Self { hosts: None, ..self }
    }

    /// Default: [`AllowedOrigins::none`]. Foreign origins whose pages may act here.
    #[must_use]
    pub fn with_allowed_origins(self, origins: AllowedOrigins) -> Self {
        Self { origins, ..self }
    }

    /// Default: none; own is then where the request itself went. The one origin users see this server at.
    ///
    /// It does not put its host on the list of [`RequestPolicy::with_allowed_hosts`].
    #[must_use]
    pub fn with_public_origin(self, origin: Origin) -> Self {
        Self {
            scheme: origin.scheme(),
            public_origin: Some(origin),
            ..self
        }
    }

    /// The one origin that users see this server at, if it was set.
    #[cfg(feature = "hub-server")]
    pub(crate) fn public_origin(&self) -> Option<&Origin> {
        self.public_origin.as_ref()
    }

    /// Default: [`TrustedProxies::none`]. The proxies whose `X-Forwarded-*` headers are trusted.
    #[must_use]
    pub fn with_trusted_proxies(self, proxies: TrustedProxies) -> Self {
        Self { proxies, ..self }
    }

    /// Default: a [`Peer`] in the extensions. Adds a way to find the peer, tried before the default.
    #[must_use]
    pub fn with_peer_extractor(mut self, finder: PeerExtractor) -> Self {
        self.peer_finders.push(finder);
        self
    }

    /// Default: not known; then origins are compared without their scheme. Whether this server itself speaks
    /// TLS, where no proxy stands before it.
    #[must_use]
    pub fn with_https(self, tls: bool) -> Self {
        let own = if tls { Scheme::Https } else { Scheme::Http };
        Self {
            scheme: self.public_origin.as_ref().map_or(own, Origin::scheme),
            ..self
        }
    }

    /// Default: [`CsrfMode::UnsafeMethods`]. Which cookie requests need an `_xsrf` value.
    #[must_use]
    pub fn with_csrf_mode(self, mode: CsrfMode) -> Self {
        Self { xsrf: mode, ..self }
    }

    /// Default: off. Makes cookies `Secure` if any header states that the browser uses https, as behind a hub.
    #[cfg(feature = "hub-client")]
    pub(crate) fn with_unverified_https(self) -> Self {
        Self {
            trust_unverified_https: true,
            ..self
        }
    }

    /// Whether requests with a login need an `_xsrf` value.
    pub(crate) fn requires_csrf(&self) -> bool {
        self.xsrf != CsrfMode::OriginOnly
    }

    /// Where the request went, if it is one this server answers: parts 1 to 3 of the decision table.
    ///
    /// # Errors
    ///
    /// `Reason::Malformed` (400; 405 for a method never answered) and `Reason::DisallowedHost` (403).
    pub fn check_target<'a>(&self, head: RequestHead<'a>) -> Result<EffectiveTarget<'a>, Denial> {
        let forwarded = self.is_forwarded(head);
        let reported = if forwarded {
            target::forwarded_scheme(head)
        } else {
            Ok(None)
        };
        let scheme = match (&self.public_origin, reported) {
            (None, Ok(Some(reported))) => reported,
            _ => self.scheme,
        };
        let host = match &self.hosts {
            Some(hosts) => {
                let host = target::host(head, forwarded)?;
                if !hosts.allows(host, scheme) {
                    return Err(PolicyViolation::DisallowedHost.into());
                }
                Some(host)
            }
            None => None,
        };
        if let (Some(reported), Some(public)) = (reported?, &self.public_origin)
            && reported != public.scheme()
        {
            return Err(PolicyViolation::SchemeMismatch.into());
        }
        match *head.method() {
            Method::TRACE => return Err(PolicyViolation::Method.into()),
            // An extended CONNECT (RFC 8441 §4) has scheme and path, a tunnel has neither.
            Method::CONNECT if head.uri().scheme().is_none() => return Err(PolicyViolation::Method.into()),
            _ => {}
        }
        Ok(EffectiveTarget {
            host,
            scheme,
            forwarded,
            trust_unverified_https: self.trust_unverified_https,
        })
    }

    /// Returns the origin at which the browser sees this server: the public origin, or the one of the request.
    #[cfg(feature = "openid")]
    pub(crate) fn own_origin(&self, target: &EffectiveTarget<'_>, head: RequestHead<'_>) -> Option<String> {
        if let Some(origin) = &self.public_origin {
            return Some(origin.to_string());
        }
        let scheme = if target.is_https(head) { "https" } else { "http" };
        Some(format!("{scheme}://{}", target.authority(head)?.as_str()))
    }

    /// The client's address: the peer's, or what a trusted proxy reports of it. Worked out at each call, so
    /// that a request which is not counted does not pay for it.
    pub fn client_ip(&self, target: &EffectiveTarget<'_>, head: RequestHead<'_>) -> Option<IpAddr> {
        let peer = self.peer(head)?;
        if target.forwarded {
            self.proxies.client_ip(peer, head)
        } else {
            peer.ip()
        }
    }

    /// Whether this is the first request without a peer that could be a trusted proxy.
    #[inline]
    pub(crate) fn is_first_without_peer(&self, head: RequestHead<'_>) -> bool {
        !self.proxies.is_empty()
            && self.peer(head).is_none()
            && !self.has_reported_missing_peer.swap(true, Ordering::Relaxed)
    }

    fn is_forwarded(&self, head: RequestHead<'_>) -> bool {
        !self.proxies.is_empty() && self.peer(head).is_some_and(|peer| self.proxies.contains(peer))
    }

    fn peer(&self, head: RequestHead<'_>) -> Option<Peer> {
        let extensions = head.extensions();
        self.peer_finders
            .iter()
            .find_map(|find| find(extensions))
            .or_else(|| extensions.get().copied())
    }
}

impl Default for RequestPolicy {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_the_peer_or_what_a_trusted_proxy_says() {
        let guards = RequestPolicy::new()
            .with_trusted_proxies(TrustedProxies::parse("10.0.0.1, unix").expect("well-formed"))
            .with_peer_extractor(|extensions| extensions.get::<&'static str>().map(|_| Peer::Unix));
        for (peer, unix, expected) in [
            (Some("10.0.0.1"), false, Some("198.51.100.7")),
            (Some("::ffff:10.0.0.1"), false, Some("198.51.100.7")),
            (Some("10.0.0.2"), false, Some("10.0.0.2")),
            (None, true, Some("198.51.100.7")),
            (None, false, None),
        ] {
            let mut request = http::Request::builder()
                .header("host", "localhost")
                .header("x-forwarded-for", "198.51.100.7")
                .body(())
                .expect("well-formed");
            if let Some(peer) = peer {
                let address = std::net::SocketAddr::new(peer.parse().expect("an address"), 1);
                request.extensions_mut().insert(Peer::Ip(address));
            }
            if unix {
                request.extensions_mut().insert("a socket");
            }
            let head = RequestHead::new(&request);
            let target = guards.check_target(head).expect("a loopback host");
            let client = guards.client_ip(&target, head);
            assert_eq!(
                client,
                expected.map(|ip| ip.parse().expect("an address")),
                "{peer:?} {unix}"
            );
        }
    }

    #[test]
    fn the_scheme_is_the_proxys_else_the_public_origins_else_the_servers() {
        let proxies = || TrustedProxies::parse("unix").expect("a word");
        let public = || "https://localhost".parse().expect("well-formed");
        for (guards, reported, expected) in [
            (RequestPolicy::new(), Some("https"), Scheme::Unknown),
            (RequestPolicy::new().with_https(true), None, Scheme::Https),
            (RequestPolicy::new().with_https(false), None, Scheme::Http),
            (
                RequestPolicy::new()
                    .with_https(false)
                    .with_public_origin(public()),
                None,
                Scheme::Https,
            ),
            (
                RequestPolicy::new().with_trusted_proxies(proxies()),
                None,
                Scheme::Unknown,
            ),
            (
                RequestPolicy::new().with_trusted_proxies(proxies()),
                Some("https"),
                Scheme::Https,
            ),
            (
                RequestPolicy::new()
                    .with_trusted_proxies(proxies())
                    .with_https(true),
                Some("HTTP"),
                Scheme::Http,
            ),
        ] {
            let mut request = http::Request::builder().header("host", "localhost");
            if let Some(scheme) = reported {
                request = request.header("x-forwarded-proto", scheme);
            }
            let request = request.extension(Peer::Unix).body(()).expect("well-formed");
            let target = guards
                .check_target(RequestHead::new(&request))
                .expect("a loopback host");
            assert_eq!(target.scheme(), expected, "{reported:?} {guards:?}");
        }
    }
}
