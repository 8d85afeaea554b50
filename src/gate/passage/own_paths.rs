//! Requests to the gate's own paths: a page, or a form that has to be read first.

use std::sync::Arc;

use http::{HeaderValue, Method, header::CONTENT_TYPE};

use super::Passage;
use crate::{
    answer::Answer,
    authenticate::Outcome,
    cookie::SetCookies,
    denial::{Denial, Reason},
    gate::{
        endpoint::{FormRequest, Visit, not_allowed},
        form::Form,
        responses::OwnResponse,
        verdict::Instead,
    },
    head::Head,
    session::Session,
};

impl Passage {
    /// A request to one of the gate's own paths.
    #[cold]
    pub(super) fn at_endpoint(self: &Arc<Self>, head: &Head<'_>) -> Instead {
        match *head.method() {
            Method::GET | Method::HEAD => {
                let additions = self.additions(head);
                let finish = |mut response: OwnResponse| {
                    additions.apply_to(response.headers_mut());
                    response
                };
                match self.serve(*head, None) {
                    Answer::Now(response) => Instead::Answered(Box::new(finish(response))),
                    Answer::Later(response) => {
                        Instead::Awaited(Box::pin(async move { finish(response.await) }))
                    }
                }
            }
            Method::POST => Instead::WantsForm(Box::new(FormRequest::new(Arc::clone(self), *head))),
            _ => Instead::Answered(Box::new(not_allowed())),
        }
    }

    /// The answer to a form that was sent to one of the gate's own paths.
    pub(crate) fn take_form(self: &Arc<Self>, head: Head<'_>, body: &[u8]) -> Answer<OwnResponse> {
        match is_urlencoded(head).then(|| Form::read(body)).flatten() {
            Some(form) => self.serve(head, Some(form)),
            None => Answer::Now(self.malformed_form(head)),
        }
    }

    fn malformed_form(&self, head: Head<'_>) -> OwnResponse {
        let denial = Denial::new(Reason::Malformed).with_detail("expected a form of well-formed fields");
        self.refuse_at_own_path(denial, head)
    }

    fn refuse_at_own_path(&self, denial: Denial, head: Head<'_>) -> OwnResponse {
        let surroundings = self.gate.guards.surroundings(head).ok();
        self.refuse(denial, &head, surroundings.as_ref(), None, SetCookies::default())
    }

    /// The answer at one of the gate's own paths, once it is known who asks.
    fn serve(self: &Arc<Self>, head: Head<'_>, form: Option<Form>) -> Answer<OwnResponse> {
        let head = head.with_clock(&*self.gate.clock);
        match self.ask(self.gate.chain.glance(&head), &head) {
            Answer::Now(outcome) => self.serve_to(outcome, head, form.as_ref()),
            Answer::Later(outcome) => {
                let (passage, request) = (Arc::clone(self), head.to_request());
                Answer::later(async move {
                    let outcome = outcome.await;
                    let head = Head::at(&request, &*passage.gate.clock);
                    passage.serve_to(outcome, head, form.as_ref()).await
                })
            }
        }
    }

    fn serve_to(&self, outcome: Outcome, head: Head<'_>, form: Option<&Form>) -> Answer<OwnResponse> {
        let surroundings = match self.gate.guards.surroundings(head) {
            Ok(surroundings) => surroundings,
            Err(denial) => return Answer::Now(self.refuse_at_own_path(denial, head)),
        };
        let Some(endpoint) = self.gate.endpoints.at(head.uri().path()) else {
            return Answer::Now(self.malformed_form(head));
        };
        let session = match outcome {
            Outcome::Accepted(session) => Some(session),
            _ => None,
        };
        let visit = Visit {
            passage: self,
            head,
            surroundings,
            session,
        };
        match form {
            Some(form) => endpoint.submit(&visit, form),
            None => endpoint.visit(&visit),
        }
    }

    /// Whether this session may use these routes, by its scopes and the authorizers.
    pub(crate) fn allows(&self, session: &Session, head: Head<'_>) -> bool {
        self.authorize(session, &head).is_ok()
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
