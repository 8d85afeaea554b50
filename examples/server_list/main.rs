//! The servers of this user that run now, this crate's and Jupyter's: listed, and stopped.
//!
//! ```text
//! cargo run --example server_list -- list
//! cargo run --example server_list -- stop 8888
//! ```

use std::{io, io::Write as _, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use http::{
    Request, StatusCode, Uri,
    header::{AUTHORIZATION, HOST},
    uri::Scheme,
};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use portcullis::jupyter::{ServerInfo, runtime_directory};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

use common::exit::{self, Failure};

#[path = "../common/mod.rs"]
mod common;

/// How long a server may take to answer, and to end after each thing that is said to it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Find the running servers of this user, this crate's and Jupyter's.
#[derive(Parser)]
#[command(version, arg_required_else_help = false)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Print the servers in $JUPYTER_RUNTIME_DIR [default: Jupyter's], with the tokens that log in.
    List {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Stop the server that listens at a port.
    Stop {
        /// The port.
        port: u16,
    },
}

fn main() -> ExitCode {
    exit::run(run)
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let running = ServerInfo::list_running(runtime_directory()?)?;
    match arguments.task {
        Task::List { json } => list(&running, json),
        Task::Stop { port } => match running.iter().find(|server| server.port() == port) {
            Some(server) => stop(server).await,
            None => Err(none_at(port, &running)),
        },
    }
}

fn list(running: &[ServerInfo], json: bool) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if json {
        for server in running {
            out.write_all(server.to_json().expose())?;
            writeln!(out)?;
        }
        return Ok(());
    }
    writeln!(out, "Currently running servers:")?;
    for server in running {
        write!(out, "{}", server.url())?;
        // Where there is a password, the token is the one that stops our servers: it logs no one in.
        if let Some(token) = server.token().filter(|_| !server.has_password()) {
            write!(out, "?token={}", token.expose())?;
        }
        writeln!(out, " :: {}", server.root_dir())?;
    }
    Ok(())
}

fn none_at(port: u16, running: &[ServerInfo]) -> Failure {
    let ports: Vec<String> = running.iter().map(|server| server.port().to_string()).collect();
    let found = if ports.is_empty() {
        "none at all".to_owned()
    } else {
        format!("servers at {}", ports.join(", "))
    };
    format!("expected a server at port {port}, found {found}").into()
}

/// Sends the server a request to stop, and a signal if it does not stop.
///
/// Its response shows that the process is still the server, and not another process with the number of a server that
/// has ended. So the process is signalled only after it.
async fn stop(server: &ServerInfo) -> Result<(), Failure> {
    let status = timeout(PATIENCE, ask(server))
        .await
        .map_err(|_| format!("{} did not answer within {PATIENCE:?}", server.url()))?
        .map_err(|error| format!("{}: {error}", server.url()))?;
    if !status.is_success() {
        return Err(format!(
            "{} answered the request to stop with {status}; its process is {}",
            server.url(),
            server.pid()
        )
        .into());
    }
    let pid = i32::try_from(server.pid()).ok().and_then(Pid::from_raw);
    for signal in [None, Some(Signal::TERM), Some(Signal::KILL)] {
        if let (Some(signal), Some(pid)) = (signal, pid) {
            let _ = kill_process(pid, signal);
        }
        if ends(server).await {
            println!("stopped {}", server.url());
            return Ok(());
        }
    }
    Err(format!("expected process {} to end, it still runs", server.pid()).into())
}

/// `POST api/shutdown`, with the token of the file.
async fn ask(server: &ServerInfo) -> Result<StatusCode, Failure> {
    let uri: Uri = format!("{}api/shutdown", server.url()).parse()?;
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return Err("expected an absolute URL".into());
    };
    if *scheme != Scheme::HTTP {
        return Err(format!(
            "expected plain HTTP, found {scheme}: end its process {} instead",
            server.pid()
        )
        .into());
    }
    let port = authority.port_u16().unwrap_or(80);
    let stream = TcpStream::connect((authority.host().trim_matches(['[', ']']), port)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);

    let mut request = Request::post(uri.path()).header(HOST, authority.as_str());
    if let Some(token) = server.token() {
        request = request.header(AUTHORIZATION, token.to_authorization_header());
    }
    let response = sender.send_request(request.body(String::new())?).await?;
    Ok(response.status())
}

async fn ends(server: &ServerInfo) -> bool {
    let gone = async {
        while server.is_running() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, gone).await.is_ok()
}
