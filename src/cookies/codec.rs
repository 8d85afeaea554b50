//! How a payload becomes the value of a cookie: what signed and encrypted values have in common.

use std::time::Duration;

use super::{
    decoded::{CookieDecodeError, DecodedCookie},
    lifetime::Lifetime,
    name::CookieName,
    scope::CookieScope,
};
use crate::clock::UnixTime;

/// How a payload becomes a value, and a value a payload.
pub(super) trait CookieCodec: Send + Sync {
    /// Whether a value holds its time of issue beside that of the login, so that idle time can begin anew.
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

/// Which cookie a value is for.
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

/// The times of a value to be written.
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
