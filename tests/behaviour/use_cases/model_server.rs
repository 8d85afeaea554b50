//! A model server, over HTTP and gRPC: keys from an environment variable, health and metrics open.

use axum::{Router, routing::get};
use portcullis::{AuthLayer, EnvSource, Secret, TokenSet, secret::SecretSource};
use tokio::net::TcpListener;
use tonic::{
    Code, Request,
    transport::{Endpoint, Server, server::TcpIncoming},
};
use tonic_health::{
    pb::{HealthCheckRequest, health_client::HealthClient},
    server::health_reporter,
};

use super::{Outside, me, raw_client::ask};
use crate::subprocess;

/// The test runs in a process of its own, since the environment is the whole process's.
#[test]
fn one_layer_guards_http_and_grpc_by_keys_that_are_replaced_while_it_runs() -> Outside {
    let name = "in_a_process_with_keys";
    let mut unset = subprocess::command(module_path!(), name, "unset");
    unset.env_remove("API_KEYS");
    let mut keys = subprocess::command(module_path!(), name, "keys");
    keys.env("API_KEYS", "key-one-0123456789, key-two-0123456789");
    let mut empty = subprocess::command(module_path!(), name, "empty");
    empty.env("API_KEYS", "key-one-0123456789,,key-two-0123456789");
    for (mut command, succeeds, word) in [
        (keys, true, ""),
        (unset, false, "API_KEYS is not set"),
        (empty, false, "entry 2"),
    ] {
        let output = command.stdout(std::process::Stdio::piped()).output()?;
        let output_text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), succeeds, "{output_text}");
        assert!(
            output_text.contains(word) && !output_text.contains("key-one"),
            "{output_text}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn in_a_process_with_keys() -> Outside {
    if subprocess::task().is_none() {
        return Ok(());
    }
    let http = TcpListener::bind("127.0.0.1:0").await?;
    let grpc = TcpListener::bind("127.0.0.1:0").await?;
    let (http_address, grpc_address) = (http.local_addr()?, grpc.local_addr()?);
    let (_, health) = health_reporter();
    let models = Router::new()
        .route("/v1/models", get(async || "models"))
        .route("/health", get(async || "healthy"))
        .route("/metrics", get(async || "metrics"));

    // user:
    let load = || -> Result<TokenSet, Box<dyn std::error::Error>> {
        let list = EnvSource::new("API_KEYS").load()?.ok_or("API_KEYS is not set")?;
        Ok(TokenSet::from_list(&list, me("client"))?)
    };
    let keys = load()?;
    let auth = AuthLayer::bearer_tokens(keys.clone());
    let app = models.layer(auth.public_paths(["/health", "/metrics"]));
    let server = Server::builder()
        .layer(auth.public_paths(["/grpc.health.v1.Health/Check"]))
        .add_service(health)
        .serve_with_incoming(TcpIncoming::from(grpc));
    tokio::spawn(async { axum::serve(http, app).await });
    tokio::spawn(server);
    // asserted:
    let with = |key: &str| format!("GET /v1/models\nauthorization: Bearer {key}");
    for (lines, status) in [
        ("GET /health", 200),
        ("GET /metrics", 200),
        ("GET /metrics/", 401),
        ("GET /v1/models", 401),
        (&*with("key-two-0123456789"), 200),
    ] {
        assert_eq!(ask(http_address, lines, "").await.status, status, "{lines}");
    }
    let channel = Endpoint::from_shared(format!("http://{grpc_address}"))?
        .connect()
        .await?;
    let mut client = HealthClient::new(channel);
    client.check(HealthCheckRequest::default()).await?;
    let refused = client.watch(HealthCheckRequest::default()).await;
    let refused = refused.expect_err("watching is not open");
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::Unauthenticated, "missing credentials")
    );
    let watch = |key: &str| {
        let mut request = Request::new(HealthCheckRequest::default());
        let value = format!("Bearer {key}").parse().expect("a value");
        request.metadata_mut().insert("authorization", value);
        request
    };
    client.watch(watch("key-two-0123456789")).await?;

    keys.replace(TokenSet::from_list(
        &Secret::from("key-three-0123456789"),
        me("client"),
    )?);
    assert_eq!(
        ask(http_address, &with("key-two-0123456789"), "").await.status,
        401
    );
    assert_eq!(
        ask(http_address, &with("key-three-0123456789"), "").await.status,
        200
    );
    let refused = client
        .watch(watch("key-two-0123456789"))
        .await
        .expect_err("it was replaced");
    assert_eq!(refused.code(), Code::Unauthenticated);
    client.watch(watch("key-three-0123456789")).await?;
    Ok(())
}
