//! The decision itself: what one set of routes asks of a request.
//!
//! A request walks down these files: the first look is here, with the order of what is asked;
//!
//! | file | what it decides |
//! |---|---|
//! | `own_paths` | the answer at one of the gate's own paths |
//! | `conclusion` | whether somebody known may, and what is added to the answer |
//! | `refusal` | why somebody is turned away, and how they are told |
//! | `by_hand` | nothing: logins and logouts that a handler decided |

mod by_hand;
mod conclusion;
mod own_paths;
mod refusal;

use std::{fmt, sync::Arc, time::Duration};

use http::{Extensions, Request, Response, StatusCode};
use http_body_util::Full;

use self::conclusion::Conclusion;
use crate::{
    answer::Answer,
    base_url::BaseUrl,
    cookie::SetCookies,
    gate::{
        decision::Decision,
        gate::Gate,
        stranger::Stranger,
        verdict::{Instead, Verdict},
    },
    guard::Surroundings,
    head::Head,
    session::Session,
    time::Clock,
};

/// The gate as one set of routes has it: shared state, and what is asked there.
#[derive(Clone)]
pub(crate) struct Passage {
    pub(super) gate: Arc<Gate>,
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
        let open_paths: Box<[Box<str>]> = self
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

    /// What all routes share.
    pub(crate) fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Where the guarded service lives.
    pub(crate) fn base_url(&self) -> &BaseUrl {
        &self.gate.telling.base_url
    }

    /// Whether a browser can log in here.
    pub(crate) fn logs_in(&self) -> bool {
        self.gate.login_cookie.is_some()
    }

    /// Tells the service who was let in, or that it is a stranger.
    #[inline(always)]
    pub(crate) fn introduce(&self, session: Option<Session>, extensions: &mut Extensions) {
        if self.gate.gate_only {
            return;
        }
        match session {
            Some(session) => session.hand_over(extensions),
            None => self.introduce_stranger(extensions),
        }
    }

    #[inline(never)]
    fn introduce_stranger(&self, extensions: &mut Extensions) {
        // What another gate left does not speak for this one.
        extensions.remove::<Session>();
        extensions.insert(Stranger::at(&self.gate));
    }

    /// The decision that is told to whoever asks for one. The head is cloned if something else has to answer first.
    pub(crate) fn decision(self: &Arc<Self>, verdict: Verdict, head: Head<'_>) -> Answer<Decision> {
        let answer = |response| Decision::Answered(response);
        Answer::Now(match verdict {
            Verdict::Admitted(session, afterwards) => Decision::Admitted { session, afterwards },
            Verdict::Instead(Instead::Answered(response)) => answer(response),
            Verdict::Instead(Instead::Awaited(response)) => {
                return Answer::later(async move { answer(Box::new(response.await)) });
            }
            Verdict::Instead(Instead::WantsForm(form)) => Decision::WantsForm(form),
            Verdict::Undecided(outcome) => {
                let (passage, head) = (Arc::clone(self), head.to_request());
                return Answer::later(async move {
                    let verdict = passage.conclude_later(outcome.await, Head::of(&head));
                    passage.decision(verdict, Head::of(&head)).await
                });
            }
        })
    }

    /// How long the body of a form may take to arrive.
    pub(crate) fn form_timeout(&self) -> Duration {
        self.gate.form_timeout
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
    pub(crate) fn judge_now(self: &Arc<Self>, head: &Head<'_>) -> Verdict {
        let gate = &*self.gate;
        let surroundings = &match self.way_in(head) {
            Ok(surroundings) => surroundings,
            Err(verdict) => return verdict,
        };
        let path = head.uri().path();
        if gate.endpoints.at(path).is_some() {
            return self.at_endpoint(head).into();
        }
        if let Some(outcome) = self.asked_before(head) {
            return self.conclude(outcome, head, surroundings);
        }
        let conclusion = Conclusion {
            passage: self,
            head,
            surroundings,
        };
        gate.chain.tell(gate.chain.glance(head), head, conclusion)
    }

    /// Where the request went, unless it is answered, or let in, before anybody is asked who sent it.
    #[inline(never)]
    fn way_in<'a>(&self, head: &Head<'a>) -> Result<Surroundings<'a>, Verdict> {
        let guards = &self.gate.guards;
        let surroundings = match guards.surroundings(*head) {
            Ok(surroundings) => surroundings,
            Err(denial) => {
                return Err(self
                    .refuse(denial, head, None, None, SetCookies::default())
                    .into());
            }
        };
        // The gate's own paths come before all that is let through.
        if self.gate.endpoints.at(head.uri().path()).is_some() {
            return Ok(surroundings);
        }
        if self.opens(head) {
            return Err(Verdict::Admitted(None, self.additions(head).into()));
        }
        if let Some(preflight) = guards.preflight(*head) {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::NO_CONTENT;
            preflight.write_to(response.headers_mut());
            return Err(Instead::Answered(Box::new(response)).into());
        }
        Ok(surroundings)
    }

    #[inline]
    fn opens(&self, head: &Head<'_>) -> bool {
        !self.open_paths.is_empty() && self.list_open(head.uri().path())
    }

    #[inline(never)]
    fn list_open(&self, path: &str) -> bool {
        self.open_paths.iter().any(|open| **open == *path)
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
