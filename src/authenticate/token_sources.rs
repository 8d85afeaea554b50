//! The parts of a request that may have a token.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::authorization::{token_in_authorization, trim};
use crate::{
    denial::{Denial, Reason},
    request::{
        head::RequestHead,
        header_names::{self, DuplicateHeader, single_value},
        percent,
        query::{DecodeBuffer, Query, TokenBuffer},
    },
    secret,
    token::PresentedToken,
};

/// A part of a request that may have a token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenSource {
    /// `Authorization: Bearer` or `token`: see [`token_in_authorization`].
    Authorization,
    /// A header whose whole value is the token. Spaces around it are removed; an empty one counts as absent.
    Header(HeaderName),
    /// The parameter `token` of the query: see [`Query::token`].
    Query,
    /// A protocol `v1.token.websocket.jupyter.org.<token>`, with the token percent-encoded, among those that a
    /// WebSocket handshake offers. Browsers can send it, but cannot set headers of a WebSocket.
    ///
    /// Source: Jupyter enhancement proposal 119.
    WebSocketSubprotocol,
}

/// The parts of a request that tokens are taken from.
///
/// A request has one token: several in one part, or different ones in two, are rejected.
#[derive(Clone, Debug)]
pub struct TokenSources {
    authorization: bool,
    headers: Box<[TokenSource]>,
    query: bool,
    websocket_subprotocol: bool,
}

impl TokenSources {
    /// Creates a set of these parts, in any order.
    pub fn new(sources: impl IntoIterator<Item = TokenSource>) -> Self {
        let mut chosen = Self {
            authorization: false,
            headers: Box::default(),
            query: false,
            websocket_subprotocol: false,
        };
        let mut headers = Vec::new();
        for source in sources {
            match source {
                // The one field that has a scheme before its token.
                TokenSource::Authorization => chosen.authorization = true,
                TokenSource::Header(name) if name == header::AUTHORIZATION => chosen.authorization = true,
                TokenSource::Header(_) => headers.push(source),
                TokenSource::Query => chosen.query = true,
                TokenSource::WebSocketSubprotocol => chosen.websocket_subprotocol = true,
            }
        }
        chosen.headers = headers.into();
        chosen
    }

    /// Returns the token of the request, if there is one.
    ///
    /// # Errors
    ///
    /// Returns a denial to respond with, even if there are other credentials: 400 for more than one token or more
    /// than one header of a name, 401 for a malformed token, 414 for a query that is too long.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::{authenticate::{TokenSource, TokenSources}, request::TokenBuffer, RequestHead};
    ///
    /// let sources = TokenSources::default();
    /// let request = http::Request::get("/lab?token=abc").body(())?;
    /// let mut buffer = TokenBuffer::default();
    /// let found = sources.extract(RequestHead::new(&request), &mut buffer)?.expect("a token");
    /// assert_eq!(found.token().expose(), "abc");
    /// assert_eq!(*found.source(), TokenSource::Query);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn extract<'a>(
        &'a self,
        head: RequestHead<'a>,
        buffer: &'a mut TokenBuffer,
    ) -> Result<Option<FoundToken<'a>>, Denial> {
        let TokenBuffer { query, protocol } = buffer;
        let mut found = None;
        if self.authorization
            && let Some(value) = only(head.single_header(&header_names::AUTHORIZATION))?
        {
            let token = token_in_authorization(value.as_bytes())?;
            let source = &TokenSource::Authorization;
            found = token.map(|token| FoundToken { token, source });
        }
        for source in &self.headers {
            if let TokenSource::Header(name) = source {
                found = FoundToken::one(found, token_in_header(head.headers(), name)?, source)?;
            }
        }
        if self.websocket_subprotocol && is_handshake(head) {
            let token = token_in_protocols(head.headers(), protocol)?;
            found = FoundToken::one(found, token, &TokenSource::WebSocketSubprotocol)?;
        }
        // Last, so that the query counts as the source: a token in a URL must be removed from it.
        if self.query && head.uri().query().is_some() {
            found = FoundToken::one(
                found,
                Query::from_uri(head.uri()).token_in(query)?,
                &TokenSource::Query,
            )?;
        }
        Ok(found)
    }
}

impl Default for TokenSources {
    /// Returns those of Jupyter Server: the `Authorization` header and the query.
    fn default() -> Self {
        Self::new([TokenSource::Authorization, TokenSource::Query])
    }
}

/// A token, and the part of the request that had it.
#[derive(Clone, Copy, Debug)]
pub struct FoundToken<'a> {
    token: PresentedToken<'a>,
    source: &'a TokenSource,
}

impl<'a> FoundToken<'a> {
    /// Returns the token.
    pub fn token(&self) -> PresentedToken<'a> {
        self.token
    }

    /// Returns the part of the request that had it; the query, if it was there and elsewhere too.
    pub fn source(&self) -> &'a TokenSource {
        self.source
    }

    /// What was found `saturating_sub` and what is found now, which must be the same token.
    fn one(
        before: Option<Self>,
        token: Option<PresentedToken<'a>>,
        source: &'a TokenSource,
    ) -> Result<Option<Self>, Denial> {
        let Some(token) = token else { return Ok(before) };
        match before {
            Some(before) if !secret::constant_time_eq(before.token.as_bytes(), token.as_bytes()) => {
                Err(several("request contains two different tokens"))
            }
            _ => Ok(Some(Self { token, source })),
        }
    }
}

/// The value of a field that may be sent once, or `None` if there is no such field.
fn only(value: Result<Option<&HeaderValue>, DuplicateHeader>) -> Result<Option<&HeaderValue>, Denial> {
    value.map_err(|DuplicateHeader| several("duplicate credential header"))
}

fn token_in_header<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<PresentedToken<'a>>, Denial> {
    match only(single_value(headers, name))?.map(|value| trim(value.as_bytes())) {
        None | Some([]) => Ok(None),
        Some(value) => PresentedToken::new(value).map(Some).ok_or_else(malformed),
    }
}

fn token_in_protocols<'a>(
    headers: &'a HeaderMap,
    buffer: &'a mut DecodeBuffer,
) -> Result<Option<PresentedToken<'a>>, Denial> {
    let mut tokens = headers
        .get_all(&SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|protocol| trim(protocol).strip_prefix(b"v1.token.websocket.jupyter.org."));
    match (tokens.next(), tokens.next()) {
        (Some(_), Some(_)) => Err(several("multiple tokens in Sec-WebSocket-Protocol")),
        (None | Some([]), None) | (None, Some(_)) => Ok(None),
        (Some(token), None) => buffer
            .decode(token, percent::decoded)
            .map(Some)
            .ok_or_else(malformed),
    }
}

static SEC_WEBSOCKET_PROTOCOL: HeaderName = header::SEC_WEBSOCKET_PROTOCOL;

/// Whether the request begins a websocket: RFC 6455 section 4.1, and RFC 8441 section 4 over HTTP/2.
fn is_handshake(head: RequestHead<'_>) -> bool {
    let upgrades = || {
        let values = head.headers().get_all(header::UPGRADE).iter();
        values
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .any(|protocol| trim(protocol).eq_ignore_ascii_case(b"websocket"))
    };
    *head.method() == Method::CONNECT || (*head.method() == Method::GET && upgrades())
}

#[cold]
fn several(detail: &'static str) -> Denial {
    Denial::new(Reason::Malformed).with_detail(detail)
}

#[cold]
fn malformed() -> Denial {
    Denial::new(Reason::Malformed)
        .with_status(StatusCode::UNAUTHORIZED)
        .with_detail("expected a token of 1 to 8,000 visible ASCII characters")
}
