//! Encoding a payload as the value of a cookie: what signed and encrypted values have in common.

use std::time::Duration;

use super::{
    decoded::{CookieDecodeError, DecodedCookie},
    lifetime::Lifetime,
    name::CookieName,
    scope::CookieScope,
};
use crate::clock::UnixTime;

/// Encodes payloads as values, and decodes them.
pub(super) trait CookieCodec: Send + Sync {
    /// Returns `true` if a value has its time of issue next to that of the login, so that the idle time can start
    /// again.
    fn supports_idle_timeout(&self) -> bool;

    fn encode(&self, place: CookieContext<'_>, payload: &[u8], times: CookieTimes) -> String;

    fn decode<'b>(
        &self,
        place: CookieContext<'_>,
        value: &[u8],
        now: &dyn Fn() -> UnixTime,
        buffer: &'b mut [u8],
    ) -> Result<DecodedCookie<'b>, CookieDecodeError>;
}

/// The cookie that a value is for.
#[derive(Clone, Copy)]
pub(super) struct CookieContext<'a> {
    pub(super) name: &'a CookieName,
    #[cfg_attr(
        not(feature = "encrypted-cookies"),
        allow(dead_code, reason = "peers do not sign it")
    )]
    pub(super) scope: &'a CookieScope,
    pub(super) lifetime: &'a Lifetime,
}

/// The times of a value to be encoded.
#[derive(Clone, Copy)]
#[cfg_attr(
    not(feature = "encrypted-cookies"),
    allow(dead_code, reason = "signed values have one time")
)]
pub(super) struct CookieTimes {
    pub(super) started_at: UnixTime,
    pub(super) issued_at: UnixTime,
    pub(super) max_age: Duration,
}
