//! A body that fails once something has happened.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::exit::Failure;

pin_project! {
    /// `body`, which fails as soon as `end` is ready.
    pub(crate) struct Until<B, F> {
        #[pin]
        pub(crate) body: B,
        #[pin]
        pub(crate) end: F,
    }
}

impl<B, F> Body for Until<B, F>
where
    B: Body<Data = Bytes, Error: Into<Failure>>,
    F: Future<Output = ()>,
{
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = self.project();
        let frame = this.body.poll_frame(context);
        // A body that has ended is not polled again, so `end` is not polled after it is ready.
        if !matches!(frame, Poll::Ready(None)) && this.end.poll(context).is_ready() {
            return Poll::Ready(Some(Err("the session ended".into())));
        }
        frame.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
