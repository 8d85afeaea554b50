//! The cookies of a logged-in browser: set, renewed, removed.

use http::HeaderValue;

use crate::{
    authenticate::{LoginCookieAuthenticator, login_payload::LoginPayload, session_cookie::SessionCookie},
    cookies::{CookieName, CookieScope, DistinctValues, Keyring, RequestCookies, SetCookies},
    denial::Denial,
    request::head::RequestHead,
    request_policy::{
        CsrfBinding, CsrfCheck, CsrfRequirement, CsrfTokens, EffectiveTarget, RequestCsrf, RequestKind,
        RequestPolicy,
    },
    session::{AuthMethod, LoginId, Session},
    swappable::Swappable,
};

/// The `_xsrf` cookie: one for each login, made where the one that was sent does not fit.
pub(crate) struct CsrfCookie {
    guard: Swappable<CsrfTokens<Keyring>>,
    scope: CookieScope,
    name: CookieName,
    /// Whether logins have this cookie. If not, the cookie of that name belongs to the inner service, and only the login
    /// form, which clients without a session get, uses one of this layer.
    for_sessions: bool,
}

impl CsrfCookie {
    pub(crate) fn new(keyring: Keyring, scope: CookieScope, of_logins: bool) -> Self {
        Self {
            guard: Swappable::new(CsrfTokens::new(keyring)),
            scope,
            name: CookieName::xsrf(),
            for_sessions: of_logins,
        }
    }

    /// Makes and reads values with other keys from now on.
    pub(crate) fn change_keyring(&self, keyring: Keyring) {
        self.guard.replace(CsrfTokens::new(keyring));
    }

    /// Whether a request with an ambient credential was caused by a page of this server.
    ///
    /// Only a session by cookie has a value to check. Other ambient credentials, and routes without authentication, are
    /// protected by Fetch Metadata and Origin alone. `field` is the value in a form that was read.
    pub(crate) fn check(
        &self,
        guards: &RequestPolicy,
        target: &EffectiveTarget<'_>,
        head: RequestHead<'_>,
        session: &Session,
        field: Option<&str>,
    ) -> Result<(), Denial> {
        let kind = RequestKind::from_head(head);
        if session.auth_method() != AuthMethod::Cookie {
            return guards.check_cross_site(target, head, kind, None);
        }
        let proof = self.proof_of(session, field);
        guards.check_cross_site(target, head, kind, Some(&proof))
    }

    /// As [`CsrfCookie::check`], for reads of what users put there themselves.
    pub(crate) fn require_same_origin(
        &self,
        guards: &RequestPolicy,
        target: &EffectiveTarget<'_>,
        head: RequestHead<'_>,
        session: &Session,
    ) -> Result<(), Denial> {
        let proof = self.proof_of(session, None);
        let proof = (session.auth_method() == AuthMethod::Cookie).then_some(&proof);
        guards.require_same_origin(target, head, proof.map(|proof| proof as _))
    }

    /// Whether the login form was sent by a page of this server: a value from before the login, in the form and
    /// in a cookie.
    pub(crate) fn check_login_form(
        &self,
        guards: &RequestPolicy,
        target: &EffectiveTarget<'_>,
        head: RequestHead<'_>,
        field: &str,
    ) -> Result<(), Denial> {
        self.guard.read(|guard| {
            let proof =
                RequestCsrf::new(guard, CsrfBinding::Anonymous, self.sent(head)).with_form(Some(field));
            guards.check_cross_site(target, head, RequestKind::LoginForm, Some(&proof))
        })
    }

    /// The value for a login form: the one that was sent, if this server issued it, else a fresh one that is set.
    ///
    /// A valid value is kept, for clients that fetch it once.
    pub(crate) fn anonymous_token(
        &self,
        head: RequestHead<'_>,
        https: bool,
        cookies: &mut SetCookies,
    ) -> String {
        self.for_form(CsrfBinding::Anonymous, head, https, cookies)
    }

    /// The value for a form of a logged-in user.
    pub(crate) fn session_token(
        &self,
        session: &Session,
        head: RequestHead<'_>,
        https: bool,
        cookies: &mut SetCookies,
    ) -> String {
        self.for_form(binding(session), head, https, cookies)
    }

    fn for_form(
        &self,
        binding: CsrfBinding,
        head: RequestHead<'_>,
        https: bool,
        cookies: &mut SetCookies,
    ) -> String {
        let mut sent = self.sent(head).into_iter();
        let good = sent.find(|value| self.guard.read(|guard| guard.verify(value, binding)));
        if let Some(value) = good.and_then(|value| std::str::from_utf8(value).ok()) {
            return value.to_owned();
        }
        let value = self.guard.read(|guard| guard.issue(binding));
        if self.for_sessions || matches!(binding, CsrfBinding::Anonymous) {
            push(cookies, self.scope.set_cookie(b"", &value, None, https));
        }
        value
    }

    /// Adds the line that removes the cookie.
    pub(crate) fn remove(&self, https: bool, cookies: &mut SetCookies) {
        let line = self.scope.removal_cookie(b"", https);
        if let Some(line) = line.filter(|_| self.for_sessions) {
            cookies.push_overriding(line);
        }
    }

    /// Whether the request has a value for this session, or needs none; else a fresh one must be set.
    pub(crate) fn is_current(&self, session: &Session, head: &RequestHead<'_>) -> bool {
        if !self.for_sessions {
            return true;
        }
        let Ok(sent) = RequestCookies::from_head(*head) else {
            return false;
        };
        self.guard
            .read(|guard| guard.any_probably_matches(sent, &self.name, binding(session)))
    }

    /// Adds a fresh value.
    pub(crate) fn renew(&self, session: &Session, https: bool, cookies: &mut SetCookies) {
        if !self.for_sessions {
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

    fn sent<'a>(&'a self, head: RequestHead<'a>) -> SentCsrfCookies<'a> {
        SentCsrfCookies {
            name: &self.name,
            head,
        }
    }
}

/// The CSRF check of a session by cookie. The binding is computed only when it is needed, which it is not for most
/// requests.
struct ProofOfSession<'a> {
    cookie: &'a CsrfCookie,
    session: &'a Session,
    field: Option<&'a str>,
}

impl CsrfCheck for ProofOfSession<'_> {
    fn check(&self, head: RequestHead<'_>, demand: CsrfRequirement) -> Result<(), Denial> {
        self.cookie.guard.read(|guard| {
            RequestCsrf::new(guard, binding(self.session), self.cookie.sent(head))
                .with_form(self.field)
                .check(head, demand)
        })
    }
}

/// The `_xsrf` values of the request, read when they are first used. There are none if the request has too many of them,
/// or too many cookies.
#[derive(Clone)]
struct SentCsrfCookies<'a> {
    name: &'a CookieName,
    head: RequestHead<'a>,
}

impl<'a> IntoIterator for SentCsrfCookies<'a> {
    type Item = &'a [u8];
    type IntoIter = <DistinctValues<'a> as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        let cookies = RequestCookies::from_head(self.head).ok();
        let values = cookies.and_then(|cookies| cookies.distinct_values(self.name));
        values.unwrap_or_default().into_iter()
    }
}

/// The cookies of logins.
pub(crate) struct LoginCookie {
    /// Those that hold who is logged in, as a Jupyter Server writes them: read, and written where there is no store.
    pub(crate) signed: Option<LoginCookieAuthenticator>,
    /// Those of sessions in a store.
    pub(crate) stored: Option<SessionCookie>,
}

impl LoginCookie {
    /// The login that a request to log in `username` goes on with, if its cookie is of one.
    pub(crate) fn continued(&self, head: RequestHead<'_>, username: &str) -> Option<LoginPayload> {
        let same = self.logins(head).into_iter();
        let same = same.filter(|login| login.grant.identity().username() == username);
        same.min_by_key(|login| login.started_at)
    }

    /// Adds the line that renews the login of this request, unless the handler sets the same cookie.
    #[cold]
    pub(crate) fn renew(&self, head: RequestHead<'_>, https: bool, cookies: &mut SetCookies) {
        if let Some(stored) = &self.stored {
            if let Some(Ok(line)) = stored.renewed(head, https) {
                cookies.push(line);
            }
            return;
        }
        let logins = self.logins(head).into_iter();
        let newest = logins.max_by_key(|login| login.started_at);
        if let Some((login, signed)) = newest.zip(self.signed.as_ref())
            && let Ok(line) = signed.set_cookie(&login, head.host().unwrap_or_default(), head.now(), https)
        {
            cookies.push(line);
        }
    }

    /// Ends every login whose signed cookie came with this request, copies of the cookies included.
    pub(crate) fn revoke(&self, head: RequestHead<'_>) -> Vec<LoginPayload> {
        let logins = self.logins(head);
        if let Some(signed) = &self.signed {
            logins.iter().for_each(|login| signed.revoke(login, head));
        }
        logins
    }

    /// The logins by signed cookies of this request.
    pub(crate) fn logins(&self, head: RequestHead<'_>) -> Vec<LoginPayload> {
        let sent = RequestCookies::from_head(head).ok();
        let logins = self.signed.as_ref().zip(sent);
        logins.map_or_else(Vec::new, |(signed, sent)| signed.sessions_in(&sent, head))
    }

    /// Adds the lines that remove the cookies.
    pub(crate) fn remove(&self, head: RequestHead<'_>, https: bool, cookies: &mut SetCookies) {
        let host = head.host().unwrap_or_default();
        let signed = self.signed.as_ref().map(LoginCookieAuthenticator::jar);
        let signed = signed.and_then(|jar| jar.for_host(host).removal_cookie(https));
        let stored = self.stored.as_ref();
        let stored = stored.and_then(|stored| stored.settings().scope.removal_cookie(host, https));
        for line in signed.into_iter().chain(stored) {
            cookies.push_overriding(line);
        }
    }

    /// Makes and reads cookies with other keys from now on, which ends every login.
    pub(crate) fn change_keyring(&self, keyring: &Keyring) {
        if let Some(signed) = &self.signed {
            signed.change_keyring(keyring);
        }
        if let Some(stored) = &self.stored {
            stored.change_keyring(keyring);
        }
    }
}

/// Whether cookies are to be `Secure`.
pub(crate) fn is_https(target: &EffectiveTarget<'_>, head: RequestHead<'_>) -> bool {
    target.is_https(head)
}

/// What `_xsrf` values of a session are bound to: the id of its login, and without one the user name and the time
/// of the login.
pub(crate) fn binding(session: &Session) -> CsrfBinding {
    let login = session.login_mark();
    match login.id {
        LoginId::Cookie(id) => CsrfBinding::Session(id),
        LoginId::Stored(id) => CsrfBinding::Session(u128::from(id.as_u64()).to_be_bytes()),
        LoginId::None => CsrfBinding::of_login(session.identity().username().as_bytes(), login.started),
    }
}

/// A cookie that is too large for its own limit is not set: the host name of the request was, and a browser
/// would drop the cookie anyway.
fn push<E>(cookies: &mut SetCookies, line: Result<HeaderValue, E>) {
    if let Ok(line) = line {
        cookies.push_overriding(line);
    }
}
