//! Which token an `Authorization` header carries, and which requests a Jupyter Server accepts by it.

use http::{HeaderName, HeaderValue, Request};
use portcullis::{
    Authenticator as _, Grant, Identity, MaybeFuture, Outcome, RequestHead, Token,
    authenticate::{TokenAuthenticator, TokenSource, TokenSources, token_in_authorization},
    request::TokenBuffer,
    verify::SharedToken,
};
use serde_json::Value;
use url::form_urlencoded;

use super::{Rule, bytes, check_rows};

/// What is read from the fields of a request.
#[derive(Debug, PartialEq)]
enum Read {
    Credential(String),
    Malformed,
    Nothing,
    Rejected,
}

/// The fields of a case as a request, or `None` if no HTTP library takes them.
fn request(case: &Value) -> Option<Request<()>> {
    let mut request = Request::new(());
    for field in case["headers"].as_array().expect("a list of fields") {
        let name = HeaderName::from_bytes(&bytes(&field[0])).ok()?;
        let value = HeaderValue::from_bytes(&bytes(&field[1])).ok()?;
        request.headers_mut().append(name, value);
    }
    Some(request)
}

fn status(result: Result<Option<String>, portcullis::Denial>) -> Read {
    match result {
        // What the corpus has is a server with tokens of its own, for which a longer one is no credential.
        Ok(Some(token)) if token.len() > Token::MAX_LEN => Read::Nothing,
        Ok(Some(token)) => Read::Credential(token),
        Ok(None) => Read::Nothing,
        Err(denial) if denial.status() == 401 => Read::Malformed,
        Err(denial) => {
            assert_eq!(denial.status(), 400);
            Read::Rejected
        }
    }
}

/// What the fields say if the HTTP library takes them, else what our parser says of the bytes.
fn read(case: &Value) -> Read {
    let Some(request) = request(case) else {
        let fields = case["headers"].as_array().expect("a list of fields");
        let mut values = fields
            .iter()
            .filter(|field| bytes(&field[0]).eq_ignore_ascii_case(b"authorization"))
            .map(|field| bytes(&field[1]));
        return match (values.next(), values.next()) {
            (Some(_), Some(_)) => Read::Rejected,
            (Some(value), None) => status(
                token_in_authorization(&value).map(|token| token.map(|token| token.expose().to_owned())),
            ),
            (None, _) => Read::Nothing,
        };
    };
    let sources = TokenSources::new([TokenSource::Authorization]);
    let mut buffer = TokenBuffer::default();
    let found = sources.extract(RequestHead::new(&request), &mut buffer);
    status(found.map(|found| found.map(|found| found.token().expose().to_owned())))
}

#[test]
fn authorization_fields_are_read_as_the_corpus_says() {
    check_rows(
        "attacks/authorization.json",
        &[],
        |case| match case["verdict"].as_str() {
            Some("credential") => {
                let token = bytes(&case["credential"]["token"]);
                Read::Credential(String::from_utf8(token).expect("visible ASCII"))
            }
            Some("ignored" | "none") => Read::Nothing,
            Some("malformed") => Read::Malformed,
            Some("reject") => Read::Rejected,
            other => panic!("result {other:?}"),
        },
        read,
    );
}

/// The server's token, as the file says it.
pub(super) const SERVER_TOKEN: &str = "s3cret-Token";

/// Whether the request of a case is accepted: by `Authorization`, by other headers, by the query.
fn is_accepted(case: &Value) -> bool {
    let mut target = "/".to_owned();
    if let Some(query) = case["query"].as_str() {
        target = format!("/?{query}");
    }
    let Ok(mut request) = Request::get(target).body(()) else {
        return false;
    };
    let latin1 = |text: &str| {
        text.chars()
            .map(|letter| u8::try_from(letter).expect("latin-1"))
            .collect::<Vec<_>>()
    };
    let own = case["authorization"]
        .as_str()
        .map(|value| ("authorization".to_owned(), latin1(value)));
    let listed = case["headers"].as_array().into_iter().flatten().map(|field| {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        (text(&field[0]), latin1(&text(&field[1])))
    });
    for (name, value) in own.into_iter().chain(listed) {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a field name");
        let Ok(value) = HeaderValue::from_bytes(&value) else {
            return false;
        };
        request.headers_mut().append(name, value);
    }
    matches!(by_token(RequestHead::new(&request)), Outcome::Authenticated(_))
}

/// What the authenticator of the server's token makes of a request.
pub(super) fn by_token(head: RequestHead<'_>) -> Outcome {
    let token = SERVER_TOKEN.parse().expect("a token");
    let authenticator = TokenAuthenticator::new(SharedToken::new(token, Grant::new(Identity::new("owner"))));
    match authenticator.authenticate(head) {
        MaybeFuture::Ready(outcome) => outcome,
        MaybeFuture::Future(_) => panic!("a shared token needs no waiting"),
    }
}

/// The decoded values of the parameters `token` of a case's query, as another library reads them.
fn query_tokens(case: &Value) -> Vec<String> {
    let query = case["query"].as_str().unwrap_or_default();
    let pairs = form_urlencoded::parse(query.as_bytes());
    pairs
        .filter(|(name, _)| name == "token")
        .map(|(_, value)| value.into_owned())
        .collect()
}

/// What stands behind `token` or `bearer` in the field of a case.
fn header_token(case: &Value) -> Option<&str> {
    let (scheme, token) = case["authorization"].as_str()?.trim().split_once([' ', '\t'])?;
    let ours = ["token", "bearer"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known));
    ours.then_some(token.trim())
}

#[test]
fn tokens_that_a_jupyter_server_accepts_are_accepted_here() {
    check_rows(
        "jupyter-server/token_sources.json",
        &[
            Rule {
                decision: "2",
                reason: "only a space or a tab separates the scheme from the token",
                result: |case| {
                    let value = case["authorization"].as_str()?;
                    (!value.is_ascii()).then_some(false)
                },
            },
            Rule {
                decision: "4",
                reason: "a token in the query stands there once, bare, and nothing is trimmed",
                result: |case| {
                    let tokens = query_tokens(case);
                    let bare = |token: &String| token.bytes().all(|byte| byte.is_ascii_graphic());
                    (tokens.len() > 1 || !tokens.iter().all(bare)).then_some(false)
                },
            },
            Rule {
                decision: "4",
                reason: "a token in the query and another one in the field are two methods at once",
                result: |case| {
                    let [query] = &query_tokens(case)[..] else {
                        return None;
                    };
                    (!query.is_empty() && header_token(case)? != query).then_some(false)
                },
            },
            Rule {
                decision: "4",
                reason: "a token in a body is read by the login form alone",
                result: |case| case["body"].is_string().then_some(false),
            },
        ],
        |case| match &case["accepted"] {
            Value::Bool(accepted) => *accepted,
            // Of a body the status alone is stated; of a request refused as such, that it was refused.
            _ => case["status"] == 200,
        },
        is_accepted,
    );
}
