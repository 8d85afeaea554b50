//! The login cookie that holds who somebody is.

use std::{fmt, sync::Arc, time::Duration};

use http::HeaderValue;

use super::{
    Authenticator, Outcome,
    login_payload::{self, Login},
};
use crate::{
    clock::{Moment, UnixTime},
    cookie::{CookieError, CookieJar, Keyring, OpenError, Opened, Read, RequestCookies},
    denial::Reason,
    grant::Grant,
    head::Head,
    maybe_future::Answer,
    random,
    session::{Credential, LoginMark, Session},
    store::{self, EndedLogins},
    swappable::Changing,
    token::TokenHash,
    verify::{TokenVerifier, Verdict},
};

/// Whoever the login cookie of a request names: Jupyter Server's way, where nothing is kept on the server.
///
/// The payload is that of [`Identity::to_payload`](crate::Identity::to_payload), with the scopes and the end of the grant
/// where it has them. A cookie that cannot be opened, or names nobody, is
/// `Rejected`; the gate removes it from the browser.
///
/// # Security
///
/// A copied cookie is good until its time is over, the key changes, or the owner logs out: the logins that were
/// ended are all that a gate keeps, in this process alone.
///
/// # Example
///
/// ```
/// use portcullis::{CookieJar, CookieScope, Keyring, authenticate::IdentityCookie};
///
/// let jar = CookieJar::signed(&Keyring::generate(), CookieScope::server("/")?);
/// let authenticator = IdentityCookie::new(jar);
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct IdentityCookie(Arc<Parts>);

struct Parts {
    keys: Changing<Keys>,
    /// Who knows the tokens that logins were made with.
    verifiers: Vec<Arc<dyn TokenVerifier>>,
    ended: Arc<EndedLogins>,
}

/// A jar, and how often another one has taken its place.
struct Keys {
    jar: CookieJar,
    epoch: u16,
}

/// How far ahead a login may begin: less than what is believed of a cookie's time.
const SECONDS_AHEAD: u64 = 60;

impl IdentityCookie {
    /// Reads the cookie of `jar`.
    pub fn new(jar: CookieJar) -> Self {
        Self::of_gate(jar, Vec::new(), Arc::new(EndedLogins::new()))
    }

    /// The same, which asks these verifiers whether the token of a login is still good, and takes none of the
    /// logins that were ended.
    pub(crate) fn of_gate(
        jar: CookieJar,
        verifiers: Vec<Arc<dyn TokenVerifier>>,
        ended: Arc<EndedLogins>,
    ) -> Self {
        let epoch = ended.epoch();
        Self(Arc::new(Parts {
            keys: Changing::new(Keys { jar, epoch }),
            verifiers,
            ended,
        }))
    }

    /// The jar it reads.
    pub fn jar(&self) -> CookieJar {
        self.0.keys.read(|keys| keys.jar.clone())
    }

    /// Reads and writes with other keys from now on, which ends every login.
    pub(crate) fn change_keyring(&self, keyring: &Keyring) {
        let (jar, epoch) = self.0.keys.read(|keys| {
            let jar = CookieJar::signed(keyring, keys.jar.scope().clone());
            (jar.with_lifetime(keys.jar.lifetime()), keys.epoch.wrapping_add(1))
        });
        self.0.keys.change(Keys { jar, epoch });
        self.0.ended.end_all_before(epoch);
    }

    /// The `Set-Cookie` line of `login` for the browser at `host`.
    ///
    /// # Errors
    ///
    /// If it is too long for a cookie.
    pub(crate) fn line(
        &self,
        login: &Login,
        host: &[u8],
        now: UnixTime,
        https: bool,
    ) -> Result<HeaderValue, CookieError> {
        self.0.keys.read(|keys| {
            let lifetime = keys.jar.lifetime();
            let started = match login.started_at {
                Some(start) => start.min(now),
                None => self.begin_of_its_own(login, now),
            };
            let left = lifetime.absolute_limit().saturating_sub(now.since(started));
            let (issued_at, life, begin) = match lifetime.idle_limit() {
                // The time of the value is that of the login, as a Jupyter Server has it.
                None => (started, left, None),
                Some(idle) => (now, idle.min(left), (started != now).then_some(started)),
            };
            let login = Login {
                started_at: begin,
                // A cookie that Jupyter wrote has none.
                id: login.id.or_else(|| Some(random::octets())),
                ..login.clone()
            };
            let payload = login_payload::to_payload(&login);
            keys.jar
                .at(host)
                .write_for(payload.as_bytes(), issued_at, life, https)
        })
    }

    /// A second at which no login of the same user began that was ended: a name that is free.
    fn begin_of_its_own(&self, login: &Login, now: UnixTime) -> UnixTime {
        // Whoever logs in and out more often than that within a second waits for the next.
        let mut seconds = (0..SECONDS_AHEAD).map(|ahead| now.after(Duration::from_secs(ahead)));
        let always = || Moment::from_start(Duration::ZERO);
        let free = seconds.find(|second| !self.0.ended.holds(named(login, *second), always));
        free.unwrap_or(now)
    }

    /// The logins whose cookies came with a request, as far as they can be told without asking anybody, each
    /// with its begin.
    pub(crate) fn logins(&self, cookies: &RequestCookies<'_>, head: Head<'_>) -> Vec<Login> {
        let mut logins = Vec::new();
        self.0.keys.read(|keys| {
            let jar = keys.jar.at(head.host().unwrap_or_default());
            let now = || head.now();
            jar.open_each(cookies, now, |opened| {
                let login = login_payload::from_payload(opened.payload());
                if let Some((login, started)) =
                    login.and_then(|login| self.in_time(login, &opened, keys, head))
                {
                    let started_at = Some(started);
                    logins.push(Login { started_at, ..login });
                }
            });
        });
        logins
    }

    /// Ends `login` before its time: no copy of its cookie is good any more.
    pub(crate) fn end(&self, login: &Login, head: Head<'_>) {
        let Some(started_at) = login.started_at else {
            return;
        };
        let (limit, now) = (self.jar().lifetime().absolute_limit(), head.moment());
        // A date that is set back makes cookies live longer, so they are reckoned to be new, and then some.
        let until = now.after(limit).after(Duration::from_secs(24 * 3600));
        self.0.ended.end(named(login, started_at), until, now);
    }

    /// The login and its begin, unless it is over.
    #[inline]
    fn in_time(
        &self,
        login: Login,
        opened: &Opened<'_>,
        keys: &Keys,
        head: Head<'_>,
    ) -> Option<(Login, UnixTime)> {
        let started = login.started_at.unwrap_or(opened.started_at());
        let is_over = login.started_at.is_some()
            && head.now().since(started) > keys.jar.lifetime().absolute_limit()
            || self.0.ended.holds(named(&login, started), || head.moment());
        (!is_over).then_some((login, started))
    }

    fn outcome(&self, head: Head<'_>) -> Answer<Outcome> {
        let cookies = match RequestCookies::of_head(head) {
            Ok(cookies) => cookies,
            Err(too_large) => return Outcome::Malformed(too_large.into()).into(),
        };
        if cookies.is_empty() {
            return Outcome::Absent.into();
        }
        self.0.keys.read(|keys| {
            let jar = keys.jar.at(head.host().unwrap_or_default());
            // Of one login there may be two cookies, one of before a renewal.
            let who =
                |payload: &[u8]| login_payload::from_payload(payload).map(|login| (login.grant, login.token));
            let read = |read: Read<'_>| match read {
                Read::Absent => Outcome::Absent.into(),
                Read::Ambiguous | Read::Refused(OpenError::Invalid) => {
                    Outcome::Rejected(Reason::InvalidCookie).into()
                }
                Read::Refused(OpenError::Expired) => Outcome::Rejected(Reason::ExpiredCookie).into(),
                Read::Opened(opened) => self.opened(&opened, keys, head),
            };
            jar.read(&cookies, || head.now(), who, read)
        })
    }

    #[inline]
    fn opened(&self, opened: &Opened<'_>, keys: &Keys, head: Head<'_>) -> Answer<Outcome> {
        let Some(login) = login_payload::from_payload(opened.payload()) else {
            return Outcome::Rejected(Reason::InvalidCookie).into();
        };
        let Some((login, started)) = self.in_time(login, opened, keys, head) else {
            return Outcome::Rejected(Reason::ExpiredCookie).into();
        };
        let mark = LoginMark {
            started: started.as_secs() as u32,
            epoch: keys.epoch,
            is_due: opened.is_stale()
                || keys
                    .jar
                    .lifetime()
                    .idle_limit()
                    .is_some_and(|idle| head.now().since(opened.issued_at()) * 2 >= idle),
            id: login.id,
        };
        match login.token {
            None => accepted(login.grant, mark),
            Some(token) => self.ask(token, mark),
        }
    }

    /// What a login is worth that was made with the token of this hash: what the token is worth now.
    #[cold]
    fn ask(&self, token: TokenHash, mark: LoginMark) -> Answer<Outcome> {
        let mut answers = Vec::new();
        for verifier in &self.0.verifiers {
            match verifier.verify_hash(token) {
                // Nothing has to be waited for, as long as nobody before has to be.
                Answer::Now(Verdict::Known(grant)) if answers.is_empty() => {
                    return accepted(grant, mark);
                }
                Answer::Now(Verdict::Unknown | Verdict::Refused(_)) => {}
                answer => answers.push(answer),
            }
        }
        if answers.is_empty() {
            return Outcome::Rejected(Reason::ExpiredCookie).into();
        }
        Answer::later(async move {
            let mut outcome = Outcome::Rejected(Reason::ExpiredCookie);
            for answer in answers {
                match answer.await {
                    Verdict::Known(grant) => {
                        let session = Session::new(grant, Credential::Cookie);
                        return Outcome::Accepted(session.of_login(mark));
                    }
                    Verdict::Unavailable(unavailable) => outcome = Outcome::Unavailable(unavailable),
                    Verdict::Refused(_) | Verdict::Unknown => {}
                }
            }
            outcome
        })
    }
}

impl Authenticator for IdentityCookie {
    fn authenticate(&self, head: Head<'_>) -> Answer<Outcome> {
        self.outcome(head)
    }
}

impl fmt::Debug for IdentityCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityCookie")
            .field("jar", &self.jar())
            .finish_non_exhaustive()
    }
}

#[inline]
fn accepted(grant: Grant, mark: LoginMark) -> Answer<Outcome> {
    Outcome::Accepted(Session::new(grant, Credential::Cookie).of_login(mark)).into()
}

/// A login by its name.
fn named(login: &Login, started_at: UnixTime) -> store::Login<'_> {
    store::Login {
        username: login.grant.identity().username(),
        started: started_at.as_secs() as u32,
    }
}
