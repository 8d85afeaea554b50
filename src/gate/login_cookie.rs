//! The cookies by which a browser stays logged in: given, healed, taken away.

use http::HeaderValue;

use crate::{
    authenticate::{IdentityCookie, login_payload::Login},
    base_url::BaseUrl,
    clock::UnixTime,
    cookie::{Candidates, CookieName, CookieScope, Keyring, RequestCookies, SetCookies},
    denial::Denial,
    error::ConfigError,
    guard::{Binding, Demand, Guards, RequestKind, Surroundings, Xsrf, XsrfGuard, XsrfProof},
    head::Head,
    session::{Credential, Session},
    swappable::Changing,
};

/// The `_xsrf` cookie: one for each login, made where the one that was sent does not fit.
pub(crate) struct XsrfCookie {
    guard: Changing<XsrfGuard<Keyring>>,
    scope: CookieScope,
    name: CookieName,
    /// Whether a login has one. Else the cookie of that name is the guarded service's own, and only the login
    /// form, which strangers see, has one of ours.
    of_logins: bool,
}

impl XsrfCookie {
    pub(crate) fn new(keyring: Keyring, base_url: &BaseUrl, of_logins: bool) -> Result<Self, ConfigError> {
        Ok(Self {
            guard: Changing::new(XsrfGuard::new(keyring)),
            scope: CookieScope::xsrf(base_url.as_str())?,
            name: CookieName::xsrf(),
            of_logins,
        })
    }

    /// Makes and reads values with other keys from now on.
    pub(crate) fn change_keyring(&self, keyring: Keyring) {
        self.guard.change(XsrfGuard::new(keyring));
    }

    /// Whether a request with an ambient credential was caused by a page of this server.
    ///
    /// Only a session by cookie has a value to prove: what browsers attach by other means, and what is asked
    /// of nobody, is guarded by Fetch Metadata and Origin alone. `field` is the value in a form that was read.
    pub(crate) fn check(
        &self,
        guards: &Guards,
        surroundings: &Surroundings<'_>,
        head: Head<'_>,
        session: &Session,
        field: Option<&str>,
    ) -> Result<(), Denial> {
        let kind = RequestKind::of(head);
        if session.credential() != Credential::Cookie {
            return guards.cross_site(surroundings, head, kind, None);
        }
        let proof = self.proof_of(session, field);
        guards.cross_site(surroundings, head, kind, Some(&proof))
    }

    /// As [`XsrfCookie::check`], for reads of what users put there themselves.
    pub(crate) fn require_own_page(
        &self,
        guards: &Guards,
        surroundings: &Surroundings<'_>,
        head: Head<'_>,
        session: &Session,
    ) -> Result<(), Denial> {
        let proof = self.proof_of(session, None);
        let proof = (session.credential() == Credential::Cookie).then_some(&proof);
        guards.require_own_page(surroundings, head, proof.map(|proof| proof as _))
    }

    /// Whether the login form was sent by a page of this server: a value from before the login, in the form and
    /// in a cookie.
    pub(crate) fn check_login_form(
        &self,
        guards: &Guards,
        surroundings: &Surroundings<'_>,
        head: Head<'_>,
        field: &str,
    ) -> Result<(), Denial> {
        self.guard.read(|guard| {
            let proof = XsrfProof::new(guard, Binding::Anonymous, self.sent(head)).with_form(Some(field));
            guards.cross_site(surroundings, head, RequestKind::LoginForm, Some(&proof))
        })
    }

    /// The value for a login form: the one that was sent, if it is ours, else a fresh one that is set.
    ///
    /// Kept as long as it is good, for clients that fetch it once.
    pub(crate) fn before_login(&self, head: Head<'_>, https: bool, cookies: &mut SetCookies) -> String {
        self.for_form(Binding::Anonymous, head, https, cookies)
    }

    /// The value for a form of somebody logged in.
    pub(crate) fn of_session(
        &self,
        session: &Session,
        head: Head<'_>,
        https: bool,
        cookies: &mut SetCookies,
    ) -> String {
        self.for_form(binding(session), head, https, cookies)
    }

    fn for_form(&self, binding: Binding, head: Head<'_>, https: bool, cookies: &mut SetCookies) -> String {
        let mut sent = self.sent(head).into_iter();
        let good = sent.find(|value| self.guard.read(|guard| guard.is_signed_for(value, binding)));
        if let Some(value) = good.and_then(|value| std::str::from_utf8(value).ok()) {
            return value.to_owned();
        }
        let value = self.guard.read(|guard| guard.issue(binding));
        if self.of_logins || matches!(binding, Binding::Anonymous) {
            push(cookies, self.scope.set_cookie(b"", &value, None, https));
        }
        value
    }

    /// Adds the line that takes the cookie away from its own path, the last of those. At the root another server
    /// may have one of the same name.
    pub(crate) fn remove(&self, https: bool, cookies: &mut SetCookies) {
        if let Some(line) = self.scope.removals(b"", https).last().filter(|_| self.of_logins) {
            cookies.push_own(line);
        }
    }

    /// Whether a value was sent that fits the session, or none is given out here; else a fresh one is due.
    pub(crate) fn fits(&self, session: &Session, head: &Head<'_>) -> bool {
        if !self.of_logins {
            return true;
        }
        let Ok(sent) = RequestCookies::of_head(*head) else {
            return false;
        };
        self.guard
            .read(|guard| guard.one_fits(sent, &self.name, binding(session)))
    }

    /// Adds a fresh value.
    pub(crate) fn renew(&self, session: &Session, https: bool, cookies: &mut SetCookies) {
        if !self.of_logins {
            return;
        }
        let value = self.guard.read(|guard| guard.issue(binding(session)));
        push(cookies, self.scope.set_cookie(b"", &value, None, https));
    }

    fn proof_of<'a>(&'a self, session: &'a Session, field: Option<&'a str>) -> ProofOfSession<'a> {
        ProofOfSession {
            cookie: self,
            session,
            field,
        }
    }

    fn sent<'a>(&'a self, head: Head<'a>) -> SentXsrf<'a> {
        SentXsrf {
            name: &self.name,
            head,
        }
    }
}

/// The proof that is asked of a session by cookie. What it is bound to is worked out when it is asked for, which most
/// requests never are.
struct ProofOfSession<'a> {
    cookie: &'a XsrfCookie,
    session: &'a Session,
    field: Option<&'a str>,
}

impl Xsrf for ProofOfSession<'_> {
    fn prove(&self, head: Head<'_>, demand: Demand) -> Result<(), Denial> {
        self.cookie.guard.read(|guard| {
            XsrfProof::new(guard, binding(self.session), self.cookie.sent(head))
                .with_form(self.field)
                .prove(head, demand)
        })
    }
}

/// The `_xsrf` values of the request, looked for when they are asked for; none if they, or its cookies, are
/// too many to be believed.
#[derive(Clone)]
struct SentXsrf<'a> {
    name: &'a CookieName,
    head: Head<'a>,
}

impl<'a> IntoIterator for SentXsrf<'a> {
    type Item = &'a [u8];
    type IntoIter = <Candidates<'a> as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        let cookies = RequestCookies::of_head(self.head).ok();
        let values = cookies.and_then(|cookies| cookies.candidates(self.name));
        values.unwrap_or_default().into_iter()
    }
}

/// The login cookie of Jupyter Server.
pub(crate) struct LoginCookie(pub(crate) IdentityCookie);

impl LoginCookie {
    /// The login that a request to log in `username` goes on with, if its cookie is of one.
    pub(crate) fn begun(&self, head: Head<'_>, username: &str) -> Option<UnixTime> {
        let logins = self.logins(head);
        let same = logins
            .iter()
            .filter(|login| login.grant.identity().username() == username);
        same.filter_map(|login| login.started_at).min()
    }

    /// Adds the line by which the login of this request goes on, which gives way to a handler's own.
    #[cold]
    pub(crate) fn renew(&self, head: Head<'_>, https: bool, cookies: &mut SetCookies) {
        let logins = self.logins(head).into_iter();
        let Some(login) = logins.max_by_key(|login| login.started_at) else {
            return;
        };
        if let Ok(line) = self
            .0
            .line(&login, head.host().unwrap_or_default(), head.now(), https)
        {
            cookies.push(line);
        }
    }

    /// Ends every login whose cookie came with this request, copies of the cookies included.
    pub(crate) fn end(&self, sent: &RequestCookies<'_>, head: Head<'_>) -> Vec<Login> {
        let logins = self.0.logins(sent, head);
        for login in &logins {
            self.0.end(login, head);
        }
        logins
    }

    fn logins(&self, head: Head<'_>) -> Vec<Login> {
        let sent = RequestCookies::of_head(head);
        sent.map(|sent| self.0.logins(&sent, head)).unwrap_or_default()
    }

    /// Adds the lines that take the cookie away on every path it may live on.
    pub(crate) fn remove(&self, head: Head<'_>, https: bool, cookies: &mut SetCookies) {
        for line in self.0.jar().at(head.host().unwrap_or_default()).removals(https) {
            cookies.push_own(line);
        }
    }
}

/// Whether cookies are to be `Secure`.
pub(crate) fn is_https(surroundings: &Surroundings<'_>) -> bool {
    surroundings.is_https()
}

/// What `_xsrf` values of a session are bound to: the id of its login, and without one the user name and the time
/// of the login.
pub(crate) fn binding(session: &Session) -> Binding {
    let login = session.login();
    match login.id {
        Some(id) => Binding::Session(id),
        None => Binding::of_login(session.identity().username().as_bytes(), login.started),
    }
}

/// A cookie that is too large for its own limit is not set: the host name of the request was, and a browser
/// would drop the cookie anyway.
fn push<E>(cookies: &mut SetCookies, line: Result<HeaderValue, E>) {
    if let Ok(line) = line {
        cookies.push_own(line);
    }
}
