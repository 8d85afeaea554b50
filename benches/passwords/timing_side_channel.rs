//! Whether an attacker can find out by the time which accounts exist: a two-sample test of each class of user.
//!
//! Checked at the lower quartile: other work only adds time, so a patient attacker measures there.

use std::time::Instant;

use portcullis::{
    Identity, PasswordHash, PasswordVerifier as _, Reason, Secret, Verification,
    password::HashingPool,
    verify::{MemoryPasswordStore, StoredPasswords},
};

use crate::{Outcome, hash, hold};

/// A user of each class, and what they are. The first is what the others are held against.
const CLASSES: [(&str, &str); 4] = [
    ("mallory", "unknown"),
    ("alice", "known"),
    ("bob", "known, by an older hash of one SHA-1"),
    ("carol", "known, by a hash of 64 KiB"),
];

const OLDER: &str = "sha1:0e112c3ddfce:a68df677475c2b47b6e86d0467eec97ac5f4b85a";
const CHEAP: &str =
    "argon2:$argon2id$v=19$m=64,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$Hgsbc6FDwl/qbUWxDrr+ZjetYYKE+7fDe5btmNdDfm0";

pub(crate) fn run(measured: bool) -> Outcome {
    let rounds = if measured { 400 } else { 1 };
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let pool = HashingPool::new().with_threads(1);
    let strong = runtime.block_on(hash(&pool));
    let users = MemoryPasswordStore::new([
        (Identity::new("alice"), strong),
        (Identity::new("bob"), OLDER.parse::<PasswordHash>()?),
        (Identity::new("carol"), CHEAP.parse::<PasswordHash>()?),
    ])?;
    let verifier = StoredPasswords::new(users).with_pool(pool);
    let password = Secret::from("not the password");
    let mut times: [Vec<u128>; CLASSES.len()] = Default::default();
    for round in 0..rounds {
        // Each class is first, second and so on equally often.
        for turn in 0..CLASSES.len() {
            let class = (round + turn) % CLASSES.len();
            let start = Instant::now();
            let verdict = runtime.block_on(verifier.verify(CLASSES[class].0, &password).into_future());
            times[class].push(start.elapsed().as_nanos());
            assert!(matches!(
                verdict,
                Verification::Rejected(Reason::IncorrectPassword)
            ));
        }
    }
    println!("\na wrong password, {rounds} of each by turns\n");
    println!("| user | lower quartile, ms | difference to unknown | p (Mann-Whitney) |\n|---|--:|--:|--:|");
    let unknown = quartile(&times[0]) as f64;
    let mut outcome = Ok(());
    for ((_, class), times_of) in CLASSES.iter().zip(&times) {
        let own = quartile(times_of) as f64;
        let (difference, p) = ((own - unknown) / unknown, mann_whitney(&times[0], times_of));
        println!(
            "| {class} | {:.2} | {:+.2} % | {p:.2} |",
            own / 1e6,
            difference * 100.0
        );
        let held = difference.abs() < 0.01 || p > 0.01;
        let told = hold(
            held,
            measured,
            format!("{class}: {:+.2} %, p = {p}", difference * 100.0),
        );
        outcome = outcome.and(told);
    }
    outcome
}

fn quartile(times: &[u128]) -> u128 {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 4]
}

/// How probable so great a difference is of two samples of one kind: the two-sided Mann-Whitney U test.
fn mann_whitney(one: &[u128], other: &[u128]) -> f64 {
    let above = |value: &u128| -> f64 {
        let worth = |with: &u128| match value.cmp(with) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        };
        other.iter().map(worth).sum()
    };
    let u: f64 = one.iter().map(above).sum();
    let (n, m) = (one.len() as f64, other.len() as f64);
    let z = (u - n * m / 2.0).abs() / (n * m * (n + m + 1.0) / 12.0).sqrt();
    // The tail of the normal distribution, to 7 digits: Abramowitz and Stegun 26.2.17.
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let series = [
        0.319_381_530,
        -0.356_563_782,
        1.781_477_937,
        -1.821_255_978,
        1.330_274_429,
    ];
    let polynomial = series.iter().rev().fold(0.0, |sum, factor| (sum + factor) * t);
    (2.0 * polynomial * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()).min(1.0)
}
