//! A process that is killed while it issues and revokes, and what is found after.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    thread,
    time::Duration,
};

use portcullis::{
    Token,
    store::{SqliteTokenStore, TokenFilter, TokenStore},
};

use super::record;
use crate::subprocess;

const ROUNDS: u32 = 300;
/// So many things are under way at once in the process that is killed.
const TASKS: usize = 6;

/// What the process said of a token before it was killed.
#[derive(Clone, Copy, PartialEq)]
enum Said {
    Issued,
    /// It began to revoke it.
    Revoking,
    Revoked,
}

#[tokio::test]
async fn what_was_acknowledged_is_there_and_what_was_revoked_stays_revoked() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokens.sqlite");
    let mut said = HashMap::new();
    let mut seed = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .subsec_nanos()
        | 1;
    println!("seed {seed}");
    for round in 0..ROUNDS {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        run_and_kill(&path, Duration::from_micros(u64::from(seed % 20_000)), &mut said);
        // Each round's tokens at once, and all of them at the end.
        if round % 10 == 9 || round == ROUNDS - 1 {
            check(&path, &said).await;
        }
    }
    let count = |wanted| said.values().filter(|said| **said == wanted).count();
    let (issued, revoked) = (count(Said::Issued), count(Said::Revoked));
    println!(
        "{issued} issued, {} being revoked, {revoked} revoked",
        count(Said::Revoking)
    );
    assert!(
        issued > ROUNDS as usize && revoked > ROUNDS as usize,
        "{issued} issued, {revoked} revoked"
    );
}

fn run_and_kill(path: &Path, after: Duration, said: &mut HashMap<String, Said>) {
    let task = path.to_str().expect("text");
    let mut process = subprocess::command(module_path!(), "a_child_issues_and_revokes_for_ever", task)
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(process.stderr.take().expect("piped"));
    let mut first = String::new();
    lines.read_line(&mut first).expect("it begins");
    thread::sleep(after);
    process.kill().expect("killed");
    process.wait().expect("gone");
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("what it had said");
    // Whole lines: one that was cut off was not said.
    for line in (first + &rest)
        .split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n'))
    {
        let (word, token) = line.split_once(' ').expect("a word and a token");
        let word = match word {
            "issued" => Said::Issued,
            "revoking" => Said::Revoking,
            "revoked" => Said::Revoked,
            _ => panic!("{line}"),
        };
        said.insert(token.to_owned(), word);
    }
}

async fn check(path: &Path, said: &HashMap<String, Said>) {
    let store = SqliteTokenStore::open(path).expect("it opens again");
    for (token, said) in said {
        let token: Token = token.parse().expect("a token");
        let found = store.find(token.hash()).await.expect("an answer").is_some();
        match said {
            Said::Issued => assert!(found, "what was acknowledged is there"),
            Said::Revoking => {}
            Said::Revoked => assert!(!found, "what was revoked stays revoked"),
        }
    }
}

#[test]
fn a_child_issues_and_revokes_for_ever() {
    let Some(path) = subprocess::task() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let store = SqliteTokenStore::open(&path).expect("a store");
    // One write a line, so that none is half said unless the process ends within it.
    let say = |word: &str, token: &Token| {
        let line = format!("{word} {}\n", token.expose());
        std::io::stderr().write_all(line.as_bytes()).expect("said");
    };
    runtime.block_on(async {
        let tasks = (0..TASKS).map(|_| {
            let store = store.clone();
            async move {
                loop {
                    let (one, two) = (record("me"), record("me"));
                    let stays = store.issue(one).await.expect("issued");
                    say("issued", &stays);
                    let goes = store.issue(two.clone()).await.expect("issued");
                    say("issued", &goes);
                    say("revoking", &goes);
                    assert_eq!(store.revoke(TokenFilter::id(two.id())).await.expect("revoked"), 1);
                    say("revoked", &goes);
                }
            }
        });
        let tasks: Vec<_> = tasks.map(Box::pin).collect();
        let mut tasks = tasks;
        std::future::poll_fn(|context| {
            for task in &mut tasks {
                let _: std::task::Poll<std::convert::Infallible> = task.as_mut().poll(context);
            }
            std::task::Poll::<()>::Pending
        })
        .await;
    });
}
