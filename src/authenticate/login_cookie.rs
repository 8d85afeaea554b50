//! The login cookie that contains the identity of the user.

use std::{fmt, sync::Arc, time::Duration};

use http::HeaderValue;

use super::{
    Authenticator, Outcome,
    current_grants::CurrentGrants,
    login_payload::{self, LoginPayload},
};
use crate::{
    clock::{MonotonicTime, UnixTime},
    cookies::{
        CookieDecodeError, CookieError, CookieJar, DecodedCookie, Keyring, ReadCookie, RequestCookies,
    },
    denial::Reason,
    digest::DigestKey,
    maybe_future::MaybeFuture,
    random,
    request::head::RequestHead,
    session::{AuthMethod, LoginId, LoginMark, Session, grant::Grant},
    store::{self, ExpiringMap, RevokedSessions},
    swappable::Swappable,
    token::TokenHash,
    verify::{TokenVerifier, Verification, verify_hash},
};

/// Authenticates by the login cookie, as Jupyter Server does: nothing is stored on the server.
///
/// The payload is that of [`Identity::to_payload`](crate::Identity::to_payload), with the scopes and the expiry of
/// the grant if it has them. A cookie that cannot be decoded, or names no user, is `Rejected`; the layer removes it
/// from the browser.
///
/// # Security
///
/// A copied cookie is valid until it expires, the key changes, or the user logs out. The layer keeps only the ended
/// logins, in this process.
///
/// # Example
///
/// ```
/// use portcullis::{authenticate::LoginCookieAuthenticator, cookies::{CookieJar, CookieScope}, Keyring};
///
/// let jar = CookieJar::signed(&Keyring::generate(), CookieScope::server("/")?);
/// let authenticator = LoginCookieAuthenticator::new(jar);
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct LoginCookieAuthenticator(Arc<Inner>);

struct Inner {
    keys: Swappable<VersionedJar>,
    /// Who knows the tokens that logins were made with.
    verifiers: Vec<Arc<dyn TokenVerifier>>,
    ended: Arc<RevokedSessions>,
    /// The directory of what users may do now.
    users: Option<CurrentGrants>,
    /// When these cookies stop to be accepted.
    until: Option<UnixTime>,
    /// What the payloads of cookies that were opened hold: to read one costs more than to open its cookie.
    payloads: ExpiringMap<DigestKey, LoginPayload>,
}

/// The most payloads that are remembered, some 3 MiB.
const PAYLOADS: usize = 4_096;
/// For how long a payload is remembered.
const PAYLOAD_AGE: Duration = Duration::from_secs(10 * 60);

/// A jar, and how often another one has taken its place.
struct VersionedJar {
    jar: CookieJar,
    epoch: u16,
}

/// How far in the future a login may begin: less than a cookie's time may be.
const SECONDS_AHEAD: u64 = 60;

impl LoginCookieAuthenticator {
    /// Creates an authenticator that reads the cookie of `jar`.
    pub fn new(jar: CookieJar) -> Self {
        Self::for_layer(jar, Vec::new(), Arc::new(RevokedSessions::new()), None, None)
    }

    /// As `new`, but checks with these verifiers whether the token of a login is still valid, and rejects the
    /// logins that were ended, and all logins from `until` on.
    pub(crate) fn for_layer(
        jar: CookieJar,
        verifiers: Vec<Arc<dyn TokenVerifier>>,
        ended: Arc<RevokedSessions>,
        users: Option<CurrentGrants>,
        until: Option<UnixTime>,
    ) -> Self {
        let epoch = ended.key_generation();
        Self(Arc::new(Inner {
            keys: Swappable::new(VersionedJar { jar, epoch }),
            verifiers,
            ended,
            users,
            until,
            payloads: ExpiringMap::new(PAYLOADS),
        }))
    }

    /// Returns the jar.
    pub fn jar(&self) -> CookieJar {
        self.0.keys.read(|keys| keys.jar.clone())
    }

    /// Reads and writes with other keys from now on, which ends every login.
    pub(crate) fn change_keyring(&self, keyring: &Keyring) {
        let (jar, epoch) = self.0.keys.read(|keys| {
            let jar = CookieJar::signed(keyring, keys.jar.scope().clone());
            (jar.with_lifetime(keys.jar.lifetime()), keys.epoch.wrapping_add(1))
        });
        self.0.keys.replace(VersionedJar { jar, epoch });
        self.0.ended.revoke_all_before(epoch);
    }

    /// The `Set-Cookie` line of `login` for the browser at `host`.
    ///
    /// # Errors
    ///
    /// If it is too long for a cookie.
    pub(crate) fn set_cookie(
        &self,
        login: &LoginPayload,
        host: &[u8],
        now: UnixTime,
        https: bool,
    ) -> Result<HeaderValue, CookieError> {
        self.0.keys.read(|keys| {
            let lifetime = keys.jar.lifetime();
            let started = match login.started_at {
                Some(start) => start.min(now),
                None => self.unused_start(login, now),
            };
            let left = lifetime
                .absolute_timeout()
                .saturating_sub(now.saturating_duration_since(started));
            let of_grant = login.grant.expires_at();
            let of_grant = of_grant.map(|end| end.saturating_duration_since(now));
            let left = of_grant.map_or(left, |of_grant| of_grant.min(left));
            let (issued_at, life, begin) = match lifetime.idle_timeout() {
                // The time of the value is that of the login, as a Jupyter Server has it.
                None => (started, left, None),
                Some(idle) => (now, idle.min(left), (started != now).then_some(started)),
            };
            let login = LoginPayload {
                started_at: begin,
                // A cookie that Jupyter wrote has none.
                id: login.id.or_else(|| Some(random::bytes())),
                ..login.clone()
            };
            let payload = login_payload::to_payload(&login);
            keys.jar.for_host(host).set_cookie_with_age(
                payload.as_bytes(),
                issued_at,
                life,
                !login.browser_session,
                https,
            )
        })
    }

    /// A second at which no login of the same user began that was ended: a name that is free.
    fn unused_start(&self, login: &LoginPayload, now: UnixTime) -> UnixTime {
        // A user who logs in and out more often than that within a second waits for the next.
        let mut seconds = (0..SECONDS_AHEAD).map(|ahead| now.saturating_add(Duration::from_secs(ahead)));
        let always = || MonotonicTime::from_duration(Duration::ZERO);
        let free = seconds.find(|second| !self.0.ended.contains(named(login, *second), always));
        free.unwrap_or(now)
    }

    /// The logins whose cookies came with a request, each with its begin, as far as the cookies alone show. No verifier
    /// is called.
    pub(crate) fn sessions_in(
        &self,
        cookies: &RequestCookies<'_>,
        head: RequestHead<'_>,
    ) -> Vec<LoginPayload> {
        let mut logins = Vec::new();
        self.0.keys.read(|keys| {
            let jar = keys.jar.for_host(head.host().unwrap_or_default());
            let now = || head.now();
            jar.decode_each(cookies, now, |opened| {
                if let Some(login) = login_payload::from_payload(opened.payload())
                    && let Some(started) = self.start_if_current(&login, &opened, keys, head)
                {
                    let started_at = Some(started);
                    logins.push(LoginPayload { started_at, ..login });
                }
            });
        });
        logins
    }

    /// Ends `login` before it expires: no copy of its cookie is valid after that.
    pub(crate) fn revoke(&self, login: &LoginPayload, head: RequestHead<'_>) {
        let Some(started_at) = login.started_at else {
            return;
        };
        let (limit, now) = (self.jar().lifetime().absolute_timeout(), head.monotonic_now());
        // If the clock is set back, cookies live longer, so they are taken as new, with a day added.
        let until = now
            .saturating_add(limit)
            .saturating_add(Duration::from_secs(24 * 3600));
        self.0.ended.revoke(named(login, started_at), until, now);
    }

    /// When the login began, unless it has ended.
    #[inline]
    fn start_if_current(
        &self,
        login: &LoginPayload,
        opened: &DecodedCookie<'_>,
        keys: &VersionedJar,
        head: RequestHead<'_>,
    ) -> Option<UnixTime> {
        let started = login.started_at.unwrap_or(opened.login_at());
        let is_over = login.started_at.is_some()
            && head.now().saturating_duration_since(started) > keys.jar.lifetime().absolute_timeout()
            || self
                .0
                .ended
                .contains(named(login, started), || head.monotonic_now());
        (!is_over).then_some(started)
    }

    fn outcome(&self, head: RequestHead<'_>) -> MaybeFuture<Outcome> {
        if self.0.until.is_some_and(|until| until <= head.now()) {
            return Outcome::Absent.into();
        }
        let cookies = match RequestCookies::from_head(head) {
            Ok(cookies) => cookies,
            Err(too_large) => return Outcome::Malformed(too_large.into()).into(),
        };
        if cookies.is_empty() {
            return Outcome::Absent.into();
        }
        self.0.keys.read(|keys| {
            let jar = keys.jar.for_host(head.host().unwrap_or_default());
            // Of one login there may be two cookies, one of before a renewal.
            let who =
                |payload: &[u8]| login_payload::from_payload(payload).map(|login| (login.grant, login.token));
            let read = |read: ReadCookie<'_>| match read {
                ReadCookie::Missing => Outcome::Absent.into(),
                ReadCookie::Ambiguous | ReadCookie::Invalid(CookieDecodeError::Invalid) => {
                    Outcome::Rejected(Reason::InvalidCookie).into()
                }
                ReadCookie::Invalid(CookieDecodeError::Expired) => {
                    Outcome::Rejected(Reason::ExpiredCookie).into()
                }
                ReadCookie::Valid(opened) => self.opened(&opened, keys, head),
            };
            jar.read(&cookies, || head.now(), who, read)
        })
    }

    #[inline]
    fn opened(
        &self,
        opened: &DecodedCookie<'_>,
        keys: &VersionedJar,
        head: RequestHead<'_>,
    ) -> MaybeFuture<Outcome> {
        let Some(login) = self.read_payload(opened, head.monotonic_now()) else {
            return Outcome::Rejected(Reason::InvalidCookie).into();
        };
        let Some(started) = self.start_if_current(&login, opened, keys, head) else {
            return Outcome::Rejected(Reason::ExpiredCookie).into();
        };
        let mark =
            LoginMark {
                started: started.as_secs() as u32,
                epoch: keys.epoch,
                is_due: opened.needs_renewal()
                    || keys.jar.lifetime().idle_timeout().is_some_and(|idle| {
                        head.now().saturating_duration_since(opened.issued_at()) * 2 >= idle
                    }),
                id: login.id.map_or(LoginId::None, LoginId::Cookie),
            };
        let verified = login.token.map(|token| self.verify_token(token, mark));
        let Some(users) = &self.0.users else {
            return verified.unwrap_or_else(|| Outcome::Authenticated(by_cookie(login.grant, mark)).into());
        };
        let current = users
            .current(login.grant, head)
            .map(move |current| match current {
                Ok(Some(grant)) => Outcome::Authenticated(by_cookie(grant, mark)),
                Ok(None) => Outcome::Rejected(Reason::ExpiredCookie),
                Err(unavailable) => Outcome::Unavailable(unavailable),
            });
        match verified {
            None => current,
            // The grant of the token counts, as long as its user exists.
            Some(verified) => MaybeFuture::from_future(async move {
                match current.await {
                    Outcome::Authenticated(_) => verified.await,
                    refused => refused,
                }
            }),
        }
    }

    /// What a payload holds, whose cookie was opened: the answer for the same bytes is always the same.
    fn read_payload(&self, opened: &DecodedCookie<'_>, now: MonotonicTime) -> Option<LoginPayload> {
        let key = opened.digest();
        let known = self.0.payloads.get(&key, now);
        known.or_else(|| {
            let login = login_payload::from_payload(opened.payload())?;
            let end = now.saturating_add(PAYLOAD_AGE);
            self.0.payloads.insert(key, login.clone(), end, now);
            Some(login)
        })
    }

    /// The outcome for a login that was made with the token of this hash: the grant of the token now.
    #[cold]
    fn verify_token(&self, token: TokenHash, mark: LoginMark) -> MaybeFuture<Outcome> {
        verify_hash(&self.0.verifiers, token).map(move |said| match said {
            Verification::Valid(grant) => Outcome::Authenticated(by_cookie(grant, mark)),
            Verification::Unavailable(unavailable) => Outcome::Unavailable(unavailable),
            Verification::Rejected(_) | Verification::Unknown => Outcome::Rejected(Reason::ExpiredCookie),
        })
    }
}

impl Authenticator for LoginCookieAuthenticator {
    fn authenticate(&self, head: RequestHead<'_>) -> MaybeFuture<Outcome> {
        self.outcome(head)
    }
}

impl fmt::Debug for LoginCookieAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityCookie")
            .field("jar", &self.jar())
            .finish_non_exhaustive()
    }
}

/// The session of a login cookie.
#[inline]
pub(super) fn by_cookie(grant: Grant, mark: LoginMark) -> Session {
    Session::new(grant, AuthMethod::Cookie).with_login_mark(mark)
}

/// A login by its name.
fn named(login: &LoginPayload, started_at: UnixTime) -> store::SessionKey<'_> {
    store::SessionKey {
        username: login.grant.identity().username(),
        started: started_at.as_secs() as u32,
    }
}
