//! Paths: which cookies a browser sends with them, and whose scope they are.

use portcullis::cookies::{CookiePath, CookiePathMap, PathMatch};
use serde_json::Value;

use super::{bytes, check_rows, load};

const FILE: &str = "attacks/paths.json";

#[test]
fn the_scope_of_a_path_is_decided_from_its_bytes_alone() {
    let Some(whole) = load(FILE) else { return };
    let scopes = whole["routes"]
        .as_object()
        .expect("routes are named")
        .iter()
        .fold(CookiePathMap::default(), |scopes, (name, path)| {
            scopes.insert(&parsed(path), name.clone())
        });
    check_rows(
        FILE,
        &[],
        |case| case["scope"].as_str().expect("a scope").to_owned(),
        |case| match scopes.resolve(&bytes(&case["path"])) {
            PathMatch::NoMatch => "none".to_owned(),
            PathMatch::Ambiguous => "reject".to_owned(),
            PathMatch::Match(name) => name.clone(),
        },
    );
}

#[test]
fn a_path_matches_the_cookies_that_a_browser_would_send_with_it() {
    let Some(whole) = load(FILE) else { return };
    let jar: Vec<(&str, CookiePath)> = whole["jar"]
        .as_array()
        .expect("a jar of cookies")
        .iter()
        .map(|cookie| (cookie[0].as_str().expect("a name"), parsed(&cookie[1])))
        .collect();
    check_rows(
        FILE,
        &[],
        |case| {
            let names = case["path_match"].as_array().expect("names");
            let mut names: Vec<_> = names
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            names.sort_unstable();
            names
        },
        |case| {
            let path = bytes(&case["path"]);
            let sent = jar.iter().filter(|(_, scope)| scope.matches(&path));
            let mut names: Vec<_> = sent.map(|(name, _)| (*name).to_owned()).collect();
            names.sort_unstable();
            names
        },
    );
}

fn parsed(path: &Value) -> CookiePath {
    CookiePath::parse(path.as_str().expect("a path")).expect("a path of one spelling")
}
