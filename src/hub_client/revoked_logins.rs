//! Logins that a logout at this server ended.

use std::time::Duration;

use crate::{
    clock::{MonotonicTime, UnixTime},
    cookies::DecodedCookie,
    digest::DigestKey,
    store::ExpiringMap,
};

/// The tokens of logins that a logout ended, by their digest, each with the time up to which its cookies are ended.
///
/// The logout of the hub ends the token itself, but the browser may never get there. Until the cookies end, their copies
/// are refused here, whatever the hub says about the token. When the map is full, the entry that ends first is
/// dropped, and the hub's answer decides again.
pub(super) struct RevokedLogins {
    tokens: ExpiringMap<DigestKey, UnixTime>,
    /// How long a cookie is valid.
    life: Duration,
}

/// The maximum number of tokens.
const CAPACITY: usize = 16_384;

impl RevokedLogins {
    pub(super) fn new(life: Duration) -> Self {
        Self {
            tokens: ExpiringMap::new(CAPACITY),
            life,
        }
    }

    /// Ends every cookie that holds the token and was issued until now.
    pub(super) fn end(
        &self,
        token: [u8; 32],
        opened: &DecodedCookie<'_>,
        time: UnixTime,
        now: MonotonicTime,
    ) {
        // Another replica's clock may be ahead.
        let ended_at = time.max(opened.issued_at());
        // If the date is set back, cookies live longer: a day is added.
        let until = now
            .saturating_add(self.life)
            .saturating_add(Duration::from_secs(24 * 60 * 60));
        self.tokens.update(DigestKey(token), now, |present| {
            let ended_at = present.map_or(ended_at, |(before, _)| ended_at.max(before));
            (Some((ended_at, until)), ())
        });
    }

    /// Whether a logout ended the cookie that holds the token.
    pub(super) fn hold(&self, token: &[u8; 32], opened: &DecodedCookie<'_>, now: MonotonicTime) -> bool {
        let ended_at = self.tokens.get(&DigestKey(*token), now);
        ended_at.is_some_and(|ended_at| opened.issued_at() <= ended_at)
    }
}
