//! A hundred logins at once: the memory they take, and how long other requests wait meanwhile.

use std::{
    fs,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::available_parallelism,
    time::Duration,
};

use argon2::{Algorithm, Argon2, Params, Version};
use portcullis::{
    Secret,
    password::{HashCost, HashingErrorKind, HashingPool, PasswordCheck},
};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{Outcome, PASSWORD, hash, hold, median};

/// Said by this program to itself: one storm in a process of its own.
pub(crate) const CHILD: &str = "--storm-of";

const LOGINS: usize = 100;
const WAYS: [&str; 2] = ["pool", "blocking"];
const EVERY: Duration = Duration::from_millis(2);
/// The latest that any other request may be served.
const LATEST: Duration = Duration::from_millis(20);

/// Rounds that are held, and the most that are run to get them.
const ROUNDS: usize = 7;
const TRIES: usize = 40;
/// The most of the machine that other processes may take meanwhile, for a round to say something of us.
const OTHERS: f64 = 0.1;

pub(crate) fn run(measured: bool) -> Outcome {
    let mut quiet: [Vec<Value>; WAYS.len()] = Default::default();
    let mut tries = 0;
    while quiet.iter().any(|results| results.len() < ROUNDS) && tries < TRIES {
        tries += 1;
        for (way, results) in WAYS.iter().zip(&mut quiet) {
            let output = Command::new(std::env::current_exe()?)
                .args([CHILD, way])
                .output()?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into());
            }
            let result: Value = serde_json::from_slice(&output.stdout)?;
            if results.len() < ROUNDS && result["others"].as_f64().is_some_and(|others| others <= OTHERS) {
                results.push(result);
            }
        }
        if !measured {
            return Ok(());
        }
    }
    println!("\n{LOGINS} logins at once, each time in a process of its own, {tries} rounds by turns\n");
    println!(
        "| how | rounds held | all done, ms | login p50, ms | memory above start, MiB | another task late, ms: p99 | worst |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    let of = |results: &[Value], key: &str| -> Vec<u64> {
        results.iter().filter_map(|result| result[key].as_u64()).collect()
    };
    let worst = |values: Vec<u64>| values.into_iter().max().unwrap_or_default();
    for (way, results) in WAYS.iter().zip(&quiet).filter(|(_, results)| !results.is_empty()) {
        println!(
            "| {way} | {} | {:.0} | {:.0} | {:.1} | {:.1} | {:.1} |",
            results.len(),
            median(&of(results, "done_us")) as f64 / 1e3,
            median(&of(results, "login_us")) as f64 / 1e3,
            worst(of(results, "memory_kib")) as f64 / 1024.0,
            median(&of(results, "late_p99_us")) as f64 / 1e3,
            worst(of(results, "late_us")) as f64 / 1e3,
        );
    }
    let [pool, blocking] = &quiet;
    if pool.is_empty() || blocking.is_empty() {
        println!("\nstorm: not held, other processes took more than a tenth of the machine in each round");
        return Ok(());
    }
    let threads = u64::try_from(available_parallelism()?.get())?;
    let bound = threads * u64::from(HashCost::default().memory_kib()) * 11 / 10;
    let memory = worst(of(pool, "memory_kib"));
    hold(
        memory <= bound,
        measured,
        format!("{memory} KiB, expected at most {bound}"),
    )?;
    let late = worst(of(pool, "late_us"));
    let held = late <= u64::try_from(LATEST.as_micros())?;
    hold(
        held,
        measured,
        format!("another task was {late} us late, expected at most {LATEST:?}"),
    )?;
    let (pool_late, blocking_late) = (median(&of(pool, "done_us")), median(&of(blocking, "done_us")));
    hold(
        pool_late <= blocking_late,
        measured,
        format!("{pool_late} us, and {blocking_late} us without bound"),
    )
}

/// One burst, reported as a JSON object.
pub(crate) fn child(way: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    let way = way.to_owned();
    let result = runtime.block_on(runtime.spawn(async move { storm(&way).await }));
    println!("{}", result.expect("no panic"));
}

async fn storm(way: &str) -> Value {
    // Made by a pool that ends here, so that its memory is not there already.
    let stored = Arc::new(hash(&HashingPool::new().with_threads(1)).await);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let before = memory("VmRSS:");
    // 5 sets the peak back to what is there now: proc(5).
    fs::write("/proc/self/clear_refs", "5").expect("our own peak");

    let over = Arc::new(AtomicBool::new(false));
    let others = tokio::spawn(others(Arc::clone(&over)));
    let pool = HashingPool::new().with_queue_capacity(LOGINS);
    let busy = busy();
    let start = Instant::now();
    let mut logins = JoinSet::new();
    for number in 0..LOGINS {
        let right = number % 2 == 0;
        let password = Secret::from(if right { PASSWORD } else { "another" });
        let (pool, stored) = (pool.clone(), Arc::clone(&stored));
        match way {
            "pool" => logins.spawn(async move {
                match pool.verify(Some(stored), password).await {
                    Ok(verified) => assert_eq!(verified != PasswordCheck::Incorrect, right),
                    // After five seconds, on a machine with other work.
                    Err(error) => assert_eq!(error.kind(), HashingErrorKind::Busy),
                }
                start.elapsed()
            }),
            _ => logins.spawn(async move {
                let checked = tokio::task::spawn_blocking(move || check(stored.expose(), password.expose()));
                assert_eq!(checked.await.expect("no panic"), right);
                start.elapsed()
            }),
        };
    }
    let times: Vec<Duration> = logins.join_all().await;
    let done = start.elapsed();
    let others_busy = others_share(busy, done);
    let peak = memory("VmHWM:");
    over.store(true, Ordering::Relaxed);
    let mut late = others.await.expect("no panic");
    late.sort();
    let microseconds = |duration: Duration| u64::try_from(duration.as_micros()).expect("short");
    json!({
        "done_us": microseconds(done),
        "login_us": microseconds(median(&times)),
        "memory_kib": peak.saturating_sub(before),
        "late_p99_us": microseconds(late[late.len() * 99 / 100]),
        "others": others_busy,
        "late_us": microseconds(*late.last().expect("at least one")),
    })
}

/// How late each other request is served until `over` is set: one every two milliseconds.
async fn others(over: Arc<AtomicBool>) -> Vec<Duration> {
    let mut late = Vec::new();
    let mut due = Instant::now();
    while !over.load(Ordering::Relaxed) {
        due = due.max(Instant::now()) + EVERY;
        sleep_until(due).await;
        late.push(due.elapsed());
    }
    late
}

/// A check without a pool: new memory for each hash.
fn check(stored: &str, password: &[u8]) -> bool {
    use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine as _};

    let mut fields = stored.rsplit('$');
    let mut next = || {
        BASE64_STANDARD_NO_PAD
            .decode(fields.next().expect("a field"))
            .expect("base64")
    };
    let (tag, salt) = (next(), next());
    let cost = HashCost::default();
    let params = Params::new(cost.memory_kib(), cost.iterations(), 1, Some(tag.len())).expect("parameters");
    let mut found = vec![0; tag.len()];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password, &salt, &mut found)
        .expect("a tag");
    found == tag
}

/// A line of `/proc/self/status`, in KiB.
fn memory(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("our own status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .expect("the line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Processor time so far in hundredths of a second: the machine's without what is nice to us, and our own.
fn busy() -> (f64, f64) {
    let sum = |text: &str, places: &[usize]| -> f64 {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let times = places
            .iter()
            .filter_map(|&place| fields.get(place)?.parse::<f64>().ok());
        times.sum()
    };
    let machine = fs::read_to_string("/proc/stat").unwrap_or_default();
    let own = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // proc(5): user, system, irq, softirq, steal; and behind our own name, user and system.
    let own = own.rsplit(')').next().unwrap_or_default();
    (sum(&machine, &[1, 3, 6, 7, 8]), sum(own, &[11, 12]))
}

/// What part of the machine other processes had since `saturating_sub`.
fn others_share(before: (f64, f64), elapsed: Duration) -> f64 {
    let now = busy();
    let others = (now.0 - before.0) - (now.1 - before.1);
    let cores = available_parallelism().map_or(1, usize::from);
    others / 100.0 / elapsed.as_secs_f64() / cores as f64
}
