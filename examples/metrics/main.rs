//! Metrics of an application behind the layer, in the text format of Prometheus.
//!
//! ```text
//! cargo run --example metrics
//! curl http://127.0.0.1:8890/metrics
//! ```
//!
//! An [`Observer`] counts what the layer reports. `/metrics` stands outside of the layer here; in production, serve it on an
//! address that only the collector reaches.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, extract::State, routing::get};
use portcullis::{AuthLayer, AuthMethod, Event, Observer, Session, Token, request::Peer};

/// Counters by their name and labels. The labels have few values: a user name or a path would make one series for each.
#[derive(Clone, Default)]
struct Metrics(Arc<Mutex<BTreeMap<String, u64>>>);

impl Observer for Metrics {
    fn observe(&self, event: &Event<'_>) {
        let series = match event {
            Event::Admitted { session, .. } => {
                let by = match session.auth_method() {
                    AuthMethod::Cookie => "cookie",
                    AuthMethod::Token => "token",
                    _ => "other",
                };
                format!("portcullis_admitted_total{{by=\"{by}\"}}")
            }
            Event::Denied { reason, .. } => format!("portcullis_denied_total{{reason=\"{reason}\"}}"),
            Event::LoggedIn { .. } => "portcullis_logins_total".to_owned(),
            Event::LoggedOut { .. } => "portcullis_logouts_total".to_owned(),
            Event::Unavailable { .. } => "portcullis_unavailable_total".to_owned(),
            _ => return,
        };
        *self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(series)
            .or_default() += 1;
    }
}

impl Metrics {
    fn render(&self) -> String {
        let (mut text, mut last) = (String::new(), "");
        let series = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (series, count) in &*series {
            let name = series.split('{').next().unwrap_or_default();
            if name != last {
                let _ = writeln!(text, "# TYPE {name} counter");
                last = name;
            }
            let _ = writeln!(text, "{series} {count}");
        }
        text
    }
}

async fn hello(session: Session) -> String {
    format!("hello, {}\n", session.identity().display_name())
}

fn app(token: Token) -> Result<Router, portcullis::ConfigError> {
    let metrics = Metrics::default();
    let auth = AuthLayer::builder()
        .token(token)
        .observer(metrics.clone())
        .peer_extractor(|extensions| {
            let address = extensions.get::<axum::extract::ConnectInfo<SocketAddr>>();
            address.map(|address| Peer::Ip(address.0))
        })
        .build()?;
    Ok(Router::new()
        .route("/", get(hello))
        .layer(auth)
        .route(
            "/metrics",
            get(|State(metrics): State<Metrics>| async move { metrics.render() }),
        )
        .with_state(metrics))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let token = Token::generate();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8890").await?;
    println!("open http://127.0.0.1:8890/?token={}", token.expose());
    println!("metrics: http://127.0.0.1:8890/metrics");
    let app = app(token)?.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn get(address: SocketAddr, path: &str, fields: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{fields}\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer
    }

    #[tokio::test]
    async fn admitted_and_denied_requests_are_counted_without_a_secret() {
        let token = Token::generate();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        let app = app(token.clone()).expect("an application");
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let server = tokio::spawn(async move { axum::serve(listener, app).await });

        let token = token.expose();
        let good = format!("authorization: Bearer {token}\r\n");
        for fields in [&*good, &*good, "authorization: Bearer wrong\r\n", ""] {
            get(address, "/", fields).await;
        }
        let login = get(address, &format!("/?token={token}"), "accept: text/html\r\n").await;
        let cookie = login
            .split("set-cookie: ")
            .nth(1)
            .and_then(|line| line.split(';').next());
        get(address, "/", &format!("cookie: {}\r\n", cookie.expect("a login"))).await;

        let metrics = get(address, "/metrics", "").await;
        let (_, body) = metrics.split_once("\r\n\r\n").expect("a body");
        assert_eq!(
            body,
            "# TYPE portcullis_admitted_total counter\n\
             portcullis_admitted_total{by=\"cookie\"} 1\n\
             portcullis_admitted_total{by=\"token\"} 2\n\
             # TYPE portcullis_denied_total counter\n\
             portcullis_denied_total{reason=\"missing credentials\"} 1\n\
             portcullis_denied_total{reason=\"unknown token\"} 1\n\
             # TYPE portcullis_logins_total counter\n\
             portcullis_logins_total 1\n"
        );
        server.abort();
    }
}
