//! Where a browser is sent after login.

use portcullis::{
    BaseUrl,
    redirect::{NextUrl, RedirectPolicy},
    request::{Query, Scheme},
};
use serde_json::Value;
use url::Url;

use super::{Rule, base64, check_rows, load};

/// Our target for a value of `next`, or the base.
fn location(next: Option<&[u8]>, policy: RedirectPolicy<'_>, base: &BaseUrl) -> String {
    let next = next.and_then(|next| NextUrl::parse(next, policy));
    next.unwrap_or_else(|| NextUrl::base(base)).as_str().to_owned()
}

/// A case's target.
struct Context {
    origin: Url,
    base: BaseUrl,
    login: String,
    logout: String,
}

impl Context {
    fn of(contexts: &Value, case: &Value) -> Self {
        let context = &contexts[case["context"].as_str().expect("a context")];
        let text = |key: &str| context[key].as_str().expect("text");
        Self {
            origin: text("origin").parse().expect("an origin"),
            base: text("base").parse().expect("a base"),
            login: text("login").to_owned(),
            logout: text("logout").to_owned(),
        }
    }

    /// What we send the browser to.
    fn location(&self, case: &Value) -> String {
        let scheme = if self.origin.scheme() == "https" {
            Scheme::Https
        } else {
            Scheme::Http
        };
        let authority = self.origin.authority();
        let closed = [self.login.as_str(), self.logout.as_str()];
        let policy = RedirectPolicy::new(&self.base)
            .with_origin(scheme, authority)
            .excluding(&closed);
        let next = match (&case["next"], &case["next_b64"], &case["raw_query"]) {
            (Value::String(next), ..) => Some(next.clone().into_bytes()),
            (_, Value::String(next), _) => Some(base64(next)),
            (_, _, Value::String(query)) => Query::new(query.as_bytes())
                .parameter("next")
                .map(|next| next.into_owned()),
            _ => panic!("neither next nor raw_query"),
        };
        location(next.as_deref(), policy, &self.base)
    }
}

#[test]
fn targets_are_allowed_and_written_as_the_corpus_says() {
    let Some(file) = load("attacks/redirects.json") else {
        return;
    };
    let contexts = file["contexts"].clone();
    check_rows(
        "attacks/redirects.json",
        &[],
        |case| match case["verdict"].as_str() {
            Some("allow") => case["location"].as_str().expect("a location").to_owned(),
            Some("default") => Context::of(&contexts, case).base.as_str().to_owned(),
            other => panic!("result {other:?}"),
        },
        |case| Context::of(&contexts, case).location(case),
    );
}

#[test]
fn no_target_of_the_corpus_leaves_origin_or_base() {
    let Some(file) = load("attacks/redirects.json") else {
        return;
    };
    for case in file["cases"].as_array().expect("a list of cases") {
        let context = Context::of(&file["contexts"], case);
        let login = context.origin.join(&context.login).expect("the login page");
        let target = login.join(&context.location(case)).expect("a URL");
        assert_eq!(target.origin(), context.origin.origin(), "{case}");
        assert!(context.base.contains(target.path()), "{case}: {target}");
    }
}

/// What we make of `next` at a server with this base, worked out with another library's URL parser: the
/// same target but for escapes, or the base.
pub(super) fn by_the_rules(next: &str, base: &str) -> Vec<u8> {
    let home = decode(base.as_bytes());
    let escapes_controls = |text: &str| decode(text.as_bytes()).iter().any(u8::is_ascii_control);
    let refused = |byte: u8| byte.is_ascii_control() || byte == b'\\';
    if next.len() > 2048
        || next.bytes().any(refused)
        || !next.starts_with('/')
        || decode(next.as_bytes()).starts_with(b"//")
    {
        return home;
    }
    let Ok(url) = Url::parse("http://localhost/").and_then(|origin| origin.join(&next.replace(' ', "%20")))
    else {
        return home;
    };
    let written = next.split(['?', '#']).next().unwrap_or_default();
    let moved = decode(url.path().as_bytes()) != decode(written.as_bytes());
    let below = written.starts_with(base) || format!("{written}/") == base;
    let closed = ["login", "logout"]
        .map(|page| format!("{base}{page}"))
        .iter()
        .any(|page| written == page);
    let escaped_backslash = decode(written.as_bytes()).starts_with(b"/\\");
    if moved || !below || closed || escaped_backslash || escapes_controls(written) {
        return home;
    }
    decode(next.as_bytes())
}

/// The bytes of `text`, escapes decoded where they are any: to compare what is escaped in different ways.
pub(super) fn decode(text: &[u8]) -> Vec<u8> {
    let digits = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair)
            .ok()
            .filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        u8::from_str_radix(pair, 16).ok()
    };
    let mut bytes = Vec::new();
    let mut place = 0;
    while let Some(byte) = text.get(place) {
        match text
            .get(place + 1..place + 3)
            .filter(|_| *byte == b'%')
            .and_then(digits)
        {
            Some(byte) => {
                bytes.push(byte);
                place += 3;
            }
            None => {
                bytes.push(*byte);
                place += 1;
            }
        }
    }
    bytes
}

#[test]
fn a_target_that_a_jupyter_server_allows_is_allowed_or_the_base() {
    check_rows(
        "jupyter-server/next_url.json",
        &[Rule {
            decision: "28",
            reason: "an absolute path as a browser reads it, below the base, goes out unchanged; all else is the base",
            result: |case| Some(by_the_rules(case["next"].as_str()?, case["base_url"].as_str()?)),
        }],
        |case| match case["location"].as_str() {
            Some(location) => {
                let latin1 = location
                    .chars()
                    .map(|letter| u8::try_from(letter).expect("latin-1"));
                decode(&latin1.collect::<Vec<_>>())
            }
            None => format!("status {}", case["status"]).into_bytes(),
        },
        |case| {
            let base: BaseUrl = case["base_url"]
                .as_str()
                .expect("a base")
                .parse()
                .expect("a base");
            let closed = [base.join("login"), base.join("logout")];
            let closed = [closed[0].as_str(), closed[1].as_str()];
            let next = case["next"].as_str().map(str::as_bytes);
            decode(location(next, RedirectPolicy::new(&base).excluding(&closed), &base).as_bytes())
        },
    );
}
