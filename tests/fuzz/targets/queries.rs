//! Queries: the token is read as the WHATWG form parser reads it, or refused; it is never shown, never kept.

use portcullis::request::{Query, TokenBuffer, redact_query};

use super::{cut, holds};

/// Long and of characters that no escape is needed for.
const CANARY: &[u8] = b"C4n4ry0f4Qu3ry";

pub fn run(data: &[u8]) {
    let query = Query::new(data);
    let mut buffer = TokenBuffer::default();
    let token = query
        .token(&mut buffer)
        .map(|token| token.map(|token| token.expose().as_bytes().to_vec()));
    let tokens = tokens(data);
    match &token {
        Ok(Some(token)) => assert_eq!(tokens, [Some(token.clone())]),
        Ok(None) => assert!(tokens.iter().flatten().all(Vec::is_empty) && tokens.len() <= 1),
        Err(denial) => assert!(
            match denial.status().as_u16() {
                414 => data.len() > Query::MAX_LEN,
                400 => tokens.len() > 1,
                401 => tokens.len() == 1,
                _ => false,
            },
            "{denial:?}"
        ),
    }
    assert_eq!(query.has_token_parameter(), !tokens.is_empty());
    let without = query.without_token();
    assert!(!Query::new(&without).has_token_parameter());
    assert!(without.len() <= data.len());
    if tokens.is_empty() {
        assert_eq!(*without, *data);
    }
    second_reader(data, query);

    let scrubbed = query.redacted();
    assert!(scrubbed.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(
        Query::new(scrubbed.as_bytes())
            .token(&mut TokenBuffer::default())
            .map_or(true, |token| token
                .is_none_or(|token| token.expose() == "[token]"))
    );

    // Wherever a token stands among others, it is not shown and not kept.
    if holds(data, CANARY) {
        return;
    }
    for name in ["token", "t%6Fken", "%74%6f%6b%65%6e"] {
        let (before, after) = cut(data, b'\n');
        let query = [before, b"&", name.as_bytes(), b"=", CANARY, b"&", after].concat();
        let query = Query::new(&query);
        assert!(query.has_token_parameter());
        assert!(!holds(&query.without_token(), CANARY));
        assert!(!holds(query.redacted().as_bytes(), CANARY));
        assert!(!holds(format!("{query:?}").as_bytes(), CANARY));
        if let Ok(text) = std::str::from_utf8(query.as_bytes()) {
            assert!(!holds(redact_query(text).as_bytes(), CANARY));
        }
    }
}

/// The values of all parameters `token`, `None` for one with a malformed escape.
fn tokens(query: &[u8]) -> Vec<Option<Vec<u8>>> {
    let pairs = query.split(|byte| *byte == b'&').map(|pair| cut(pair, b'='));
    let named = pairs.filter(|(name, _)| form_decoded(name).is_some_and(|name| name == b"token"));
    named.map(|(_, value)| form_decoded(value)).collect()
}

fn form_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let mut bytes = Vec::new();
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        rest = behind;
        bytes.push(match first {
            b'+' => b' ',
            b'%' => {
                let [high, low, behind @ ..] = rest else {
                    return None;
                };
                rest = behind;
                (digit(high)? * 16 + digit(low)?) as u8
            }
            byte => *byte,
        });
    }
    Some(bytes)
}

/// Where all is well-formed, the `url` crate finds the same parameters.
fn second_reader(data: &[u8], query: Query<'_>) {
    let text = data
        .split(|byte| matches!(byte, b'&' | b'='))
        .map(form_decoded)
        .collect::<Option<Vec<_>>>();
    let utf8 = text.is_some_and(|text| text.iter().all(|text| std::str::from_utf8(text).is_ok()));
    if !utf8 || data.len() > Query::MAX_LEN {
        return;
    }
    let pairs: Vec<_> = url::form_urlencoded::parse(data).collect();
    assert_eq!(
        pairs.iter().any(|(name, _)| name == "token"),
        query.has_token_parameter()
    );
    for (name, value) in &pairs {
        if !name.is_empty() && pairs.iter().filter(|(other, _)| other == name).count() == 1 {
            assert_eq!(
                query.parameter(name).as_deref(),
                Some(value.as_bytes()),
                "{name:?}"
            );
        }
    }
}
