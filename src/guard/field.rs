//! Header fields that may be sent once.

use http::{HeaderMap, HeaderName, HeaderValue};

/// A field was sent more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Several;

/// The field's one value, or nothing.
///
/// `len() == keys_len()` proves that no field of the request repeats, so that the walk over all values of
/// one name is needed for unusual requests only.
#[inline]
pub(super) fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Several> {
    let first = headers.get(name);
    if headers.len() != headers.keys_len() && repeats(headers, name) {
        return Err(Several);
    }
    Ok(first)
}

#[cold]
fn repeats(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.get_all(name).iter().nth(1).is_some()
}

pub(super) static ACCESS_CONTROL_REQUEST_METHOD: HeaderName = http::header::ACCESS_CONTROL_REQUEST_METHOD;
pub(super) static FORWARDED: HeaderName = http::header::FORWARDED;
pub(super) static HOST: HeaderName = http::header::HOST;
pub(super) static ORIGIN: HeaderName = http::header::ORIGIN;
pub(super) static REFERER: HeaderName = http::header::REFERER;
pub(super) static SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
pub(super) static SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
pub(super) static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
pub(super) static UPGRADE: HeaderName = http::header::UPGRADE;
pub(super) static X_CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrftoken");
pub(super) static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) static X_SCHEME: HeaderName = HeaderName::from_static("x-scheme");
pub(super) static X_XSRF_TOKEN: HeaderName = HeaderName::from_static("x-xsrftoken");
