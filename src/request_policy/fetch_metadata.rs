//! Fetch Metadata: what the browser itself says about where a request comes from.

use http::Method;

use crate::request::{
    head::RequestHead,
    header_names::{self, DuplicateHeader},
};

/// The reading of `Sec-Fetch-Site`.
///
/// Source: W3C Fetch Metadata Request Headers §2.4. A value it does not define counts as `cross-site`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FetchSite {
    CrossSite,
    /// The user did it: an address typed, a bookmark.
    None,
    SameOrigin,
    SameSite,
}

impl FetchSite {
    /// What the request says, if it says anything.
    pub(super) fn of(head: RequestHead<'_>) -> Result<Option<Self>, DuplicateHeader> {
        let value = head.single_header(&header_names::SEC_FETCH_SITE)?;
        Ok(value.map(|value| match value.as_bytes() {
            b"none" => Self::None,
            b"same-origin" => Self::SameOrigin,
            b"same-site" => Self::SameSite,
            _ => Self::CrossSite,
        }))
    }

    /// Whether another origin caused the request. `same-site` is another: a sibling domain, another port.
    pub(super) fn is_cross_site(self) -> bool {
        matches!(self, Self::CrossSite | Self::SameSite)
    }
}

/// Whether the browser says anything about where the request comes from and what it is for.
pub(super) fn has_fetch_metadata(head: RequestHead<'_>) -> bool {
    [
        &header_names::SEC_FETCH_SITE,
        &header_names::SEC_FETCH_MODE,
        &header_names::SEC_FETCH_DEST,
    ]
    .into_iter()
    .any(|name| head.header(name).is_some())
}

/// Whether the browser puts the answer into the address bar: nothing of it can be read by the page that
/// caused it.
pub(super) fn is_navigation(head: RequestHead<'_>) -> bool {
    (head.method() == Method::GET || head.method() == Method::HEAD) && opens_document(head)
}

/// Whether the browser says that the response becomes the page of a tab, for any method.
pub(crate) fn opens_document(head: RequestHead<'_>) -> bool {
    let says = |field, value: &str| matches!(field, Ok(Some(found)) if found == value);
    says(head.single_header(&header_names::SEC_FETCH_MODE), "navigate")
        && says(head.single_header(&header_names::SEC_FETCH_DEST), "document")
}

/// Whether a safe request needs no `_xsrf` where reads require one: a client that sends no
/// `Sec-Fetch-Mode`, a navigation, a WebSocket, and what a page of this server embeds.
pub(super) fn is_exempt_read(head: RequestHead<'_>, site: Option<FetchSite>) -> bool {
    match head.single_header(&header_names::SEC_FETCH_MODE) {
        Ok(None) => true,
        Ok(Some(mode)) => match mode.as_bytes() {
            b"navigate" | b"websocket" => true,
            b"no-cors" => site == Some(FetchSite::SameOrigin),
            _ => false,
        },
        Err(DuplicateHeader) => false,
    }
}
