//! The gate in front of a service.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{
    error::BoxError,
    gate::{AuthBody, ResponseFuture, passage::Passage, verdict::Verdict},
};

/// A service with the gate in front of it; made by `AuthLayer`.
///
/// It is ready when the inner service is, and clones as cheaply as the inner service does.
#[derive(Clone, Debug)]
pub struct AuthService<S> {
    inner: S,
    passage: Arc<Passage>,
}

impl<S> AuthService<S> {
    pub(crate) fn new(inner: S, passage: Arc<Passage>) -> Self {
        Self { inner, passage }
    }
}

impl<S, Q, B> Service<Request<Q>> for AuthService<S>
where
    S: Service<Request<Q>, Response = Response<B>> + Clone,
    Q: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<AuthBody<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, Q, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Q>) -> Self::Future {
        let passage = &self.passage;
        // Each verdict is carried out here, where the request lies: to hand it on would be to copy it.
        match passage.judge_now(&passage.head(&request)) {
            Verdict::Admitted(session, afterwards) => {
                passage.introduce(session, request.extensions_mut());
                ResponseFuture::adding(afterwards, || self.inner.call(request))
            }
            Verdict::Instead(instead) => ResponseFuture::instead(instead, request),
            Verdict::Undecided(outcome) => {
                ResponseFuture::waiting(outcome, passage, request, &mut self.inner)
            }
        }
    }
}
