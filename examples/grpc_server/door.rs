//! The code that `tonic-build` generates from `door.proto`, by hand, so that the example runs without `protoc`.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Buf, BufMut};
use http::{Request, Response};
use tonic::{
    Status,
    body::Body,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::{Grpc, NamedService, UnaryService},
};
use tower::Service;

type BoxFuture<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

pub(crate) trait Door: Send + Sync + 'static {
    fn knock(
        &self,
        request: tonic::Request<()>,
    ) -> impl Future<Output = Result<tonic::Response<String>, Status>> + Send;

    fn open(
        &self,
        request: tonic::Request<()>,
    ) -> impl Future<Output = Result<tonic::Response<String>, Status>> + Send;
}

pub(crate) struct DoorServer<D>(Arc<D>);

impl<D> DoorServer<D> {
    pub(crate) fn new(door: D) -> Self {
        Self(Arc::new(door))
    }
}

impl<D> Clone for DoorServer<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<D> NamedService for DoorServer<D> {
    const NAME: &'static str = "door.Door";
}

impl<D: Door> Service<Request<Body>> for DoorServer<D> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let door = Arc::clone(&self.0);
        Box::pin(async move {
            let mut grpc = Grpc::new(Text);
            Ok(match request.uri().path() {
                "/door.Door/Knock" => grpc.unary(Knock(door), request).await,
                "/door.Door/Open" => grpc.unary(Open(door), request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

struct Knock<D>(Arc<D>);

impl<D: Door> UnaryService<()> for Knock<D> {
    type Response = String;
    type Future = BoxFuture<tonic::Response<String>, Status>;

    fn call(&mut self, request: tonic::Request<()>) -> Self::Future {
        let door = Arc::clone(&self.0);
        Box::pin(async move { door.knock(request).await })
    }
}

struct Open<D>(Arc<D>);

impl<D: Door> UnaryService<()> for Open<D> {
    type Response = String;
    type Future = BoxFuture<tonic::Response<String>, Status>;

    fn call(&mut self, request: tonic::Request<()>) -> Self::Future {
        let door = Arc::clone(&self.0);
        Box::pin(async move { door.open(request).await })
    }
}

/// Takes `Request`, which has no fields, and gives `Receiver`: field 1, a text.
#[derive(Default)]
struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, text: String, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        // Field 1, length-delimited; the length seven bits at a time, the lowest first.
        buffer.put_u8(0x0a);
        let mut length = text.len();
        while length > 0x7f {
            buffer.put_u8(length as u8 | 0x80);
            length >>= 7;
        }
        buffer.put_u8(length as u8);
        buffer.put_slice(text.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        // Unknown fields are ignored, as protobuf requires.
        buffer.advance(buffer.remaining());
        Ok(Some(()))
    }
}
