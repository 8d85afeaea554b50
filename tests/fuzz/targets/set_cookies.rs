//! `Set-Cookie` lines of our own: every one of the strict grammar of RFC 6265bis section 4.1.1, for any host,
//! name and payload, read back to the payload, and none of a handler's bytes lost when it is added.

use cookie::Cookie;
use http::{
    HeaderMap, HeaderValue,
    header::{COOKIE, SET_COOKIE},
};
use portcullis::{
    clock::UnixTime,
    cookies::{CookieJar, CookieName, CookieScope, ReadCookie, RequestCookies, SetCookies},
};

use super::{KEYRING, cut, is_token};

/// A host, a name, a handler's own line, and a payload, each on a line.
pub fn run(data: &[u8]) {
    let (host, rest) = cut(data, b'\n');
    let (name, rest) = cut(rest, b'\n');
    let (existing, payload) = cut(rest, b'\n');
    let Ok(user) = std::str::from_utf8(name) else {
        return;
    };
    let custom = CookieName::custom(user).and_then(|name| CookieScope::custom(name, "/"));
    let scopes = [
        CookieScope::server("/"),
        CookieScope::hub_login("/base/"),
        CookieScope::user("/", user),
        CookieScope::service("/", user),
        CookieScope::server("/").and_then(|scope| scope.with_domain(user)),
        custom,
    ];
    for scope in scopes.into_iter().flatten() {
        if let Ok(value) = std::str::from_utf8(payload)
            && let Ok(line) = scope.set_cookie(host, value, None, true)
        {
            assert_eq!(strict(&line, true), payload);
        }
        for jar in [
            CookieJar::signed(&KEYRING, scope.clone()),
            CookieJar::encrypted(&KEYRING, scope),
        ] {
            check(&jar, host, payload, existing);
        }
    }
}

fn check(jar: &CookieJar, host: &[u8], payload: &[u8], existing: &[u8]) {
    let now = UnixTime::from_secs(1_700_000_000);
    for https in [false, true] {
        if let Some(line) = jar.for_host(host).removal_cookie(https) {
            assert_eq!(strict(&line, https), b"", "a removal has no value");
        }
        let Ok(line) = jar.for_host(host).set_cookie(payload, now, https) else {
            continue;
        };
        let value = strict(&line, https);
        assert!(value.len() <= 4096);
        let mut sent = HeaderMap::new();
        let name = jar.for_host(host).name().as_str().as_bytes().to_vec();
        let cookie = [name.as_slice(), b"=", value].concat();
        sent.insert(COOKIE, HeaderValue::from_bytes(&cookie).expect("as it was set"));
        let cookies = RequestCookies::from_headers(&sent).expect("one cookie");
        jar.for_host(host).read(
            &cookies,
            || now,
            |_| Some(()),
            |read| match read {
                ReadCookie::Valid(opened) => assert_eq!(opened.payload(), payload),
                other => panic!("what was written is not read: {other:?}"),
            },
        );
        add(&line, existing);
    }
}

/// The value of a line, every other part of which is one we know.
fn strict(line: &HeaderValue, https: bool) -> &[u8] {
    let text = line.to_str().expect("visible ASCII");
    let mut parts = text.split("; ");
    let (name, value) = parts
        .next()
        .and_then(|pair| pair.split_once('='))
        .expect("a pair");
    assert!(is_token(name.as_bytes()), "{text}");
    let byte = |byte: u8| matches!(byte, 0x21 | 0x23..=0x2B | 0x2D..=0x3A | 0x3C..=0x5B | 0x5D..=0x7E);
    assert!(value.bytes().all(byte), "{text}");
    let mut seen = Vec::new();
    for part in parts {
        let (attribute, value) = part.split_once('=').unwrap_or((part, ""));
        assert!(!seen.contains(&attribute), "{text}");
        seen.push(attribute);
        assert!(
            match attribute {
                "HttpOnly" | "Secure" => part == attribute,
                "SameSite" => value == "Lax",
                "Path" =>
                    value.starts_with('/')
                        && value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';'),
                "Domain" => value.split('.').all(|label| !label.is_empty()
                    && label
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')),
                "Max-Age" => !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()),
                "Expires" => value == "Thu, 01 Jan 1970 00:00:00 GMT",
                _ => false,
            },
            "{part} in {text}"
        );
    }
    for needed in ["HttpOnly", "SameSite", "Path"] {
        assert!(seen.contains(&needed), "{needed} in {text}");
    }
    let prefixed = name.starts_with("__");
    assert!(seen.contains(&"Secure") == https || prefixed, "{text}");
    let second = Cookie::parse(text).expect("another reader takes it");
    assert_eq!((second.name(), second.value()), (name, value), "{text}");
    value.as_bytes()
}

/// The layer's cookie comes last; a handler's line is kept unless it is the same cookie.
fn add(added: &HeaderValue, existing: &[u8]) {
    let Ok(existing) = HeaderValue::from_bytes(existing) else {
        return;
    };
    for own in [false, true] {
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, existing.clone());
        let mut cookies = SetCookies::default();
        if own {
            cookies.push_overriding(added.clone());
        } else {
            cookies.push(added.clone());
        }
        cookies.append_to(&mut headers);
        let found: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
        let kept = if own { added } else { &existing };
        assert!(found == [&existing, added] || found == [kept], "{found:?}");
        // Each is refused a place only by one of its own name.
        if found.len() == 1 {
            let name = |line: &HeaderValue| super::trim(cut(cut(line.as_bytes(), b';').0, b'=').0).to_vec();
            assert_eq!(name(&existing), name(added));
        }
    }
}
