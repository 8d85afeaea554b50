//! A hundred logins at once: the memory they take, and how long other requests wait meanwhile.

use std::{
    future,
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
use tokio::{task::JoinSet, time::Instant};

use crate::{
    Outcome, PASSWORD, hash, hold,
    machine::{
        LATEST, all, busy, lateness, microseconds, others_share, peak_memory, percentile, quiet_rounds,
        reset_peak_memory, worst,
    },
    median,
};

const LOGINS: usize = 100;
const WAYS: [&str; 2] = ["pool", "blocking"];

pub(crate) fn run(measured: bool) -> Outcome {
    let Some((tries, quiet)) = quiet_rounds(WAYS, measured)? else {
        return Ok(());
    };
    println!("\n{LOGINS} logins at once, each time in a process of its own, {tries} rounds by turns\n");
    println!(
        "| how | rounds held | all done, ms | login p50, ms | memory above start, MiB | another task late, ms: p99 | worst |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for (way, results) in WAYS.iter().zip(&quiet).filter(|(_, results)| !results.is_empty()) {
        println!(
            "| {way} | {} | {:.0} | {:.0} | {:.1} | {:.1} | {:.1} |",
            results.len(),
            median(&all(results, "done_us")) as f64 / 1e3,
            median(&all(results, "login_us")) as f64 / 1e3,
            worst(&all(results, "memory_kib")) as f64 / 1024.0,
            median(&all(results, "late_p99_us")) as f64 / 1e3,
            worst(&all(results, "late_us")) as f64 / 1e3,
        );
    }
    let [pool, blocking] = &quiet;
    if pool.is_empty() || blocking.is_empty() {
        println!("\nstorm: not held, other processes took more than a tenth of the machine in each round");
        return Ok(());
    }
    let threads = u64::try_from(available_parallelism()?.get())?;
    let bound = threads * u64::from(HashCost::default().memory_kib()) * 11 / 10;
    let memory = worst(&all(pool, "memory_kib"));
    hold(
        memory <= bound,
        measured,
        format!("{memory} KiB, expected at most {bound}"),
    )?;
    let late = worst(&all(pool, "late_us"));
    let held = late <= u64::try_from(LATEST.as_micros())?;
    hold(
        held,
        measured,
        format!("another task was {late} us late, expected at most {LATEST:?}"),
    )?;
    let (pool_late, blocking_late) = (median(&all(pool, "done_us")), median(&all(blocking, "done_us")));
    hold(
        pool_late <= blocking_late,
        measured,
        format!("{pool_late} us, and {blocking_late} us without bound"),
    )
}

/// One burst, as a JSON object.
pub(crate) async fn storm(way: &str) -> Value {
    // Made by a pool that ends here, so that its memory is not there already.
    let stored = Arc::new(hash(&HashingPool::new().with_threads(1)).await);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let before = reset_peak_memory();

    let over = Arc::new(AtomicBool::new(false));
    let others = tokio::spawn(lateness(Arc::clone(&over), || future::ready(())));
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
    let memory = peak_memory().saturating_sub(before);
    over.store(true, Ordering::Relaxed);
    let late = others.await.expect("no panic");
    json!({
        "done_us": microseconds(done),
        "login_us": microseconds(median(&times)),
        "memory_kib": memory,
        "late_p99_us": percentile(&late, 99),
        "others": others_busy,
        "late_us": percentile(&late, 100),
    })
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
