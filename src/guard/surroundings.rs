//! Where a request went, as far as that is known.

use http::{HeaderValue, header};

use super::{
    authority::Authority,
    field::{Field, Several, X_FORWARDED_HOST, single},
    rule::Refusal,
};
use crate::{fields::repeats, head::Head, peer::Scheme};

/// What a request went to: the host that its client named, and by which scheme.
///
/// Made once a request by [`Guards::surroundings`](super::Guards::surroundings), which refuses what this
/// server does not answer for; so a value of this type has passed parts 1 to 3 of the decision table.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// Not there if the host check is off.
    pub(super) host: Option<&'a [u8]>,
    pub(super) scheme: Scheme,
    /// Whether the peer is a trusted proxy.
    pub(super) forwarded: bool,
    /// Whether somebody says that the browser speaks https; who, is not asked.
    pub(super) rumoured_https: bool,
    /// See [`Surroundings::plain_path`].
    pub(super) plain_path: Option<&'a str>,
}

impl<'a> Surroundings<'a> {
    /// The host, and perhaps a port, as the client named it; `None` if the host check is off.
    pub fn host(&self) -> Option<&'a str> {
        self.host.and_then(|host| std::str::from_utf8(host).ok())
    }

    /// How the client reached the outermost server: a trusted proxy's word, else the public origin's scheme,
    /// else what was configured of one's own TLS.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The path, if the target is known to be it alone, without a query, and no page of another origin may act here:
    /// whoever sent the request, nothing has to be added to the answer.
    #[inline(always)]
    pub(crate) fn plain_path(&self) -> Option<&'a str> {
        self.plain_path
    }

    /// Whether cookies are to be `Secure`.
    pub(crate) fn is_https(&self) -> bool {
        self.scheme == Scheme::Https || self.rumoured_https
    }

    /// The authority to compare origins with; read now if the host check is off.
    pub(super) fn authority(&self, head: Head<'a>) -> Option<Authority<'a>> {
        let host = match self.host {
            Some(host) => host,
            None => host(&head, self.forwarded).ok()?,
        };
        Authority::parse(host)
    }
}

/// The one host of a request, not yet held against a list.
#[inline]
pub(super) fn host<'a>(head: &Head<'a>, forwarded: bool) -> Result<&'a [u8], Refusal> {
    match head.single(Field::Host) {
        Ok(Some(host)) if !forwarded && head.uri().authority().is_none() => Ok(host.as_bytes()),
        Ok(host) => agreed_host(*head, host, forwarded),
        Err(Several) => Err(Refusal::MalformedHost),
    }
}

/// The host of a request that names none in its target, if its one `Host` is at hand: somebody walked over the fields, or
/// it is the first, where a client should send it (RFC 9110 §7.2).
#[inline(always)]
pub(super) fn plain_host<'a>(head: &Head<'a>) -> Option<&'a [u8]> {
    if head.uri().authority().is_some() {
        return None;
    }
    if head.knows_fields() {
        return head.field(Field::Host).map(HeaderValue::as_bytes);
    }
    let headers = head.headers();
    let (name, value) = headers.iter().next()?;
    (*name == header::HOST && !repeats(headers)).then(|| value.as_bytes())
}

/// The host of a target with an authority, which HTTP/2's always has and with which a `Host` beside it must
/// agree; and the host that a trusted proxy was asked for.
#[cold]
fn agreed_host<'a>(
    head: Head<'a>,
    host: Option<&'a HeaderValue>,
    forwarded: bool,
) -> Result<&'a [u8], Refusal> {
    let host = host.map(HeaderValue::as_bytes);
    let named = match (
        host,
        head.uri()
            .authority()
            .map(|authority| authority.as_str().as_bytes()),
    ) {
        (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority) => None,
        (host, authority) => authority.or(host),
    };
    let named = named.ok_or(Refusal::MalformedHost)?;
    if !forwarded {
        return Ok(named);
    }
    match single(head.headers(), &X_FORWARDED_HOST) {
        Ok(None) => Ok(named),
        Ok(Some(host)) => Ok(host.as_bytes()),
        Err(Several) => Err(Refusal::MalformedHost),
    }
}

/// The scheme that a trusted proxy reports, if it does.
#[cold]
pub(super) fn reported_scheme(head: Head<'_>) -> Result<Option<Scheme>, Refusal> {
    match head.single(Field::XForwardedProto) {
        Ok(None) => Ok(None),
        Ok(Some(scheme)) if scheme.as_bytes().eq_ignore_ascii_case(b"https") => Ok(Some(Scheme::Https)),
        Ok(Some(scheme)) if scheme.as_bytes().eq_ignore_ascii_case(b"http") => Ok(Some(Scheme::Http)),
        Ok(Some(_)) | Err(Several) => Err(Refusal::MalformedScheme),
    }
}

/// Whether somebody on the way says that the browser speaks https: the first `proto` of `Forwarded`, else
/// `X-Scheme`, else the first of `X-Forwarded-Proto`, as JupyterHub reads them.
///
/// Anybody can say so. It is good for making cookies `Secure`, which hurts the liar alone, and for nothing else.
#[inline(always)]
pub(super) fn rumoured_https(head: &Head<'_>) -> bool {
    let told = [Field::Forwarded, Field::XScheme, Field::XForwardedProto].map(|field| head.field(field));
    // Most servers that listen are reached without a word of it.
    told.iter().any(Option::is_some) && tell_https(told)
}

#[inline(never)]
fn tell_https(told: [Option<&HeaderValue>; 3]) -> bool {
    let [forwarded, scheme, forwarded_proto] = told.map(|value| value.and_then(|value| value.to_str().ok()));
    let forwarded = forwarded.and_then(|list| {
        first_of(list).split(';').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.trim().eq_ignore_ascii_case("proto").then(|| value.trim())
        })
    });
    let scheme = forwarded
        .or_else(|| scheme.map(first_of))
        .or_else(|| forwarded_proto.map(first_of));
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

/// The first of a list with commas.
fn first_of(list: &str) -> &str {
    list.split(',').next().unwrap_or_default().trim()
}
