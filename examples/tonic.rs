//! The layer in front of a gRPC service: `cargo run --example tonic`.
//!
//! The protected service is tonic's health service, so that the example needs no code generator.

use portcullis::{AuthLayer, Grant, Identity, Session, Token, TokenSet};
use tonic::transport::{Server, server::TcpIncoming};
use tonic::{Request, Status};
use tonic_health::{pb::health_server::HealthServer, server::HealthService};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let token = Token::generate();
    let grant = Grant::new(Identity::new("alice")).with_scopes(["health"]);
    let auth = AuthLayer::bearer_tokens(TokenSet::new([(token.clone(), grant)])?);
    let (reporter, _) = tonic_health::server::health_reporter();
    let health = HealthServer::with_interceptor(HealthService::from_health_reporter(reporter), check);

    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?; // port 0: any free port
    let address = incoming.local_addr()?;
    println!("Token: {}", token.expose());
    println!(
        "Try: printf '\\0\\0\\0\\0\\0' | curl -i --http2-prior-knowledge --data-binary @- --output - \\"
    );
    println!("  -H 'content-type: application/grpc' -H 'te: trailers' -H 'authorization: Bearer TOKEN' \\");
    println!("  http://{address}/grpc.health.v1.Health/Check");
    Server::builder()
        .layer(auth)
        .add_service(health)
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}

/// A method of your own service finds the session in the same way.
fn check(request: Request<()>) -> Result<Request<()>, Status> {
    let session = Session::from_extensions(request.extensions()).ok_or(Status::internal("no AuthLayer"))?;
    println!("called by {}", session.identity().username());
    match session.require_scope("health") {
        Ok(()) => Ok(request),
        Err(denial) => Err(Status::new(denial.grpc_code().into(), denial.to_string())),
    }
}
