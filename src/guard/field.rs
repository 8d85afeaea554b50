//! Header fields that the guards look up by name: not at every request.

use http::HeaderName;

pub(super) use crate::fields::{Field, Several, single};

pub(super) static ACCESS_CONTROL_REQUEST_METHOD: HeaderName = http::header::ACCESS_CONTROL_REQUEST_METHOD;
pub(super) static FORWARDED: HeaderName = http::header::FORWARDED;
pub(super) static REFERER: HeaderName = http::header::REFERER;
pub(super) static SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
pub(super) static SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
pub(super) static X_CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrftoken");
pub(super) static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) static X_SCHEME: HeaderName = HeaderName::from_static("x-scheme");
pub(super) static X_XSRF_TOKEN: HeaderName = HeaderName::from_static("x-xsrftoken");
