//! The answer to come.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{
    authenticate::Outcome,
    error::BoxError,
    maybe_future::BoxFuture,
    middleware::{
        AuthBody, decide::Step, error_response::FullResponse, form_submission::FormSubmission,
        response_additions::ResponseAdditions, route::RouteAuth,
    },
};

pin_project! {
    /// The answer of an `AuthService` to come: the inner service's, or the layer's own.
    pub struct ResponseFuture<S, Q, F> {
        #[pin]
        state: State<S, Q, F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, Q, F> {
        Inner { #[pin] future: F, afterwards: ResponseAdditions },
        Answer { response: Option<Box<FullResponse>> },
        AnswerLater { response: BoxFuture<FullResponse> },
        Wait { outcome: BoxFuture<Outcome>, held: Option<Box<PendingRequest<S, Q>>> },
    }
}

/// What waits with the request: the readied service, and the layer that asked.
struct PendingRequest<S, Q> {
    request: Request<Q>,
    inner: S,
    route: Arc<RouteAuth>,
}

impl<S, Q, B> ResponseFuture<S, Q, S::Future>
where
    S: Service<Request<Q>, Response = Response<B>> + Clone,
    Q: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    /// Carries out a step of the decision about `request`.
    pub(super) fn new(step: Step, route: &Arc<RouteAuth>, mut request: Request<Q>, inner: &mut S) -> Self {
        let state = match step {
            Step::Admit(session, afterwards) => {
                route.insert_session(session, request.extensions_mut());
                State::Inner {
                    future: inner.call(request),
                    afterwards,
                }
            }
            Step::Answer(response) => State::Answer {
                response: Some(response),
            },
            Step::AnswerLater(response) => State::AnswerLater { response },
            Step::ReadForm => {
                let form = FormSubmission::new(Arc::clone(route), route.head(&request));
                State::AnswerLater {
                    response: Box::pin(form.read_and_respond(request.into_body())),
                }
            }
            Step::Wait(outcome) => {
                // Only the service that was polled ready may be called, so it goes with the request and its clone
                // stays here, as the documentation of `Service` asks.
                let clone = inner.clone();
                let held = PendingRequest {
                    request,
                    inner: mem::replace(inner, clone),
                    route: Arc::clone(route),
                };
                State::Wait {
                    outcome,
                    held: Some(Box::new(held)),
                }
            }
        };
        Self { state }
    }
}

impl<S, Q, B> Future for ResponseFuture<S, Q, S::Future>
where
    S: Service<Request<Q>, Response = Response<B>> + Clone,
    Q: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type Output = Result<Response<AuthBody<B>>, S::Error>;

    /// # Panics
    ///
    /// If it is polled again after its answer, as futures may.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let (outcome, held) = match state.as_mut().project() {
                StateProjection::Inner { future, afterwards } => {
                    let mut response = ready!(future.poll(context))?;
                    mem::take(afterwards).apply_to_response(&mut response);
                    return Poll::Ready(Ok(response.map(AuthBody::inner)));
                }
                StateProjection::Answer { response } => {
                    let response = response.take().expect("an answer is given once");
                    return Poll::Ready(Ok(response.map(AuthBody::own)));
                }
                StateProjection::AnswerLater { response } => {
                    let response = ready!(response.as_mut().poll(context));
                    return Poll::Ready(Ok(response.map(AuthBody::own)));
                }
                StateProjection::Wait { outcome, held } => {
                    let outcome = ready!(outcome.as_mut().poll(context));
                    (outcome, held.take().expect("an outcome comes once"))
                }
            };
            let PendingRequest {
                request,
                mut inner,
                route,
            } = *held;
            let step = route.resume(outcome, &route.head(&request));
            state.set(Self::new(step, &route, request, &mut inner).state);
        }
    }
}

impl<S, Q, F> fmt::Debug for ResponseFuture<S, Q, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}
