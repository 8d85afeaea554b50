//! A session store over Redis or Valkey: a worked example of [`SessionStore`].
//!
//! ```text
//! redis-server --port 6379 --save ''
//! cargo run --example redis_sessions -- --redis redis://127.0.0.1/0
//! ```
//!
//! begins two sessions of one user, finds one of them by its cookie, lists both and ends them.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use portcullis::{
    Grant, Identity, Token,
    clock::{Clock as _, SystemClock},
    store::{SessionFilter, SessionRecord, SessionStore},
};

use common::exit::{self, Failure};
use store::RedisSessionStore;

#[path = "../common/mod.rs"]
mod common;
mod store;

/// A session store over Redis or Valkey.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// URL of the server: redis://HOST:PORT/DATABASE or redis+unix:///PATH.
    #[arg(long, default_value = "redis://127.0.0.1:6379/0")]
    redis: String,
}

fn main() -> ExitCode {
    exit::run(run)
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let store = RedisSessionStore::connect(&arguments.redis).await;
    let store = store.map_err(|error| format!("--redis: {error}"))?;
    let now = SystemClock.now();
    let tomorrow = now.saturating_add(Duration::from_secs(24 * 3600));
    let mut cookie = Token::generate();
    for browser in ["Firefox", "Chromium"] {
        cookie = Token::generate();
        let grant = Grant::new(Identity::new("alice")).with_scopes(["read"]);
        // The session id is another value than the cookie's: tokens made in the session carry it.
        let session = SessionRecord::new(grant, Token::generate().expose(), now, tomorrow).with_note(browser);
        store.insert_session(cookie.hash(), session, None).await?;
    }
    if let Some(session) = store.find_session(cookie.hash()).await? {
        println!(
            "the cookie of {} belongs to {}",
            session.note().unwrap_or_default(),
            session.owner()
        );
    }
    let all = || SessionFilter::owner("alice");
    for session in store.list_sessions(all(), now).await? {
        println!("session {}: {}", session.id(), session.note().unwrap_or_default());
    }
    println!("ended: {}", store.end_sessions(all()).await?);
    Ok(())
}
