//! The decision about a request: one path, read from top to bottom.

use std::sync::Arc;

use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;

use super::{
    Passage,
    refuse::{Denied, is_about_a_cookie},
};
use crate::{
    authenticate::{Outcome, login_payload::Login, unexpired},
    cookie::SetCookies,
    denial::{Denial, Reason},
    gate::{
        afterwards::Afterwards,
        login_cookie::is_https,
        responses::{OwnResponse, redirect, wants_page},
    },
    guard::Surroundings,
    head::Head,
    maybe_future::{Answer, BoxFuture},
    query::Query,
    redirect::{NextUrl, Premises},
    session::{Credential, Exchange, Session},
};

/// What happens next with a request.
pub(crate) enum Step {
    /// The handler runs, with this session or without one, and this is added to its answer.
    Admit(Option<Session>, Afterwards),
    /// The layer answers.
    Answer(Box<OwnResponse>),
    /// The layer answers, later.
    AnswerLater(BoxFuture<OwnResponse>),
    /// The layer answers once it has read the form in the body.
    ReadForm,
    /// An authenticator answers later; then [`Passage::resume`] goes on.
    Wait(BoxFuture<Outcome>),
}

impl Passage {
    /// Decides about a request.
    pub(crate) fn decide(self: &Arc<Self>, head: &Head<'_>) -> Step {
        self.judge(head)
            .unwrap_or_else(|denied| Step::Answer(Box::new(self.refuse(denied, head))))
    }

    /// Goes on with a decision, once the authenticator has answered.
    pub(crate) fn resume(&self, outcome: Outcome, head: &Head<'_>) -> Step {
        let surroundings = self.gate.guards.surroundings(*head).map_err(Denied::from);
        surroundings
            .and_then(|surroundings| self.admit(outcome, head, &surroundings))
            .unwrap_or_else(|denied| Step::Answer(Box::new(self.refuse(denied, head))))
    }

    fn judge(self: &Arc<Self>, head: &Head<'_>) -> Result<Step, Denied> {
        let (guards, path) = (&self.gate.guards, head.uri().path());
        let surroundings = guards.surroundings(*head)?; // 1 host, scheme and method
        if self.endpoints.at(path).is_some() {
            return Ok(self.at_own_path(head)); // 2 login, logout, launch link, OAuth callback
        }
        if self.is_open(path) {
            return Ok(Step::Admit(None, self.additions(head))); // 3 open paths
        }
        if let Some(preflight) = guards.preflight(*head) {
            let mut response = Response::new(Full::default()); // 4 CORS
            *response.status_mut() = StatusCode::NO_CONTENT;
            preflight.write_to(response.headers_mut());
            return Ok(Step::Answer(Box::new(response)));
        }
        match self.authenticate(head) {
            Answer::Now(outcome) => self.admit(outcome, head, &surroundings), // 5 who sent it?
            Answer::Later(outcome) => Ok(Step::Wait(outcome)),
        }
    }

    fn admit(
        &self,
        outcome: Outcome,
        head: &Head<'_>,
        surroundings: &Surroundings<'_>,
    ) -> Result<Step, Denied> {
        let mut session = match self.session(outcome, head) {
            Ok(session) => session, // 6 a session, or anonymous where the route allows it
            Err(denial) => return self.admit_anonymous(denial, head, surroundings),
        };
        let login = self.gate.login_for(&mut session, *head);
        if let Err(denial) = self.permit(&session, head, surroundings) {
            return Err(Denied::with_session(denial, session)); // 7 CSRF, 8 scopes and authorizers
        }
        let mut additions = self.additions(head); // 9 renewed cookies, `Vary`, CORS
        additions.by_cookie = session.credential() == Credential::Cookie;
        if additions.by_cookie {
            self.renew_cookies(&session, head, surroundings, &mut additions.set_cookies);
        }
        if !matches!(session.exchange(), Exchange::Never)
            && let Some(answer) = self.exchange(login, head, surroundings, &mut additions)
        {
            return Ok(Step::Answer(answer));
        }
        Ok(Step::Admit(Some(session.let_in_by(self.gate.id)), additions))
    }

    /// Decides about a request by its credential alone, for a handler that answers by itself.
    pub(crate) fn check(self: &Arc<Self>, head: &Head<'_>) -> Answer<Result<Session, Denial>> {
        if let Err(denial) = self.gate.guards.surroundings(*head) {
            return Answer::Now(Err(denial));
        }
        match self.authenticate(head) {
            Answer::Now(outcome) => Answer::Now(self.check_outcome(outcome, head)),
            Answer::Later(outcome) => {
                let (passage, request) = (Arc::clone(self), head.to_request());
                Answer::later(async move {
                    let outcome = outcome.await;
                    passage.check_outcome(outcome, &passage.head(&request))
                })
            }
        }
    }

    fn check_outcome(&self, outcome: Outcome, head: &Head<'_>) -> Result<Session, Denial> {
        let surroundings = self.gate.guards.surroundings(*head)?;
        let session = self.session(outcome, head)?;
        self.permit(&session, head, &surroundings)?;
        Ok(session.let_in_by(self.gate.id))
    }

    /// Asks the authenticators, or takes the session that this layer has let in further out.
    pub(crate) fn authenticate(&self, head: &Head<'_>) -> Answer<Outcome> {
        match Session::of(head.extensions()).filter(|session| session.was_let_in_by(self.gate.id)) {
            Some(session) => Answer::Now(unexpired(Outcome::Accepted(session.clone()), || head.now())),
            None => self.gate.chain.authenticate(head),
        }
    }

    fn session(&self, outcome: Outcome, head: &Head<'_>) -> Result<Session, Denial> {
        match outcome {
            Outcome::Accepted(session) => Ok(session),
            Outcome::Absent => Err(Denial::new(Reason::NoCredential)),
            Outcome::Rejected(reason) => Err(Denial::new(reason)),
            Outcome::Malformed(denial) => Err(denial),
            Outcome::Unavailable(unavailable) => Err(self.gate.unavailable(&unavailable, head.uri().path())),
        }
    }

    /// Admits a request without a session, where the route, its scopes and the authorizers allow it.
    fn admit_anonymous(
        &self,
        denial: Denial,
        head: &Head<'_>,
        surroundings: &Surroundings<'_>,
    ) -> Result<Step, Denied> {
        // A cookie that is not good any more counts as none; the answer removes it.
        let stale_cookie = is_about_a_cookie(denial.reason());
        if !self.optional || !(stale_cookie || denial.reason() == Reason::NoCredential) {
            return Err(denial.into());
        }
        self.authorize_anonymous(head)
            .map_err(|refused| if stale_cookie { denial } else { refused })?;
        let mut additions = self.additions(head);
        if stale_cookie {
            self.remove_login_cookie(head, is_https(surroundings), &mut additions.set_cookies);
        }
        Ok(Step::Admit(None, additions))
    }

    /// Allows or denies a session: no other site caused the request, and it has the rights.
    fn permit(
        &self,
        session: &Session,
        head: &Head<'_>,
        surroundings: &Surroundings<'_>,
    ) -> Result<(), Denial> {
        if session.credential().is_ambient() {
            let gate = &*self.gate;
            gate.xsrf_cookie
                .check(&gate.guards, surroundings, *head, session, None)?;
        }
        self.authorize(session, head)
    }

    /// Allows or denies a session by its scopes and the authorizers.
    pub(super) fn authorize(&self, session: &Session, head: &Head<'_>) -> Result<(), Denial> {
        self.scopes.iter().try_for_each(|scope| session.require(scope))?;
        let mut authorizers = self.gate.authorizers.iter();
        authorizers.try_for_each(|authorizer| authorizer.authorize(*head, session))
    }

    /// A required scope is required of anonymous requests as well.
    fn authorize_anonymous(&self, head: &Head<'_>) -> Result<(), Denial> {
        if !self.scopes.is_empty() {
            return Err(Denial::new(Reason::NoCredential));
        }
        let mut authorizers = self.gate.authorizers.iter();
        authorizers.try_for_each(|authorizer| authorizer.authorize_anonymous(*head))
    }

    /// Adds an `_xsrf` cookie where none that was sent is for this session, and the login cookie where it is due.
    fn renew_cookies(
        &self,
        session: &Session,
        head: &Head<'_>,
        surroundings: &Surroundings<'_>,
        cookies: &mut SetCookies,
    ) {
        let https = is_https(surroundings);
        if !self.gate.xsrf_cookie.fits(session, head) {
            self.gate.xsrf_cookie.renew(session, https, cookies);
        }
        if let Some(login_cookie) = self.gate.login_cookie.as_ref().filter(|_| session.is_due()) {
            login_cookie.renew(*head, https, cookies);
        }
    }

    /// Makes the login that a token in the query becomes. A page is redirected to its own address without the token.
    fn exchange(
        &self,
        login: Option<Login>,
        head: &Head<'_>,
        surroundings: &Surroundings<'_>,
        additions: &mut Afterwards,
    ) -> Option<Box<OwnResponse>> {
        let gate = &*self.gate;
        let (https, cookies) = (is_https(surroundings), &mut additions.set_cookies);
        if let Some(elsewhere) = &gate.elsewhere {
            elsewhere.keep_token(*head, https, cookies);
        } else if let Some(login) = login {
            let client = gate.guards.client(surroundings, *head);
            let host = head.host().unwrap_or_default();
            if let Err(error) = gate.log_in(login, host, client, https, cookies) {
                // Served in place, as it would be without a login.
                gate.did_not_fit(&error, head.uri().path());
                return None;
            }
        }
        if *head.method() != Method::GET || !wants_page(head) {
            return None;
        }
        let here = NextUrl::of_request(head.uri(), Premises::new(&gate.telling.base_url));
        let mut response = redirect(StatusCode::SEE_OTHER, HeaderValue::from(&here));
        std::mem::take(cookies).append_to(response.headers_mut());
        Some(Box::new(response))
    }

    /// What every answer to this request needs, whoever sent it.
    pub(super) fn additions(&self, head: &Head<'_>) -> Afterwards {
        Afterwards {
            token_in_url: head.uri().query().is_some() && Query::of(head.uri()).holds_token(),
            cors: self.gate.guards.cors(*head),
            ..Afterwards::default()
        }
    }

    fn is_open(&self, path: &str) -> bool {
        self.open_paths.iter().any(|open| **open == *path)
    }
}
