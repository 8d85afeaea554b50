//! Connections taken one by one, with TLS or without, and served by any tower service until the end.

use std::{
    convert::Infallible,
    io::{self, Cursor},
    net::SocketAddr,
    pin::pin,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use hyper::{
    body::Incoming,
    rt::{Read, Write},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
};
use portcullis::Peer;
use tokio::{
    io::{AsyncReadExt as _, Chain, Join, ReadHalf, WriteHalf, join, split},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tower::{Service, ServiceExt as _};

use super::{
    failure::Failure,
    stop::Stop,
    tls::{Stream, Tls},
};

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How many octets a client of HTTP/2 begins with.
const PREFACE: usize = 24;

/// How long the head of a request may take, and how long a connection may be idle.
const HEAD: Duration = Duration::from_secs(60);

/// How long requests under way may go on once the server is to stop.
const GRACE: Duration = Duration::from_secs(3);

/// Serves `service` on `listener` until `stop`, and a little longer whoever is being answered then. Each request
/// has its [`Peer`] in its extensions.
///
/// With `tls` the client chooses between HTTP/2 and HTTP/1.1, without there is HTTP/1.1 alone.
pub(crate) async fn serve<S, B>(
    listener: TcpListener,
    tls: Option<Tls>,
    service: S,
    stop: Stop,
) -> Result<(), Failure>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<Failure>> + Send + 'static,
{
    let under_way = GracefulShutdown::new();
    let mut stopped = pin!(stop.requested());
    loop {
        let (stream, address) = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = &mut stopped => break,
        };
        tokio::spawn(connection(
            stream,
            address,
            tls.clone(),
            service.clone(),
            under_way.watcher(),
        ));
    }
    let _ = timeout(GRACE, under_way.shutdown()).await;
    Ok(())
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // It was gone before it was taken.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                ) => {}
            // Most likely there are too many open files; some will be closed.
            Err(error) => {
                eprintln!("cannot take a connection: {error}");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// One connection to its end. What goes wrong with it is its client's matter.
async fn connection<S, B>(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<Tls>,
    service: S,
    watcher: Watcher,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<Failure>> + Send + 'static,
{
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return answer(TokioIo::new(stream), false, address, service, watcher).await;
    };
    // In a task of its own and for a time only, so that whoever says nothing holds up nobody.
    let Ok(Ok((stream, http2))) = timeout(HANDSHAKE, shake_hands(stream, tls)).await else {
        return;
    };
    answer(TokioIo::new(stream), http2, address, service, watcher).await;
}

/// The stream after the handshake, and whether HTTP/2 is spoken on it. Its preface (RFC 9113 §3.4) counts as a
/// part of the handshake: for it the server below would wait for ever.
async fn shake_hands(
    stream: TcpStream,
    tls: Tls,
) -> io::Result<(
    Join<Chain<Cursor<Vec<u8>>, ReadHalf<Stream>>, WriteHalf<Stream>>,
    bool,
)> {
    let mut stream = tls.accept(stream).await?;
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let mut preface = vec![0; if http2 { PREFACE } else { 0 }];
    stream.read_exact(&mut preface).await?;
    let (reader, writer) = split(stream);
    Ok((join(Cursor::new(preface).chain(reader), writer), http2))
}

async fn answer<I, S, B>(io: I, http2: bool, address: SocketAddr, service: S, watcher: Watcher)
where
    I: Read + Write + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<Failure>> + Send + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer::Ip(address));
        service.clone().oneshot(request)
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    server.http2().timer(TokioTimer::new()).keep_alive_interval(HEAD);
    let server = if http2 {
        server.http2_only()
    } else {
        server.http1_only()
    };
    let _ = watcher
        .watch(server.serve_connection_with_upgrades(io, service))
        .await;
}
