//! How requests travel: any tower service.

use std::{
    error::Error,
    fmt,
    future::poll_fn,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Full, Limited};
use tokio::runtime::Handle;
use tower_service::Service;

use crate::{error::BoxError, maybe_future::BoxFuture};

/// The longest response that is read, in bytes.
const LIMIT: usize = 1024 * 1024;

/// How long an answer may take, its body included.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A way to send a request and get an answer whole.
pub(crate) trait Transport: Send + Sync {
    fn send(&self, request: Request<Full<Bytes>>) -> BoxFuture<Result<Response<Bytes>, BoxError>>;
}

/// A tower service as one, cloned for each request.
pub(crate) struct ServiceTransport<S>(pub(crate) Mutex<S>);

impl<S, B> Transport for ServiceTransport<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    fn send(&self, request: Request<Full<Bytes>>) -> BoxFuture<Result<Response<Bytes>, BoxError>> {
        let mut service = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let exchange = async move {
            poll_fn(|context| service.poll_ready(context))
                .await
                .map_err(Into::into)?;
            let (parts, body) = service.call(request).await.map_err(Into::into)?.into_parts();
            let body = Limited::new(body, LIMIT).collect().await?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        };
        Box::pin(async move {
            // Without its runtime, tokio's timer panics.
            if Handle::try_current().is_err() {
                return Err("expected to run on tokio, which limits the time of a request".into());
            }
            tokio::time::timeout(TIMEOUT, exchange)
                .await
                .unwrap_or_else(|_| Err(Timeout.into()))
        })
    }
}

/// The server took too long.
#[derive(Debug)]
struct Timeout;

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer within {} seconds", TIMEOUT.as_secs())
    }
}

impl Error for Timeout {}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use tower::service_fn;

    use super::*;

    #[test]
    fn a_request_outside_of_tokio_fails_and_does_not_panic() {
        let service = service_fn(|_| async { Ok::<_, BoxError>(Response::new(Full::<Bytes>::default())) });
        let mut answer = ServiceTransport(Mutex::new(service)).send(Request::default());
        match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Err(error)) => assert!(error.to_string().contains("tokio"), "{error}"),
            other => panic!("{other:?}"),
        }
    }
}
