//! A kernel supervisor that an editor uses, on bare hyper.

use std::{convert::Infallible, io::Write as _, os::unix::fs::OpenOptionsExt as _};

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use portcullis::{AllowedHosts, AuthLayer, FileSource, Token, authenticate::TokenSource};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tower::{Layer, service_fn};

use super::{
    Outside,
    raw_client::{ask, socket},
};
use crate::common::TOKEN;

/// Kernels by plain requests, and their channels by websocket.
async fn kernels(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let Some(key) = request.headers().get("sec-websocket-key") else {
        return Ok(Response::new(Full::from("kernels")));
    };
    let answer = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-accept", derive_accept_key(key.as_bytes()))
        .header("sec-websocket-protocol", "kernel")
        .body(Full::default());
    Ok(answer.expect("an answer"))
}

#[tokio::test]
async fn it_reads_its_token_from_a_file_that_is_gone_afterwards_and_checks_both_kinds() -> Outside {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("handover");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(TOKEN.as_bytes())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;

    // user:
    let token = Token::load(&FileSource::new(&path).delete_after_read())?;
    let auth = AuthLayer::builder()
        .token(token)
        .token_sources([TokenSource::Authorization, TokenSource::WebSocketSubprotocol])
        .allowed_hosts(AllowedHosts::loopback())
        .build()?;
    let service = TowerToHyperService::new(auth.layer(service_fn(kernels)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (service, server) = (service.clone(), Builder::new(TokioExecutor::new()));
            tokio::spawn(async move {
                let _ = server
                    .serve_connection_with_upgrades(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    // asserted:
    assert!(!path.exists());
    for (lines, status) in [
        (format!("GET /kernels\nauthorization: Bearer {TOKEN}"), 200),
        ("GET /kernels\nauthorization: Bearer wrong".to_owned(), 401),
        ("GET /kernels".to_owned(), 401),
        (format!("GET /kernels?token={TOKEN}"), 401),
    ] {
        assert_eq!(ask(address, &lines, "").await.status, status, "{lines}");
    }
    let offered = |token: &str| format!("kernel, v1.token.websocket.jupyter.org.{token}");
    for (name, value, status) in [
        ("sec-websocket-protocol", offered(TOKEN), 101),
        ("sec-websocket-protocol", offered("wrong"), 401),
        ("sec-websocket-protocol", "kernel".to_owned(), 401),
    ] {
        let fields = [(name, &*value)];
        assert_eq!(socket(address, "/channels", &fields).await, status, "{value}");
    }
    let rebound = [
        ("authorization", &*format!("Bearer {TOKEN}")),
        ("host", "rebound.example"),
    ];
    assert_eq!(socket(address, "/channels", &rebound).await, 403);
    Ok(())
}
