//! The decision about a request: one path, read from top to bottom.

use std::sync::Arc;

use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;

use super::{
    browser::{Browser, ExistingSession},
    refuse::{Denied, is_about_a_cookie},
    route::RouteAuth,
};
use crate::{
    authenticate::{Outcome, login_payload::LoginPayload, unexpired},
    cookies::SetCookies,
    denial::{Denial, Reason},
    maybe_future::{BoxFuture, MaybeFuture},
    middleware::{
        cookies::is_https,
        error_response::{FullResponse, redirect},
        response_additions::ResponseAdditions,
    },
    redirect::{NextUrl, RedirectPolicy},
    request::{head::RequestHead, page_request::is_page_request, query::Query},
    request_policy::{EffectiveTarget, RequestKind},
    session::{AuthMethod, Session},
};

/// What happens next with a request.
pub(crate) enum Step {
    /// The handler runs, with this session or without one, and this is added to its answer.
    Admit(Option<Session>, ResponseAdditions),
    /// The layer answers.
    Answer(Box<FullResponse>),
    /// The layer answers, later.
    AnswerLater(BoxFuture<FullResponse>),
    /// The layer answers once it has read the form in the body.
    ReadForm,
    /// An authenticator answers later; then [`RouteAuth::resume`] goes on.
    Wait(BoxFuture<Outcome>),
}

impl From<MaybeFuture<FullResponse>> for Step {
    fn from(response: MaybeFuture<FullResponse>) -> Self {
        match response {
            MaybeFuture::Ready(response) => Self::Answer(Box::new(response)),
            MaybeFuture::Future(response) => Self::AnswerLater(response),
        }
    }
}

impl RouteAuth {
    /// Decides about a request.
    pub(crate) fn decide(self: &Arc<Self>, head: &RequestHead<'_>) -> Step {
        self.state.report_missing_peer(*head);
        self.evaluate(head)
            .unwrap_or_else(|denied| Step::Answer(Box::new(self.refuse(denied, head))))
    }

    /// Goes on with a decision, once the authenticator has answered.
    pub(crate) fn resume(&self, outcome: Outcome, head: &RequestHead<'_>) -> Step {
        let target = self.state.guards.check_target(*head).map_err(Denied::from);
        target
            .and_then(|target| self.admit(outcome, head, &target))
            .unwrap_or_else(|denied| Step::Answer(Box::new(self.refuse(denied, head))))
    }

    fn evaluate(self: &Arc<Self>, head: &RequestHead<'_>) -> Result<Step, Denied> {
        let (guards, path) = (&self.state.guards, head.uri().path());
        let target = guards.check_target(*head)?; // 1 host, scheme and method
        if self.endpoints.at(path).is_some() {
            return Ok(self.at_own_path(head)); // 2 login, logout, launch link, OAuth callback
        }
        if self.is_open(path) {
            return Ok(Step::Admit(None, self.additions(head, false))); // 3 open paths
        }
        if let Some(preflight) = guards.preflight(*head) {
            let mut response = Response::new(Full::default()); // 4 CORS
            *response.status_mut() = StatusCode::NO_CONTENT;
            preflight.apply_to(response.headers_mut());
            return Ok(Step::Answer(Box::new(response)));
        }
        match self.authenticate(head) {
            MaybeFuture::Ready(outcome) => self.admit(outcome, head, &target), // 5 who sent it?
            MaybeFuture::Future(outcome) => Ok(Step::Wait(outcome)),
        }
    }

    fn admit(
        &self,
        outcome: Outcome,
        head: &RequestHead<'_>,
        target: &EffectiveTarget<'_>,
    ) -> Result<Step, Denied> {
        let mut session = match self.session(outcome, head) {
            Ok(session) => session, // 6 a session, or anonymous where the route allows it
            Err(denial) => return self.admit_anonymous(denial, head, target),
        };
        let exchanges = session.exchange().is_some();
        let login = exchanges
            .then(|| self.state.login_for(&mut session, *head))
            .flatten();
        if let Err(denial) = self.authorize(&session, head, target) {
            return Err(Denied::with_session(denial, session)); // 7 CSRF, 8 scopes and authorizers
        }
        let mut additions = self.additions(head, self.optional); // 9 renewed cookies, `Vary`, CORS
        if session.auth_method() == AuthMethod::Cookie {
            additions.by_cookie = true;
            self.renew_cookies(&session, head, target, &mut additions.set_cookies);
        }
        if exchanges && let Some(step) = self.exchange(login, head, target, &mut additions) {
            return Ok(step);
        }
        if self.state.observer.is_some() && !session.is_authenticated_by(self.state.id) {
            self.state.report_admitted(&session, *head, target);
        }
        Ok(Step::Admit(
            Some(session.authenticated_by(self.state.id)),
            additions,
        ))
    }

    /// Decides about a request by its credential alone, for a handler that answers by itself.
    pub(crate) fn check(self: &Arc<Self>, head: &RequestHead<'_>) -> MaybeFuture<Result<Session, Denial>> {
        self.state.report_missing_peer(*head);
        if let Err(denial) = self.state.guards.check_target(*head) {
            return MaybeFuture::Ready(Err(denial));
        }
        match self.authenticate(head) {
            MaybeFuture::Ready(outcome) => MaybeFuture::Ready(self.check_outcome(outcome, head)),
            MaybeFuture::Future(outcome) => {
                let (route, request) = (Arc::clone(self), head.to_request());
                MaybeFuture::from_future(async move {
                    let outcome = outcome.await;
                    route.check_outcome(outcome, &route.head(&request))
                })
            }
        }
    }

    fn check_outcome(&self, outcome: Outcome, head: &RequestHead<'_>) -> Result<Session, Denial> {
        let target = self.state.guards.check_target(*head)?;
        let session = self.session(outcome, head)?;
        self.authorize(&session, head, &target)?;
        Ok(session.authenticated_by(self.state.id))
    }

    /// Calls the authenticators, or takes the session that an outer handle of this layer has admitted.
    pub(crate) fn authenticate(&self, head: &RequestHead<'_>) -> MaybeFuture<Outcome> {
        match Session::from_extensions(head.extensions())
            .filter(|session| session.is_authenticated_by(self.state.id))
        {
            Some(session) => {
                MaybeFuture::Ready(unexpired(Outcome::Authenticated(session.clone()), || head.now()))
            }
            None => self.state.chain.authenticate(head),
        }
    }

    fn session(&self, outcome: Outcome, head: &RequestHead<'_>) -> Result<Session, Denial> {
        match outcome {
            Outcome::Authenticated(session) => Ok(session),
            Outcome::Absent => Err(self.missing_credential()),
            Outcome::Rejected(reason) => Err(Denial::new(reason)),
            Outcome::Malformed(denial) => Err(denial),
            Outcome::Unavailable(unavailable) => {
                Err(self.state.backend_error(&unavailable, head.uri().path()))
            }
        }
    }

    /// Admits a request without a session, where the route, its scopes and the authorizers allow it.
    fn admit_anonymous(
        &self,
        denial: Denial,
        head: &RequestHead<'_>,
        target: &EffectiveTarget<'_>,
    ) -> Result<Step, Denied> {
        // A cookie that is not good any more counts as none; the answer to a page request removes it. So does a token
        // that a proxy added for another service.
        let stale_cookie = is_about_a_cookie(denial.reason());
        let counts_as_none = stale_cookie || denial.reason() == Reason::UnsupportedToken;
        if !self.optional || !(counts_as_none || denial.reason() == Reason::MissingCredential) {
            return Err(denial.into());
        }
        self.authorize_anonymous(head)
            .map_err(|refused| if counts_as_none { denial } else { refused })?;
        let mut additions = self.additions(head, self.optional);
        if stale_cookie {
            let https = || is_https(target, *head);
            self.remove_bad_cookie(head, https, &mut additions.set_cookies);
        }
        Ok(Step::Admit(None, additions))
    }

    /// Allows or denies a session: no other site caused the request, and it has the rights.
    fn authorize(
        &self,
        session: &Session,
        head: &RequestHead<'_>,
        target: &EffectiveTarget<'_>,
    ) -> Result<(), Denial> {
        if session.auth_method().is_ambient() {
            let state = &*self.state;
            if self.defers_csrf(session, *head) {
                state
                    .guards
                    .check_cross_site(target, *head, RequestKind::Unsafe, None)?;
            } else {
                state
                    .xsrf_cookie
                    .check(&state.guards, target, *head, session, None)?;
            }
        }
        self.check_scopes(session, head)
    }

    /// Allows or denies a session by its scopes and the authorizers.
    pub(super) fn check_scopes(&self, session: &Session, head: &RequestHead<'_>) -> Result<(), Denial> {
        if !self.scopes.iter().all(|scope| session.has_scope(scope)) {
            return Err(self.insufficient_scope(session));
        }
        let mut authorizers = self.state.authorizers.iter();
        authorizers.try_for_each(|authorizer| authorizer.authorize(*head, session))
    }

    /// The denial of a session, with all scopes that one needs here: first those that it lacks.
    ///
    /// A client that requests another token requests these. With the missing ones alone it would lose the others.
    #[cold]
    fn insufficient_scope(&self, session: &Session) -> Denial {
        let (held, missing): (Vec<_>, _) = self
            .scopes
            .iter()
            .cloned()
            .partition(|scope| session.has_scope(scope));
        let scopes: Vec<Box<str>> = missing;
        Denial::new(Reason::InsufficientScope).with_scopes(scopes.into_iter().chain(held).collect())
    }

    /// The denial of a request without a credential, with the scopes that one needs here.
    fn missing_credential(&self) -> Denial {
        Denial::new(Reason::MissingCredential).with_scopes(Arc::clone(&self.scopes))
    }

    /// A required scope is required of anonymous requests as well.
    fn authorize_anonymous(&self, head: &RequestHead<'_>) -> Result<(), Denial> {
        if !self.scopes.is_empty() {
            return Err(self.missing_credential());
        }
        let mut authorizers = self.state.authorizers.iter();
        authorizers.try_for_each(|authorizer| authorizer.authorize_anonymous(*head))
    }

    /// Adds an `_xsrf` cookie where none that was sent is for this session, and the login cookie where it is due.
    fn renew_cookies(
        &self,
        session: &Session,
        head: &RequestHead<'_>,
        target: &EffectiveTarget<'_>,
        cookies: &mut SetCookies,
    ) {
        let https = || is_https(target, *head);
        if !self.state.xsrf_cookie.is_current(session, head) {
            self.state.xsrf_cookie.renew(session, https(), cookies);
        }
        if let Some(login_cookie) = self
            .state
            .login_cookie
            .as_ref()
            .filter(|_| session.needs_renewal())
        {
            login_cookie.renew(*head, https(), cookies);
        }
    }

    /// Makes the login that a token in the query becomes. A page is redirected to its own address without the token.
    ///
    /// A session in a store is made for a page alone: a script would leave one for each of its requests.
    fn exchange(
        &self,
        login: Option<LoginPayload>,
        head: &RequestHead<'_>,
        target: &EffectiveTarget<'_>,
        additions: &mut ResponseAdditions,
    ) -> Option<Step> {
        let (state, cookies) = (&self.state, &mut additions.set_cookies);
        let redirects = *head.method() == Method::GET && is_page_request(*head);
        let here = || {
            let policy = RedirectPolicy::new(&state.error_responder.base_url);
            HeaderValue::from(&NextUrl::from_request_uri(head.uri(), policy))
        };
        if let Some(elsewhere) = &state.external_login {
            elsewhere.persist_token(*head, is_https(target, *head), cookies);
        } else if let Some(login) = login {
            let mut browser = Browser::of(state, *head, target);
            browser.existing = ExistingSession::Stays;
            let is_stored = state
                .login_cookie
                .as_ref()
                .is_some_and(|cookie| cookie.stored.is_some());
            if is_stored {
                let answer = redirects
                    .then(|| browser.log_in_and_redirect(state, Some(login), StatusCode::SEE_OTHER, here()));
                return answer.map(Step::from);
            }
            match state.login(login, browser) {
                MaybeFuture::Ready(Ok(made)) => cookies.append(made),
                // Served in place, as it would be without a login.
                MaybeFuture::Ready(Err(error)) => {
                    state.login_failed(&error, head.uri().path());
                    return None;
                }
                MaybeFuture::Future(_) => return None,
            }
        }
        let mut response = redirects.then(|| redirect(StatusCode::SEE_OTHER, here()))?;
        std::mem::take(cookies).append_to(response.headers_mut());
        Some(Step::Answer(Box::new(response)))
    }

    /// What every answer to this request needs. `varies` means that another credential, or none, gets another answer.
    pub(super) fn additions(&self, head: &RequestHead<'_>, varies: bool) -> ResponseAdditions {
        ResponseAdditions {
            by_cookie: varies,
            by_authorization: varies && self.state.reads_authorization,
            token_in_url: head.uri().query().is_some() && Query::from_uri(head.uri()).has_token_parameter(),
            cors: self.state.guards.cors(*head),
            error_responder: Some(Arc::clone(&self.state.error_responder)),
            ..ResponseAdditions::default()
        }
    }

    fn is_open(&self, path: &str) -> bool {
        self.public_paths.iter().any(|open| **open == *path)
    }
}
