//! The ready client: hyper's, with TLS by rustls and tower's limits.

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
use tower::{ServiceBuilder, limit::ConcurrencyLimitLayer, load_shed::LoadShedLayer, timeout::TimeoutLayer};

use super::{
    client_tls,
    internal_tls::InternalTls,
    transport::{ByService, Transport},
};
use crate::error::ConfigError;

/// The most requests to the hub that are under way at once; one more fails at once.
const CONCURRENCY: usize = 64;

/// How long a connection may take.
const CONNECTING: Duration = Duration::from_secs(3);

/// How long an answer's head may take.
const ANSWERING: Duration = Duration::from_secs(5);

/// A client that follows no redirect. It verifies TLS by the roots that browsers know, or as `tls` has it.
pub(super) fn ready(tls: Option<&InternalTls>) -> Result<Arc<dyn Transport>, ConfigError> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(CONNECTING));
    connector.set_nodelay(true);
    let builder = HttpsConnectorBuilder::new();
    let builder = match tls {
        Some(files) => builder.with_tls_config(client_tls::config(files)?),
        None => builder.with_webpki_roots(),
    };
    let connector = builder.https_or_http().enable_http1().wrap_connector(connector);
    let client = Client::builder(TokioExecutor::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .build::<_, Full<Bytes>>(connector);
    let service = ServiceBuilder::new()
        .layer(LoadShedLayer::new())
        .layer(ConcurrencyLimitLayer::new(CONCURRENCY))
        .layer(TimeoutLayer::new(ANSWERING))
        .service(client);
    Ok(Arc::new(ByService(Mutex::new(service))))
}
