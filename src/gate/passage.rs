//! The decision itself: what one set of routes asks of a request.

use std::{fmt, net::IpAddr, sync::Arc};

use http::{HeaderValue, Method, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;

use crate::{
    answer::{Answer, BoxFuture},
    authenticate::{Chain, Outcome, Word},
    authorize::Authorizer,
    base_url::BaseUrl,
    challenge::Challenge,
    cookie::SetCookies,
    denial::{Denial, Reason},
    error::Unavailable,
    event::{Event, LoggedPath, Observer},
    gate::{
        decision::{Afterwards, Decision},
        endpoint::{Endpoint, FormRequest, Visit, not_allowed},
        form::Form,
        login_cookie::{LoginCookie, XsrfCookie, is_https},
        responses::{OwnResponse, Responses, Telling, redirect, wants_page},
    },
    grant::Grant,
    guard::{GuardRule, Guards, Surroundings},
    head::Head,
    next_url::{NextUrl, Premises},
    query::Query,
    session::{Credential, GateId, Session},
    time::Clock,
};

/// What all handles of one gate share.
pub(crate) struct Gate {
    pub(crate) id: GateId,
    pub(crate) guards: Guards,
    pub(crate) chain: Chain,
    pub(crate) authorizers: Vec<Box<dyn Authorizer>>,
    pub(crate) xsrf_cookie: XsrfCookie,
    /// The cookie of a login, where a browser can log in.
    pub(crate) login_cookie: Option<LoginCookie>,
    pub(crate) responses: Responses,
    pub(crate) challenge: Challenge,
    pub(crate) base_url: BaseUrl,
    pub(crate) login_path: Option<Box<str>>,
    /// The gate's own paths.
    pub(crate) endpoints: Vec<(Box<str>, Box<dyn Endpoint>)>,
    pub(crate) observer: Option<Box<dyn Observer>>,
    pub(crate) clock: Box<dyn Clock>,
    pub(crate) gate_only: bool,
}

/// The gate as one set of routes has it: shared state, and what is asked there.
#[derive(Clone)]
pub(crate) struct Passage {
    gate: Arc<Gate>,
    optional: bool,
    scopes: Box<[Box<str>]>,
    open_paths: Box<[Box<str>]>,
}

impl Passage {
    pub(crate) fn new(gate: Gate) -> Self {
        Self {
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
        &self.gate.base_url
    }

    /// Whether a browser can log in here.
    pub(crate) fn logs_in(&self) -> bool {
        self.gate.login_cookie.is_some()
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.gate.clock
    }

    /// A login that a handler decided.
    pub(crate) fn log_in_by_hand(&self, head: Head<'_>, grant: Grant) -> SetCookies {
        let mut cookies = SetCookies::default();
        let surroundings = self.gate.guards.surroundings(head).ok();
        let client = surroundings.and_then(|surroundings| self.gate.guards.client(&surroundings, head));
        let https = surroundings.is_some_and(|surroundings| is_https(&surroundings));
        self.gate.log_in(
            grant,
            head.host().unwrap_or_default(),
            client,
            https,
            &mut cookies,
        );
        cookies
    }

    /// A logout that a handler decided.
    pub(crate) fn log_out_by_hand(&self, head: Head<'_>) -> SetCookies {
        let mut cookies = SetCookies::default();
        let surroundings = self.gate.guards.surroundings(head).ok();
        self.gate.log_out(
            head,
            surroundings.is_some_and(|surroundings| is_https(&surroundings)),
            &mut cookies,
        );
        cookies
    }

    /// Whether the session is handed to the service.
    pub(crate) fn inserts_session(&self) -> bool {
        !self.gate.gate_only
    }

    /// The decision, or the outcome that must be waited for; [`Passage::conclude_later`] decides then.
    pub(crate) fn decide_now(self: &Arc<Self>, head: Head<'_>) -> Result<Decision, BoxFuture<Outcome>> {
        let gate = &*self.gate;
        let head = &head.with_clock(&*gate.clock);
        let surroundings = match gate.guards.reached(*head) {
            Ok(surroundings) => surroundings,
            Err(refusal) => {
                return Ok(Decision::Answered(self.refuse(
                    refusal.into(),
                    head,
                    None,
                    None,
                    SetCookies::default(),
                )));
            }
        };
        if let Some(endpoint) = gate.endpoint(head.uri().path()) {
            return Ok(self.at_endpoint(endpoint, head, surroundings));
        }
        if self.open_paths.iter().any(|path| **path == *head.uri().path()) {
            return Ok(Decision::Admitted {
                session: None,
                afterwards: self.afterwards(head),
            });
        }
        if let Some(preflight) = gate.guards.preflight(*head) {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::NO_CONTENT;
            preflight.write_to(response.headers_mut());
            return Ok(Decision::Answered(Box::new(response)));
        }
        match self.ask(head) {
            Word::Known(grant) => {
                let session = Session::new(grant.clone(), Credential::Token);
                Ok(match self.accept(&session, head, &surroundings) {
                    Ok(afterwards) => self.admit(session, afterwards),
                    Err(answer) => Decision::Answered(answer),
                })
            }
            Word::Said(Answer::Now(outcome)) => Ok(self.conclude(outcome, head, &surroundings)),
            Word::Said(Answer::Later(future)) => Err(future),
        }
    }

    /// A request to one of the gate's own paths.
    #[cold]
    fn at_endpoint(
        self: &Arc<Self>,
        endpoint: &dyn Endpoint,
        head: &Head<'_>,
        surroundings: Surroundings<'_>,
    ) -> Decision {
        match *head.method() {
            Method::GET | Method::HEAD => {
                let mut response = endpoint.visit(&Visit {
                    gate: &self.gate,
                    head: *head,
                    surroundings,
                });
                self.afterwards(head).apply_to(response.headers_mut());
                Decision::Answered(Box::new(response))
            }
            Method::POST => Decision::WantsForm(Box::new(FormRequest::new(Arc::clone(self), *head))),
            _ => Decision::Answered(Box::new(not_allowed())),
        }
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
        match (self.gate.endpoint(head.uri().path()), form) {
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
        match self.ask(head).into() {
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

    #[inline(always)]
    fn ask(&self, head: &Head<'_>) -> Word<'_> {
        match Session::of(head.extensions()) {
            // This very gate has asked before, further out.
            Some(session) if session.was_let_in_by(self.gate.id) => {
                Word::Said(Outcome::Accepted(session.clone()).into())
            }
            _ => self.gate.chain.authenticate(head),
        }
    }

    #[inline(never)]
    fn conclude(&self, outcome: Outcome, head: &Head<'_>, surroundings: &Surroundings<'_>) -> Decision {
        let https = is_https(surroundings);
        match outcome {
            Outcome::Accepted(session) => match self.accept(&session, head, surroundings) {
                Ok(afterwards) => self.admit(session, afterwards),
                Err(answer) => Decision::Answered(answer),
            },
            Outcome::Absent if self.optional => Decision::Admitted {
                session: None,
                afterwards: self.afterwards(head),
            },
            // Who has an old cookie is a stranger here, and need not know of it.
            Outcome::Rejected(Reason::ExpiredCookie | Reason::InvalidCookie) if self.optional => {
                let mut afterwards = self.afterwards(head);
                self.remove_login_cookie(head, https, &mut afterwards.set_cookies);
                Decision::Admitted {
                    session: None,
                    afterwards,
                }
            }
            other => {
                let denial = self.turn_away(other, head);
                let mut cookies = SetCookies::default();
                if matches!(denial.reason(), Reason::ExpiredCookie | Reason::InvalidCookie) {
                    self.remove_login_cookie(head, https, &mut cookies);
                }
                Decision::Answered(self.refuse(denial, head, Some(surroundings), None, cookies))
            }
        }
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
    #[inline(always)]
    fn permit(
        &self,
        session: &Session,
        head: &Head<'_>,
        surroundings: &Surroundings<'_>,
    ) -> Result<(), Denial> {
        let gate = &*self.gate;
        if session.credential().is_ambient() {
            gate.xsrf_cookie
                .check(&gate.guards, surroundings, *head, session)?;
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
        let gate = &*self.gate;
        if let Err(denial) = self.permit(session, head, surroundings) {
            return Err(self.forbid(denial, session, head, surroundings));
        }
        let https = is_https(surroundings);
        let mut afterwards = self.afterwards(head);
        match session.credential() {
            Credential::Cookie => {
                afterwards.by_cookie = true;
                gate.xsrf_cookie
                    .heal(session, *head, https, &mut afterwards.set_cookies);
            }
            Credential::Token if afterwards.token_in_url => {
                if let Some(answer) = self.log_in(head, surroundings, &mut afterwards.set_cookies) {
                    return Err(answer);
                }
            }
            _ => {}
        }
        Ok(afterwards)
    }

    #[inline(always)]
    fn admit(&self, session: Session, afterwards: Afterwards) -> Decision {
        Decision::Admitted {
            session: Some(session.let_in_by(self.gate.id)),
            afterwards,
        }
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
        let login_cookie = gate.login_cookie.as_ref()?;
        if let Some(identity) = login_cookie.log_in(*head, https, cookies) {
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
        let here = NextUrl::of_request(head.uri(), Premises::new(&gate.base_url));
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
        let telling = Telling {
            responses: gate.responses,
            challenge: &gate.challenge,
            base_url: &gate.base_url,
            login_path: gate.login_path.as_deref(),
        };
        let mut response = telling.answer(&denial, *head);
        let afterwards = Afterwards {
            set_cookies: cookies,
            ..self.afterwards(head)
        };
        afterwards.apply_to(response.headers_mut());
        response.extensions_mut().insert(denial);
        Box::new(response)
    }

    fn remove_login_cookie(&self, head: &Head<'_>, https: bool, cookies: &mut SetCookies) {
        if let Some(login_cookie) = &self.gate.login_cookie {
            login_cookie.remove(*head, https, cookies);
        }
    }

    /// What every answer to this request needs, whoever sent it.
    fn afterwards(&self, head: &Head<'_>) -> Afterwards {
        Afterwards {
            token_in_url: head.uri().query().is_some() && Query::of(head.uri()).holds_token(),
            cors: self.gate.guards.cors(*head),
            ..Afterwards::default()
        }
    }
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

impl Gate {
    fn endpoint(&self, path: &str) -> Option<&dyn Endpoint> {
        self.endpoints
            .iter()
            .find(|(own, _)| **own == *path)
            .map(|(_, endpoint)| &**endpoint)
    }

    /// A login: the cookies of `grant`'s owner for the browser at `host`, the session first.
    pub(crate) fn log_in(
        &self,
        grant: Grant,
        host: &[u8],
        client: Option<IpAddr>,
        https: bool,
        cookies: &mut SetCookies,
    ) {
        if let Some(login_cookie) = &self.login_cookie {
            login_cookie.give(grant.identity(), host, self.clock.now(), https, cookies);
        }
        self.tell(&Event::LoggedIn {
            identity: grant.identity(),
            client,
        });
        self.xsrf_cookie
            .renew(&Session::new(grant, Credential::Cookie), https, cookies);
    }

    /// Takes every cookie of a login away, on every path it may live on.
    pub(crate) fn log_out(&self, head: Head<'_>, https: bool, cookies: &mut SetCookies) {
        if let Some(login_cookie) = &self.login_cookie {
            login_cookie.remove(head, https, cookies);
        }
        self.xsrf_cookie.remove(https, cookies);
    }

    /// Tells that a request to one of the gate's own paths was turned away.
    pub(crate) fn refused(&self, reason: Reason, head: Head<'_>, surroundings: &Surroundings<'_>) {
        let client = self.guards.client(surroundings, head);
        let path = LoggedPath::of(head.uri().path());
        self.tell(&Event::Refused {
            reason,
            label: None,
            path,
            client,
        });
    }

    pub(crate) fn tell(&self, event: &Event<'_>) {
        if let Some(observer) = &self.observer {
            observer.observe(event);
        }
    }

    pub(crate) fn unavailable(&self, unavailable: &Unavailable, path: &str) -> Denial {
        let path = LoggedPath::of(path);
        self.tell(&Event::Unavailable {
            error: &**unavailable.error(),
            path,
        });
        Denial::new(Reason::Unavailable).with_retry_after(unavailable.retry_after())
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
