//! CPU time per request of axum servers over HTTP/1.1 keep-alive, with and without authentication.
//!
//! Each server runs in a thread of its own, so its CPU time can be read alone. The same requests go to the server
//! that is measured and to the bare router, one right after the other, and the two times are compared.

mod client;
mod report;
mod servers;

use std::{process::ExitCode, time::Duration};

use rand::seq::SliceRandom as _;

use self::{
    client::Client,
    report::Report,
    servers::{Server, Variant},
};

const ROUNDS: usize = 600;
const QUICK_ROUNDS: usize = 60;
/// Requests to each server in a round.
const REQUESTS: u32 = 256;
/// Requests before them, which fill the caches again.
const WARM_UP: u32 = 32;

const HELP: &str = "\
cargo bench --bench server -- [--quick]

Measures the CPU time per request of axum servers and compares each with a bare router in the same round.

--quick  60 rounds instead of 600

Ends with 1 if portcullis passes a bound: 1.12 times the bare router for a token, 1.22 times for a cookie,
and less than tower-sessions and axum-login for both.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if has("--help") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    client::stay_on_one_processor();
    let mut pairs: Vec<Pair> = servers::variants().into_iter().map(Pair::start).collect();
    if !has("--bench") {
        // `cargo test --benches`: every server gives the right answer, and nothing is measured.
        println!("{} servers answered", pairs.len());
        return ExitCode::SUCCESS;
    }
    if cfg!(debug_assertions) {
        println!("not measured: this build is not optimised, its figures would mean nothing");
        return ExitCode::SUCCESS;
    }
    let mut report = Report::default();
    for _ in 0..if has("--quick") { QUICK_ROUNDS } else { ROUNDS } {
        pairs.shuffle(&mut rand::rng());
        for pair in &mut pairs {
            let [measured, bare] = pair.round();
            report.add(pair.name, measured, bare);
        }
    }
    report.finish()
}

/// A server and a bare router that gets the same requests.
struct Pair {
    name: &'static str,
    measured: Measured,
    bare: Measured,
}

impl Pair {
    fn start(variant: Variant) -> Self {
        let measured = Server::start((variant.router)());
        let request = client::request(variant.credential, measured.address());
        let bare = Server::start(servers::bare());
        Self {
            name: variant.name,
            measured: Measured::connect(measured, &request, variant.greeting),
            bare: Measured::connect(bare, &request, servers::GREETING),
        }
    }

    /// The CPU time per request of the server and of the bare router.
    fn round(&mut self) -> [Duration; 2] {
        if rand::random() {
            let measured = self.measured.per_request();
            [measured, self.bare.per_request()]
        } else {
            let bare = self.bare.per_request();
            [self.measured.per_request(), bare]
        }
    }
}

/// A server and the client that sends to it.
struct Measured {
    server: Server,
    client: Client,
}

impl Measured {
    fn connect(server: Server, request: &[u8], greeting: &str) -> Self {
        let client = Client::connect(server.address(), request, greeting);
        Self { server, client }
    }

    fn per_request(&mut self) -> Duration {
        self.client.send(WARM_UP);
        let before = self.server.cpu_time();
        self.client.send(REQUESTS);
        (self.server.cpu_time() - before) / REQUESTS
    }
}
