//! A copy of the database, each value of which is tried as a token, as a login cookie and as a code.

use std::{collections::BTreeSet, fs, time::Duration};

use portcullis::{
    Grant, Identity, Token,
    clock::{Clock as _, SystemClock},
    store::{
        CodeRecord, HubStore, SessionCredential, SessionRecord, SessionStore, SqliteTokenStore, TokenStore,
    },
    token::{PresentedToken, TokenHash},
    verify::StoredTokens,
};
use rusqlite::{Connection, types::Value};

#[tokio::test]
async fn no_value_of_it_is_a_token_a_cookie_or_a_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokens.sqlite");
    let store = SqliteTokenStore::open(&path).expect("a store");
    let (tokens, now) = (StoredTokens::new(store.clone()), SystemClock.now());
    let end = now.saturating_add(Duration::from_secs(60));
    let identity = Identity::new("alice").with_name("Alice Liddell");
    let grant = Grant::new(identity)
        .with_scopes(["read"])
        .with_expiry(end)
        .with_label("phone");
    let (token, _) = tokens.issue(grant).await.expect("issued");
    let (login, code) = (Token::generate(), Token::generate());
    let record = SessionRecord::new(
        Grant::new(Identity::new("alice")),
        "8ace623e786f454682aebac535bc5bf4",
        now,
        end,
    )
    .with_note("browser")
    .with_credential(SessionCredential::Token(token.hash()));
    store
        .insert_session(login.hash(), record, None)
        .await
        .expect("begun");
    let record = CodeRecord::new("service-grader", "/callback", "alice", end)
        .with_code_challenge("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
        .with_session("8ace623e786f454682aebac535bc5bf4");
    assert!(store.insert_code(code.hash(), record, now).await.expect("kept"));

    let dump = Connection::open(&path).expect("opened");
    let mut values = BTreeSet::new();
    for table in ["store", "tokens", "sessions", "codes"] {
        let mut rows = dump
            .prepare(&format!("SELECT * FROM portcullis_{table}"))
            .expect("a table");
        let columns = rows.column_count();
        let mut rows = rows.query([]).expect("rows");
        let mut count = 0;
        while let Some(row) = rows.next().expect("a row") {
            count += 1;
            for column in 0..columns {
                values.insert(match row.get(column).expect("a value") {
                    Value::Null => continue,
                    Value::Integer(number) => number.to_string().into_bytes(),
                    Value::Real(number) => number.to_string().into_bytes(),
                    Value::Text(text) => text.into_bytes(),
                    Value::Blob(bytes) => bytes,
                });
            }
        }
        assert_eq!(count, 1, "{table}");
    }
    assert!(values.len() >= 20, "{}", values.len());
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut tried = 0;
    for value in &values {
        let hexadecimal = hex(value);
        let as_credentials = [value, hexadecimal.as_bytes()]
            .map(PresentedToken::new)
            .into_iter()
            .flatten();
        let mut hashes: Vec<TokenHash> = as_credentials.map(PresentedToken::hash).collect();
        // And were the value itself, or a part of it, taken for a hash.
        let parts = value.windows(32);
        hashes.extend(parts.filter_map(|part| <[u8; 32]>::try_from(part).ok().map(TokenHash::from)));
        for hash in hashes {
            tried += 1;
            assert_eq!(
                store.find(hash).await.expect("an answer"),
                None,
                "{value:?} is no token"
            );
            assert_eq!(
                store.find_session(hash).await.expect("an answer"),
                None,
                "{value:?} is no cookie"
            );
            assert_eq!(
                store.find_code(hash).await.expect("an answer"),
                None,
                "{value:?} is no code"
            );
        }
    }
    assert!(tried >= 40, "{tried}");
    for (name, secret) in [("token", &token), ("login", &login), ("code", &code)] {
        for file in fs::read_dir(folder.path()).expect("a folder") {
            let bytes = fs::read(file.expect("a file").path()).expect("read");
            let found = memchr::memmem::find(&bytes, &secret.expose().as_bytes()[4..20]);
            assert!(found.is_none(), "nothing of the {name} lies in any of the files");
        }
    }
    assert!(
        store.find(token.hash()).await.expect("an answer").is_some(),
        "while the token is one"
    );
}
