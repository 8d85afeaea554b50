//! One hash compared with the reference in C, by turns, and each side's check of the other's hash.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Instant,
};

use portcullis::{
    PasswordHash, Secret,
    password::{HashingPool, PasswordCheck},
};

use crate::{Outcome, PASSWORD, hash, hold, median};

/// Answers each line with the nanoseconds of one check of our hash, and at the end with a hash of its own.
const REFERENCE: &str = r#"
import sys, time
from argon2 import PasswordHasher, Type
stored, password = sys.argv[1:]
hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1, hash_len=32, salt_len=16, type=Type.ID)
assert hasher.verify(stored, password)
for line in sys.stdin:
    start = time.perf_counter_ns()
    hasher.verify(stored, password)
    print(time.perf_counter_ns() - start, flush=True)
print(hasher.hash(password), flush=True)
"#;

const VERSION: &str = "argon2-cffi==25.1.0";

pub(crate) fn run(measured: bool) -> Outcome {
    let rounds = 41;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let pool = HashingPool::new().with_threads(1);
    let stored = Arc::new(runtime.block_on(hash(&pool)));
    if !measured {
        // Nothing is installed where nothing is compared.
        return Ok(());
    }
    let python = match environment() {
        Ok(python) => python,
        Err(error) => {
            println!("\nreference: not measured, {error}");
            return Ok(());
        }
    };
    let mut reference = Command::new(python)
        .args([
            "-c",
            REFERENCE,
            stored.expose().trim_start_matches("argon2:"),
            PASSWORD,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut ask = reference.stdin.take().ok_or("a pipe")?;
    let mut answers = BufReader::new(reference.stdout.take().ok_or("a pipe")?).lines();
    let (mut pool_time, mut reference_time) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let start = Instant::now();
        let verified = runtime.block_on(pool.verify(Some(Arc::clone(&stored)), Secret::from(PASSWORD)))?;
        pool_time.push(start.elapsed().as_nanos());
        assert_ne!(verified, PasswordCheck::Incorrect);
        writeln!(ask)?;
        reference_time.push(answers.next().ok_or("the reference ended")??.parse::<u128>()?);
    }
    drop(ask);
    let text = answers.next().ok_or("the reference ended")??;
    let theirs_read: PasswordHash = format!("argon2:{text}").parse()?;
    assert!(
        theirs_read.verify(&Secret::from(PASSWORD)),
        "their hash, checked by us"
    );
    assert!(reference.wait()?.success());

    let (pool_time, reference_time) = (
        median(&pool_time) as f64 / 1e6,
        median(&reference_time) as f64 / 1e6,
    );
    let ratio = pool_time / reference_time;
    println!("\none check, m=19456 t=2 p=1, medians of {rounds} by turns\n");
    println!("| pool, ms | C ({VERSION}), ms | ratio |\n|--:|--:|--:|");
    println!("| {pool_time:.1} | {reference_time:.1} | {ratio:.2} |");
    hold(
        ratio <= 0.95,
        measured,
        format!("{ratio:.2} of C, expected at most 0.95"),
    )
}

/// The Python of an environment with the reference in it, made below the target folder at the first run.
fn environment() -> Result<std::path::PathBuf, Box<dyn std::error::Error>> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("argon2-cffi");
    let python = folder.join("bin/python");
    let has = |module: &str| {
        let import = Command::new(&python)
            .args(["-c", &format!("import {module}")])
            .output();
        import.is_ok_and(|output| output.status.success())
    };
    if !has("argon2") {
        succeeded(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        succeeded(Command::new(&python).args(["-m", "pip", "install", "--quiet", VERSION]))?;
    }
    Ok(python)
}

fn succeeded(command: &mut Command) -> Outcome {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(words.lines().last().unwrap_or("it failed").to_owned().into())
}
