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
    answer::BoxFuture,
    authenticate::Outcome,
    error::BoxError,
    gate::{
        AuthBody,
        decision::{Afterwards, Decision},
        passage::{Instead, Passage},
        responses::OwnResponse,
    },
    head::Head,
};

pin_project! {
    /// The answer of an `AuthService` to come: the inner service's, or the gate's own.
    pub struct ResponseFuture<S, Q, F> {
        #[pin]
        state: State<S, Q, F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, Q, F> {
        // Nothing is added to the answer, as to nearly all.
        Running { #[pin] future: F },
        Adding { #[pin] future: F, afterwards: Afterwards },
        Answered { response: Option<Box<OwnResponse>> },
        Reading { response: BoxFuture<OwnResponse> },
        Waiting { outcome: BoxFuture<Outcome>, held: Option<Box<Held<S, Q>>> },
    }
}

/// What waits with the request: the readied service, and the gate that asked.
struct Held<S, Q> {
    request: Request<Q>,
    inner: S,
    passage: Arc<Passage>,
}

impl<S, Q, F> ResponseFuture<S, Q, F> {
    #[inline]
    pub(crate) fn running(future: F) -> Self {
        Self {
            state: State::Running { future },
        }
    }

    #[inline]
    pub(crate) fn adding(afterwards: Afterwards, future: F) -> Self {
        if afterwards.is_nothing() {
            // To drop nothing costs more than to say that it is nothing.
            mem::forget(afterwards);
            return Self::running(future);
        }
        Self {
            state: State::Adding { future, afterwards },
        }
    }

    pub(crate) fn waiting(
        outcome: BoxFuture<Outcome>,
        request: Request<Q>,
        inner: S,
        passage: Arc<Passage>,
    ) -> Self {
        Self {
            state: State::Waiting {
                outcome,
                held: Some(Box::new(Held {
                    request,
                    inner,
                    passage,
                })),
            },
        }
    }
}

impl<S, Q, F> ResponseFuture<S, Q, F>
where
    S: Service<Request<Q>, Future = F>,
    Q: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    /// Carries out what was decided.
    #[inline(always)]
    pub(crate) fn decided(decision: Decision, passage: &Passage, request: Request<Q>, inner: &mut S) -> Self {
        match decision {
            Decision::Admitted { session, afterwards } => {
                if !passage.introduces() {
                    return Self::adding(afterwards, inner.call(request));
                }
                let mut request = request;
                passage.hand_over(session, request.extensions_mut());
                Self::adding(afterwards, inner.call(request))
            }
            Decision::Answered(answer) => Self::instead(Instead::Answer(answer), request),
            Decision::WantsForm(form) => Self::instead(Instead::ReadForm(form), request),
        }
    }
}

impl<S, Q, F> ResponseFuture<S, Q, F>
where
    Q: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    /// What the gate does in place of the inner service.
    pub(crate) fn instead(instead: Instead, request: Request<Q>) -> Self {
        let state = match instead {
            Instead::Answer(response) => State::Answered {
                response: Some(response),
            },
            Instead::Await(response) => State::Reading { response },
            Instead::ReadForm(form) => State::Reading {
                response: Box::pin(form.read(request.into_body())),
            },
        };
        Self { state }
    }
}

impl<S, Q, B> Future for ResponseFuture<S, Q, S::Future>
where
    S: Service<Request<Q>, Response = Response<B>>,
    Q: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type Output = Result<Response<AuthBody<B>>, S::Error>;

    /// # Panics
    ///
    /// If it is polled again after its answer, as futures may.
    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().state.poll(context)
    }
}

impl<S, Q, B> State<S, Q, S::Future>
where
    S: Service<Request<Q>, Response = Response<B>>,
    Q: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    #[inline(always)]
    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Response<AuthBody<B>>, S::Error>> {
        match self.as_mut().project() {
            StateProjection::Running { future } => future
                .poll(context)
                .map_ok(|response| response.map(AuthBody::inner)),
            StateProjection::Adding { future, afterwards } => {
                let mut response = ready!(future.poll(context))?;
                mem::take(afterwards).apply_to(response.headers_mut());
                Poll::Ready(Ok(response.map(AuthBody::inner)))
            }
            _ => self.poll_unusual(context),
        }
    }

    // Not inlined, so that the usual answer is not copied by way of what these states need.
    #[inline(never)]
    fn poll_unusual(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Response<AuthBody<B>>, S::Error>> {
        match self.as_mut().project() {
            StateProjection::Answered { response } => {
                let response = response.take().expect("an answer is given once");
                Poll::Ready(Ok(response.map(AuthBody::own)))
            }
            StateProjection::Reading { response } => {
                let response = ready!(response.as_mut().poll(context));
                Poll::Ready(Ok(response.map(AuthBody::own)))
            }
            StateProjection::Waiting { outcome, held } => {
                let outcome = ready!(outcome.as_mut().poll(context));
                let Held {
                    request,
                    mut inner,
                    passage,
                } = *held.take().expect("an outcome comes once");
                let decision = passage.conclude_later(outcome, Head::of(&request));
                let next = ResponseFuture::decided(decision, &passage, request, &mut inner);
                self.set(next.state);
                self.poll(context)
            }
            StateProjection::Running { .. } | StateProjection::Adding { .. } => self.poll(context),
        }
    }
}

impl<S, Q, F> fmt::Debug for ResponseFuture<S, Q, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}
