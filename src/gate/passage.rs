//! The decision itself: what one set of routes asks of a request.

use std::{fmt, net::IpAddr, sync::Arc};

use http::{Extensions, HeaderValue, Method, Request, Response, StatusCode, Uri, header::CONTENT_TYPE};
use http_body_util::Full;

use crate::{
    answer::{Answer, BoxFuture},
    authenticate::{Glance, Outcome, login_payload::Login},
    base_url::BaseUrl,
    cookie::{CookieError, SetCookies},
    denial::{Denial, Reason},
    event::{Event, LoggedPath},
    fields::Fields,
    gate::{
        decision::{Additions, Afterwards, Decision},
        endpoint::{Endpoint, FormRequest, Visit, not_allowed},
        form::Form,
        gate::Gate,
        login_cookie::is_https,
        responses::{OwnResponse, login_would_help, redirect, wants_page},
        stranger::Stranger,
    },
    grant::Grant,
    guard::{GuardRule, Surroundings},
    head::Head,
    next_url::{NextUrl, Premises},
    query::Query,
    session::{Credential, Session},
    store::{self, LoginEnd},
    time::Clock,
};

/// The gate as one set of routes has it: shared state, and what is asked there.
#[derive(Clone)]
pub(crate) struct Passage {
    pub(super) gate: Arc<Gate>,
    optional: bool,
    scopes: Box<[Box<str>]>,
    open_paths: Box<[Box<str>]>,
    /// Whether no more than a token is asked of who has one: no scope, no authorizer, no CORS, no proxy.
    plain: bool,
}

impl Passage {
    pub(crate) fn new(gate: Gate) -> Self {
        Self {
            plain: gate.authorizers.is_empty() && gate.guards.are_plain(),
            gate: Arc::new(gate),
            optional: false,
            scopes: Box::default(),
            open_paths: Box::default(),
        }
    }

    pub(crate) fn optional(&self) -> Self {
        Self {
            optional: true,
            ..self.clone()
        }
    }

    pub(crate) fn require(&self, scope: &str) -> Self {
        let scopes = self.scopes.iter().cloned().chain([scope.into()]).collect();
        Self {
            scopes,
            plain: false,
            ..self.clone()
        }
    }

    pub(crate) fn open_paths(&self, paths: &[&str]) -> Self {
        let open_paths = self
            .open_paths
            .iter()
            .cloned()
            .chain(paths.iter().map(|&path| path.into()))
            .collect();
        Self {
            open_paths,
            ..self.clone()
        }
    }

    /// Where the guarded service lives.
    pub(crate) fn base_url(&self) -> &BaseUrl {
        &self.gate.telling.base_url
    }

    /// Whether a browser can log in here.
    pub(crate) fn logs_in(&self) -> bool {
        self.gate.login_cookie.is_some()
    }

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
    pub(crate) fn log_out_by_hand(&self, head: Head<'_>) -> SetCookies {
        let mut cookies = SetCookies::default();
        let (client, https) = self.client(head);
        self.gate.log_out(head, client, https, &mut cookies);
        cookies
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

    /// Hands over to the service who was let in by a token that is worth `grant`.
    #[inline(always)]
    pub(crate) fn introduce(&self, grant: &Grant, extensions: &mut Extensions) {
        if !self.gate.gate_only {
            self.insert_session(grant, extensions);
        }
    }

    #[inline(never)]
    fn insert_session(&self, grant: &Grant, extensions: &mut Extensions) {
        extensions.insert(self.token_session(grant));
    }

    /// Does what was decided, as far as the request goes: what is added to the answer of the service, or the
    /// gate's own answer.
    #[inline(always)]
    pub(crate) fn carry_out(
        &self,
        decision: Decision,
        extensions: &mut Extensions,
    ) -> Result<Afterwards, Instead> {
        match decision {
            Decision::Admitted { session, afterwards } => {
                if !self.gate.gate_only {
                    self.hand_over(session, extensions);
                }
                Ok(afterwards)
            }
            Decision::Answered(answer) => Err(Instead::Answer(answer)),
            Decision::WantsForm(form) => Err(Instead::ReadForm(form)),
        }
    }

    #[inline(never)]
    fn hand_over(&self, session: Option<Session>, extensions: &mut Extensions) {
        match session {
            Some(session) => drop(extensions.insert(session)),
            None => {
                // What another gate left does not speak for this one.
                extensions.remove::<Session>();
                extensions.insert(Stranger::at(&self.gate));
            }
        }
    }

    /// The decision that is told to whoever asks for one.
    pub(crate) fn decision(&self, verdict: Verdict<'_>) -> Answer<Decision> {
        let decision = match verdict {
            Verdict::Known(grant) => Decision::Admitted {
                session: Some(self.token_session(grant)),
                afterwards: Afterwards::default(),
            },
            Verdict::Decided(decision) => decision,
            Verdict::Awaited(response) => {
                return Answer::later(async move { Decision::Answered(Box::new(response.await)) });
            }
        };
        decision.into()
    }

    fn token_session(&self, grant: &Grant) -> Session {
        Session::new(grant.clone(), Credential::Token).let_in_by(self.gate.id)
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.gate.clock
    }

    /// The head of a request, with the gate's clock.
    pub(crate) fn head<'a, B>(&'a self, request: &'a Request<B>) -> Head<'a> {
        Head::at(request, self.clock())
    }

    /// The verdict, or the outcome that must be waited for; [`Passage::conclude_later`] decides then.
    ///
    /// The clock is the head's own.
    #[inline(always)]
    pub(crate) fn judge_now(self: &Arc<Self>, head: &Head<'_>) -> Result<Verdict<'_>, BoxFuture<Outcome>> {
        let glance = self.gate.chain.glance(head);
        match glance {
            // Whether the token is good is asked first, and told last: to who may hear it.
            Glance::Known(grant) if self.asks_no_more_than_a_token(head) => Ok(Verdict::Known(grant)),
            _ => self.judge_further(glance, head),
        }
    }

    /// Whether this request of somebody with a good token in its head is let in as it is, and nothing is added
    /// to the answer.
    #[inline(always)]
    fn asks_no_more_than_a_token(&self, head: &Head<'_>) -> bool {
        self.plain
            && !self.opens(head)
            && Session::of(head.extensions()).is_none()
            && whole_path(head.uri()).is_some_and(|path| self.gate.endpoints.at(path).is_none())
            && self.gate.guards.plainly_reached(head)
    }

    // Not inlined, so that a known token does not pay for its registers.
    #[inline(never)]
    fn judge_further(
        self: &Arc<Self>,
        glance: Glance<'_, '_>,
        head: &Head<'_>,
    ) -> Result<Verdict<'_>, BoxFuture<Outcome>> {
        let gate = &*self.gate;
        let mut fields = Fields::default();
        let head = &if gate.guards.ask_for_fields() && fields.are_found_in(head.headers()) {
            head.with_fields(&fields)
        } else {
            *head
        };
        let surroundings = match gate.guards.reached(*head) {
            Ok(surroundings) => surroundings,
            Err(refusal) => {
                let answer = self.refuse(refusal.into(), head, None, None, SetCookies::default());
                return Ok(Decision::Answered(answer).into());
            }
        };
        if let Some(endpoint) = gate.endpoints.at(head.uri().path()) {
            return Ok(self.at_endpoint(endpoint, head, surroundings));
        }
        if self.opens(head) {
            let afterwards = self.additions(head).into();
            let session = None;
            return Ok(Decision::Admitted { session, afterwards }.into());
        }
        if let Some(preflight) = gate.guards.preflight(*head) {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::NO_CONTENT;
            preflight.write_to(response.headers_mut());
            return Ok(Decision::Answered(Box::new(response)).into());
        }
        match self.ask(glance, head) {
            Answer::Now(outcome) => Ok(self.conclude(outcome, head, &surroundings).into()),
            Answer::Later(future) => Err(future),
        }
    }

    #[inline]
    fn opens(&self, head: &Head<'_>) -> bool {
        !self.open_paths.is_empty() && self.list_open(head.uri().path())
    }

    #[inline(never)]
    fn list_open(&self, path: &str) -> bool {
        self.open_paths.iter().any(|open| **open == *path)
    }

    /// A request to one of the gate's own paths.
    #[cold]
    fn at_endpoint(
        self: &Arc<Self>,
        endpoint: &dyn Endpoint,
        head: &Head<'_>,
        surroundings: Surroundings<'_>,
    ) -> Verdict<'static> {
        let decision = match *head.method() {
            Method::GET | Method::HEAD => {
                let additions = self.additions(head);
                let answer = endpoint.visit(&Visit {
                    gate: &self.gate,
                    head: *head,
                    surroundings,
                });
                let finish = |mut response: OwnResponse| {
                    additions.apply_to(response.headers_mut());
                    response
                };
                match answer {
                    Answer::Now(response) => Decision::Answered(Box::new(finish(response))),
                    Answer::Later(response) => {
                        return Verdict::Awaited(Box::pin(async move { finish(response.await) }));
                    }
                }
            }
            Method::POST => Decision::WantsForm(Box::new(FormRequest::new(Arc::clone(self), *head))),
            _ => Decision::Answered(Box::new(not_allowed())),
        };
        decision.into()
    }

    /// The answer to a form that was sent to one of the gate's own paths.
    pub(crate) fn take_form(&self, head: Head<'_>, body: &[u8]) -> Answer<OwnResponse> {
        let head = head.with_clock(&*self.gate.clock);
        let surroundings = match self.gate.guards.surroundings(head) {
            Ok(surroundings) => surroundings,
            Err(denial) => {
                return Answer::Now(*self.refuse(denial, &head, None, None, SetCookies::default()));
            }
        };
        let form = is_urlencoded(head).then(|| Form::read(body)).flatten();
        match (self.gate.endpoints.at(head.uri().path()), form) {
            (Some(endpoint), Some(form)) => endpoint.submit(
                &Visit {
                    gate: &self.gate,
                    head,
                    surroundings,
                },
                &form,
            ),
            _ => {
                let denial =
                    Denial::new(Reason::Malformed).with_detail("expected a form of well-formed fields");
                Answer::Now(*self.refuse(denial, &head, Some(&surroundings), None, SetCookies::default()))
            }
        }
    }

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

    fn ask(&self, glance: Glance<'_, '_>, head: &Head<'_>) -> Answer<Outcome> {
        match Session::of(head.extensions()) {
            // This very gate has asked before, further out.
            Some(session) if session.was_let_in_by(self.gate.id) => Outcome::Accepted(session.clone()).into(),
            _ => self.gate.chain.authenticate(glance, head),
        }
    }

    #[inline(always)]
    fn conclude(&self, outcome: Outcome, head: &Head<'_>, surroundings: &Surroundings<'_>) -> Decision {
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

    #[inline(never)]
    fn refuse_outcome(&self, outcome: Outcome, head: &Head<'_>, surroundings: &Surroundings<'_>) -> Decision {
        let denial = self.turn_away(outcome, head);
        let mut cookies = SetCookies::default();
        if matches!(denial.reason(), Reason::ExpiredCookie | Reason::InvalidCookie) {
            self.remove_login_cookie(head, is_https(surroundings), &mut cookies);
        }
        Decision::Answered(self.refuse(denial, head, Some(surroundings), None, cookies))
    }

    /// Somebody known who may not do this.
    #[cold]
    fn forbid(
        &self,
        denial: Denial,
        session: &Session,
        head: &Head<'_>,
        surroundings: &Surroundings<'_>,
    ) -> Box<OwnResponse> {
        let mut cookies = SetCookies::default();
        if GuardRule::that_refused(&denial) == Some(GuardRule::Xsrf) {
            let https = is_https(surroundings);
            self.gate.xsrf_cookie.renew(session, https, &mut cookies);
        }
        self.refuse(denial, head, Some(surroundings), session.grant().label(), cookies)
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

    /// Why an outcome that accepted nobody is refused.
    fn turn_away(&self, outcome: Outcome, head: &Head<'_>) -> Denial {
        match outcome {
            Outcome::Accepted(_) | Outcome::Absent => Denial::new(Reason::NoCredential),
            Outcome::Malformed(denial) => denial,
            Outcome::Rejected(reason) => Denial::new(reason),
            Outcome::Unavailable(unavailable) => self.gate.unavailable(&unavailable, head.uri().path()),
        }
    }

    /// The gate's own answer that tells `denial`.
    fn refuse(
        &self,
        denial: Denial,
        head: &Head<'_>,
        surroundings: Option<&Surroundings<'_>>,
        label: Option<&str>,
        cookies: SetCookies,
    ) -> Box<OwnResponse> {
        let gate = &*self.gate;
        if gate.observer.is_some() {
            let client = surroundings.and_then(|surroundings| gate.guards.client(surroundings, *head));
            let path = LoggedPath::of(head.uri().path());
            gate.tell(&Event::Refused {
                reason: denial.reason(),
                label,
                path,
                client,
            });
        }
        let elsewhere = gate
            .elsewhere
            .as_ref()
            .filter(|_| login_would_help(denial.reason()))
            .and_then(|elsewhere| elsewhere.login(*head, surroundings.is_some_and(is_https)));
        let mut response = Box::new(match elsewhere {
            Some(mut answer) => {
                answer.extensions_mut().insert(denial);
                answer
            }
            None => gate.telling.answer(denial, *head),
        });
        if !(self.adds_nothing(head) && cookies.is_empty()) {
            let additions = Additions {
                set_cookies: cookies,
                ..self.additions(head)
            };
            additions.apply_to(response.headers_mut());
        }
        response
    }

    fn remove_login_cookie(&self, head: &Head<'_>, https: bool, cookies: &mut SetCookies) {
        if let Some(login_cookie) = &self.gate.login_cookie {
            login_cookie.remove(*head, https, cookies);
        }
        if let Some(elsewhere) = &self.gate.elsewhere {
            elsewhere.remove(*head, https, false, cookies);
        }
    }

    /// Whether an answer to this request needs nothing, whoever sent it.
    #[inline]
    fn adds_nothing(&self, head: &Head<'_>) -> bool {
        head.uri().query().is_none() && !self.gate.guards.list_origins()
    }

    /// What every answer to this request needs, whoever sent it.
    fn additions(&self, head: &Head<'_>) -> Additions {
        Additions {
            token_in_url: head.uri().query().is_some() && Query::of(head.uri()).holds_token(),
            cors: self.gate.guards.cors(*head),
            ..Additions::default()
        }
    }
}

/// The path of a target that has no query.
#[inline]
fn whole_path(uri: &Uri) -> Option<&str> {
    let target = uri.path_and_query()?;
    target.query().is_none().then(|| target.as_str())
}

fn is_urlencoded(head: Head<'_>) -> bool {
    let media_type = head
        .headers()
        .get(CONTENT_TYPE)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    let essence = media_type
        .split(|octet| *octet == b';')
        .next()
        .unwrap_or_default();
    essence
        .trim_ascii()
        .eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

/// What the gate does in place of the inner service.
pub(crate) enum Instead {
    Answer(Box<OwnResponse>),
    Await(BoxFuture<OwnResponse>),
    ReadForm(Box<FormRequest>),
}

/// A verdict over a request: its decision, as long as nobody asks for a session.
pub(crate) enum Verdict<'a> {
    /// Let in by a token that is worth this, with nothing to add to the answer.
    Known(&'a Grant),
    Decided(Decision),
    /// One of the gate's own paths, whose answer is to come.
    Awaited(BoxFuture<OwnResponse>),
}

impl From<Decision> for Verdict<'_> {
    fn from(decision: Decision) -> Self {
        Self::Decided(decision)
    }
}

impl fmt::Debug for Passage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passage")
            .field("optional", &self.optional)
            .field("scopes", &self.scopes)
            .field("open_paths", &self.open_paths)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, header::SET_COOKIE};

    use crate::{Answer, AuthLayer, Authorizer, Decision, Denial, Head, Session, Token, TokenSource};

    /// What is decided of a request, the session's gate and the fields that are added included.
    fn decided(layer: &AuthLayer, request: &Request<()>) -> String {
        let mut lines = Vec::new();
        match layer.decide(Head::of(request)) {
            Answer::Now(Decision::Admitted { session, afterwards }) => {
                let mut fields = http::HeaderMap::new();
                afterwards.apply_to(&mut fields);
                // A login makes new values each time; the rest of the lines is the same.
                for line in fields.get_all(SET_COOKIE) {
                    lines.push(without_value(line));
                }
                fields.remove(SET_COOKIE);
                let session = session.expect("somebody is known");
                format!(
                    "{} {:?} {fields:?} {lines:?}",
                    session.identity().username().len(),
                    session.credential()
                )
            }
            Answer::Now(Decision::Answered(answer)) => {
                let mut fields = answer.headers().clone();
                lines.extend(fields.get_all(SET_COOKIE).iter().map(without_value));
                fields.remove(SET_COOKIE);
                format!("{} {fields:?} {lines:?}", answer.status())
            }
            other => panic!("expected a decision at once, found {other:?}"),
        }
    }

    /// A `Set-Cookie` line with `…` for its value.
    fn without_value(line: &http::HeaderValue) -> String {
        let line = line.to_str().expect("a line of ours is ASCII");
        let (name, rest) = line.split_once('=').expect("a cookie has a name");
        let attributes = rest.split_once(';').map_or("", |(_, attributes)| attributes);
        format!("{name}=…;{attributes}")
    }

    #[test]
    fn a_known_token_is_let_in_alike_whether_or_not_more_is_asked() {
        fn anything() -> impl Authorizer {
            |_: Head<'_>, _: &Session| -> Result<(), Denial> { Ok(()) }
        }
        let token: Token = "s3cret".parse().expect("a token");
        for sources in [
            vec![TokenSource::Authorization],
            vec![TokenSource::Authorization, TokenSource::Query],
        ] {
            for origin in ["https://app.example.net", "https://other.example.net"] {
                let origins = || crate::Origins::parse(["https://app.example.net"]).expect("an origin");
                let plain = || {
                    AuthLayer::builder()
                        .token(token.clone())
                        .token_sources(sources.clone())
                };
                for (plain, asking) in [
                    (plain(), plain().authorizer(anything())),
                    (
                        plain().origins(origins()),
                        plain().origins(origins()).authorizer(anything()),
                    ),
                ] {
                    let (plain, asking) = (plain.build().expect("a gate"), asking.build().expect("a gate"));
                    for uri in ["/", "/?a=b", "/?token=s3cret", "/?token=other", "/?token="] {
                        for method in ["GET", "POST", "TRACE", "OPTIONS"] {
                            for (host, value) in [
                                ("localhost", "Bearer s3cret"),
                                ("localhost", "Bearer other"),
                                ("evil.example", "token s3cret"),
                            ] {
                                let request = Request::builder()
                                    .uri(uri)
                                    .method(method)
                                    .header("host", host)
                                    .header("origin", origin)
                                    .header("authorization", value)
                                    .body(())
                                    .expect("a request");
                                let (found, expected) =
                                    (decided(&plain, &request), decided(&asking, &request));
                                assert_eq!(found, expected, "{method} {uri} {host} {value} {origin}");
                            }
                        }
                    }
                }
            }
        }
    }
}
