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
        decision::Afterwards,
        passage::Passage,
        responses::OwnResponse,
        verdict::{Instead, Verdict},
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
    // Few states, so that the usual one is told by one look: that nothing is added to the answer.
    #[project = StateProjection]
    enum State<S, Q, F> {
        Adding { #[pin] future: F, afterwards: Afterwards },
        Inner { #[pin] future: F },
        Own { own: Own<S, Q> },
    }
}

/// The gate's own doing, in place of the inner service or before it.
enum Own<S, Q> {
    Answered(Option<Box<OwnResponse>>),
    Reading(BoxFuture<OwnResponse>),
    Waiting(BoxFuture<Outcome>, Option<Box<Held<S, Q>>>),
}

/// What waits with the request: the readied service, and the gate that asked.
struct Held<S, Q> {
    request: Request<Q>,
    inner: S,
    passage: Arc<Passage>,
}

impl<S, Q, F> ResponseFuture<S, Q, F>
where
    Q: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    /// The inner service's answer.
    #[inline(always)]
    pub(super) fn inner(future: F) -> Self {
        Self {
            state: State::Inner { future },
        }
    }

    /// The same, and what is added to it.
    #[inline(always)]
    pub(super) fn adding(afterwards: Afterwards, future: impl FnOnce() -> F) -> Self {
        // Asked before there is a future that would have to be moved.
        if afterwards.is_nothing() {
            // To drop nothing costs more than to say that it is nothing.
            mem::forget(afterwards);
            return Self::inner(future());
        }
        Self {
            state: State::Adding {
                future: future(),
                afterwards,
            },
        }
    }

    /// The decision to come, and then what it is.
    #[inline(never)]
    pub(super) fn waiting(
        outcome: BoxFuture<Outcome>,
        passage: &Arc<Passage>,
        request: Request<Q>,
        inner: &mut S,
    ) -> Self
    where
        S: Clone,
    {
        // Only the service that was polled ready may be called, so it goes with the request and its clone stays
        // here, as the documentation of `Service` asks.
        let clone = inner.clone();
        let held = Held {
            request,
            inner: mem::replace(inner, clone),
            passage: Arc::clone(passage),
        };
        Self::own(Own::Waiting(outcome, Some(Box::new(held))))
    }

    /// What the gate does in place of the inner service.
    #[inline(never)]
    pub(super) fn instead(instead: Instead, request: Request<Q>) -> Self {
        Self::own(match instead {
            Instead::Answered(response) => Own::Answered(Some(response)),
            Instead::Awaited(response) => Own::Reading(response),
            Instead::WantsForm(form) => Own::Reading(Box::pin(form.read(request.into_body()))),
        })
    }

    fn own(own: Own<S, Q>) -> Self {
        let state = State::Own { own };
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
    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().state.poll(context)
    }
}

impl<S, Q, B> State<S, Q, S::Future>
where
    S: Service<Request<Q>, Response = Response<B>> + Clone,
    Q: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    #[inline(always)]
    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Response<AuthBody<B>>, S::Error>> {
        match self.as_mut().project() {
            StateProjection::Adding { future, afterwards } => {
                let mut answer = future.poll(context);
                // Where it lies, so that it is not copied once more.
                if let Poll::Ready(Ok(response)) = &mut answer {
                    mem::take(afterwards).apply_to(response.headers_mut());
                }
                answer.map_ok(|response| response.map(AuthBody::inner))
            }
            StateProjection::Inner { future } => future
                .poll(context)
                .map_ok(|response| response.map(AuthBody::inner)),
            StateProjection::Own { .. } => self.poll_own(context),
        }
    }

    // Not inlined, so that the inner service's answer is not copied by way of what these states need.
    #[inline(never)]
    fn poll_own(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Response<AuthBody<B>>, S::Error>> {
        let StateProjection::Own { own } = self.as_mut().project() else {
            return self.poll(context);
        };
        match own {
            Own::Answered(response) => {
                let response = response.take().expect("an answer is given once");
                Poll::Ready(Ok(response.map(AuthBody::own)))
            }
            Own::Reading(response) => {
                let response = ready!(response.as_mut().poll(context));
                Poll::Ready(Ok(response.map(AuthBody::own)))
            }
            Own::Waiting(outcome, held) => {
                let outcome = ready!(outcome.as_mut().poll(context));
                let Held {
                    mut request,
                    mut inner,
                    passage,
                } = *held.take().expect("an outcome comes once");
                // As the service does it that could tell at once.
                let next = match passage.conclude_later(outcome, Head::of(&request)) {
                    Verdict::Admitted(session, afterwards) => {
                        passage.introduce(session, request.extensions_mut());
                        ResponseFuture::adding(afterwards, || inner.call(request))
                    }
                    Verdict::Instead(instead) => ResponseFuture::instead(instead, request),
                    Verdict::Undecided(outcome) => {
                        ResponseFuture::waiting(outcome, &passage, request, &mut inner)
                    }
                };
                self.set(next.state);
                self.poll(context)
            }
        }
    }
}

impl<S, Q, F> fmt::Debug for ResponseFuture<S, Q, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}
