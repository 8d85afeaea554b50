//! The login cookie that holds nothing but the random id of a session, which a store keeps.

use std::{sync::Arc, time::Duration};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use http::HeaderValue;

use super::{Authenticator, Outcome, current_grants::limited, login_cookie::by_cookie};
use crate::{
    clock::{Clock, UnixTime},
    cookies::{CookieError, CookieName, CookieScope, Keyring, Lifetime, RequestCookies},
    deadline::within,
    denial::{Denial, Reason},
    error::BackendError,
    maybe_future::MaybeFuture,
    random,
    request::head::RequestHead,
    session::{LoginId, LoginMark, Session, grant::Grant},
    store::{
        EndedSessions, RecordId, SessionCredential, SessionEndings, SessionFilter, SessionListener,
        SessionRecord, SessionStore, SessionTouch, StoreError,
    },
    swappable::Swappable,
    token::TokenHash,
    verify::{TokenVerifier, UserLookup, Verification, verify_hash},
};

/// Reads and writes the cookies of sessions in a store.
#[derive(Clone)]
pub(crate) struct SessionCookie(Arc<Inner>);

struct Inner {
    settings: SessionSettings,
    /// Which the store calls, for as long as this lives.
    _listener: Arc<SessionListener>,
}

/// What [`SessionCookie`] is made of.
pub(crate) struct SessionSettings {
    pub(crate) store: Arc<dyn SessionStore>,
    pub(crate) scope: CookieScope,
    pub(crate) keys: Swappable<SessionKeys>,
    pub(crate) lifetime: Lifetime,
    pub(crate) users: Option<Arc<dyn UserLookup>>,
    /// Those that know the tokens from which sessions are made.
    pub(crate) verifiers: Vec<Arc<dyn TokenVerifier>>,
    pub(crate) refresh_interval: Duration,
    pub(crate) endings: Arc<SessionEndings>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// The keys, and how often others have taken their place.
pub(crate) struct SessionKeys {
    pub(crate) keyring: Keyring,
    pub(crate) generation: u16,
}

/// A session cookie of a request: what the store knows it by, and what it is otherwise.
pub(crate) struct SentSession {
    hash: TokenHash,
    /// Whether the browser forgets it when it closes.
    pub(crate) browser_session: bool,
}

/// What a session is made from.
pub(crate) struct NewSession {
    pub(crate) grant: Grant,
    pub(crate) token: Option<TokenHash>,
    pub(crate) browser_session: bool,
    /// When the login began that it goes on with.
    pub(crate) started: Option<UnixTime>,
    pub(crate) note: Option<String>,
    pub(crate) address: Option<std::net::IpAddr>,
    /// The session that the browser had before, which ends.
    pub(crate) replaced: Option<SessionRecord>,
}

/// Behind the random value of a cookie that the browser forgets when it closes.
const BROWSER_SESSION: u8 = b'.';
/// The length of 32 random bytes in base64.
const VALUE_LEN: usize = 43;
/// How often the last use of a session is written at most.
const TOUCH_INTERVAL: Duration = Duration::from_secs(60);
/// How many values of the cookie are looked up: others than the first are planted, or left from another path.
const MAX_VALUES: usize = 4;

impl SessionCookie {
    /// The name of the cookie, unless another one is set.
    pub(crate) const NAME: &str = "session";

    pub(crate) fn new(settings: SessionSettings) -> Self {
        let endings = Arc::clone(&settings.endings);
        let listener: Arc<SessionListener> = Arc::new(move |ended| match ended {
            EndedSessions::Ids(ids) => endings.notify(ids),
            EndedSessions::Unknown => endings.notify(&[]),
        });
        // Those who wait look once every refresh interval where the store calls no listener.
        settings.store.on_sessions_ended(Arc::downgrade(&listener));
        Self(Arc::new(Inner {
            settings,
            _listener: listener,
        }))
    }

    pub(crate) fn settings(&self) -> &SessionSettings {
        &self.0.settings
    }

    /// Reads and writes with other keys from now on, which ends every session.
    pub(crate) fn change_keyring(&self, keyring: &Keyring) {
        let generation = self.settings().keys.read(|keys| keys.generation.wrapping_add(1));
        self.settings().keys.replace(SessionKeys {
            keyring: keyring.clone(),
            generation,
        });
        self.settings().endings.notify(&[]);
    }

    /// The session cookies of a request.
    ///
    /// # Errors
    ///
    /// If the cookies are too large to read.
    pub(crate) fn sent(&self, head: RequestHead<'_>) -> Result<Vec<SentSession>, Denial> {
        let cookies = RequestCookies::from_head(head)?;
        let name = self.name(head);
        let mut sent: Vec<SentSession> = Vec::new();
        for value in cookies
            .values(&name)
            .filter(|value| is_value(value))
            .take(MAX_VALUES)
        {
            self.settings().keys.read(|keys| {
                let previous = keys.keyring.previous_session_macs(value, head.now());
                for mac in [keys.keyring.session_mac(value)].into_iter().chain(previous) {
                    let hash = TokenHash::from(mac);
                    if sent.iter().all(|known| known.hash != hash) {
                        let browser_session = value.last() == Some(&BROWSER_SESSION);
                        sent.push(SentSession {
                            hash,
                            browser_session,
                        });
                    }
                }
            });
        }
        Ok(sent)
    }

    /// Returns the sessions of these cookies that are still valid.
    ///
    /// # Errors
    ///
    /// If the store cannot tell.
    pub(crate) async fn find_valid(
        &self,
        sent: Vec<SentSession>,
        now: UnixTime,
    ) -> Result<Vec<(SentSession, SessionRecord)>, StoreError> {
        let mut found = Vec::new();
        for cookie in sent {
            let record = self.settings().store.find_session(cookie.hash).await?;
            found.extend(
                record
                    .filter(|record| self.is_valid(record, now))
                    .map(|record| (cookie, record)),
            );
        }
        Ok(found)
    }

    fn name<'a>(&'a self, head: RequestHead<'_>) -> std::borrow::Cow<'a, CookieName> {
        self.settings().scope.name(head.host().unwrap_or_default())
    }

    fn outcome(&self, head: RequestHead<'_>) -> MaybeFuture<Outcome> {
        let sent = match self.sent(head) {
            Ok(sent) => sent,
            Err(denial) => return Outcome::Malformed(denial).into(),
        };
        let now = head.now();
        match <[SentSession; 1]>::try_from(sent) {
            Ok([cookie]) => {
                let this = self.clone();
                match self.settings().store.find_session(cookie.hash) {
                    MaybeFuture::Ready(found) => this.judge(found, cookie, now),
                    MaybeFuture::Future(found) => {
                        MaybeFuture::from_future(async move { this.judge(found.await, cookie, now).await })
                    }
                }
            }
            Err(sent) if sent.is_empty() => self.without_session(head),
            Err(sent) => {
                let this = self.clone();
                MaybeFuture::from_future(async move {
                    let found = match this.find_valid(sent, now).await {
                        Ok(found) => found,
                        Err(error) => return Outcome::Unavailable(error.into()),
                    };
                    match <[_; 1]>::try_from(found) {
                        Ok([(cookie, record)]) => this.judge(Ok(Some(record)), cookie, now).await,
                        Err(found) if found.is_empty() => Outcome::Rejected(Reason::ExpiredCookie),
                        // Which of them is meant, only the one knows who planted the other.
                        Err(_) => Outcome::Rejected(Reason::InvalidCookie),
                    }
                })
            }
        }
    }

    /// The outcome of a request without a value that could be a session's.
    fn without_session(&self, head: RequestHead<'_>) -> MaybeFuture<Outcome> {
        let name = self.name(head);
        let is_there =
            RequestCookies::from_head(head).is_ok_and(|cookies| cookies.values(&name).next().is_some());
        match is_there {
            true => Outcome::Rejected(Reason::InvalidCookie).into(),
            false => Outcome::Absent.into(),
        }
    }

    /// What a session is worth that the store has found, or has not.
    fn judge(
        &self,
        found: Result<Option<SessionRecord>, StoreError>,
        cookie: SentSession,
        now: UnixTime,
    ) -> MaybeFuture<Outcome> {
        let record = match found {
            Ok(Some(record)) if self.is_valid(&record, now) => record,
            Ok(_) => return Outcome::Rejected(Reason::ExpiredCookie).into(),
            Err(error) => return Outcome::Unavailable(error.into()).into(),
        };
        if self.must_confirm(&record, now) || self.is_touch_due(&record, now) {
            let this = self.clone();
            return MaybeFuture::from_future(async move { this.refresh(record, cookie, now).await });
        }
        let session = self.session(record.grant().clone(), &record, false);
        Outcome::Authenticated(session).into()
    }

    fn is_valid(&self, record: &SessionRecord, now: UnixTime) -> bool {
        !record.has_expired(now)
            && now.saturating_duration_since(record.created()) < self.settings().lifetime.absolute_timeout()
    }

    /// Whether something else is asked if the session is still what it was.
    fn must_confirm(&self, record: &SessionRecord, now: UnixTime) -> bool {
        let by_token = matches!(record.credential(), Some(SessionCredential::Token(_)));
        (self.settings().users.is_some() || by_token)
            && now.saturating_duration_since(record.checked_at()) >= self.settings().refresh_interval
    }

    fn is_touch_due(&self, record: &SessionRecord, now: UnixTime) -> bool {
        let idle = self.settings().lifetime.idle_timeout();
        let interval = idle.map_or(TOUCH_INTERVAL, |idle| TOUCH_INTERVAL.min(idle / 2));
        now.saturating_duration_since(record.last_used()) >= interval
    }

    /// Asks again what the session is worth if that is due, and writes that it was used.
    async fn refresh(&self, record: SessionRecord, cookie: SentSession, now: UnixTime) -> Outcome {
        let (confirm, touch) = (self.must_confirm(&record, now), self.is_touch_due(&record, now));
        let mut grant = record.grant().clone();
        if confirm {
            match self.confirm(&record).await {
                Ok(Some(current)) => grant = current,
                Ok(None) => return Outcome::Rejected(Reason::ExpiredCookie),
                Err(unavailable) => return Outcome::Unavailable(unavailable),
            }
        }
        // Where each request is confirmed, the time of that is not written for each.
        let is_written =
            touch || grant != *record.grant() || (confirm && !self.settings().refresh_interval.is_zero());
        if is_written {
            let mut change = SessionTouch::new(now, self.expiry(record.created(), now, &grant));
            if confirm {
                change = change.with_checked(now, grant.clone());
            }
            // What was confirmed holds, whether or not the time of it can be written; an ended session does not.
            if let Ok(false) = self.settings().store.touch_session(cookie.hash, change).await {
                return Outcome::Rejected(Reason::ExpiredCookie);
            }
        }
        let renews = touch && self.settings().lifetime.idle_timeout().is_some();
        Outcome::Authenticated(self.session(grant, &record, renews))
    }

    /// Asks the user directory and the verifiers of tokens what the session is worth now. One that is worth nothing any more
    /// is ended.
    ///
    /// # Errors
    ///
    /// If one of them does not answer.
    pub(crate) async fn confirm(&self, record: &SessionRecord) -> Result<Option<Grant>, BackendError> {
        let current = self.current_grant(record).await?;
        if current.is_none() {
            // Refused from now on in any case: until it is gone, each request asks again.
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
                && self.fingerprint(&current).is_some_and(|now| now != made_from)
            {
                return Ok(None);
            }
            grant = current.without_security_stamp();
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

    /// The fingerprint of what the grant's owner logs in by, if the grant has a stamp of it.
    fn fingerprint(&self, grant: &Grant) -> Option<TokenHash> {
        let stamp = grant.security_stamp()?;
        let message = [b"stamp\0", &stamp[..], grant.identity().username().as_bytes()].concat();
        let mac = self
            .settings()
            .keys
            .read(|keys| keys.keyring.session_mac(&message));
        Some(TokenHash::from(mac))
    }

    fn expiry(&self, created: UnixTime, now: UnixTime, grant: &Grant) -> UnixTime {
        let lifetime = self.settings().lifetime;
        let end = created.saturating_add(lifetime.absolute_timeout());
        let idle = lifetime.idle_timeout().map(|idle| now.saturating_add(idle));
        let ends = [idle, grant.expires_at()].into_iter().flatten();
        ends.fold(end, UnixTime::min)
    }

    fn session(&self, grant: Grant, record: &SessionRecord, is_due: bool) -> Session {
        by_cookie(
            grant,
            LoginMark {
                started: record.created().as_secs() as u32,
                epoch: self.settings().keys.read(|keys| keys.generation),
                is_due,
                id: LoginId::Stored(record.id()),
            },
        )
    }

    /// Begins a session, and returns it with the line of its cookie.
    ///
    /// # Errors
    ///
    /// If the store could not keep it, or the cookie cannot be written.
    pub(crate) async fn begin(
        &self,
        new: NewSession,
        host: &[u8],
        https: bool,
        now: UnixTime,
    ) -> Result<(Session, HeaderValue), BackendError> {
        let fingerprint = self.fingerprint(&new.grant).map(SessionCredential::Fingerprint);
        let credential = new.token.map(SessionCredential::Token).or(fingerprint);
        let grant = new.grant.without_security_stamp();
        let created = new.started.map_or(now, |started| started.min(now));
        let expires_at = self.expiry(created, now, &grant);
        let session_id = BASE64_URL_SAFE_NO_PAD.encode(random::bytes::<16>());
        let mut record = SessionRecord::new(grant.clone(), &session_id, created, expires_at)
            .with_last_used(now)
            .with_checked_at(now);
        if let Some(note) = &new.note {
            record = record.with_note(note);
        }
        if let Some(address) = new.address {
            record = record.with_address(address);
        }
        if let Some(credential) = credential {
            record = record.with_credential(credential);
        }
        let mut value = BASE64_URL_SAFE_NO_PAD.encode(random::bytes::<32>());
        if new.browser_session {
            value.push(char::from(BROWSER_SESSION));
        }
        let hash = TokenHash::from(
            self.settings()
                .keys
                .read(|keys| keys.keyring.session_mac(value.as_bytes())),
        );
        let max_age = expires_at.saturating_duration_since(now);
        let line =
            self.settings()
                .scope
                .set_cookie(host, &value, (!new.browser_session).then_some(max_age), https);
        let line = line.map_err(BackendError::new)?;
        let session = self.session(grant, &record, false);
        let replaced = new
            .replaced
            .as_ref()
            .map(|replaced| replaced.session_id().to_owned());
        self.settings()
            .store
            .insert_session(hash, record, replaced)
            .await?;
        if let Some(replaced) = &new.replaced {
            self.settings().endings.notify(&[replaced.id()]);
        }
        Ok((session, line))
    }

    /// The line by which the cookie of this request goes on, with a new `Max-Age`.
    pub(crate) fn renewed(
        &self,
        head: RequestHead<'_>,
        https: bool,
    ) -> Option<Result<HeaderValue, CookieError>> {
        let cookies = RequestCookies::from_head(head).ok()?;
        let name = self.name(head);
        let value = cookies.values(&name).find(|value| is_value(value))?;
        let max_age = (value.last() != Some(&BROWSER_SESSION)).then(|| self.settings().lifetime.max_age());
        let value = std::str::from_utf8(value).ok()?;
        Some(
            self.settings()
                .scope
                .set_cookie(head.host().unwrap_or_default(), value, max_age, https),
        )
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
    /// The store is asked when it says that the session may have ended, and once every refresh interval in any case.
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

    /// Whether the session has ended; not if that cannot be told.
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

impl Authenticator for SessionCookie {
    fn authenticate(&self, head: RequestHead<'_>) -> MaybeFuture<Outcome> {
        self.outcome(head)
    }
}

/// Whether a cookie has a value that this module may have written.
fn is_value(value: &[u8]) -> bool {
    let random = match value.split_last() {
        Some((&BROWSER_SESSION, random)) => random,
        _ => value,
    };
    random.len() == VALUE_LEN
        && random
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}
