//! The decision about a request, for a server without tower.

use std::sync::Arc;

use crate::{
    gate::{
        afterwards::Afterwards,
        form_request::FormRequest,
        passage::{Passage, decide::Step},
        responses::OwnResponse,
    },
    head::Head,
    maybe_future::Answer,
    session::Session,
};

/// What the gate decided of a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Decision {
    /// Let in. The handler runs, and `afterwards` is applied to its answer.
    Admitted {
        /// Who, or `None` on a route that does not ask.
        session: Option<Session>,
        /// What the gate adds to the handler's answer.
        afterwards: Afterwards,
    },
    /// Answered by the gate itself: a refusal, a redirect, a preflight, a page.
    Answered(Box<OwnResponse>),
    /// Sent to one of the gate's own paths with a form: the body is to be read, and handed over.
    WantsForm(Box<FormRequest>),
}

impl Decision {
    /// A step as a server without tower carries it out. The head is cloned if an authenticator answers later.
    pub(crate) fn of(step: Step, passage: &Arc<Passage>, head: &Head<'_>) -> Answer<Self> {
        Answer::Now(match step {
            Step::Admit(session, afterwards) => Self::Admitted { session, afterwards },
            Step::Answer(response) => Self::Answered(response),
            Step::AnswerLater(response) => {
                return Answer::later(async move { Self::Answered(Box::new(response.await)) });
            }
            Step::ReadForm => Self::WantsForm(Box::new(FormRequest::new(Arc::clone(passage), *head))),
            Step::Wait(outcome) => {
                let (passage, request) = (Arc::clone(passage), head.to_request());
                return Answer::later(async move {
                    let outcome = outcome.await;
                    let head = passage.head(&request);
                    Self::of(passage.resume(outcome, &head), &passage, &head).await
                });
            }
        })
    }
}
