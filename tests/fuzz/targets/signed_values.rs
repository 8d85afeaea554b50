//! Signed values: only what signing makes opens, and what opens is made again byte for byte.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use portcullis::{
    clock::UnixTime,
    cookies::{CookieDecodeError, CookieName, SignedValueCodec},
};
use sha2::Sha256;

use super::{KEY, KEYRING, edited};

/// A value, or one to be signed: even with the key, no second form of a value is accepted.
pub fn run(data: &[u8]) {
    let values = SignedValueCodec::new(&KEYRING);
    let name = CookieName::session_id();
    let good = values.sign(&name, b"payload", UnixTime::from_secs(1_700_000_000));
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY).expect("any length");
    mac.update(data);
    let code: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let signed = [data, code.as_bytes()].concat();
    let signed_quoted = [b"\"", signed.as_slice(), b"\""].concat();
    let changed = edited(good.as_bytes(), data);
    for value in [data, &signed, &signed_quoted, &changed, good.as_bytes()] {
        check(&values, &name, value);
    }
    assert_eq!(
        open(&values, &name, &changed).is_ok(),
        bare(&changed) == good.as_bytes()
    );
    assert!(open(&values, &name, data).is_err() || bare(data) == good.as_bytes());
    assert!(
        open(&values, &CookieName::hub_login(), good.as_bytes()).is_err(),
        "for its name alone"
    );

    let value = values.sign(&name, data, UnixTime::from_secs(1_700_000_000));
    if value.len() <= 4096 {
        assert_eq!(
            open(&values, &name, value.as_bytes())
                .map(|(payload, _)| payload)
                .as_deref(),
            Ok(data)
        );
    }
}

fn check(values: &SignedValueCodec, name: &CookieName, value: &[u8]) {
    if let Ok((payload, issued_at)) = open(values, name, value) {
        assert_eq!(values.sign(name, &payload, issued_at).as_bytes(), bare(value));
    }
}

fn open(
    values: &SignedValueCodec,
    name: &CookieName,
    value: &[u8],
) -> Result<(Vec<u8>, UnixTime), CookieDecodeError> {
    let mut buffer = [0; 4096];
    let now = UnixTime::from_secs(1_700_000_100);
    let life = Duration::from_secs(u64::MAX);
    values
        .verify(name, value, life, || now, &mut buffer)
        .map(|opened| (opened.payload().to_vec(), opened.issued_at()))
}

fn bare(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        value => value,
    }
}
