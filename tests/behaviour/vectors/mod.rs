//! Every file of golden values and attacks, checked row by row.
//!
//! Where this crate's result differs from a row's by decision, the difference is a [`Rule`]: a number, a reason, and
//! a predicate that also checks rows it has not seen. Nothing else may differ.

mod authorization;
mod cookie_values;
mod cookies;
mod hashed_tokens;
mod http1_http2_parity;
mod hub;
mod hub_client;
mod identities;
mod origins;
mod passwords;
mod paths;
mod proxy_api;
mod redirects;
mod secret_files;
mod tokens_in_query;

use std::{
    cell::Cell,
    fmt::Debug,
    fs,
    path::{Path, PathBuf},
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::Value;

/// A decided difference: where it applies, this crate's result.
pub(crate) struct Rule<V> {
    /// The decision's number, or the requirement's id.
    pub(crate) decision: &'static str,
    /// Why we differ, in one sentence.
    pub(crate) reason: &'static str,
    /// This crate's result for a row where the rule applies, else `None`.
    pub(crate) result: fn(&Value) -> Option<V>,
}

/// Where the vectors are read from, and whether they are the crate's own.
fn folder() -> (PathBuf, bool) {
    match std::env::var_os("PORTCULLIS_VECTORS") {
        Some(folder) => (PathBuf::from(folder), false),
        None => (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors"), true),
    }
}

/// A file of vectors, such as `attacks/cookies.json`; `None` if another folder is named and has no such file.
#[track_caller]
pub(crate) fn load(file: &str) -> Option<Value> {
    let (folder, own) = folder();
    let path = folder.join(file);
    if !own && !path.exists() {
        return None;
    }
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // Python writes NaN bare, and halves of surrogate pairs, which are no JSON.
    let value = serde_json::from_str(&text)
        .or_else(|_| serde_json::from_str(&text.replace(": NaN", ":NaN").replace(":NaN", ":\"NaN\"")))
        .or_else(|_| serde_json::from_str(&without_lone_surrogates(&text)));
    Some(value.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// `text` with the replacement character instead of each escape of half a surrogate pair: what is left of
/// it wherever text is UTF-8.
fn without_lone_surrogates(text: &str) -> String {
    let half = |escape: &str, range: std::ops::Range<u32>| {
        let digits = escape.strip_prefix("\\u").and_then(|digits| digits.get(..4));
        digits
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .is_some_and(|half| range.contains(&half))
    };
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find('\\') {
        let (before, escape) = rest.split_at(place);
        whole.push_str(before);
        let (high, low) = (half(escape, 0xd800..0xdc00), half(escape, 0xdc00..0xe000));
        let length = match escape.get(6..) {
            Some(next) if high && half(next, 0xdc00..0xe000) => 12,
            _ if high || low => {
                whole.push_str("\\ufffd");
                rest = &escape[6..];
                continue;
            }
            _ => 2,
        };
        let (escape, behind) = escape.split_at_checked(length).unwrap_or((escape, ""));
        whole.push_str(escape);
        rest = behind;
    }
    whole + rest
}

/// Checks every row of `file`: the actual result must be the row's, or that of the first rule which applies.
///
/// A rule that changes no row of the crate's own vectors is a defect as well.
#[track_caller]
pub(crate) fn check_rows<V: PartialEq + Debug>(
    file: &str,
    rules: &[Rule<V>],
    expected: impl Fn(&Value) -> V,
    actual: impl Fn(&Value) -> V,
) {
    let Some(whole) = load(file) else { return };
    let cases = whole["cases"].as_array().expect("a file of vectors holds cases");
    assert!(!cases.is_empty(), "{file} holds no case");
    let used: Vec<Cell<bool>> = rules.iter().map(|_| Cell::new(false)).collect();
    let mut wrong = Vec::new();
    for case in cases {
        let stated = expected(case);
        let ours = rules
            .iter()
            .zip(&used)
            .find_map(|(rule, used)| Some((rule, used, (rule.result)(case)?)));
        let (wanted, by) = match ours {
            Some((rule, used, result)) => {
                used.set(used.get() || result != stated);
                (result, format!("by decision {} ({})", rule.decision, rule.reason))
            }
            None => (stated, "as the row says".to_owned()),
        };
        let found = actual(case);
        if found != wanted {
            wrong.push(format!(
                "{case}\n    wanted {wanted:?} {by}\n    found  {found:?}"
            ));
        }
    }
    let shown = wrong
        .iter()
        .take(25)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        wrong.is_empty(),
        "{file}: {} of {} rows differ\n{shown}",
        wrong.len(),
        cases.len()
    );
    if folder().1 {
        for (rule, used) in rules.iter().zip(&used) {
            assert!(
                used.get(),
                "{file}: rule {} ({}) changes no row",
                rule.decision,
                rule.reason
            );
        }
    }
    println!("{file}: {} rows", cases.len());
}

/// The bytes of a value that is a string, `{"b64": …}` or `{"repeat": …, "times": …}`.
#[track_caller]
pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    if let Some(text) = value.as_str() {
        return text.as_bytes().to_vec();
    }
    if let Some(text) = value["repeat"].as_str() {
        let times = value["times"].as_u64().expect("times is a number");
        return text
            .repeat(usize::try_from(times).expect("times is small"))
            .into_bytes();
    }
    base64(value["b64"].as_str().expect("a string, b64 or repeat"))
}

/// Decoded standard base64.
#[track_caller]
pub(crate) fn base64(text: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(text).expect("standard base64")
}

#[test]
fn only_halves_of_surrogate_pairs_are_replaced() {
    let text = r#""\ud83d\udd11 \ud800 \udc00\ud83d\ud83d\udd11 \\ud800 \n \u0041""#;
    let read: String = serde_json::from_str(&without_lone_surrogates(text)).expect("JSON");
    assert_eq!(read, "\u{1f511} \u{fffd} \u{fffd}\u{fffd}\u{1f511} \\ud800 \n A");
}

#[test]
fn the_named_folder_holds_at_least_one_file() {
    let (folder, _) = folder();
    let files = ["attacks", "jupyter-server", "jupyterhub"]
        .iter()
        .filter_map(|part| fs::read_dir(folder.join(part)).ok())
        .flatten()
        .filter_map(Result::ok)
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "json")
        })
        .count();
    assert!(files > 0, "no vectors below {}", folder.display());
}
