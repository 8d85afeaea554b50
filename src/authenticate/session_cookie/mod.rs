//! The login cookie that holds nothing but the random id of a session, which a store keeps.
//!
//! | file | contains |
//! |---|---|
//! | `mod` | the cookie: read, looked up, renewed |
//! | `begin` | a new session |
//! | `refresh` | whether a session is still valid, and its grant now |

mod begin;
mod refresh;

use std::{sync::Arc, time::Duration};

use http::HeaderValue;

use super::{Authenticator, Outcome, login_cookie::by_cookie};
use crate::{
    clock::{Clock, UnixTime},
    cookies::{CookieError, CookieName, CookieScope, Keyring, Lifetime, RequestCookies},
    denial::{Denial, Reason},
    maybe_future::MaybeFuture,
    request::head::RequestHead,
    session::{LoginId, LoginMark, Session, grant::Grant},
    store::{EndedSessions, SessionEndings, SessionListener, SessionRecord, SessionStore, StoreError},
    swappable::Swappable,
    token::TokenHash,
    verify::{TokenVerifier, UserLookup},
};

pub(crate) use self::begin::NewSession;

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

/// Behind the random value of a cookie that the browser forgets when it closes.
const BROWSER_SESSION: u8 = b'.';
/// The length of 32 random bytes in base64.
const VALUE_LEN: usize = 43;

impl SessionCookie {
    /// The name of the cookie, unless another one is set.
    pub(crate) const NAME: &str = "session";

    pub(crate) fn new(settings: SessionSettings) -> Self {
        let endings = Arc::clone(&settings.endings);
        let listener: Arc<SessionListener> = Arc::new(move |ended| match ended {
            EndedSessions::Ids(ids) => endings.notify(ids),
            EndedSessions::Unknown => endings.notify(&[]),
        });
        // Where the store calls no listener, those who wait look the session up once every refresh interval.
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

    /// The session cookies of a request, at most [`RequestCookies::MAX_VALUES_PER_NAME`]: others than one are planted, or left
    /// from another path.
    ///
    /// # Errors
    ///
    /// If the cookies are too large to read.
    pub(crate) fn sent(&self, head: RequestHead<'_>) -> Result<Vec<SentSession>, Denial> {
        self.first_sent(head, RequestCookies::MAX_VALUES_PER_NAME)
    }

    /// All session cookies of a request: a logout ends each session among them.
    ///
    /// # Errors
    ///
    /// If the cookies are too large to read.
    pub(crate) fn all_sent(&self, head: RequestHead<'_>) -> Result<Vec<SentSession>, Denial> {
        self.first_sent(head, RequestCookies::MAX_COOKIES)
    }

    fn first_sent(&self, head: RequestHead<'_>, limit: usize) -> Result<Vec<SentSession>, Denial> {
        let cookies = RequestCookies::from_head(head)?;
        let name = self.name(head);
        // Nearly every request has one.
        let mut sent: Vec<SentSession> = Vec::with_capacity(1);
        for value in cookies
            .all_values(&name)
            .filter(|value| is_value(value))
            .take(limit)
        {
            self.settings().keys.read(|keys| {
                let previous = keys.keyring.previous_session_macs(value, || head.now());
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
    /// If the store does not answer.
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
        self.settings().scope.name_of(head)
    }

    fn outcome(&self, head: RequestHead<'_>) -> MaybeFuture<Outcome> {
        let sent = match self.sent(head) {
            Ok(sent) => sent,
            Err(denial) => return Outcome::Malformed(denial).into(),
        };
        let now = head.now();
        match <[SentSession; 1]>::try_from(sent) {
            Ok([cookie]) => match self.settings().store.find_session(cookie.hash) {
                MaybeFuture::Ready(found) => self.outcome_of(found, cookie, now),
                MaybeFuture::Future(found) => {
                    let this = self.clone();
                    MaybeFuture::from_future(async move { this.outcome_of(found.await, cookie, now).await })
                }
            },
            Err(sent) if sent.is_empty() => self.without_session(head),
            Err(sent) => {
                let this = self.clone();
                MaybeFuture::from_future(async move {
                    let found = match this.find_valid(sent, now).await {
                        Ok(found) => found,
                        Err(error) => return Outcome::Unavailable(error.into()),
                    };
                    match <[_; 1]>::try_from(found) {
                        Ok([(cookie, record)]) => this.outcome_of(Ok(Some(record)), cookie, now).await,
                        Err(found) if found.is_empty() => Outcome::Rejected(Reason::ExpiredCookie),
                        // One of them may have been planted by another host.
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
            RequestCookies::from_head(head).is_ok_and(|cookies| cookies.all_values(&name).next().is_some());
        match is_there {
            true => Outcome::Rejected(Reason::InvalidCookie).into(),
            false => Outcome::Absent.into(),
        }
    }

    /// The outcome for a session as the store has found it.
    fn outcome_of(
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

    /// The line by which the cookie of this request goes on, with a new `Max-Age`.
    pub(crate) fn renewed(
        &self,
        head: RequestHead<'_>,
        https: bool,
    ) -> Option<Result<HeaderValue, CookieError>> {
        let cookies = RequestCookies::from_head(head).ok()?;
        // Of several values only the store knows which one is the session's.
        let values = cookies.distinct_values(&self.name(head))?;
        let [value] = *values else { return None };
        let max_age = (value.last() != Some(&BROWSER_SESSION)).then(|| self.settings().lifetime.max_age());
        let value = std::str::from_utf8(value).ok()?;
        Some(
            self.settings()
                .scope
                .set_cookie(head.host().unwrap_or_default(), value, max_age, https),
        )
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
    // Without an early exit the compiler checks many bytes at once.
    let is_base64 = |all, byte: &u8| all & (byte.is_ascii_alphanumeric() | matches!(byte, b'-' | b'_'));
    random.len() == VALUE_LEN && random.iter().fold(true, is_base64)
}
