//! A class of 300 logs in by the form at once, and one of thirty mistypes first: the memory, the longest wait, and how
//! late other requests are meanwhile.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::available_parallelism,
    time::Duration,
};

use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Bytes;
use portcullis::{
    AuthLayer, Identity, Token,
    password::{HashCost, HashingPool},
    request::Peer,
    verify::{MemoryPasswordStore, StoredPasswords},
};
use serde_json::{Value, json};
use tokio::{
    sync::Barrier,
    task::JoinSet,
    time::{Instant, sleep},
};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::{
    Outcome, PASSWORD, hash, hold,
    machine::{
        LATEST, all, busy, lateness, microseconds, others_share, peak_memory, percentile, quiet_rounds,
        reset_peak_memory, worst,
    },
    median,
};

const USERS: u32 = 300;
/// One user of so many types a wrong password first.
const MISTYPES: u32 = 30;
const WAYS: [&str; 2] = ["1 address", "200 addresses"];
const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";
/// The longest that a login may wait, for a time that the same passwords take a hashing pool without a layer.
const LONGEST: f64 = 1.25;

pub(crate) fn run(measured: bool) -> Outcome {
    let Some((tries, quiet)) = quiet_rounds(WAYS, measured)? else {
        return Ok(());
    };
    println!(
        "\n{USERS} logins at once by the form, one of {MISTYPES} with a wrong password first, {tries} rounds by turns\n"
    );
    println!(
        "| from | rounds held | refused | login p50, ms | longest, ms | of the pool alone | memory above start, MiB | another request late, ms: p99 | worst |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    let mut outcome = Ok(());
    for (way, rounds) in WAYS.iter().zip(&quiet) {
        if rounds.is_empty() {
            println!("| {way} | 0: other processes took more than a tenth of the machine in each round |");
            continue;
        }
        let refused = worst(&all(rounds, "refused"));
        let longest = median(&all(rounds, "longest_us"));
        let ratio = longest as f64 / median(&all(rounds, "pool_us")) as f64;
        let memory = worst(&all(rounds, "memory_kib"));
        let late = median(&all(rounds, "late_p99_us"));
        println!(
            "| {way} | {} | {refused} | {:.0} | {:.0} | {ratio:.2} | {:.1} | {:.1} | {:.1} |",
            rounds.len(),
            median(&all(rounds, "login_us")) as f64 / 1e3,
            longest as f64 / 1e3,
            memory as f64 / 1024.0,
            late as f64 / 1e3,
            worst(&all(rounds, "late_us")) as f64 / 1e3,
        );
        let threads = u64::try_from(available_parallelism()?.get())?;
        let bound = threads * u64::from(HashCost::default().memory_kib()) * 11 / 10;
        for (held, what) in [
            (refused == 0, format!("{refused} right passwords were refused")),
            (
                ratio <= LONGEST,
                format!("the longest wait was {ratio:.2} of the pool's time, expected at most {LONGEST}"),
            ),
            (memory <= bound, format!("{memory} KiB, expected at most {bound}")),
            (
                late <= microseconds(LATEST),
                format!("another request was {late} us late at p99, expected at most {LATEST:?}"),
            ),
        ] {
            outcome = outcome.and(hold(held, measured, format!("{way}: {what}")));
        }
    }
    outcome
}

/// One class, as a JSON object.
pub(crate) async fn class(way: &str) -> Value {
    let addresses = if way == WAYS[0] { 1 } else { 200 };
    let pool_time = pool_alone().await;
    let layer = layer().await;
    let mut users = Vec::new();
    for number in 0..USERS {
        let response = send(&layer, number % addresses, Request::get("/login"), String::new()).await;
        let line = response.headers()[header::SET_COOKIE].to_str().expect("ASCII");
        let xsrf = line.split(';').next().expect("a pair").to_owned();
        users.push((number, xsrf));
    }
    // The threads of the pools that have ended end.
    sleep(Duration::from_millis(100)).await;
    let before = reset_peak_memory();

    let over = Arc::new(AtomicBool::new(false));
    let other = tokio::spawn(lateness(Arc::clone(&over), {
        let layer = layer.clone();
        move || {
            let layer = layer.clone();
            let token = Request::get("/").header(header::AUTHORIZATION, format!("Bearer {TOKEN}"));
            async move {
                let response = send(&layer, u32::MAX >> 16, token, String::new()).await;
                assert_eq!(response.status(), StatusCode::OK);
            }
        }
    }));
    let together = Arc::new(Barrier::new(users.len()));
    let (busy, start) = (busy(), Instant::now());
    let mut logins = JoinSet::new();
    for (number, xsrf) in users {
        let (layer, together) = (layer.clone(), Arc::clone(&together));
        logins.spawn(async move {
            together.wait().await;
            let start = Instant::now();
            if number % MISTYPES == MISTYPES - 1 {
                submit(&layer, number, addresses, &xsrf, "another").await;
            }
            let status = submit(&layer, number, addresses, &xsrf, PASSWORD).await;
            (status, start.elapsed())
        });
    }
    let answers = logins.join_all().await;
    let done = start.elapsed();
    let (others, memory) = (others_share(busy, done), peak_memory().saturating_sub(before));
    over.store(true, Ordering::Relaxed);
    let late = other.await.expect("no panic");
    let refused = answers.iter().filter(|(status, _)| *status != StatusCode::FOUND);
    let times: Vec<Duration> = answers.iter().map(|(_, time)| *time).collect();
    json!({
        "refused": refused.count(),
        "login_us": percentile(&times, 50),
        "longest_us": percentile(&times, 100),
        "pool_us": microseconds(pool_time),
        "memory_kib": memory,
        "late_p99_us": percentile(&late, 99),
        "late_us": percentile(&late, 100),
        "others": others,
    })
}

/// How long a pool without other work takes for the same number of passwords.
async fn pool_alone() -> Duration {
    let pool = HashingPool::new();
    let stored = Arc::new(hash(&pool).await);
    let passwords = USERS + USERS / MISTYPES;
    let checked = 20;
    let mut checks = JoinSet::new();
    let start = Instant::now();
    for _ in 0..checked {
        checks.spawn(pool.verify(Some(Arc::clone(&stored)), PASSWORD.into()));
    }
    for check in checks.join_all().await {
        check.expect("20 have room and wait less than 5 s");
    }
    start.elapsed() * passwords / checked
}

/// Everybody has the same password, so that one hash is made.
async fn layer() -> AuthLayer {
    let stored = hash(&HashingPool::new().with_threads(1)).await;
    let user = |number| (Identity::new(&format!("user{number}")), stored.clone());
    let users = MemoryPasswordStore::new((0..USERS).map(user)).expect("users");
    AuthLayer::builder()
        .token(TOKEN.parse::<Token>().expect("a token"))
        .password_verifier(StoredPasswords::new(users).with_pool(HashingPool::new()))
        .peer_extractor(|extensions| extensions.get::<SocketAddr>().copied().map(Peer::Ip))
        .build()
        .expect("a layer")
}

async fn submit(layer: &AuthLayer, number: u32, addresses: u32, xsrf: &str, password: &str) -> StatusCode {
    let password = password.replace(' ', "+");
    let form = format!("username=user{number}&password={password}&{xsrf}");
    let request = Request::post("/login")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::COOKIE, xsrf);
    send(layer, number % addresses, request, form).await.status()
}

async fn send(
    layer: &AuthLayer,
    address: u32,
    request: http::request::Builder,
    body: String,
) -> Response<()> {
    let address = Ipv4Addr::from_bits(0xc633_0000 + address);
    let request = request
        .header(header::HOST, "localhost")
        .extension(SocketAddr::from((address, 1)))
        .body(Full::<Bytes>::from(body))
        .expect("a request");
    let inner = service_fn(|_| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
    let answer = layer.layer(inner).oneshot(request).await;
    answer.expect("infallible").map(drop)
}
