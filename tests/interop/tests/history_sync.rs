//! A history-sync server: tokens in PostgreSQL, hashed, with an end and their last use; `Authorization: Token …`.
//!
//! What its user writes stands between `// user:` and `// asserted:`, and is counted with the other users'.

use std::time::{Duration, Instant};

use portcullis::{
    AuthLayer, Grant, Identity, Reason, RequestHead,
    clock::{Clock as _, SystemClock, UnixTime},
    store::{PostgresTokenStore, TokenFilter},
    verify::StoredTokens,
};
use portcullis_interop::postgres::Postgres;

#[tokio::test(flavor = "multi_thread")]
async fn its_tokens_are_kept_hashed_with_their_end_and_last_use() -> Result<(), Box<dyn std::error::Error>> {
    let server = Postgres::start();
    server.sql("postgres", "CREATE DATABASE history");
    let config = server.config("history");
    let now = SystemClock.now();
    // user:
    let tokens = StoredTokens::new(PostgresTokenStore::connect(&config).await?);
    let auth = AuthLayer::bearer_tokens(tokens.clone());
    let laptop = Grant::new(Identity::new("alice")).with_label("laptop");
    let in_a_month = now.saturating_add(Duration::from_secs(30 * 86_400));
    let (token, _) = tokens.issue(laptop.with_expiry(in_a_month)).await?;
    // asserted:
    let old = Grant::new(Identity::new("alice")).with_expiry(UnixTime::from_secs(now.as_secs() - 1));
    let (old, _) = tokens.issue(old).await?;
    for (authorization, expected) in [
        (format!("Token {}", token.expose()), Ok("alice")),
        (format!("token {}", token.expose()), Ok("alice")),
        (format!("TOKEN {}", token.expose()), Ok("alice")),
        (format!("Token {}", old.expose()), Err(Reason::ExpiredToken)),
        ("Token unknown".to_owned(), Err(Reason::UnknownToken)),
    ] {
        let request = http::Request::post("/history")
            .header("authorization", &authorization)
            .body(())?;
        let found = auth.authenticate(RequestHead::new(&request)).await;
        let found = found.map(|session| session.identity().username().to_owned());
        let found = found.map_err(|denial| denial.reason());
        assert_eq!(
            found.as_deref().map_err(|reason| *reason),
            expected,
            "{}",
            &authorization[..5]
        );
    }

    let kept = server.sql("history", "SELECT database_to_xml(true, false, '')");
    assert!(
        kept.contains("laptop") && !kept.contains(token.expose()),
        "hashes alone are kept"
    );

    let listed = tokens.list(TokenFilter::owner("alice")).await?;
    assert_eq!(listed.len(), 1, "the other one has ended: {listed:?}");
    let until = Instant::now() + Duration::from_secs(20);
    while tokens.list(TokenFilter::owner("alice")).await?[0]
        .last_used()
        .is_none()
    {
        assert!(Instant::now() < until, "expected the use to be recorded");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for id in listed.iter().map(|record| record.id()) {
        assert_eq!(tokens.revoke(TokenFilter::owner("alice").and_id(id)).await?, 1);
    }
    assert!(tokens.list(TokenFilter::owner("alice")).await?.is_empty());
    Ok(())
}
