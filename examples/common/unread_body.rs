//! Requests that are answered before their body has arrived, such as those without a credential.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
};
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::timeout;

/// How much of an unread body is read, and for how long.
const MAX_BODY: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads the rest of the body after the response, within limits. Without that hyper closes the connection, and the client's
/// next request on it fails.
pub(crate) async fn drained(request: Request) -> Request {
    request.map(|body| Body::new(Drained(body)))
}

struct Drained(Body);

impl http_body::Body for Drained {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.0).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        if !self.is_end_stream() {
            tokio::spawn(timeout(PATIENCE, to_bytes(mem::take(&mut self.0), MAX_BODY)));
        }
    }
}
