//! The ready client: hyper's, with TLS by rustls. The deadline of a request is the transport's.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::ClientConfig;

use super::transport::{ServiceTransport, Transport};

/// How long a connection may take.
const CONNECTING: Duration = Duration::from_secs(3);

/// A client that follows no redirect, and verifies TLS as `tls` has it.
pub(crate) fn ready(tls: ClientConfig) -> Arc<dyn Transport> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(CONNECTING));
    connector.set_nodelay(true);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    let client = Client::builder(TokioExecutor::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .build::<_, Full<Bytes>>(connector);
    Arc::new(ServiceTransport(Mutex::new(client)))
}
