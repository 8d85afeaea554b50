//! A copy of a JupyterHub's database is opened, and its tokens are accepted.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use portcullis::{
    Verification,
    store::{SqliteTokenStore, TokenFilter, TokenStore},
    token::PresentedToken,
    verify::StoredTokens,
};
use rusqlite::Connection;
use serde_json::Value;

use super::verify;
use crate::vectors;

/// The tables as JupyterHub 6 makes them, and the tokens of the vectors in them: those of alice, and one of a service.
fn jupyterhub(path: &Path) -> Vec<(String, bool)> {
    let hub = Connection::open(path).expect("opened");
    hub.execute_batch(
        "CREATE TABLE users (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(255), cookie_id VARCHAR(255) NOT NULL);
         CREATE TABLE services (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(255));
         CREATE TABLE api_tokens (user_id INTEGER, service_id INTEGER, id INTEGER NOT NULL PRIMARY KEY,
             hashed VARCHAR(255), prefix VARCHAR(16), client_id VARCHAR(255), session_id VARCHAR(255), created DATETIME,
             expires_at DATETIME, last_activity DATETIME, note VARCHAR(1023), scopes TEXT);
         INSERT INTO users VALUES (1, 'alice', 'c00c1e');
         INSERT INTO services VALUES (1, 'ext');",
    )
    .expect("made");
    let hashed = vectors::load("jupyterhub/hashed_tokens.json").expect("vectors");
    let mut results = Vec::new();
    let insert = "INSERT INTO api_tokens VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, '2026-01-02 03:04:05.678901', ?7, NULL, ?8, ?9)";
    let rows = hashed["cases"]
        .as_array()
        .expect("cases")
        .iter()
        .filter(|case| case["kind"] == "APIToken");
    for (number, case) in (0_i64..).zip(rows) {
        let text = |name: &str| case[name].as_str().expect("text").to_owned();
        let (user, service) = if number == 0 {
            (None, Some(1))
        } else {
            (Some(1), None)
        };
        let row = (
            user,
            service,
            number + 10,
            text("hashed"),
            text("prefix"),
            "jupyterhub",
            None::<&str>,
            "a note",
            r#"["inherit"]"#,
        );
        hub.execute(insert, row).expect("inserted");
        let cases = case["verdicts"].as_object().expect("verdicts").iter();
        // A value that is invalid in a header is never looked up.
        let cases = cases.filter(|(token, _)| PresentedToken::new(token.as_bytes()).is_some());
        results.extend(cases.map(|(token, result)| (token.clone(), *result == Value::Bool(true))));
    }
    // Tokens that the hub would reject: no client, expired, an invalid hash, no user.
    let refused = [
        (
            Some(1),
            None,
            "sha512:1:00:68e60e19a697861588b36bba3574e05cbfa47f3480be2557b2fc58081302afc72e9ad416d5d007db5f8b94b23c6d6bf06c6bd51c2b23def498ae8a932e0f6cdb",
            "zzzz",
            None,
            None,
        ),
        (
            Some(1),
            None,
            "sha512:1:00:68e60e19a697861588b36bba3574e05cbfa47f3480be2557b2fc58081302afc72e9ad416d5d007db5f8b94b23c6d6bf06c6bd51c2b23def498ae8a932e0f6cdb",
            "zzzz",
            Some("jupyterhub"),
            Some("2020-01-01 00:00:00.000000"),
        ),
        (
            Some(1),
            None,
            "sha512:1:00:68e60e19a697861588b36bba3574e05cbfa47f3480be2557b2fc58081302afc72e9ad416d5d007db5f8b94b23c6d6bf06c6bd51c2b23def498ae8a932e0f6cdb",
            "zzzz",
            Some("jupyterhub"),
            Some("no date at all"),
        ),
        (Some(1), None, "no hash at all", "zzzz", Some("jupyterhub"), None),
        (
            None,
            None::<i64>,
            "sha512:1:00:68e60e19a697861588b36bba3574e05cbfa47f3480be2557b2fc58081302afc72e9ad416d5d007db5f8b94b23c6d6bf06c6bd51c2b23def498ae8a932e0f6cdb",
            "zzzz",
            Some("jupyterhub"),
            None,
        ),
    ];
    for (number, (user, service, hashed, prefix, client, expiry)) in (0_i64..).zip(refused) {
        let row = (
            user,
            service,
            number + 100,
            hashed,
            prefix,
            client,
            expiry,
            "",
            "[]",
        );
        hub.execute(insert, row).expect("inserted");
    }
    results.push(("z".repeat(64), false));
    results
}

#[tokio::test]
async fn its_tokens_are_accepted_as_it_accepts_them_and_known_by_plain_hashes_after() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("jupyterhub.sqlite");
    let results = jupyterhub(&path);
    let accepted = results.iter().filter(|(_, accepted)| *accepted).count();
    assert!(accepted >= 10, "{accepted}");
    for round in ["salted", "plain"] {
        let tokens = StoredTokens::new(SqliteTokenStore::open(&path).expect("a store"));
        assert_eq!(
            tokens.store().salted_hashes().is_some(),
            round == "salted" || has_salted(&path)
        );
        for (token, accepted) in &results {
            let presented = PresentedToken::new(token.as_bytes()).expect("visible ASCII");
            let result = verify(&tokens, token).await;
            let known = matches!(&result, Verification::Valid(grant) if grant.scopes().contains("inherit"));
            assert_eq!(known, *accepted, "{round}: {token:?}: {result:?}");
            if *accepted {
                // However busy the disk is.
                let deadline = Instant::now() + Duration::from_secs(60);
                while tokens
                    .store()
                    .find(presented.hash())
                    .await
                    .expect("an answer")
                    .is_none()
                {
                    assert!(
                        round == "salted" && Instant::now() < deadline,
                        "adopted when it is used: {token:?}"
                    );
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
        let list = tokens
            .list(TokenFilter::owner("services/ext"))
            .await
            .expect("a list");
        let [service] = &list[..] else {
            panic!("one of the service's: {list:?}")
        };
        assert_eq!(service.id().as_u64(), 10, "under the id it had");
        assert_eq!(service.created().as_secs(), 1_767_323_045);
        assert_eq!(
            (service.grant().label(), service.client_id()),
            (Some("a note"), Some("jupyterhub"))
        );
        let of_alice = tokens.list(TokenFilter::owner("alice")).await.expect("a list");
        let mut refused = of_alice
            .iter()
            .map(|record| record.id().as_u64())
            .filter(|id| *id >= 100);
        // What its hub would not accept any more was left behind; a hash that cannot be read is no token's.
        assert!(refused.all(|id| id == 103));
    }
}

#[tokio::test]
async fn a_token_that_is_revoked_before_it_is_used_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("jupyterhub.sqlite");
    let results = jupyterhub(&path);
    let tokens = StoredTokens::new(SqliteTokenStore::open(&path).expect("a store"));
    tokens.revoke(TokenFilter::owner("alice")).await.expect("revoked");
    tokens
        .revoke(TokenFilter::owner("services/ext"))
        .await
        .expect("revoked");
    drop(tokens);
    // Nor does opening it once more bring it back: the hub's own tables are read once.
    let tokens = StoredTokens::new(SqliteTokenStore::open(&path).expect("a store"));
    for (token, _) in results.iter().filter(|(_, accepted)| *accepted) {
        assert!(matches!(verify(&tokens, token).await, Verification::Unknown));
    }
}

fn has_salted(path: &Path) -> bool {
    let database = Connection::open(path).expect("opened");
    let salted = "SELECT EXISTS (SELECT 1 FROM portcullis_tokens WHERE prefix IS NOT NULL)";
    database
        .query_row(salted, [], |row| row.get(0))
        .expect("a result")
}
