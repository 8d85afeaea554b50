//! The headers that the crate reads, and lookups that reject a repeated header.

use http::{HeaderMap, HeaderName, HeaderValue, header};

// Statics, because a constant would be built again at each lookup.
pub(crate) static ACCEPT: HeaderName = header::ACCEPT;
pub(crate) static ACCESS_CONTROL_REQUEST_METHOD: HeaderName = header::ACCESS_CONTROL_REQUEST_METHOD;
pub(crate) static AUTHORIZATION: HeaderName = header::AUTHORIZATION;
pub(crate) static CONTENT_TYPE: HeaderName = header::CONTENT_TYPE;
pub(crate) static COOKIE: HeaderName = header::COOKIE;
pub(crate) static FORWARDED: HeaderName = header::FORWARDED;
pub(crate) static HOST: HeaderName = header::HOST;
pub(crate) static HX_REQUEST: HeaderName = HeaderName::from_static("hx-request");
pub(crate) static ORIGIN: HeaderName = header::ORIGIN;
pub(crate) static PURPOSE: HeaderName = HeaderName::from_static("purpose");
pub(crate) static REFERER: HeaderName = header::REFERER;
pub(crate) static SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
pub(crate) static SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
pub(crate) static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
pub(crate) static SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");
pub(crate) static UPGRADE: HeaderName = header::UPGRADE;
pub(crate) static X_CSRFTOKEN: HeaderName = HeaderName::from_static("x-csrftoken");
pub(crate) static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(crate) static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(crate) static X_MOZ: HeaderName = HeaderName::from_static("x-moz");
pub(crate) static X_PURPOSE: HeaderName = HeaderName::from_static("x-purpose");
pub(crate) static X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");
pub(crate) static X_SCHEME: HeaderName = HeaderName::from_static("x-scheme");
pub(crate) static X_XSRFTOKEN: HeaderName = HeaderName::from_static("x-xsrftoken");

/// A field was sent more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DuplicateHeader;

/// The one value of the field `name`, or nothing.
pub(crate) fn single_value<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, DuplicateHeader> {
    let first = headers.get(name);
    // There are more values than names only where some field is repeated.
    if headers.len() > headers.keys_len() && headers.get_all(name).iter().nth(1).is_some() {
        return Err(DuplicateHeader);
    }
    Ok(first)
}
