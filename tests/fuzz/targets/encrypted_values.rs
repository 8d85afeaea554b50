//! Encrypted values: only what sealing made opens, at its place, in its one encoding.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use portcullis::{
    clock::UnixTime,
    cookies::{CookieJar, CookieName, CookieScope, ReadCookie, RequestCookies},
};

use super::{KEYRING, cut, edited};

/// A payload, and changes to its value, or a value.
pub fn run(data: &[u8]) {
    let (payload, changes) = cut(data, b'\n');
    let jar = |name: CookieName, path: &str| {
        CookieJar::encrypted(&KEYRING, CookieScope::custom(name, path).expect("a place"))
    };
    let here = jar(CookieName::session_id(), "/a/");
    let now = UnixTime::from_secs(1_700_000_000);
    let Ok(line) = here.set_cookie(payload, now, true) else {
        return;
    };
    let (_, line) = cut(line.as_bytes(), b'=');
    let value = cut(line, b';').0;
    assert_eq!(open(&here, value).as_deref(), Some(payload));
    assert_eq!(open(&jar(CookieName::session_id(), "/b/"), value), None);
    assert_eq!(open(&jar(CookieName::hub_login(), "/a/"), value), None);

    let changed = edited(value, changes);
    assert_eq!(open(&here, &changed).is_some(), bare(&changed) == value);
    assert_eq!(open(&here, changes), None);
    // Changes below the encoding as well.
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(value).expect("as it was made");
    let changed = BASE64_URL_SAFE_NO_PAD.encode(edited(&bytes, changes));
    assert_eq!(
        open(&here, changed.as_bytes()).is_some(),
        changed.as_bytes() == value
    );
}

fn open(jar: &CookieJar, value: &[u8]) -> Option<Vec<u8>> {
    let pair = [jar.for_host(b"").name().as_str().as_bytes(), b"=", value].concat();
    let lines = [pair.as_slice()];
    let cookies = RequestCookies::from_lines(&lines).ok()?;
    jar.read(
        &cookies,
        || UnixTime::from_secs(1_700_000_001),
        |_| Some(()),
        |read| match read {
            ReadCookie::Valid(opened) => Some(opened.payload().to_vec()),
            _ => None,
        },
    )
}

fn bare(value: &[u8]) -> &[u8] {
    // A semicolon ends the pair, spaces around a value are removed.
    let value = super::trim(cut(value, b';').0);
    match value {
        [b'"', inner @ .., b'"'] => inner,
        value => value,
    }
}
