//! The layer on hyper, without a web framework: `cargo run --example hyper`.

use std::convert::Infallible;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::{server::conn::auto::Builder, service::TowerToHyperService};
use portcullis::{AuthLayer, Session, Token};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, service_fn};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let token = Token::generate();
    let auth = AuthLayer::token(token.clone());
    let service = ServiceBuilder::new().layer(auth).service(service_fn(home));

    let listener = TcpListener::bind("127.0.0.1:0").await?; // port 0: any free port
    let address = listener.local_addr()?;
    println!("Open http://{address}/?token={}", token.expose());
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let server = Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn home(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let session = Session::from_extensions(request.extensions()).expect("the layer requires a session");
    Ok(Response::new(format!(
        "Hello, {}!\n",
        session.identity().display_name()
    )))
}
