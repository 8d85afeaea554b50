//! What must hold of every parser, whatever bytes it is given: a function per parser, run by the fuzzer and
//! by the ordinary tests.
//!
//! That nothing panics is the first promise of each; the others are said at each function. Where a second
//! reader exists (the WHATWG URL parser, JSON by value, a reader written here another way), the results are compared.

pub mod access_tokens;
pub mod authorization;
pub mod base_urls;
pub mod cookies;
pub mod encrypted_values;
pub mod guards;
pub mod hub_answers;
pub mod identities;
pub mod next_urls;
pub mod oauth_messages;
pub mod password_hashes;
pub mod paths;
pub mod queries;
pub mod requests;
pub mod salted_token_hashes;
pub mod scopes;
pub mod secrets;
pub mod set_cookies;
pub mod settings;
pub mod sign_in;
pub mod signed_values;
pub mod token_hashes;
pub mod tokens;
pub mod xsrf;

use std::sync::LazyLock;

use http::{HeaderName, HeaderValue, Method, Request, Uri};
use portcullis::{Keyring, Secret};

/// The key of every target that needs one.
pub(crate) const KEY: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

pub(crate) static KEYRING: LazyLock<Keyring> =
    LazyLock::new(|| Keyring::from_secret(Secret::from(KEY)).expect("long enough"));

/// `data` before and behind its first `mark`; all of it and nothing if there is none.
pub(crate) fn cut(data: &[u8], mark: u8) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == mark) {
        Some(place) => (&data[..place], &data[place + 1..]),
        None => (data, b""),
    }
}

/// SP and HTAB taken off both ends.
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = bytes.iter().position(|byte| !blank(byte)).unwrap_or(bytes.len());
    let end = bytes
        .iter()
        .rposition(|byte| !blank(byte))
        .map_or(start, |place| place + 1);
    &bytes[start..end]
}

/// `token` of RFC 9110 section 5.6.2.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    const MARKS: &[u8] = b"!#$%&'*+-.^_`|~";
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || MARKS.contains(byte))
}

/// Whether `part` stands in `whole`.
pub(crate) fn holds(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}

/// Every escape decoded once, malformed ones kept.
pub(crate) fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::new();
    let mut place = 0;
    while let Some(byte) = text.get(place) {
        match (byte, digit(text.get(place + 1)), digit(text.get(place + 2))) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                place += 3;
            }
            _ => {
                bytes.push(*byte);
                place += 1;
            }
        }
    }
    bytes
}

/// `whole` with every `mark` replaced.
pub(crate) fn replaced(whole: &[u8], mark: &[u8], by: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(whole.len());
    let mut rest = whole;
    while let Some(place) = rest.windows(mark.len()).position(|window| window == mark) {
        bytes.extend_from_slice(&rest[..place]);
        bytes.extend_from_slice(by);
        rest = &rest[place + mark.len()..];
    }
    bytes.extend_from_slice(rest);
    bytes
}

/// A request from lines: `GET /path`, then `name: value` fields. What no HTTP library would hand over is left
/// out, a target that is none makes the whole `None`.
pub(crate) fn request(data: &[u8]) -> Option<Request<()>> {
    let mut lines = data.split(|byte| *byte == b'\n');
    let (method, target) = cut(lines.next()?, b' ');
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(method).ok()?;
    *request.uri_mut() = Uri::try_from(target).ok()?;
    for line in lines {
        let (name, value) = cut(line, b':');
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(trim(name)),
            HeaderValue::from_bytes(trim(value)),
        ) {
            request.headers_mut().append(name, value);
        }
    }
    Some(request)
}

/// Changes to a good value, read from `data` three bytes at a time: where, how, by what. Without any the
/// value stays as it is.
pub(crate) fn edited(value: &[u8], data: &[u8]) -> Vec<u8> {
    let mut edited = value.to_vec();
    for change in data.chunks_exact(3) {
        let place = usize::from(change[0]) % (edited.len() + 1);
        match change[1] % 5 {
            0 => edited.insert(place, change[2]),
            1 if place < edited.len() => drop(edited.remove(place)),
            2 if place < edited.len() => edited[place] = change[2],
            3 if place < edited.len() => edited[place] ^= 1 << (change[2] % 8),
            4 => edited.truncate(place),
            _ => {}
        }
    }
    edited
}
