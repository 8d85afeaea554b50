//! Where a request went, as far as that is known.

use http::HeaderValue;

use super::{authority::Authority, violation::PolicyViolation};
use crate::request::{
    head::RequestHead,
    header_names::{self, DuplicateHeader},
    peer::Scheme,
};

/// What a request went to: the host that its client named, and by which scheme.
///
/// Made once a request by [`RequestPolicy::check_target`](super::RequestPolicy::check_target), which refuses what this
/// server does not answer for; so a value of this type has passed parts 1 to 3 of the decision table.
#[derive(Clone, Copy, Debug)]
pub struct EffectiveTarget<'a> {
    /// Not there if the host check is off.
    pub(super) host: Option<Authority<'a>>,
    pub(super) scheme: Scheme,
    /// Whether the peer is a trusted proxy.
    pub(super) forwarded: bool,
    /// Whether a header that states that the browser uses https is trusted, from any sender.
    pub(super) trust_unverified_https: bool,
}

impl<'a> EffectiveTarget<'a> {
    /// The host, and perhaps a port, as the client named it; `None` if the host check is off.
    pub fn host(&self) -> Option<&'a str> {
        self.host.map(Authority::as_str)
    }

    /// How the client reached the outermost server: as a trusted proxy states, else the public origin's scheme,
    /// else as configured for the server's own TLS.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether cookies are to be `Secure`. Worked out at each call, because few answers set a cookie.
    pub(crate) fn is_https(&self, head: RequestHead<'_>) -> bool {
        self.scheme == Scheme::Https || self.trust_unverified_https && unverified_https(head)
    }

    /// The authority to compare origins with; read now if the host check is off.
    pub(super) fn authority(&self, head: RequestHead<'a>) -> Option<Authority<'a>> {
        self.host.or_else(|| host(head, self.forwarded).ok())
    }
}

/// The one host of a request, well-formed and not yet compared with a list.
///
/// A target with an authority, which HTTP/2 always has, must agree with a `Host` header. A trusted proxy
/// reports in `X-Forwarded-Host` the host that the browser requested.
pub(super) fn host(head: RequestHead<'_>, forwarded: bool) -> Result<Authority<'_>, PolicyViolation> {
    let malformed = |_: DuplicateHeader| PolicyViolation::MalformedHost;
    let field = head
        .single_header(&header_names::HOST)
        .map_err(malformed)?
        .map(HeaderValue::as_bytes);
    let target = head
        .uri()
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    let mut host = match (field, target) {
        (Some(field), Some(target)) if !field.eq_ignore_ascii_case(target) => None,
        (field, target) => target.or(field),
    }
    .ok_or(PolicyViolation::MalformedHost)?;
    if forwarded
        && let Some(forwarded_host) = head
            .single_header(&header_names::X_FORWARDED_HOST)
            .map_err(malformed)?
    {
        host = forwarded_host.as_bytes();
    }
    Authority::parse(host).ok_or(PolicyViolation::MalformedHost)
}

/// The scheme that a trusted proxy reports, if it does: the first of a list, which is the browser's side.
pub(super) fn forwarded_scheme(head: RequestHead<'_>) -> Result<Option<Scheme>, PolicyViolation> {
    let malformed = PolicyViolation::MalformedScheme;
    let Some(list) = head
        .single_header(&header_names::X_FORWARDED_PROTO)
        .map_err(|_: DuplicateHeader| malformed)?
    else {
        return Ok(None);
    };
    match scheme_named(first_of(list.to_str().map_err(|_| malformed)?)) {
        Scheme::Unknown => Err(malformed),
        scheme => Ok(Some(scheme)),
    }
}

/// The scheme of this name. Some proxies write `ws` and `wss` for a WebSocket.
fn scheme_named(name: &str) -> Scheme {
    let is = |known| name.eq_ignore_ascii_case(known);
    if is("https") || is("wss") {
        Scheme::Https
    } else if is("http") || is("ws") {
        Scheme::Http
    } else {
        Scheme::Unknown
    }
}

/// Whether a header field says that the browser speaks https (or wss): the first `proto` of `Forwarded`, else
/// `X-Scheme`, else the first of `X-Forwarded-Proto`, as JupyterHub reads them.
///
/// Any client can send these. They are used only to make cookies `Secure`, which affects that client alone, and
/// for nothing else.
fn unverified_https(head: RequestHead<'_>) -> bool {
    let sent = |field| head.header(field).and_then(|value| value.to_str().ok());
    let forwarded = sent(&header_names::FORWARDED).and_then(|list| {
        first_of(list).split(';').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.trim().eq_ignore_ascii_case("proto").then(|| value.trim())
        })
    });
    forwarded
        .or_else(|| sent(&header_names::X_SCHEME).map(first_of))
        .or_else(|| sent(&header_names::X_FORWARDED_PROTO).map(first_of))
        .is_some_and(|scheme| scheme_named(scheme) == Scheme::Https)
}

/// The first of a list with commas.
fn first_of(list: &str) -> &str {
    list.split(',').next().unwrap_or_default().trim()
}
