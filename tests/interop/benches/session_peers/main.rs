//! CPU time per request of a user with a session in SQLite or PostgreSQL: portcullis beside axum-login with tower-sessions.
//!
//! `cargo bench -p portcullis-interop --bench session_peers` measures both stores, and fails where axum-login's server does not
//! take [`TIMES`] the time. Each server is a process of its own, and its CPU time is that of all its threads. Without `--bench`,
//! as `cargo test --benches` runs it, each server answers a few requests.

#[allow(dead_code)] // A token is sent by the other bench.
#[path = "../../../../benches/peers/benches/server/client.rs"]
mod client;
mod server;

use std::{
    env,
    error::Error,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use portcullis_interop::{example::Example, postgres::Postgres};

use self::client::{Client, Credential};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The least that axum-login's CPU time is of ours.
const TIMES: f64 = 1.3;
const ROUNDS: usize = 101;
/// Requests to each server in a round, and those before them, which fill the caches again.
const REQUESTS: u32 = 256;
const WARM_UP: u32 = 32;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let outcome = match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", kind, database] => serve(kind, database),
        others => compare(others.contains(&"--bench")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\n{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(kind: &str, database: &str) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(server::serve(kind, database))
}

fn compare(measured: bool) -> Outcome<()> {
    let (ours, theirs) = (env::current_exe()?, axum_login()?);
    let folder = tempfile::tempdir()?;
    let postgres = Postgres::start();
    postgres.sql("postgres", "CREATE DATABASE ours");
    postgres.sql("postgres", "CREATE DATABASE theirs");
    let socket = postgres.config("theirs");
    let socket = socket.split(' ').next().unwrap_or_default();
    let file = |name: &str| folder.path().join(name).display().to_string();
    // Client, servers and database share one processor: a server that wakes an idle one costs as much again.
    client::stay_on_one_processor();
    let mut pairs = Vec::new();
    for (kind, our_database, their_database) in [
        ("sqlite", file("ours"), file("theirs")),
        (
            "postgres",
            postgres.config("ours"),
            format!("postgres://hub@localhost/theirs?{socket}"),
        ),
    ] {
        let ours = Process::start("portcullis", &ours, &["serve", kind, &our_database])?;
        let theirs = Process::start("axum-login", &theirs, &[kind, &their_database])?;
        pairs.push((kind, ours, theirs, Vec::new()));
    }
    for round in 0..if measured { ROUNDS } else { 1 } {
        for (_, ours, theirs, times) in &mut pairs {
            times.push(match round % 2 {
                0 => [ours.per_request()?, theirs.per_request()?],
                _ => {
                    let theirs = theirs.per_request()?;
                    [ours.per_request()?, theirs]
                }
            });
        }
    }
    println!("| sessions in | portcullis, µs | axum-login, µs | times | its quartiles |");
    println!("|---|--:|--:|--:|--:|");
    let mut missed = Vec::new();
    for (kind, _, _, times) in &pairs {
        let quartiles = |value: fn(&[f64; 2]) -> f64| {
            let mut values: Vec<f64> = times.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
        };
        let [lower, ratio, upper] = quartiles(|[ours, theirs]| theirs / ours);
        let ([_, ours, _], [_, theirs, _]) = (quartiles(|times| times[0]), quartiles(|times| times[1]));
        println!("| {kind} | {ours:.1} | {theirs:.1} | {ratio:.2} | {lower:.2} to {upper:.2} |");
        if ratio < TIMES {
            missed.push(format!(
                "{kind}: expected at least {TIMES} times, found {ratio:.2}"
            ));
        }
    }
    match measured && !missed.is_empty() {
        true => Err(missed.join("\n").into()),
        false => Ok(()),
    }
}

/// A server, and the client that sends to it.
struct Process {
    address: SocketAddr,
    client: Client,
    _process: Example,
}

impl Process {
    fn start(name: &str, program: &Path, arguments: &[&str]) -> Outcome<Self> {
        let mut command = Command::new(program);
        command.args(arguments);
        let process = Example::start(name, command);
        let address = process.line_after("Listening on ").parse()?;
        let request = client::request(Credential::Cookie { login: "POST /login" }, address);
        Ok(Self {
            address,
            client: Client::connect(address, &request, "hello, alice"),
            _process: process,
        })
    }

    /// The CPU time of a request, in microseconds.
    fn per_request(&mut self) -> Outcome<f64> {
        self.client.send(WARM_UP);
        let before = self.cpu_time()?;
        self.client.send(REQUESTS);
        Ok((self.cpu_time()? - before) / 1e3 / f64::from(REQUESTS))
    }

    /// The CPU time of all threads of the server, in nanoseconds.
    fn cpu_time(&self) -> Outcome<f64> {
        let request = client::head("GET /cpu", "close", "Accept: */*");
        let answer = client::exchange(self.address, &request);
        let (_, body) = answer.split_once("\r\n\r\n").ok_or("no whole answer")?;
        Ok(body.parse()?)
    }
}

/// The program of axum-login's server, which is built by itself: it needs another version of SQLite than we do.
fn axum_login() -> Outcome<PathBuf> {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches/peers");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "build",
        "--quiet",
        "--locked",
        "--release",
        "--example",
        "axum_login",
    ]);
    cargo.current_dir(&peers).env_remove("CARGO_TARGET_DIR");
    let status = cargo.stdin(Stdio::null()).status()?;
    if !status.success() {
        return Err(
            format!("expected axum_login of benches/peers to build, cargo ended with {status}").into(),
        );
    }
    Ok(peers.join("target/release/examples/axum_login"))
}
