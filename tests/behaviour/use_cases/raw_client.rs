//! A client for the users that listen at a port of their own.

use std::net::SocketAddr;

use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Error, client::IntoClientRequest},
};

use crate::common::{Answered, request};

/// Sends `lines` and `body` to the server at `address`.
pub(super) async fn ask(address: SocketAddr, lines: &str, body: &str) -> Answered {
    let (mut head, _) = request(lines).into_parts();
    head.headers.remove("host");
    head.uri = format!("http://{address}{}", head.uri).parse().expect("a URI");
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::from_parts(head, Full::from(body.to_owned()));
    let (parts, body) = client.request(request).await.expect("an answer").into_parts();
    let text = body.collect().await.expect("a body").to_bytes();
    Answered {
        status: parts.status,
        parts,
        text: String::from_utf8_lossy(&text).into_owned(),
    }
}

/// The status that a websocket's handshake with these fields is answered with.
pub(super) async fn socket(address: SocketAddr, path: &str, fields: &[(&'static str, &str)]) -> u16 {
    let mut request = format!("ws://{address}{path}")
        .into_client_request()
        .expect("a request");
    for (name, value) in fields {
        request
            .headers_mut()
            .insert(*name, value.parse().expect("a value"));
    }
    match connect_async(request).await {
        Ok((_, answer)) => answer.status().as_u16(),
        Err(Error::Http(answer)) => answer.status().as_u16(),
        Err(error) => panic!("expected an answer, found {error}"),
    }
}
