//! Whether a session in a store is still valid, and its grant now.

use std::time::Duration;

use super::{SentSession, SessionCookie};
use crate::{
    authenticate::{Outcome, current_grants::limited},
    clock::UnixTime,
    deadline::within,
    denial::Reason,
    error::BackendError,
    session::grant::Grant,
    store::{RecordId, SessionCredential, SessionFilter, SessionRecord, SessionTouch, StoreError},
    token::TokenHash,
    verify::{Verification, verify_hash},
};

/// How often the last use of a session is written at most.
const TOUCH_INTERVAL: Duration = Duration::from_secs(60);

impl SessionCookie {
    /// Whether a directory or a verifier has to confirm the session now.
    pub(super) fn must_confirm(&self, record: &SessionRecord, now: UnixTime) -> bool {
        let by_token = matches!(record.credential(), Some(SessionCredential::Token(_)));
        (self.settings().users.is_some() || by_token)
            && now.saturating_duration_since(record.checked_at()) >= self.settings().refresh_interval
    }

    pub(super) fn is_touch_due(&self, record: &SessionRecord, now: UnixTime) -> bool {
        let idle = self.settings().lifetime.idle_timeout();
        let interval = idle.map_or(TOUCH_INTERVAL, |idle| TOUCH_INTERVAL.min(idle / 2));
        now.saturating_duration_since(record.last_used()) >= interval
    }

    /// Confirms the session if it must be confirmed, and writes that it was used.
    pub(super) async fn refresh(&self, record: SessionRecord, cookie: SentSession, now: UnixTime) -> Outcome {
        let (confirm, touch) = (self.must_confirm(&record, now), self.is_touch_due(&record, now));
        let mut grant = record.grant().clone();
        if confirm {
            match self.confirm(&record).await {
                Ok(Some(current)) => grant = current,
                Ok(None) => return Outcome::Rejected(Reason::ExpiredCookie),
                Err(unavailable) => return Outcome::Unavailable(unavailable),
            }
        }
        // With an interval of zero each request is confirmed, and the time of that is not written.
        let is_written =
            touch || grant != *record.grant() || (confirm && !self.settings().refresh_interval.is_zero());
        if is_written {
            let mut change = SessionTouch::new(now, self.expiry(record.created(), now, &grant));
            if confirm {
                change = change.with_checked(now, grant.clone());
            }
            // A session that has ended meanwhile is refused. If the time cannot be written, the next request tries again.
            if let Ok(false) = self.settings().store.touch_session(cookie.hash, change).await {
                return Outcome::Rejected(Reason::ExpiredCookie);
            }
        }
        let renews = touch && self.settings().lifetime.idle_timeout().is_some();
        Outcome::Authenticated(self.session(grant, &record, renews))
    }

    /// Returns the grant that the user directory and the verifiers of tokens have for the session now. Ends the session if there
    /// is none.
    ///
    /// # Errors
    ///
    /// If one of them does not answer.
    pub(crate) async fn confirm(&self, record: &SessionRecord) -> Result<Option<Grant>, BackendError> {
        let current = self.current_grant(record).await?;
        if current.is_none() {
            // If the store does not answer, the next request looks the user up again, and is refused too.
            let _ = self.end(record).await;
        }
        Ok(current)
    }

    async fn current_grant(&self, record: &SessionRecord) -> Result<Option<Grant>, BackendError> {
        let mut grant = record.grant().clone();
        if let Some(users) = &self.settings().users {
            let current = users.current(record.owner()).await?;
            let Some(current) = limited(record.grant(), current) else {
                return Ok(None);
            };
            if let Some(SessionCredential::Fingerprint(made_from)) = record.credential()
                && !self.has_fingerprint(&current, made_from)
            {
                return Ok(None);
            }
            grant = current.storable();
        }
        if let Some(SessionCredential::Token(token)) = record.credential() {
            match verify_hash(&self.settings().verifiers, token).await {
                Verification::Valid(current) => return Ok(limited(record.grant(), Some(current))),
                Verification::Unavailable(unavailable) => return Err(unavailable),
                Verification::Rejected(_) | Verification::Unknown => return Ok(None),
            }
        }
        Ok(Some(grant))
    }

    /// Whether the grant has this fingerprint under one of the keys. One without a stamp has every fingerprint.
    fn has_fingerprint(&self, grant: &Grant, made_from: TokenHash) -> bool {
        let Some(message) = fingerprint_message(grant) else {
            return true;
        };
        self.settings().keys.read(|keys| {
            let previous = keys
                .keyring
                .previous_session_macs(&message, || self.settings().clock.now());
            let mut macs = [keys.keyring.session_mac(&message)].into_iter().chain(previous);
            macs.any(|mac| TokenHash::from(mac) == made_from)
        })
    }

    /// The fingerprint of what the user of the grant logs in with, if the grant has a stamp of it.
    pub(super) fn fingerprint(&self, grant: &Grant) -> Option<TokenHash> {
        let message = fingerprint_message(grant)?;
        let mac = self
            .settings()
            .keys
            .read(|keys| keys.keyring.session_mac(&message));
        Some(TokenHash::from(mac))
    }

    /// When a session that was used `now` expires.
    pub(super) fn expiry(&self, created: UnixTime, now: UnixTime, grant: &Grant) -> UnixTime {
        let lifetime = self.settings().lifetime;
        let end = created.saturating_add(lifetime.absolute_timeout());
        let idle = lifetime.idle_timeout().map(|idle| now.saturating_add(idle));
        let ends = [idle, grant.expires_at()].into_iter().flatten();
        ends.fold(end, UnixTime::min)
    }

    /// Ends a session.
    ///
    /// # Errors
    ///
    /// If the store could not end it.
    pub(crate) async fn end(&self, record: &SessionRecord) -> Result<u64, StoreError> {
        let ended = self
            .settings()
            .store
            .end_sessions(SessionFilter::id(record.id()))
            .await?;
        self.settings().endings.notify(&[record.id()]);
        Ok(ended)
    }

    /// Completes when the session with this record has ended, in whichever process.
    ///
    /// The session is looked up when the store reports that it may have ended, and once every refresh interval in any case.
    pub(crate) async fn ended(self, id: RecordId, generation: u16) {
        let interval = self.settings().refresh_interval.max(Duration::from_secs(1));
        loop {
            let notified = self.settings().endings.subscribe(id);
            if self.has_ended(id, generation).await {
                return;
            }
            within(interval, notified).await;
        }
    }

    /// Whether the session has ended; `false` while the store does not answer.
    async fn has_ended(&self, id: RecordId, generation: u16) -> bool {
        if self.settings().keys.read(|keys| keys.generation) != generation {
            return true;
        }
        let now = self.settings().clock.now();
        let Ok(found) = self
            .settings()
            .store
            .list_sessions(SessionFilter::id(id), now)
            .await
        else {
            return false;
        };
        match found.first().filter(|record| self.is_valid(record, now)) {
            None => true,
            Some(record) if self.must_confirm(record, now) => matches!(self.confirm(record).await, Ok(None)),
            Some(_) => false,
        }
    }
}

/// What the fingerprint of a grant is the code of.
fn fingerprint_message(grant: &Grant) -> Option<Vec<u8>> {
    let stamp = grant.security_stamp()?;
    Some([b"stamp\0", &stamp[..], grant.identity().username().as_bytes()].concat())
}
