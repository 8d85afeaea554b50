//! The gate in front of a service.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Extensions, Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{
    error::BoxError,
    gate::{AuthBody, Decision, ResponseFuture, passage::Passage},
    head::Head,
    session::Session,
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
        match self.passage.decide_now(Head::of(&request)) {
            Ok(decision) => carry_out(decision, request, &mut self.inner, self.passage.inserts_session()),
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

fn hand_over(session: Option<Session>, extensions: &mut Extensions) {
    match session {
        Some(session) => drop(extensions.insert(session)),
        // What another gate left does not speak for this one.
        None => drop(extensions.remove::<Session>()),
    }
}

/// Does what was decided, now or on wake: the one way from a decision to an answer.
#[inline(always)]
pub(crate) fn carry_out<S, Q, B>(
    decision: Decision,
    mut request: Request<Q>,
    inner: &mut S,
    inserts_session: bool,
) -> ResponseFuture<S, Q, S::Future>
where
    S: Service<Request<Q>, Response = Response<B>>,
    Q: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    match decision {
        Decision::Admitted { session, afterwards } => {
            if inserts_session {
                hand_over(session, request.extensions_mut());
            }
            ResponseFuture::running(inner.call(request), afterwards)
        }
        Decision::Answered(response) => ResponseFuture::answered(response),
        Decision::WantsForm(form) => ResponseFuture::reading(form, request.into_body()),
    }
}
