//! What the parts share: rounds in processes of their own, their memory, and how much of the machine other processes take.

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

use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use crate::Outcome;

/// Starts one round, named by the next argument, in a process of its own.
pub(crate) const CHILD: &str = "--round-of";

/// The latest that another task or request may be.
pub(crate) const LATEST: Duration = Duration::from_millis(20);
const EVERY: Duration = Duration::from_millis(2);

/// Rounds that are held, and the most that are run to get them.
const ROUNDS: usize = 7;
const TRIES: usize = 40;
/// The most of the machine that other processes may take in a round that is held.
const OTHERS: f64 = 0.1;

/// Rounds of each way by turns until enough were quiet: how many were run, and the results of the quiet ones. `None` if
/// nothing is measured.
#[expect(clippy::type_complexity, reason = "one caller takes it apart at once")]
pub(crate) fn quiet_rounds<const WAYS: usize>(
    ways: [&str; WAYS],
    measured: bool,
) -> Result<Option<(usize, [Vec<Value>; WAYS])>, Box<dyn std::error::Error>> {
    let mut quiet = [const { Vec::new() }; WAYS];
    let mut tries = 0;
    while quiet.iter().any(|results: &Vec<Value>| results.len() < ROUNDS) && tries < TRIES {
        tries += 1;
        for (way, results) in ways.iter().zip(&mut quiet) {
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
            return Ok(None);
        }
    }
    Ok(Some((tries, quiet)))
}

/// Prints the result of one round, a JSON object.
pub(crate) fn child(round: impl Future<Output = Value> + Send + 'static) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()?;
    println!("{}", runtime.block_on(runtime.spawn(round))?);
    Ok(())
}

/// One figure of each round.
pub(crate) fn all(results: &[Value], key: &str) -> Vec<u64> {
    results.iter().filter_map(|result| result[key].as_u64()).collect()
}

pub(crate) fn worst(values: &[u64]) -> u64 {
    values.iter().copied().max().unwrap_or_default()
}

pub(crate) fn percentile(times: &[Duration], percent: usize) -> u64 {
    let mut times = times.to_vec();
    times.sort();
    microseconds(times[(times.len() * percent / 100).min(times.len() - 1)])
}

pub(crate) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).expect("short")
}

/// How late each piece of other work is done until it is over: one is due every two milliseconds.
pub(crate) async fn lateness<F: Future<Output = ()>>(
    over: Arc<AtomicBool>,
    work: impl Fn() -> F,
) -> Vec<Duration> {
    let mut late = Vec::new();
    let mut due = Instant::now();
    while !over.load(Ordering::Relaxed) {
        due = due.max(Instant::now()) + EVERY;
        sleep_until(due).await;
        work().await;
        late.push(due.elapsed());
    }
    late
}

/// Resets the peak to the memory of this process now, which is returned in KiB.
pub(crate) fn reset_peak_memory() -> u64 {
    let now = memory("VmRSS:");
    // 5 sets the peak back to what is there now: proc(5).
    fs::write("/proc/self/clear_refs", "5").expect("our own peak");
    now
}

/// The most memory since then, in KiB.
pub(crate) fn peak_memory() -> u64 {
    memory("VmHWM:")
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
pub(crate) fn busy() -> (f64, f64) {
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

/// What part of the machine other processes had since `before`.
pub(crate) fn others_share(before: (f64, f64), elapsed: Duration) -> f64 {
    let now = busy();
    let others = (now.0 - before.0) - (now.1 - before.1);
    let cores = available_parallelism().map_or(1, usize::from);
    others / 100.0 / elapsed.as_secs_f64() / cores as f64
}
