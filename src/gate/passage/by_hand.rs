//! What handlers decide: logins and logouts of their own, and the end of a session they wait for.

use std::net::IpAddr;

use super::Passage;
use crate::{
    authenticate::login_payload::Login,
    cookie::{CookieError, SetCookies},
    denial::Denial,
    gate::login_cookie::is_https,
    grant::Grant,
    head::Head,
    session::Session,
    store::{self, LoginEnd},
};

impl Passage {
    /// A session that this gate takes as asked for before.
    #[cfg(feature = "testing")]
    pub(crate) fn let_in(&self, session: Session) -> Session {
        session.let_in_by(self.gate.id)
    }

    /// A login that a handler decided.
    pub(crate) fn log_in_by_hand(&self, head: Head<'_>, grant: Grant) -> Result<SetCookies, CookieError> {
        let head = head.with_clock(&*self.gate.clock);
        let mut login = Login::from(grant);
        if let Some(login_cookie) = &self.gate.login_cookie {
            login.started_at = login_cookie.begun(head, login.grant.identity().username());
        }
        let (client, https) = self.client(head);
        let mut cookies = SetCookies::default();
        let host = head.host().unwrap_or_default();
        self.gate.log_in(login, host, client, https, &mut cookies)?;
        Ok(cookies)
    }

    /// Where a request comes from, and whether by https.
    fn client(&self, head: Head<'_>) -> (Option<IpAddr>, bool) {
        let guards = &self.gate.guards;
        match guards.surroundings(head) {
            Ok(surroundings) => (guards.client(&surroundings, head), is_https(&surroundings)),
            Err(_) => (None, false),
        }
    }

    /// A logout that a handler decided.
    pub(crate) fn log_out_by_hand(&self, head: Head<'_>) -> Result<SetCookies, Denial> {
        let mut cookies = SetCookies::default();
        let (client, https) = self.client(head);
        self.gate.log_out(head, client, https, &mut cookies)?;
        Ok(cookies)
    }

    /// Allows or denies a read of what users put there themselves: a page of this server must have caused it.
    pub(crate) fn require_own_page(&self, head: Head<'_>) -> Result<(), Denial> {
        let gate = &*self.gate;
        let surroundings = gate.guards.surroundings(head)?;
        match Session::of(head.extensions()) {
            Some(session) if session.credential().is_ambient() => {
                gate.xsrf_cookie
                    .require_own_page(&gate.guards, &surroundings, head, session)
            }
            _ => Ok(()),
        }
    }

    /// The end of a session, to come; `None` if nothing here would end it.
    pub(crate) fn end_of(&self, session: &Session) -> Option<LoginEnd> {
        let mark = session.login();
        let login = store::Login {
            username: session.identity().username(),
            started: mark.started,
        };
        (mark.started != 0).then(|| {
            let now = self.gate.clock.moment();
            self.gate.ended.wait(login, mark.epoch, now)
        })
    }
}
