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
        Admitted { held: Option<Box<PendingRequest<S, Q>>>, afterwards: ResponseAdditions },
    }
}

/// A request that waits, with a clone of the service, which is made ready once the request is admitted, and the layer
/// that handles it.
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
    #[inline]
    pub(super) fn new(step: Step, route: &Arc<RouteAuth>, mut request: Request<Q>, inner: &mut S) -> Self {
        let state = match step {
            Step::Admit(session, afterwards) => {
                route.insert_session(session, &mut request);
                State::Inner {
                    future: inner.call(request),
                    afterwards,
                }
            }
            Step::Answer(response) => State::Answer {
                response: Some(response),
            },
            Step::AnswerLater(response) => {
                release(inner);
                State::AnswerLater { response }
            }
            Step::ReadForm => {
                release(inner);
                let form = FormSubmission::new(Arc::clone(route), route.head(&request));
                State::AnswerLater {
                    response: Box::pin(form.read_and_respond(request.into_body())),
                }
            }
            Step::Wait(outcome) => {
                release(inner);
                let held = PendingRequest {
                    request,
                    inner: inner.clone(),
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
                    afterwards.complete(&mut response);
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
                StateProjection::Admitted { held, afterwards } => {
                    let service = &mut held.as_mut().expect("a service is called once").inner;
                    ready!(service.poll_ready(context))?;
                    let PendingRequest {
                        request, mut inner, ..
                    } = *held.take().expect("a service is called once");
                    let (future, afterwards) = (inner.call(request), mem::take(afterwards));
                    state.set(State::Inner { future, afterwards });
                    continue;
                }
                StateProjection::Wait { outcome, held } => {
                    let outcome = ready!(outcome.as_mut().poll(context));
                    (outcome, held.take().expect("an outcome comes once"))
                }
            };
            let mut held = held;
            match held.route.resume(outcome, &held.route.head(&held.request)) {
                Step::Admit(session, afterwards) => {
                    let PendingRequest { request, route, .. } = &mut *held;
                    route.insert_session(session, request);
                    let held = Some(held);
                    state.set(State::Admitted { held, afterwards });
                }
                step => {
                    let mut held = *held;
                    state.set(Self::new(step, &held.route, held.request, &mut held.inner).state);
                }
            }
        }
    }
}

/// Drops the service that was polled ready, with what it has reserved, such as a permit of a `ConcurrencyLimit`: while
/// this request waits, others may have that. A clone takes its place.
fn release<S: Clone>(inner: &mut S) {
    *inner = inner.clone();
}

impl<S, Q, F> fmt::Debug for ResponseFuture<S, Q, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}
