//! Requests to the gate's own paths: a page, or a form that has to be read first.

use std::sync::Arc;

use http::{HeaderValue, Method, header::CONTENT_TYPE};

use super::Passage;
use crate::{
    answer::Answer,
    cookie::SetCookies,
    denial::{Denial, Reason},
    gate::{
        endpoint::{Endpoint, FormRequest, Visit, not_allowed},
        form::Form,
        responses::OwnResponse,
        verdict::Instead,
    },
    guard::Surroundings,
    head::Head,
};

impl Passage {
    /// A request to one of the gate's own paths.
    #[cold]
    pub(super) fn at_endpoint(
        self: &Arc<Self>,
        endpoint: &dyn Endpoint,
        head: &Head<'_>,
        surroundings: Surroundings<'_>,
    ) -> Instead {
        match *head.method() {
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
    pub(crate) fn take_form(&self, head: Head<'_>, body: &[u8]) -> Answer<OwnResponse> {
        let head = head.with_clock(&*self.gate.clock);
        let surroundings = match self.gate.guards.surroundings(head) {
            Ok(surroundings) => surroundings,
            Err(denial) => {
                let told = self.refuse(denial, &head, None, None, SetCookies::default());
                return Answer::Now(*self.gate.telling.answer(told));
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
                let told = self.refuse(denial, &head, Some(&surroundings), None, SetCookies::default());
                Answer::Now(*self.gate.telling.answer(told))
            }
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
