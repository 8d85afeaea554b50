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
    middleware::{AuthBody, ResponseFuture, route::RouteAuth},
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

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let step = self.route.decide(&self.route.head(&request));
        ResponseFuture::new(step, &self.route, request, &mut self.inner)
    }
}
