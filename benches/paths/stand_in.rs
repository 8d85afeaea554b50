//! A gate of the least possible: what being a middleware and comparing a token costs at the very least.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response, StatusCode, header};
use pin_project_lite::pin_project;
use subtle::ConstantTimeEq as _;
use tower_layer::Layer;
use tower_service::Service;

/// Compares the text behind `Bearer ` with the one token there is.
#[derive(Clone, Debug)]
pub(crate) struct TokenGate<S = ()> {
    inner: S,
    token: Arc<str>,
}

impl TokenGate {
    pub(crate) fn new(token: &str) -> Self {
        Self {
            inner: (),
            token: token.into(),
        }
    }
}

impl<S> Layer<S> for TokenGate {
    type Service = TokenGate<S>;

    fn layer(&self, inner: S) -> TokenGate<S> {
        TokenGate {
            inner,
            token: Arc::clone(&self.token),
        }
    }
}

impl<S, Q, B> Service<Request<Q>> for TokenGate<S>
where
    S: Service<Request<Q>, Response = Response<B>>,
    B: Default,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Answer<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let credential = request.headers().get(header::AUTHORIZATION);
        let token = credential.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        if token.is_some_and(|token| bool::from(token.ct_eq(self.token.as_bytes()))) {
            Answer::Inner {
                future: self.inner.call(request),
            }
        } else {
            Answer::Refused
        }
    }
}

pin_project! {
    #[project = AnswerProjection]
    #[derive(Debug)]
    pub(crate) enum Answer<F> {
        Inner { #[pin] future: F },
        Refused,
    }
}

impl<F, B, E> Future for Answer<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Default,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let AnswerProjection::Inner { future } = self.project() else {
            let mut refused = Response::new(B::default());
            *refused.status_mut() = StatusCode::UNAUTHORIZED;
            return Poll::Ready(Ok(refused));
        };
        Poll::Ready(ready!(future.poll(context)))
    }
}
