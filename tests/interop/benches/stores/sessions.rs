//! Sessions: a lookup among a million compared with one among a thousand, and requests while a million expired ones are removed.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use portcullis::{
    Secret, Token,
    clock::UnixTime,
    store::{PostgresTokenStore, SessionStore, SessionTouch, SqliteTokenStore},
    token::TokenHash,
};
use portcullis_interop::postgres::Postgres;
use rusqlite::Connection;

use super::{
    LOOKUPS, Outcome, ROUNDS, TIMES,
    fill::{KEY, keyed, token},
};

/// The sessions that have not expired when the others are removed, and their expiry.
const LIVE: usize = 1_000;
const END: u64 = 4_000_000_000;
/// The expiry of the others, and the time at which they are removed.
const EXPIRED: u64 = 1_900_000_000;
/// Sessions that are removed in one step, as `Sessions::remove_expired` does.
const STEP: usize = 25;
/// The longest delay of a request at p99 while sessions are removed.
const DELAY: Duration = Duration::from_millis(20);

/// Fills two stores, measures, and holds the bounds if `measured`.
pub(crate) async fn sqlite(many: usize, measured: bool) -> Outcome {
    let folder = tempfile::tempdir()?;
    let fill = |name: &str, count| -> Result<SqliteTokenStore, Box<dyn Error>> {
        let path = folder.path().join(name);
        let store = SqliteTokenStore::builder(&path)
            .hash_key(Secret::from(KEY))
            .open()?;
        let mut rows: Vec<_> = (0..count).map(|number| (keyed(number), number)).collect();
        rows.sort_unstable();
        let mut database = Connection::open(&path)?;
        database.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -262144")?;
        let transaction = database.transaction()?;
        let mut insert = transaction.prepare(
            "INSERT INTO portcullis_sessions (hash, id, owner, scopes, session_id, created, last_used, checked_at, expires_at)
             VALUES (?1, ?2 + 1, 'user-' || ?2 % 1000, '[]', 's' || ?2, 1800000000, 1800000000, 1800000000, ?3)",
        )?;
        for (hash, number) in rows {
            let end = if number < LIVE { END } else { EXPIRED };
            insert.execute((hash, i64::try_from(number)?, i64::try_from(end)?))?;
        }
        drop(insert);
        transaction.commit()?;
        database.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        Ok(store)
    };
    let stores = [fill("few-sessions", LIVE)?, fill("many-sessions", many)?];
    measure("sqlite", stores.map(Arc::new), many, measured).await
}

/// The same in PostgreSQL.
pub(crate) async fn postgres(many: usize, measured: bool) -> Outcome {
    let server = Postgres::start();
    let mut stores = Vec::new();
    for (name, count) in [("few_sessions", LIVE), ("many_sessions", many)] {
        server.sql("postgres", &format!("CREATE DATABASE {name}"));
        let store = PostgresTokenStore::builder(&server.config(name))
            .with_key(Secret::from(KEY))
            .connect()
            .await?;
        server.sql(name, "CREATE EXTENSION pgcrypto");
        server.sql(
            name,
            &format!(
                "INSERT INTO portcullis_sessions
                     (hash, id, owner, scopes, session_id, created, last_used, checked_at, expires_at)
                 SELECT hmac(sha256(convert_to('token-of-this-bench-' || number, 'UTF8')), '{KEY}', 'sha256'), number + 1,
                     'user-' || number % 1000, '[]', 's' || number, 1800000000, 1800000000, 1800000000,
                     CASE WHEN number < {LIVE} THEN {END} ELSE {EXPIRED} END
                 FROM generate_series(0, {}) AS number ORDER BY random()",
                count - 1
            ),
        );
        server.sql(name, "VACUUM ANALYZE portcullis_sessions");
        stores.push(Arc::new(store));
    }
    let stores: [Arc<PostgresTokenStore>; 2] = stores.try_into().map_err(|_| "two stores")?;
    measure("postgres", stores, many, measured).await
}

async fn measure<S: SessionStore>(name: &str, stores: [Arc<S>; 2], many: usize, measured: bool) -> Outcome {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut p99 = [Vec::new(), Vec::new()];
    // The first round of each fills the caches.
    for round in 0..=if measured { ROUNDS } else { 1 } {
        for ((store, count), times) in stores.iter().zip([LIVE, many]).zip(&mut p99) {
            let mut found = find(&**store, count, LOOKUPS, &mut random).await?;
            found.sort_unstable();
            if round > 0 {
                times.push(found[found.len() * 99 / 100]);
            }
        }
    }
    let [few, often] = p99.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    let times = often.as_secs_f64() / few.as_secs_f64();
    println!(
        "\n{name}: sessions, p99 of a lookup: {few:.1?} among {LIVE}, {often:.1?} among {many}: {times:.2} times, at most {TIMES}"
    );

    let [_, store] = stores;
    let is_done = Arc::new(AtomicBool::new(false));
    let requests = tokio::spawn({
        let (store, is_done) = (Arc::clone(&store), Arc::clone(&is_done));
        async move {
            let (mut reads, mut writes) = (Vec::new(), Vec::new());
            let mut number = 0;
            while !is_done.load(Ordering::Relaxed) {
                let hash = hash(number % LIVE);
                let began = Instant::now();
                assert!(store.find_session(hash).await.expect("an answer").is_some());
                reads.push(began.elapsed());
                let touch = SessionTouch::new(UnixTime::from_secs(EXPIRED), UnixTime::from_secs(END));
                let began = Instant::now();
                assert!(store.touch_session(hash, touch).await.expect("an answer"));
                writes.push(began.elapsed());
                number += 1;
            }
            [reads, writes]
        }
    });
    let (began, mut removed) = (Instant::now(), 0);
    loop {
        let step = store
            .remove_expired_sessions(UnixTime::from_secs(EXPIRED), STEP)
            .await?;
        removed += step;
        if step < STEP as u64 {
            break;
        }
    }
    let took = began.elapsed();
    is_done.store(true, Ordering::Relaxed);
    assert_eq!(removed, (many - LIVE) as u64);
    println!("{name}: {removed} expired sessions removed in {took:.1?}, {STEP} in a step; meanwhile");
    let mut late = false;
    for (what, mut times) in ["find", "touch"].into_iter().zip(requests.await?) {
        times.sort_unstable();
        let (p99, longest) = (times[times.len() * 99 / 100], times[times.len() - 1]);
        println!(
            "  {what:<5} {:>7} times: p99 {p99:>9.1?}, at most {DELAY:?}; longest {longest:.1?}",
            times.len()
        );
        late |= p99 > DELAY;
    }
    match measured {
        true if times > TIMES => Err("a lookup among many sessions costs too much".into()),
        true if late => Err("requests wait too long while sessions are removed".into()),
        _ => Ok(()),
    }
}

async fn find<S: SessionStore>(
    store: &S,
    count: usize,
    times: usize,
    random: &mut u64,
) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut found = Vec::with_capacity(times);
    for _ in 0..times {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        let hash = hash(usize::try_from(*random % count as u64)?);
        let began = Instant::now();
        let session = store.find_session(hash).await?;
        found.push(began.elapsed());
        assert!(session.is_some(), "it is there");
    }
    Ok(found)
}

fn hash(number: usize) -> TokenHash {
    let token: Token = token(number).parse().expect("a token");
    token.hash()
}
