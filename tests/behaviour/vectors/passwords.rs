//! Hashes of passwords as a Jupyter Server keeps them, right and wrong passwords.

use portcullis::{PasswordHash, Secret};
use serde_json::Value;

use super::{Rule, check_rows};

/// Whether the password is accepted: a text that is no hash accepts none.
fn is_accepted(stored: &str, password: &str) -> bool {
    stored
        .parse::<PasswordHash>()
        .is_ok_and(|hash| hash.verify(&Secret::from(password)))
}

#[track_caller]
fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().expect("text")
}

#[test]
fn passwords_are_checked_as_a_jupyter_server_checks_them() {
    check_rows(
        "jupyter-server/password_check.json",
        &[
            Rule {
                decision: "9",
                reason: "of the older hashes only sha1, sha256 and sha512 are read, by these names",
                result: |case| {
                    let (name, _) = text(case, "stored").split_once(':')?;
                    let name = name.to_ascii_lowercase();
                    (!["argon2", "sha1", "sha256", "sha512"].contains(&name.as_str())).then_some(false)
                },
            },
            Rule {
                decision: "9",
                reason: "an empty password is refused",
                result: |case| text(case, "passphrase").is_empty().then_some(false),
            },
        ],
        // An exception is no acceptance either.
        |case| text(case, "verdict") == "match",
        |case| is_accepted(text(case, "stored"), text(case, "passphrase")),
    );
}

#[test]
fn a_hash_keeps_its_text_and_an_older_one_is_weak() {
    let Some(file) = super::load("jupyter-server/password_check.json") else {
        return;
    };
    for case in file["cases"].as_array().expect("a list of cases") {
        let stored = text(case, "stored");
        if let Ok(hash) = stored.parse::<PasswordHash>() {
            assert_eq!(hash.expose(), stored, "keys of cookies are made of it");
            assert!(
                hash.is_weak() || stored.starts_with("argon2:$argon2id$v=19$"),
                "{stored}"
            );
        }
    }
}
