//! The decision about a request, for a server without tower.

use std::sync::Arc;

use crate::{
    maybe_future::MaybeFuture,
    middleware::{
        decide::Step, error_response::FullResponse, form_submission::FormSubmission,
        response_additions::ResponseAdditions, route::RouteAuth,
    },
    request::head::RequestHead,
    session::Session,
};

/// What the gate decided of a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Decision {
    /// Let in. The handler runs, and `afterwards` is applied to its answer.
    Allow {
        /// Who, or `None` on a route that does not ask.
        session: Option<Session>,
        /// What the gate adds to the handler's answer.
        afterwards: ResponseAdditions,
    },
    /// Answered by the gate itself: a refusal, a redirect, a preflight, a page.
    Respond(Box<FullResponse>),
    /// Sent to one of the gate's own paths with a form: the body is to be read, and handed over.
    NeedsForm(Box<FormSubmission>),
}

impl Decision {
    /// A step as a server without tower carries it out. The head is cloned if an authenticator answers later.
    pub(crate) fn of(step: Step, route: &Arc<RouteAuth>, head: &RequestHead<'_>) -> MaybeFuture<Self> {
        MaybeFuture::Ready(match step {
            Step::Admit(session, afterwards) => Self::Allow { session, afterwards },
            Step::Answer(response) => Self::Respond(response),
            Step::AnswerLater(response) => {
                return MaybeFuture::from_future(async move { Self::Respond(Box::new(response.await)) });
            }
            Step::ReadForm => Self::NeedsForm(Box::new(FormSubmission::new(Arc::clone(route), *head))),
            Step::Wait(outcome) => {
                let (route, request) = (Arc::clone(route), head.to_request());
                return MaybeFuture::from_future(async move {
                    let outcome = outcome.await;
                    let head = route.head(&request);
                    Self::of(route.resume(outcome, &head), &route, &head).await
                });
            }
        })
    }
}
