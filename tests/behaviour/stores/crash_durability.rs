//! A process that is killed while it writes tokens and sessions, and what is found after.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    thread,
    time::Duration,
};

use portcullis::{
    Token,
    clock::{Clock as _, SystemClock},
    store::{SessionFilter, SessionRecord, SessionStore, SqliteTokenStore, TokenFilter, TokenStore},
};

use super::record;
use crate::subprocess;

const ROUNDS: u32 = 300;
/// How many tasks run at once in the process that is killed.
const TASKS: usize = 6;

/// What the process said of a token, or of a session's cookie, before it was killed.
#[derive(Clone, Copy, PartialEq)]
enum Said {
    Kept,
    /// It began to remove it.
    Removing,
    Removed,
}

#[tokio::test]
async fn what_was_acknowledged_is_there_and_what_was_revoked_or_ended_stays_so() {
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
        // By what it has written, and a little later: on a busy machine as many are kept.
        let after = Duration::from_micros(u64::from(seed / 64 % 2_000));
        run_and_kill(&path, seed % 64, after, &mut said);
        // Each round's tokens at once, and all of them at the end.
        if round % 10 == 9 || round == ROUNDS - 1 {
            check(&path, &said).await;
        }
    }
    for kind in ["token", "session"] {
        let all = || said.iter().filter(|((said_of, _), _)| said_of == kind);
        let count = |wanted| all().filter(|(_, said)| **said == wanted).count();
        let (kept, removed) = (count(Said::Kept), count(Said::Removed));
        println!(
            "{kind}s: {kept} kept, {} being removed, {removed} removed",
            count(Said::Removing)
        );
        assert!(
            kept > ROUNDS as usize && removed > ROUNDS as usize,
            "{kind}s: {kept} kept, {removed} removed"
        );
    }
}

type SaidOf = HashMap<(String, String), Said>;

/// Kills the process `after` it has written a line, and `lines` more.
fn run_and_kill(path: &Path, lines: u32, after: Duration, said: &mut SaidOf) {
    let task = path.to_str().expect("text");
    let mut process = subprocess::command(module_path!(), "a_child_issues_and_revokes_for_ever", task)
        .spawn()
        .expect("started");
    let mut output = BufReader::new(process.stderr.take().expect("piped"));
    let mut first = String::new();
    for _ in 0..=lines {
        output.read_line(&mut first).expect("it goes on");
    }
    thread::sleep(after);
    process.kill().expect("killed");
    process.wait().expect("gone");
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("what it had said");
    // Whole lines: one that was cut off was not said.
    for line in (first + &rest)
        .split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n'))
    {
        let words: Vec<&str> = line.split(' ').collect();
        let &[word, kind, token] = &words[..] else {
            panic!("{line}")
        };
        let word = match word {
            "kept" => Said::Kept,
            "removing" => Said::Removing,
            "removed" => Said::Removed,
            _ => panic!("{line}"),
        };
        said.insert((kind.to_owned(), token.to_owned()), word);
    }
}

async fn check(path: &Path, said: &SaidOf) {
    let store = SqliteTokenStore::open(path).expect("it opens again");
    for ((kind, token), said) in said {
        let hash = token.parse::<Token>().expect("a token").hash();
        let found = match kind.as_str() {
            "token" => store.find(hash).await.expect("an answer").is_some(),
            _ => store.find_session(hash).await.expect("an answer").is_some(),
        };
        match said {
            Said::Kept => assert!(found, "a {kind} that was acknowledged is there"),
            Said::Removing => {}
            Said::Removed => assert!(!found, "a {kind} that was removed does not come back"),
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
    let say = |word: &str, kind: &str, token: &Token| {
        let line = format!("{word} {kind} {}\n", token.expose());
        std::io::stderr().write_all(line.as_bytes()).expect("said");
    };
    let begin = async |store: &SqliteTokenStore, replaced: Option<String>| {
        let (cookie, now) = (Token::generate(), SystemClock.now());
        let end = now.saturating_add(Duration::from_secs(86_400));
        let session_id = format!("{:?}", cookie.hash().as_bytes());
        let session = SessionRecord::new(record("me").grant().clone(), &session_id, now, end);
        let begun = store.insert_session(cookie.hash(), session.clone(), replaced);
        begun.await.expect("begun");
        (cookie, session)
    };
    runtime.block_on(async {
        let tasks = (0..TASKS).map(|number| {
            let store = store.clone();
            async move {
                // Half of them begin and end sessions, the others issue and revoke tokens.
                if number % 2 == 0 {
                    loop {
                        let (stays, _) = begin(&store, None).await;
                        say("kept", "session", &stays);
                        let (replaced, old) = begin(&store, None).await;
                        say("kept", "session", &replaced);
                        say("removing", "session", &replaced);
                        let (goes, new) = begin(&store, Some(old.session_id().to_owned())).await;
                        say("removed", "session", &replaced);
                        say("kept", "session", &goes);
                        say("removing", "session", &goes);
                        let ended = store.end_sessions(SessionFilter::id(new.id())).await;
                        assert_eq!(ended.expect("ended"), 1);
                        say("removed", "session", &goes);
                    }
                }
                loop {
                    let (one, two) = (record("me"), record("me"));
                    let stays = store.issue(one).await.expect("issued");
                    say("kept", "token", &stays);
                    let goes = store.issue(two.clone()).await.expect("issued");
                    say("kept", "token", &goes);
                    say("removing", "token", &goes);
                    assert_eq!(store.revoke(TokenFilter::id(two.id())).await.expect("revoked"), 1);
                    say("removed", "token", &goes);
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
