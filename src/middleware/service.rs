//! The service with the layer in front of it.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, StatusCode};
use http_body::Body;
use tower_service::Service;

use crate::{
    error::BoxError,
    middleware::{
        AuthBody, ResponseFuture, endpoint::status_response, error_response::FullResponse, route::RouteAuth,
    },
};

/// A service with the layer in front of it; made by `AuthLayer`.
///
/// It is ready when the inner service is, and clones as cheaply as the inner service does.
///
/// A request that waits for an authenticator, or whose form is read by the layer, holds nothing that the inner service has
/// reserved for it, such as a permit of `tower::limit::ConcurrencyLimit`. It is passed on once it is admitted and a clone of
/// the inner service is ready.
#[derive(Clone, Debug)]
pub struct AuthService<S> {
    inner: S,
    route: Arc<RouteAuth>,
}

impl<S> AuthService<S> {
    pub(crate) fn new(inner: S, route: Arc<RouteAuth>) -> Self {
        Self { inner, route }
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
        self.route.state().original_uri.restore(&mut request);
        let step = self.route.decide(&self.route.head(&request));
        ResponseFuture::new(step, &self.route, request, &mut self.inner)
    }
}

/// Answers every request with 404: what [`AuthLayer::pages`](crate::AuthLayer::pages) stands in front of.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct NotFound;

impl<Q> Service<Request<Q>> for NotFound {
    type Response = FullResponse;
    type Error = Infallible;
    type Future = Ready<Result<FullResponse, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Q>) -> Self::Future {
        ready(Ok(status_response(StatusCode::NOT_FOUND)))
    }
}
