//! Once it is told who sent a request: whether they may, and what is added to the answer.

use http::{HeaderValue, Method, StatusCode};

use super::Passage;
use crate::{
    answer::{Answer, BoxFuture},
    authenticate::{Glance, Outcome},
    cookie::SetCookies,
    denial::{Denial, Reason},
    event::Event,
    gate::{
        decision::{Additions, Afterwards, Decision},
        login_cookie::is_https,
        responses::{OwnResponse, redirect, wants_page},
    },
    grant::Grant,
    guard::Surroundings,
    head::Head,
    next_url::{NextUrl, Premises},
    query::Query,
    session::{Credential, Session},
};

impl Passage {
    /// The same decision, once the outcome is there.
    pub(crate) fn conclude_later(&self, outcome: Outcome, head: Head<'_>) -> Decision {
        let head = &head.with_clock(&*self.gate.clock);
        match self.gate.guards.surroundings(*head) {
            Ok(surroundings) => self.conclude(outcome, head, &surroundings),
            Err(denial) => Decision::Answered(self.refuse(denial, head, None, None, SetCookies::default())),
        }
    }

    /// Who sent the request, judged like any other, and nothing besides.
    pub(crate) fn check_now(&self, head: Head<'_>) -> Result<Result<Session, Denial>, BoxFuture<Outcome>> {
        let head = &head.with_clock(&*self.gate.clock);
        let surroundings = match self.gate.guards.surroundings(*head) {
            Ok(surroundings) => surroundings,
            Err(denial) => return Ok(Err(denial)),
        };
        match self.ask(self.gate.chain.glance(head), head) {
            Answer::Now(outcome) => Ok(self.judge(outcome, head, &surroundings)),
            Answer::Later(future) => Err(future),
        }
    }

    pub(crate) fn check_later(&self, outcome: Outcome, head: Head<'_>) -> Result<Session, Denial> {
        let head = &head.with_clock(&*self.gate.clock);
        let surroundings = self.gate.guards.surroundings(*head)?;
        self.judge(outcome, head, &surroundings)
    }

    /// Whether a read of what users put there themselves was caused by a page of this server.
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

    pub(super) fn ask(&self, glance: Glance<'_, '_>, head: &Head<'_>) -> Answer<Outcome> {
        match Session::of(head.extensions()) {
            // This very gate has asked before, further out.
            Some(session) if session.was_let_in_by(self.gate.id) => Outcome::Accepted(session.clone()).into(),
            _ => self.gate.chain.authenticate(glance, head),
        }
    }

    #[inline(always)]
    pub(super) fn conclude(
        &self,
        outcome: Outcome,
        head: &Head<'_>,
        surroundings: &Surroundings<'_>,
    ) -> Decision {
        match outcome {
            Outcome::Accepted(session) => match self.accept(&session, head, surroundings) {
                Ok(afterwards) => Decision::Admitted {
                    session: Some(session.let_in_by(self.gate.id)),
                    afterwards,
                },
                Err(answer) => Decision::Answered(answer),
            },
            Outcome::Absent if self.optional => self.let_pass(head, surroundings, false),
            // Who has an old cookie is a stranger here, and need not know of it.
            Outcome::Rejected(Reason::ExpiredCookie | Reason::InvalidCookie) if self.optional => {
                self.let_pass(head, surroundings, true)
            }
            other => self.refuse_outcome(other, head, surroundings),
        }
    }

    /// A stranger, on a route that does not ask.
    #[inline]
    fn let_pass(&self, head: &Head<'_>, surroundings: &Surroundings<'_>, forget: bool) -> Decision {
        let afterwards = if self.adds_nothing(head) && !(forget && self.logs_in()) {
            Afterwards::default()
        } else {
            let mut additions = self.additions(head);
            if forget {
                self.remove_login_cookie(head, is_https(surroundings), &mut additions.set_cookies);
            }
            additions.into()
        };
        Decision::Admitted {
            session: None,
            afterwards,
        }
    }

    fn judge(
        &self,
        outcome: Outcome,
        head: &Head<'_>,
        surroundings: &Surroundings<'_>,
    ) -> Result<Session, Denial> {
        match outcome {
            Outcome::Accepted(session) => {
                self.permit(&session, head, surroundings)?;
                Ok(session.let_in_by(self.gate.id))
            }
            other => Err(self.turn_away(other, head)),
        }
    }

    /// Whether somebody known may do this: no other site caused it, and they have the right to.
    fn permit(
        &self,
        session: &Session,
        head: &Head<'_>,
        surroundings: &Surroundings<'_>,
    ) -> Result<(), Denial> {
        let gate = &*self.gate;
        if session.credential().is_ambient() {
            gate.xsrf_cookie
                .check(&gate.guards, surroundings, *head, session, None)?;
        }
        // Whoever accepted it, a grant that has ended is worth nothing.
        if session.grant().expiry().is_some_and(|end| end <= head.now()) {
            return Err(Denial::new(Reason::ExpiredToken));
        }
        self.scopes.iter().try_for_each(|scope| session.require(scope))?;
        gate.authorizers
            .iter()
            .try_for_each(|authorizer| authorizer.authorize(*head, session))
    }

    /// Somebody known: what is added to the handler's answer, or the gate's own.
    #[inline(always)]
    fn accept(
        &self,
        session: &Session,
        head: &Head<'_>,
        surroundings: &Surroundings<'_>,
    ) -> Result<Afterwards, Box<OwnResponse>> {
        if let Err(denial) = self.permit(session, head, surroundings) {
            return Err(self.forbid(denial, session, head, surroundings));
        }
        let by_cookie = session.credential() == Credential::Cookie;
        let heals = by_cookie && !self.gate.xsrf_cookie.fits(session, *head);
        if self.adds_nothing(head) && !heals && !session.login().is_due {
            return Ok(Afterwards::varying(by_cookie));
        }
        self.accept_and_add(session, head, surroundings, heals)
    }

    #[inline(never)]
    fn accept_and_add(
        &self,
        session: &Session,
        head: &Head<'_>,
        surroundings: &Surroundings<'_>,
        heals: bool,
    ) -> Result<Afterwards, Box<OwnResponse>> {
        let mut additions = self.additions(head);
        let cookies = &mut additions.set_cookies;
        if heals {
            self.gate
                .xsrf_cookie
                .renew(session, is_https(surroundings), cookies);
        }
        if session.login().is_due
            && let Some(login_cookie) = &self.gate.login_cookie
        {
            login_cookie.renew(*head, is_https(surroundings), cookies);
        }
        match session.credential() {
            Credential::Cookie => additions.by_cookie = true,
            Credential::Token if additions.token_in_url => {
                if let Some(answer) = self.log_in(head, surroundings, cookies) {
                    return Err(answer);
                }
            }
            _ => {}
        }
        Ok(additions.into())
    }

    /// A good token in the URL logs a browser in; a page is sent to the same place without it.
    fn log_in(
        &self,
        head: &Head<'_>,
        surroundings: &Surroundings<'_>,
        cookies: &mut SetCookies,
    ) -> Option<Box<OwnResponse>> {
        let gate = &*self.gate;
        let https = is_https(surroundings);
        if let Some(elsewhere) = &gate.elsewhere {
            elsewhere.keep_token(*head, https, cookies);
        } else if let Some(identity) = gate.login_cookie.as_ref()?.log_in(*head, https, cookies) {
            gate.tell(&Event::LoggedIn {
                identity: &identity,
                client: gate.guards.client(surroundings, *head),
            });
            gate.xsrf_cookie.renew(
                &Session::new(Grant::new(identity), Credential::Cookie),
                https,
                cookies,
            );
        }
        if *head.method() != Method::GET || !wants_page(*head) {
            return None;
        }
        let here = NextUrl::of_request(head.uri(), Premises::new(&gate.telling.base_url));
        let mut response = redirect(StatusCode::SEE_OTHER, HeaderValue::from(&here));
        std::mem::take(cookies).append_to(response.headers_mut());
        Some(Box::new(response))
    }

    /// Whether an answer to this request needs nothing, whoever sent it.
    #[inline]
    pub(super) fn adds_nothing(&self, head: &Head<'_>) -> bool {
        head.uri().query().is_none() && !self.gate.guards.list_origins()
    }

    /// What every answer to this request needs, whoever sent it.
    pub(super) fn additions(&self, head: &Head<'_>) -> Additions {
        Additions {
            token_in_url: head.uri().query().is_some() && Query::of(head.uri()).holds_token(),
            cors: self.gate.guards.cors(*head),
            ..Additions::default()
        }
    }
}
