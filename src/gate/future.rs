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
use http_body_util::{BodyExt as _, Limited};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{
    answer::BoxFuture,
    authenticate::Outcome,
    error::BoxError,
    gate::{
        AuthBody, FormRequest,
        decision::Afterwards,
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
        Running { #[pin] future: F, afterwards: Afterwards },
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
    pub(crate) fn running(future: F, afterwards: Afterwards) -> Self {
        Self {
            state: State::Running { future, afterwards },
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
                response: Box::pin(read(form, request.into_body())),
            },
        };
        Self { state }
    }
}

/// Reads a form of bounded length, then answers it. How long a silent client may take is the server's to say.
async fn read<Q>(form: Box<FormRequest>, body: Q) -> OwnResponse
where
    Q: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    match Limited::new(body, FormRequest::LIMIT).collect().await {
        Ok(body) => form.answer(&body.to_bytes()).await,
        Err(_) => form.answer_unread(),
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
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProjection::Running { future, afterwards } => {
                    let response = ready!(future.poll(context))?.map(AuthBody::inner);
                    return Poll::Ready(Ok(if afterwards.is_nothing() {
                        response
                    } else {
                        mem::take(afterwards).added_to(response)
                    }));
                }
                StateProjection::Answered { response } => {
                    let response = response.take().expect("an answer is given once");
                    return Poll::Ready(Ok(response.map(AuthBody::own)));
                }
                StateProjection::Reading { response } => {
                    let response = ready!(response.as_mut().poll(context));
                    return Poll::Ready(Ok(response.map(AuthBody::own)));
                }
                StateProjection::Waiting { outcome, held } => {
                    let outcome = ready!(outcome.as_mut().poll(context));
                    let Held {
                        mut request,
                        mut inner,
                        passage,
                    } = *held.take().expect("an outcome comes once");
                    let decision = passage.conclude_later(outcome, Head::of(&request));
                    let next = match passage.carry_out(decision.into(), request.extensions_mut()) {
                        Ok(afterwards) => Self::running(inner.call(request), afterwards),
                        Err(instead) => Self::instead(instead, request),
                    };
                    state.set(next.state);
                }
            }
        }
    }
}

impl<S, Q, F> fmt::Debug for ResponseFuture<S, Q, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}
