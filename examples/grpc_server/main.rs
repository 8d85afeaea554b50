//! The same layer in front of gRPC services: health is public, the service `Door` requires a token, and one method a scope.
//!
//! ```text
//! cargo run --example grpc_server
//! ```
//!
//! prints two tokens, and a command that calls the service. Denials are status 16 (no token, or a wrong one) and 7 (not for
//! this token).

use std::process::ExitCode;

use clap::Parser;
use portcullis::{AuthLayer, Grant, Identity, Session, Token, TokenSet};
use tonic::{Request, Response, Status, service::Routes};
use tower::Layer as _;

use common::{
    connections::{Protocol, serve},
    exit::{self, Failure},
    listen::listen,
    room::Limits,
    shutdown::Stop,
};
use door::{Door, DoorServer};

#[path = "../common/mod.rs"]
mod common;
mod door;

/// The same layer in front of gRPC services.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Port to listen at, 0 for any free one.
    #[arg(long, default_value_t = 50051)]
    port: u16,

    #[command(flatten)]
    limits: Limits,
}

struct Butler;

impl Door for Butler {
    async fn knock(&self, request: Request<()>) -> Result<Response<String>, Status> {
        let session = session(&request)?;
        Ok(Response::new(format!("hello, {}", session.identity().username())))
    }

    async fn open(&self, request: Request<()>) -> Result<Response<String>, Status> {
        session(&request)?
            .require_scope("open")
            .map_err(|denial| Status::new(denial.grpc_code().into(), denial.to_string()))?;
        Ok(Response::new("it is open".to_owned()))
    }
}

/// The caller's session. tonic keeps the extensions of the request.
fn session<T>(request: &Request<T>) -> Result<&Session, Status> {
    Session::from_extensions(request.extensions()).ok_or_else(|| {
        Status::internal("expected a session: is the authentication layer in front of this service?")
    })
}

fn main() -> ExitCode {
    exit::serve(run)
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let (guest, owner) = (Token::generate(), Token::generate());
    let tokens = TokenSet::new([
        (guest.clone(), Grant::new(Identity::new("guest"))),
        (
            owner.clone(),
            Grant::new(Identity::new("owner")).with_scopes(["open"]),
        ),
    ])?;
    // Header tokens alone, so every host is accepted. Paths are exact: all others require a token.
    let auth = AuthLayer::bearer_tokens(tokens)
        .public_paths(["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"]);
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<DoorServer<Butler>>().await;

    let listener = listen("127.0.0.1", arguments.port).await?;
    let address = listener.local_addr()?;
    println!(
        "grpc_server listens on http://{address}/\n\
         guest: {}\n\
         owner: {}\n\
         knock: grpcurl -plaintext -proto examples/grpc_server/door.proto -H 'authorization: Bearer {}' {address} \
         door.Door/Knock",
        guest.expose(),
        owner.expose(),
        guest.expose(),
    );
    let services = Routes::new(health).add_service(DoorServer::new(Butler));
    let service = auth.layer(services.prepare());
    let room = arguments.limits.room(1);
    serve(listener, Protocol::Http2, service, room, Stop::on_signals()?).await
}
