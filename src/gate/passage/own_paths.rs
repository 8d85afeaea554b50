//! Requests to the gate's own paths: a page, or a form that has to be read first.

use std::sync::Arc;

use http::{HeaderValue, Method, header::CONTENT_TYPE};

use super::{Passage, decide::Step};
use crate::{
    authenticate::Outcome,
    denial::{Denial, Reason},
    gate::{
        endpoint::{Visit, not_allowed},
        form::Form,
        responses::OwnResponse,
    },
    head::Head,
    maybe_future::Answer,
};

impl Passage {
    /// What happens with a request to one of the layer's own paths.
    pub(super) fn at_own_path(self: &Arc<Self>, head: &Head<'_>) -> Step {
        match *head.method() {
            Method::GET | Method::HEAD => {
                let additions = self.additions(head);
                let finish = |mut response: OwnResponse| {
                    additions.apply_to(response.headers_mut());
                    response
                };
                match self.serve(*head, None) {
                    Answer::Now(response) => Step::Answer(Box::new(finish(response))),
                    Answer::Later(response) => {
                        Step::AnswerLater(Box::pin(async move { finish(response.await) }))
                    }
                }
            }
            Method::POST => Step::ReadForm,
            _ => Step::Answer(Box::new(not_allowed())),
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
        self.refuse(denial.into(), &head)
    }

    /// The answer at one of the gate's own paths, once it is known who asks.
    fn serve(self: &Arc<Self>, head: Head<'_>, form: Option<Form>) -> Answer<OwnResponse> {
        let head = head.with_clock(&*self.gate.clock);
        match self.authenticate(&head) {
            Answer::Now(outcome) => self.serve_to(outcome, head, form.as_ref()),
            Answer::Later(_) if !self.waits_for_session(head) => {
                self.serve_to(Outcome::Absent, head, form.as_ref())
            }
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

    fn waits_for_session(&self, head: Head<'_>) -> bool {
        let endpoint = self.endpoints.at(head.uri().path());
        endpoint.is_some_and(|endpoint| endpoint.waits_for_session())
    }

    fn serve_to(&self, outcome: Outcome, head: Head<'_>, form: Option<&Form>) -> Answer<OwnResponse> {
        let surroundings = match self.gate.guards.surroundings(head) {
            Ok(surroundings) => surroundings,
            Err(denial) => return Answer::Now(self.refuse(denial.into(), &head)),
        };
        let Some(endpoint) = self.endpoints.at(head.uri().path()) else {
            return Answer::Now(self.malformed_form(head));
        };
        let session = match outcome {
            Outcome::Accepted(session) => Some(session),
            _ => None,
        };
        let is_permitted = session
            .as_ref()
            .is_some_and(|session| self.authorize(session, &head).is_ok());
        let visit = Visit {
            gate: &self.gate,
            head,
            surroundings,
            session,
            is_permitted,
        };
        match form {
            Some(form) => endpoint.submit(&visit, form),
            None => endpoint.visit(&visit),
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
