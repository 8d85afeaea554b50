//! What a lookup costs among a million tokens or sessions, compared with a thousand, in SQLite and in PostgreSQL, and
//! how long requests wait while a million expired sessions are removed.
//!
//! `cargo bench -p portcullis-interop --bench stores` measures both, `-- sqlite`, `-- postgres`, `-- sqlite-sessions` or
//! `-- postgres-sessions` one of them, and fails
//! where a bound is passed. Without `--bench`, as `cargo test --benches` runs it, there are fewer tokens, and nothing is
//! held.

mod fill;
mod sessions;

use std::{
    error::Error,
    fs,
    process::ExitCode,
    time::{Duration, Instant},
};

use portcullis::{store::TokenStore, token::PresentedToken, verify::StoredTokens};

type Outcome = Result<(), Box<dyn Error>>;

/// The bound of the p99 among many, in p99s among few.
const TIMES: f64 = 1.5;
/// Lookups in a round, and rounds of each by turns: a p99 is the middle one of the rounds'.
const LOOKUPS: usize = 2_000;
const ROUNDS: usize = 41;
/// The most that the process may grow by while it looks up, in KiB.
const GROWTH: u64 = 4 * 1_024;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let measured = arguments.iter().any(|argument| argument == "--bench");
    let mut names = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'))
        .peekable();
    let wanted: Vec<&str> = match names.peek() {
        Some(_) => names.map(String::as_str).collect(),
        None => vec!["sqlite", "postgres", "sqlite-sessions", "postgres-sessions"],
    };
    let many = if measured { 1_000_000 } else { 10_000 };
    let mut code = ExitCode::SUCCESS;
    for name in wanted {
        let outcome = match name {
            "sqlite" => sqlite(many, measured).await,
            "postgres" => postgres(many, measured).await,
            "sqlite-sessions" => sessions::sqlite(many, measured).await,
            "postgres-sessions" => sessions::postgres(many, measured).await,
            _ => Err(format!(
                "expected sqlite, postgres, sqlite-sessions or postgres-sessions, found {name}"
            )
            .into()),
        };
        if let Err(error) = outcome {
            println!("\n{name}: {error}");
            code = ExitCode::FAILURE;
        }
    }
    code
}

async fn sqlite(many: usize, measured: bool) -> Outcome {
    let folder = tempfile::tempdir()?;
    let few = fill::sqlite(&folder.path().join("few"), 1_000)?;
    let many = fill::sqlite(&folder.path().join("many"), many)?;
    compare("sqlite", [few, many], measured).await
}

async fn postgres(many: usize, measured: bool) -> Outcome {
    let server = portcullis_interop::postgres::Postgres::start();
    let few = fill::postgres(&server, "few", 1_000).await?;
    let many = fill::postgres(&server, "many", many).await?;
    compare("postgres", [few, many], measured).await
}

/// A store, and how many tokens of [`fill::token`] are in it.
type Filled<S> = (S, usize);

async fn compare<S: TokenStore>(name: &str, stores: [Filled<S>; 2], measured: bool) -> Outcome {
    let counts = stores.each_ref().map(|(_, count)| *count);
    let stores = stores.map(|(store, count)| (StoredTokens::new(store), count));
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut times = [Vec::new(), Vec::new()];
    let rounds = if measured { ROUNDS } else { 3 };
    for (store, count) in &stores {
        fill_caches(store, *count).await?;
    }
    let memory = allocated();
    for _ in 0..rounds {
        for ((store, count), times) in stores.iter().zip(&mut times) {
            let mut found = look_up(store, *count, &mut random).await?;
            found.sort_unstable();
            times.push((found[LOOKUPS / 2], found[LOOKUPS * 99 / 100]));
        }
    }
    let growth = allocated().saturating_sub(memory);
    let middle = |times: &[(Duration, Duration)], which: fn(&(Duration, Duration)) -> Duration| {
        let mut times: Vec<Duration> = times.iter().map(which).collect();
        times.sort_unstable();
        times[times.len() / 2]
    };
    println!("\n{name}: {LOOKUPS} lookups a round, {rounds} rounds by turns");
    for (count, times) in counts.iter().zip(&times) {
        let (median, p99) = (middle(times, |time| time.0), middle(times, |time| time.1));
        println!("{count:>9} tokens: median {median:>9.1?}, p99 {p99:>9.1?}");
    }
    let [few, many] = times.map(|times| middle(&times, |time| time.1).as_secs_f64());
    println!(
        "p99 {:.2} times, at most {TIMES}; {growth} KiB more memory after, at most {GROWTH}",
        many / few
    );
    if measured && many / few > TIMES {
        return Err("a lookup among many costs too much".into());
    }
    if measured && growth > GROWTH {
        return Err("looking up takes more and more memory".into());
    }
    Ok(())
}

/// Looks up from many sides at once, so that every thread and connection that reads has had its part.
async fn fill_caches<S: TokenStore>(tokens: &StoredTokens<S>, count: usize) -> Outcome {
    let sides = (1..=8_u64).map(|mut random| {
        let tokens = tokens.clone();
        tokio::spawn(async move {
            for _ in 0..10 {
                look_up(&tokens, count, &mut random)
                    .await
                    .map_err(|error| error.to_string())?;
            }
            Ok::<_, String>(())
        })
    });
    for side in sides.collect::<Vec<_>>() {
        side.await??;
    }
    Ok(())
}

async fn look_up<S: TokenStore>(
    tokens: &StoredTokens<S>,
    count: usize,
    random: &mut u64,
) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut times = Vec::with_capacity(LOOKUPS);
    for _ in 0..LOOKUPS {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        let number = usize::try_from(*random % count as u64)?;
        let text = fill::token(number);
        let token = PresentedToken::new(text.as_bytes()).ok_or("no token")?;
        let began = Instant::now();
        let found = tokens.find(token).await?;
        times.push(began.elapsed());
        assert_eq!(found.expect("it is there").created().as_secs(), fill::CREATED);
    }
    Ok(times)
}

/// KiB of memory that this process has allocated. Pages of files, such as the program's own, are not counted: the kernel drops
/// them and reads them again as it likes.
fn allocated() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap_or_default()
}
