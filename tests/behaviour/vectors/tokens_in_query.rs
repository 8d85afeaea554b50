//! Tokens in a query: which one counts, what is logged of it, what the cleaned-up query is.

use http::{HeaderName, HeaderValue, Request};
use portcullis::{
    Denial, RequestHead,
    authenticate::{TokenSources, token_in_authorization},
    request::{Query, TokenBuffer, redact_query},
};
use serde_json::Value;
use url::form_urlencoded;

use super::{Rule, bytes, check_rows};

/// Everything the corpus says of a query.
#[derive(Debug, PartialEq)]
struct Read {
    result: String,
    token: Option<String>,
    scrubbed: String,
    remaining: Option<Vec<u8>>,
}

/// The token of the query and the headers of the case.
fn token(case: &Value, query: &[u8]) -> Result<Option<String>, Denial> {
    let mut buffer = TokenBuffer::default();
    let Ok(mut request) = Request::get([b"/lab?", query].concat()).body(()) else {
        // No HTTP library passes such bytes on: our own reader has to know them all the same.
        let token = Query::new(query).token(&mut buffer)?;
        return Ok(token.map(|token| token.expose().to_owned()));
    };
    for field in case["headers"].as_array().into_iter().flatten() {
        let name = HeaderName::from_bytes(&bytes(&field[0])).expect("a field name");
        let value = HeaderValue::from_bytes(&bytes(&field[1])).expect("a field value");
        request.headers_mut().append(name, value);
    }
    let sources = TokenSources::default();
    let found = sources.extract(RequestHead::new(&request), &mut buffer)?;
    Ok(found.map(|found| found.token().expose().to_owned()))
}

/// The token of the field, which decides where the query has none.
pub(super) fn header_token(case: &Value) -> Option<String> {
    case["headers"].as_array()?.iter().find_map(|field| {
        let value = bytes(&field[1]);
        let token = token_in_authorization(&value).ok()??;
        Some(token.expose().to_owned())
    })
}

fn read(case: &Value) -> Read {
    let query = bytes(&case["query"]);
    let (result, token) = match token(case, &query) {
        Ok(Some(token)) => ("token", Some(token)),
        Ok(None) => ("none", None),
        Err(denial) => match denial.status().as_u16() {
            400 => ("reject", None),
            401 => ("malformed", None),
            414 => ("too_long", None),
            other => panic!("status {other}"),
        },
    };
    // The corpus has the query's token alone.
    let of_query = Query::new(&query)
        .token(&mut TokenBuffer::default())
        .is_ok_and(|token| token.is_some());
    let (result, token) = match token {
        Some(token) if !of_query => {
            assert_eq!(Some(token), header_token(case));
            ("none", None)
        }
        token => (result, token),
    };
    Read {
        remaining: (result == "token").then(|| Query::new(&query).without_token().into_owned()),
        result: result.to_owned(),
        token,
        scrubbed: Query::new(&query).redacted().into_owned(),
    }
}

#[test]
fn tokens_in_queries_are_read_scrubbed_and_removed_as_the_corpus_says() {
    check_rows(
        "attacks/tokens-in-query.json",
        &[Rule {
            decision: "4",
            reason: "a token in the query may be as long as one in the field",
            result: |case| {
                let value = bytes(&case["query"]);
                let value = form_urlencoded::parse(value.strip_prefix(b"token=")?);
                let value: String = value.map(|(name, _)| name).collect();
                let fits = case["verdict"] == "malformed" && (513..=8_000).contains(&value.len());
                fits.then(|| Read {
                    result: "token".to_owned(),
                    token: Some(value),
                    scrubbed: case["scrubbed"].as_str().unwrap_or_default().to_owned(),
                    remaining: Some(Vec::new()),
                })
            },
        }],
        |case| {
            let text = |key: &str| case[key].as_str().map(str::to_owned);
            Read {
                result: text("verdict").expect("a result"),
                token: text("token"),
                scrubbed: String::from_utf8(bytes(&case["scrubbed"])).expect("text"),
                remaining: (!case["remaining"].is_null()).then(|| bytes(&case["remaining"])),
            }
        },
        read,
    );
}

/// A target with its query scrubbed.
fn scrub_target(target: &str, scrub: impl Fn(&str) -> String) -> String {
    let (target, fragment) = target
        .split_once('#')
        .map_or((target, None), |(target, rest)| (target, Some(rest)));
    let mut scrubbed = match target.split_once('?') {
        Some((path, query)) => format!("{path}?{}", scrub(query)),
        None => target.to_owned(),
    };
    if let Some(fragment) = fragment {
        scrubbed.push('#');
        scrubbed.push_str(fragment);
    }
    scrubbed
}

#[test]
fn queries_are_logged_without_the_token() {
    check_rows(
        "jupyter-server/log_scrub.json",
        &[Rule {
            decision: "39",
            reason: "the value of the layer's own parameter is `[token]`, however its name is escaped; others are not hidden",
            result: |case| {
                // Read by another library: a name that decodes to `token`, and a value behind it.
                let by_the_rule = |query: &str| {
                    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
                        Some((name, _))
                            if form_urlencoded::parse(name.as_bytes()).any(|(name, _)| name == "token") =>
                        {
                            format!("{name}=[token]")
                        }
                        _ => pair.to_owned(),
                    });
                    pairs.collect::<Vec<_>>().join("&")
                };
                Some(scrub_target(case["uri"].as_str()?, by_the_rule))
            },
        }],
        |case| case["scrubbed"].as_str().expect("text").to_owned(),
        |case| {
            scrub_target(case["uri"].as_str().expect("text"), |query| {
                redact_query(query).into_owned()
            })
        },
    );
}
