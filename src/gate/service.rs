//! The gate in front of a service.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{
    error::BoxError,
    gate::{
        AuthBody, ResponseFuture,
        passage::{Instead, Passage, Verdict},
    },
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

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        match self.passage.judge_now(&self.passage.head(&request)) {
            Ok(Verdict::Known(grant)) => {
                if !self.passage.introduces() {
                    return ResponseFuture::running(self.inner.call(request));
                }
                let mut request = request;
                self.passage.introduce(grant, request.extensions_mut());
                ResponseFuture::running(self.inner.call(request))
            }
            Ok(Verdict::Decided(decision)) => {
                ResponseFuture::decided(decision, &self.passage, request, &mut self.inner)
            }
            Ok(Verdict::Awaited(response)) => ResponseFuture::instead(Instead::Await(response), request),
            Err(later) => {
                // Only the service that was polled ready may be called, so it goes with the request and its
                // clone stays here, as the documentation of `Service` asks.
                let clone = self.inner.clone();
                let ready = mem::replace(&mut self.inner, clone);
                ResponseFuture::waiting(later, request, ready, Arc::clone(&self.passage))
            }
        }
    }
}
