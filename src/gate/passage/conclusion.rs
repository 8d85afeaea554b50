//! Once it is told who sent a request: whether they may, and what is added to the answer.

use http::{HeaderValue, Method, StatusCode};

use super::{Passage, refusal::is_of_a_cookie};
use crate::{
    answer::{Answer, BoxFuture},
    authenticate::{Glance, Hearer, Outcome, login_payload::Login, unexpired},
    cookie::SetCookies,
    denial::{Denial, Reason},
    gate::{
        decision::{Additions, Afterwards},
        login_cookie::is_https,
        responses::{OwnResponse, redirect, wants_page},
        verdict::{Instead, Verdict},
    },
    guard::Surroundings,
    head::Head,
    next_url::{NextUrl, Premises},
    query::Query,
    session::{Credential, Exchange, Session},
};

/// A request for which the chain is asked, at one set of routes.
pub(super) struct Conclusion<'a, 'h> {
    pub(super) passage: &'a Passage,
    pub(super) head: &'a Head<'h>,
    pub(super) surroundings: &'a Surroundings<'h>,
}

impl Hearer for Conclusion<'_, '_> {
    type Verdict = Verdict;

    #[inline(always)]
    fn accepted(self, session: Session) -> Self::Verdict {
        self.passage.accept(session, self.head, self.surroundings)
    }

    #[inline(always)]
    fn nobody(self, rejection: Option<Reason>) -> Self::Verdict {
        self.passage
            .turn_to_nobody(rejection, self.head, self.surroundings)
    }

    #[inline(never)]
    fn told(self, answer: Answer<Outcome>) -> Self::Verdict {
        match answer {
            Answer::Now(outcome) => self.passage.conclude(outcome, self.head, self.surroundings),
            Answer::Later(outcome) => Verdict::Undecided(outcome),
        }
    }
}

impl Passage {
    /// The same decision, once the outcome is there.
    pub(crate) fn conclude_later(&self, outcome: Outcome, head: Head<'_>) -> Verdict {
        let head = &head.with_clock(&*self.gate.clock);
        match self.gate.guards.surroundings(*head) {
            Ok(surroundings) => self.conclude(outcome, head, &surroundings),
            Err(denial) => self
                .refuse(denial, head, None, None, SetCookies::default())
                .into(),
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
            Answer::Now(outcome) => Ok(self.judge_outcome(outcome, head, &surroundings)),
            Answer::Later(future) => Err(future),
        }
    }

    pub(crate) fn check_later(&self, outcome: Outcome, head: Head<'_>) -> Result<Session, Denial> {
        let head = &head.with_clock(&*self.gate.clock);
        let surroundings = self.gate.guards.surroundings(*head)?;
        self.judge_outcome(outcome, head, &surroundings)
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

    pub(super) fn ask(&self, glance: Glance<'_>, head: &Head<'_>) -> Answer<Outcome> {
        match self.asked_before(head) {
            Some(outcome) => outcome.into(),
            None => self.gate.chain.authenticate(glance, head),
        }
    }

    /// The outcome for a session that this very gate let in, further out.
    pub(super) fn asked_before(&self, head: &Head<'_>) -> Option<Outcome> {
        let session = Session::of(head.extensions()).filter(|session| session.was_let_in_by(self.gate.id))?;
        Some(match unexpired(session.clone(), || head.now()) {
            Ok(session) => Outcome::Accepted(session),
            Err(reason) => Outcome::Rejected(reason),
        })
    }

    #[inline(never)]
    pub(super) fn conclude(
        &self,
        outcome: Outcome,
        head: &Head<'_>,
        surroundings: &Surroundings<'_>,
    ) -> Verdict {
        match outcome {
            Outcome::Absent => self.turn_to_nobody(None, head, surroundings),
            Outcome::Accepted(session) => self.accept(session, head, surroundings),
            Outcome::Rejected(reason) => self.turn_to_nobody(Some(reason), head, surroundings),
            other => {
                let denial = self.denial_of(other, head);
                self.turn_away(denial, head, surroundings).into()
            }
        }
    }

    /// Nobody knows them.
    #[inline(always)]
    fn turn_to_nobody(
        &self,
        rejection: Option<Reason>,
        head: &Head<'_>,
        surroundings: &Surroundings<'_>,
    ) -> Verdict {
        // A request with an old cookie is anonymous here, and the cookie is removed.
        let forget = rejection.is_some_and(is_of_a_cookie);
        if self.optional && (rejection.is_none() || forget) {
            return match self.authorize_anonymous(head) {
                Ok(()) => self.let_pass(head, surroundings, forget),
                Err(_) if forget => self
                    .turn_away(
                        rejection.unwrap_or(Reason::NoCredential).into(),
                        head,
                        surroundings,
                    )
                    .into(),
                Err(denial) => self.turn_away(denial, head, surroundings).into(),
            };
        }
        let reason = rejection.unwrap_or(Reason::NoCredential);
        self.turn_away(reason.into(), head, surroundings).into()
    }

    /// A stranger, on a route that does not ask.
    #[inline(always)]
    fn let_pass(&self, head: &Head<'_>, surroundings: &Surroundings<'_>, forget: bool) -> Verdict {
        let mut additions = self.additions(head);
        if forget {
            self.remove_login_cookie(head, is_https(surroundings), &mut additions.set_cookies);
        }
        Verdict::Admitted(None, additions.into())
    }

    fn judge_outcome(
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
            other => Err(self.denial_of(other, head)),
        }
    }

    /// Whether somebody known may do this: no other site caused it, and they have the right to.
    #[inline(always)]
    fn permit(
        &self,
        session: &Session,
        head: &Head<'_>,
        surroundings: &Surroundings<'_>,
    ) -> Result<(), Denial> {
        self.check_site(session, head, surroundings)?;
        self.authorize(session, head)
    }

    /// Whether no other site caused it, where a browser sends the credential by itself.
    #[inline(never)]
    fn check_site(
        &self,
        session: &Session,
        head: &Head<'_>,
        surroundings: &Surroundings<'_>,
    ) -> Result<(), Denial> {
        let gate = &*self.gate;
        if !session.credential().is_ambient() {
            return Ok(());
        }
        gate.xsrf_cookie
            .check(&gate.guards, surroundings, *head, session, None)
    }

    /// Whether a request without a session may pass: not where a scope is required.
    fn authorize_anonymous(&self, head: &Head<'_>) -> Result<(), Denial> {
        if !self.scopes.is_empty() {
            return Err(Denial::new(Reason::NoCredential));
        }
        let mut authorizers = self.gate.authorizers.iter();
        authorizers.try_for_each(|authorizer| authorizer.authorize_anonymous(*head))
    }

    /// Whether they have the scopes that are asked for, and nobody else says no.
    pub(super) fn authorize(&self, session: &Session, head: &Head<'_>) -> Result<(), Denial> {
        self.scopes.iter().try_for_each(|scope| session.require(scope))?;
        let mut authorizers = self.gate.authorizers.iter();
        authorizers.try_for_each(|authorizer| authorizer.authorize(*head, session))
    }

    /// Somebody known: let in, or answered by the gate itself.
    #[inline(always)]
    fn accept(&self, session: Session, head: &Head<'_>, surroundings: &Surroundings<'_>) -> Verdict {
        let (session, login) = self.gate.login_for(session, *head);
        if let Err(denial) = self.permit(&session, head, surroundings) {
            return self.forbid(denial, &session, head, surroundings).into();
        }
        let by_cookie = matches!(session.credential(), Credential::Cookie);
        let heals = by_cookie && !self.gate.xsrf_cookie.fits(&session, head);
        let afterwards = match self.accept_and_add(&session, login, head, surroundings, heals) {
            Ok(afterwards) => afterwards,
            Err(answer) => return Instead::Answered(answer).into(),
        };
        Verdict::Admitted(Some(session.let_in_by(self.gate.id)), afterwards)
    }

    #[inline(never)]
    fn accept_and_add(
        &self,
        session: &Session,
        login: Option<Login>,
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
        if session.is_due()
            && let Some(login_cookie) = &self.gate.login_cookie
        {
            login_cookie.renew(*head, is_https(surroundings), cookies);
        }
        additions.by_cookie = matches!(session.credential(), Credential::Cookie);
        if matches!(session.exchange(), Exchange::Never) {
            return Ok(additions.into());
        }
        match self.exchange(login, head, surroundings, cookies) {
            Some(answer) => Err(answer),
            None => Ok(additions.into()),
        }
    }

    /// A good token in the query becomes a login; a page is redirected to its own address without the token.
    fn exchange(
        &self,
        login: Option<Login>,
        head: &Head<'_>,
        surroundings: &Surroundings<'_>,
        cookies: &mut SetCookies,
    ) -> Option<Box<OwnResponse>> {
        let gate = &*self.gate;
        let https = is_https(surroundings);
        let is_page = *head.method() == Method::GET && wants_page(head);
        if let Some(elsewhere) = &gate.elsewhere {
            elsewhere.keep_token(*head, https, cookies);
        } else if let Some(login) = login {
            let client = gate.guards.client(surroundings, *head);
            let host = head.host().unwrap_or_default();
            if let Err(error) = gate.log_in(login, host, client, https, cookies) {
                // Served in place, as it would be without a cookie.
                gate.did_not_fit(&error, head.uri().path());
                return None;
            }
        }
        if !is_page {
            return None;
        }
        let here = NextUrl::of_request(head.uri(), Premises::new(&gate.telling.base_url));
        let mut response = redirect(StatusCode::SEE_OTHER, HeaderValue::from(&here));
        std::mem::take(cookies).append_to(response.headers_mut());
        Some(Box::new(response))
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
