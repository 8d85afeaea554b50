//! The accept loop of every server: connections with TLS or without, served by any tower service until the end.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use pin_project_lite::pin_project;
use portcullis::{event::RedactedPath, request::Peer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, mpsc},
    time::{Instant, sleep, timeout},
};
use tokio_util::io::InspectReader;
use tower::{Service, ServiceExt as _};

use super::{
    exit::Failure,
    room::{PendingRequest, Room},
    shutdown::Stop,
    tls::Tls,
};

/// How often a connection with HTTP/2 and a pending request is checked for a client that has gone.
const PING: Duration = Duration::from_secs(60);

/// How long pending requests may go on once the server or the connection is to stop.
const GRACE: Duration = Duration::from_secs(3);

/// What is spoken on a connection.
#[derive(Clone)]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    Plain,
    /// HTTP/2 from the first byte on, as gRPC does it.
    Http2,
    /// TLS; the client chooses between HTTP/2 and HTTP/1.1 (ALPN).
    Tls(Tls),
}

impl From<Option<Tls>> for Protocol {
    fn from(tls: Option<Tls>) -> Self {
        tls.map_or(Self::Plain, Self::Tls)
    }
}

/// Serves `service` on `listener` until `stop`, and pending requests for a little longer. Each request has its
/// [`Peer`] in its extensions.
pub(crate) async fn serve<S, B>(
    listener: TcpListener,
    protocol: impl Into<Protocol>,
    service: S,
    room: Room,
    stop: Stop,
) -> Result<(), Failure>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<Failure>> + Send + 'static,
{
    let protocol = protocol.into();
    // Each connection holds a sender: all have ended when nothing can be received.
    let (open, mut all_ended) = mpsc::channel::<Infallible>(1);
    let mut stopped = pin!(stop.clone().requested());
    loop {
        let (stream, address, place) = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            () = &mut stopped => break,
        };
        let serving = connection(
            stream,
            address,
            place,
            protocol.clone(),
            service.clone(),
            room.clone(),
            stop.clone(),
        );
        let open = open.clone();
        tokio::spawn(async move {
            serving.await;
            drop(open);
        });
    }
    drop((listener, open));
    let _ = timeout(GRACE, all_ended.recv()).await;
    Ok(())
}

async fn accept(listener: &TcpListener, room: &Room) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => return (stream, address, room.place().await),
            // The client closed the connection before it was accepted.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                ) => {}
            // Most likely there are too many open files.
            Err(error) => {
                tracing::error!("cannot accept a connection: {error}");
                room.close_longest_idle();
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves one connection to its end. Errors of a connection concern its client alone.
async fn connection<S, B>(
    stream: TcpStream,
    address: SocketAddr,
    place: OwnedSemaphorePermit,
    protocol: Protocol,
    service: S,
    room: Room,
    stop: Stop,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<Failure>> + Send + 'static,
{
    let connection = room.connection();
    let _ = stream.set_nodelay(true);
    // The place is taken as long as the stream is open: a websocket outlives this function.
    let stream = InspectReader::new(stream, move |_: &[u8]| {
        let _ = &place;
    });
    let opened = tokio::select! {
        opened = open(stream, protocol) => opened,
        () = connection.closed_for_another() => return,
        () = connection.idle_too_long() => return,
        () = stop.clone().requested() => return,
    };
    let Ok((stream, http2)) = opened else { return };

    let requests = Arc::clone(&connection);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let under_way = requests.begin();
        request.extensions_mut().insert(Peer::Ip(address));
        let line = RequestLine::new(&request, address);
        let answer = service.clone().oneshot(request);
        async move {
            let response = answer.await?;
            if let Some(line) = line {
                line.log(response.status());
            }
            Ok::<_, Infallible>(response.map(|body| Counted { body, under_way }))
        }
    });
    let stream = TokioIo::new(stream);
    let over = async {
        tokio::select! {
            () = connection.idle_too_long() => {}
            () = stop.requested() => {}
        }
    };
    // Not hyper-util's `auto`: it speaks HTTP/2 with every client that begins with its preface.
    let serving = async {
        if http2 {
            let mut server = http2::Builder::new(TokioExecutor::new());
            server.timer(TokioTimer::new()).keep_alive_interval(PING);
            let mut serving = pin!(server.serve_connection(stream, service));
            tokio::select! {
                _ = serving.as_mut() => return,
                () = over => serving.as_mut().graceful_shutdown(),
            }
            let _ = timeout(GRACE, serving).await;
        } else {
            let server = http1::Builder::new();
            let mut serving = pin!(server.serve_connection(stream, service).with_upgrades());
            tokio::select! {
                _ = serving.as_mut() => return,
                () = over => serving.as_mut().graceful_shutdown(),
            }
            let _ = timeout(GRACE, serving).await;
        }
    };
    tokio::select! {
        () = serving => {}
        () = connection.closed_for_another() => {}
    }
}

/// What is logged of a request.
struct RequestLine {
    method: Method,
    path: String,
    client: IpAddr,
    start: Instant,
}

impl RequestLine {
    /// Nothing, unless it will be logged.
    fn new<B>(request: &Request<B>, address: SocketAddr) -> Option<Self> {
        tracing::enabled!(tracing::Level::DEBUG).then(|| Self {
            method: request.method().clone(),
            path: RedactedPath::new(request.uri().path()).to_string(),
            client: address.ip(),
            start: Instant::now(),
        })
    }

    fn log(self, status: StatusCode) {
        let (status, elapsed) = (status.as_u16(), self.start.elapsed());
        tracing::debug!(
            "{status} {} {} {} {elapsed:.1?}",
            self.method,
            self.path,
            self.client
        );
    }
}

/// The stream to speak HTTP on, after the handshake if there is one, and whether that is HTTP/2.
async fn open(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    protocol: Protocol,
) -> io::Result<(Box<dyn Stream>, bool)> {
    match protocol {
        Protocol::Plain => Ok((Box::new(stream), false)),
        Protocol::Http2 => Ok((Box::new(stream), true)),
        Protocol::Tls(tls) => {
            let stream = tls.accept(stream).await?;
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            Ok((Box::new(stream), http2))
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pin_project! {
    /// The body of a response: until it ends, its request is pending.
    struct Counted<B> {
        #[pin]
        body: B,
        under_way: PendingRequest,
    }
}

impl<B: http_body::Body> http_body::Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().body.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
