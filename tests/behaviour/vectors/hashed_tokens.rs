//! Salted hashes of tokens, as JupyterHub stores and judges them.

use std::collections::BTreeMap;

use portcullis::{store::SaltedTokenHash, token::PresentedToken};
use serde_json::Value;

use super::{Rule, check_rows, load};

/// Which of a row's tokens are accepted.
type TokenResults = BTreeMap<String, bool>;

const RULES: &[Rule<TokenResults>] = &[
    Rule {
        decision: "2",
        reason: "a token is visible ASCII",
        result: |case| {
            let mut results = expected(case);
            let before = results.clone();
            for (token, result) in &mut results {
                *result &= PresentedToken::new(token.as_bytes()).is_some();
            }
            (results != before).then_some(results)
        },
    },
    Rule {
        decision: "TOK-6",
        reason: "SHA-1 is not read, and neither is a hash of no round, which is the same for all tokens",
        result: |case| {
            let hashed = case["hashed"].as_str()?;
            let weak = hashed.starts_with("sha1:") || hashed.split(':').nth(1) == Some("0");
            weak.then(|| expected(case).into_keys().map(|token| (token, false)).collect())
        },
    },
];

#[test]
fn tokens_are_checked_as_in_a_jupyterhub() {
    check_rows("jupyterhub/hashed_tokens.json", RULES, expected, |case| {
        let Some(hashed) = case["hashed"].as_str() else {
            return TokenResults::new();
        };
        let hash = hashed.parse::<SaltedTokenHash>().ok();
        let matches = |token: &str| {
            let presented = PresentedToken::new(token.as_bytes());
            presented
                .zip(hash.as_ref())
                .is_some_and(|(token, hash)| hash.matches(token))
        };
        expected(case)
            .into_keys()
            .map(|token| (token.clone(), matches(&token)))
            .collect()
    });
}

/// What the row says; one whose hash cannot be read accepts nothing, and one that makes tokens judges none.
fn expected(case: &Value) -> TokenResults {
    if let Some(results) = case["verdicts"].as_object() {
        let checked = results
            .iter()
            .map(|(token, result)| (token.clone(), result == &Value::Bool(true)));
        return checked.collect();
    }
    match (case["kind"].as_str(), case["token"].as_str()) {
        (Some("hash_token"), Some(token)) => one(token, true),
        (Some("compare_token"), Some(token)) => one(token, case["verdict"] == Value::Bool(true)),
        _ => TokenResults::new(),
    }
}

fn one(token: &str, result: bool) -> TokenResults {
    [(token.to_owned(), result)].into()
}

#[test]
fn the_rows_of_a_hubs_database_are_those_of_its_known_tokens() {
    let Some(rows) = load("jupyterhub/db_rows.json") else {
        return;
    };
    let known = rows["known"].as_object().expect("known tokens");
    for (name, token) in known {
        let token = token.as_str().expect("text");
        let presented = PresentedToken::new(token.as_bytes()).expect("a token");
        let matching = rows["cases"].as_array().expect("cases").iter().filter(|row| {
            let hash = row["hashed"]
                .as_str()
                .and_then(|hashed| hashed.parse::<SaltedTokenHash>().ok());
            row["table"] == "api_tokens"
                && row["prefix"].as_str() == token.get(..4)
                && hash.is_some_and(|hash| hash.matches(presented))
        });
        assert_eq!(matching.count(), 1, "{name}");
    }
    assert!(!known.is_empty());
}
