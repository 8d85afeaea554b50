//! Header fields that the guards look up by name: not at every request.

use http::HeaderName;

pub(super) use crate::fields::{Field, Several, single};

pub(super) static ACCESS_CONTROL_REQUEST_METHOD: HeaderName = http::header::ACCESS_CONTROL_REQUEST_METHOD;
pub(super) static REFERER: HeaderName = http::header::REFERER;
pub(super) static SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
pub(super) static X_CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrftoken");
pub(super) static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
