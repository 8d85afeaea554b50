//! A hundred logins at once: the memory they take, and how long everybody else waits meanwhile.

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
use portcullis::{HashCost, HashingPool, Secret, Verified};
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
/// The latest that anybody else may be served.
const LATEST: Duration = Duration::from_millis(20);

pub(crate) fn run(measured: bool) -> Outcome {
    let rounds = if measured { 7 } else { 1 };
    let mut results: [Vec<Value>; 2] = Default::default();
    for _ in 0..rounds {
        for (way, results) in WAYS.iter().zip(&mut results) {
            let output = Command::new(std::env::current_exe()?)
                .args([CHILD, way])
                .output()?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into());
            }
            results.push(serde_json::from_slice(&output.stdout)?);
        }
    }
    println!("\n{LOGINS} logins at once, {rounds} rounds by turns, each in a process of its own\n");
    println!(
        "| how | all done, ms | login p50, ms | memory above start, MiB | another task late: p99 / worst, ms |"
    );
    println!("|---|--:|--:|--:|--:|");
    let of = |results: &[Value], key: &str| -> Vec<u64> {
        results.iter().filter_map(|result| result[key].as_u64()).collect()
    };
    let worst = |values: Vec<u64>| values.into_iter().max().unwrap_or_default();
    for (way, results) in WAYS.iter().zip(&results) {
        println!(
            "| {way} | {:.0} | {:.0} | {:.1} | {:.1} / {:.1} |",
            median(&of(results, "done_us")) as f64 / 1e3,
            median(&of(results, "login_us")) as f64 / 1e3,
            worst(of(results, "memory_kib")) as f64 / 1024.0,
            median(&of(results, "late_p99_us")) as f64 / 1e3,
            worst(of(results, "late_us")) as f64 / 1e3,
        );
    }
    let [pool, blocking] = &results;
    let threads = u64::try_from(available_parallelism()?.get())?;
    let bound = threads * u64::from(HashCost::default().memory()) * 11 / 10;
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
    let (ours, theirs) = (median(&of(pool, "done_us")), median(&of(blocking, "done_us")));
    hold(
        ours <= theirs,
        measured,
        format!("{ours} us, and {theirs} us without bound"),
    )
}

/// One storm, told as a JSON object.
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
    let pool = HashingPool::new().with_queue(LOGINS);
    let start = Instant::now();
    let mut logins = JoinSet::new();
    for number in 0..LOGINS {
        let right = number % 2 == 0;
        let password = Secret::from(if right { PASSWORD } else { "another" });
        let (pool, stored) = (pool.clone(), Arc::clone(&stored));
        match way {
            "pool" => logins.spawn(async move {
                let verified = pool.verify(Some(stored), password).await.expect("room");
                assert_eq!(verified != Verified::Wrong, right);
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
        "late_us": microseconds(*late.last().expect("at least one")),
    })
}

/// How late each of somebody else's requests is served until it is over: one every two milliseconds.
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

/// As it is done without a pool: memory for each hash anew.
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
    let params = Params::new(cost.memory(), cost.passes(), 1, Some(tag.len())).expect("parameters");
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
