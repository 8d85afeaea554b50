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

/// The decision of the layer about a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Decision {
    /// The request is allowed. The handler runs, and `afterwards` is applied to its response.
    Allow {
        /// The session, or `None` on a route that does not require one.
        session: Option<Session>,
        /// What the layer adds to the handler's response.
        afterwards: ResponseAdditions,
    },
    /// The layer responds itself: with a denial, a redirect, a CORS preflight response or a page.
    Respond(Box<FullResponse>),
    /// The request sends a form to one of the built-in paths. The caller reads the body and passes it to [`FormSubmission`].
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
