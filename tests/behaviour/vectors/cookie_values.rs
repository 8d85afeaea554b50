//! The values, names and keys of a Jupyter Server's cookies, as it makes them itself.

use std::{collections::BTreeMap, time::Duration};

use portcullis::{
    Keyring, Secret,
    clock::UnixTime,
    cookies::{CookieDecodeError, CookieName, CookieScope, RequestCookies, SignedValueCodec},
};
use serde_json::Value;

use super::{Rule, base64, check_rows};

#[test]
fn cookie_lines_are_read_as_the_peer_reads_them_but_for_quotes_and_odd_names() {
    check_rows(
        "jupyter-server/cookie_header_parse.json",
        &[
            Rule {
                decision: "38, rule C6",
                reason: "quotes and escapes stay part of the value",
                result: |case| {
                    let header = text(&case["cookie_header"]);
                    header.contains('"').then(|| {
                        let pairs = header.split(';').filter_map(|pair| pair.split_once('='));
                        pairs
                            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
                            .filter(|(name, _)| is_name(name))
                            .collect()
                    })
                },
            },
            Rule {
                decision: "38, rules C4 and C5",
                reason: "a cookie without a name, or with one that is no token, is dropped",
                result: |case| {
                    let mut cookies = read_by_peer(case);
                    let all = cookies.len();
                    cookies.retain(|name, _| is_name(name));
                    (cookies.len() < all).then_some(cookies)
                },
            },
        ],
        read_by_peer,
        |case| {
            let line = [text(&case["cookie_header"]).as_bytes()];
            let cookies = RequestCookies::from_lines(&line).expect("a short line");
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            cookies
                .pairs()
                .map(|(name, value)| (text(name), text(value)))
                .collect()
        },
    );
}

fn read_by_peer(case: &Value) -> BTreeMap<String, String> {
    let cookies = case["cookies"].as_object().expect("cookies");
    cookies
        .iter()
        .map(|(name, value)| (name.clone(), text(value).to_owned()))
        .collect()
}

#[test]
fn values_are_written_bare() {
    /// What may stand bare in a cookie: RFC 6265bis §4.1.1.
    fn is_bare(value: &str) -> bool {
        value
            .chars()
            .all(|character| matches!(character, '!'..='~') && !"\",;\\".contains(character))
    }

    check_rows(
        "jupyter-server/set_cookie_quoting.json",
        &[
            Rule {
                decision: "14",
                reason: "what may stand bare is written bare",
                result: |case| {
                    let value = text(&case["value"]);
                    is_bare(value).then(|| Some(format!("n={value}")))
                },
            },
            Rule {
                decision: "CK-3",
                reason: "no value of this crate needs quotes, and quotes do not make other bytes legal",
                result: |case| (!is_bare(text(&case["value"]))).then_some(None),
            },
        ],
        |case| Some(text(&case["set_cookie_pair"]).to_owned()),
        |case| {
            let name = CookieName::custom("n").expect("a token");
            let scope = CookieScope::custom(name, "/").expect("a path");
            let line = scope.set_cookie(b"", text(&case["value"]), None, false).ok()?;
            let (pair, _) = line.to_str().ok()?.split_once("; ")?;
            Some(pair.to_owned())
        },
    );
}

#[test]
fn a_server_cookie_is_named_after_the_host() {
    check_rows(
        "jupyter-server/cookie_name.json",
        &[Rule {
            decision: "CK-3",
            reason: "a configured name is a token",
            result: |case| {
                let configured = text(&case["configured"]);
                (!configured.is_empty() && !is_name(configured)).then_some(None)
            },
        }],
        |case| Some(text(&case["cookie_name"]).to_owned()),
        |case| {
            let name = match text(&case["configured"]) {
                "" => {
                    let scope = CookieScope::server("/").expect("a base");
                    scope.name(text(&case["host_seen"]).as_bytes()).into_owned()
                }
                configured => CookieName::custom(configured).ok()?,
            };
            Some(name.as_str().to_owned())
        },
    );
}

#[test]
fn the_signing_key_is_the_peers() {
    check_rows(
        "jupyter-server/cookie_secret.json",
        &[],
        |_| Ok(b"payload".to_vec()),
        |case| {
            let hashed = text(&case["password_hash"]);
            let fed = match text(&case["configured_via"]) {
                // The deprecated setting is fed in twice.
                "ServerApp.password" => hashed.repeat(2),
                _ => hashed.to_owned(),
            };
            let ours = keyring(&base64(text(&case["key_file_b64"]))).bound_to_password(&fed);
            let theirs = keyring(&unhex(text(&case["secret_hex"])));
            let name = CookieName::server("localhost");
            let now = UnixTime::from_secs(1_700_000_000);
            let value = SignedValueCodec::new(&ours).sign(&name, b"payload", now);
            open(
                &SignedValueCodec::new(&theirs),
                &name,
                value.as_bytes(),
                Duration::ZERO,
                now,
            )
        },
    );
}

#[test]
fn values_are_signed_as_the_peer_signs_them() {
    check_rows(
        "jupyter-server/signed_value_create.json",
        &[
            Rule {
                decision: "12",
                reason: "format 1 is not written",
                result: |case| (case["version"] != 2).then_some(None),
            },
            Rule {
                decision: "17",
                reason: "keys have no numbers, as with the peers; the key version is always 0",
                result: |case| {
                    let version = case["key_version"].as_u64();
                    version.is_some_and(|version| version != 0).then_some(None)
                },
            },
            Rule {
                decision: "CK-3",
                reason: "a name is a token",
                result: |case| (!is_name(text(&case["name"]))).then_some(None),
            },
        ],
        |case| Some(text(&case["signed"]).to_owned()),
        |case| {
            if case["version"] != 2 || case["key_version"].as_u64().is_some_and(|version| version != 0) {
                return None;
            }
            let name = CookieName::custom(text(&case["name"])).ok()?;
            let issued_at = seconds(&case["timestamp"]);
            let payload = base64(text(&case["value_b64"]));
            Some(SignedValueCodec::new(&keyring_of(case)).sign(&name, &payload, issued_at))
        },
    );
}

#[test]
fn signed_values_are_checked_as_in_the_peer_but_strictly() {
    check_rows(
        "jupyter-server/signed_value_verify.json",
        &[
            Rule {
                decision: "14",
                reason: "one pair of double quotes around a value is no part of it",
                result: |case| {
                    let signed = signed(case);
                    let bare = signed.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
                    (!bare.contains(&b'"')).then(|| open_of_server(case, bare))
                },
            },
            Rule {
                decision: "12",
                reason: "format 1 is refused",
                result: |case| (!signed(case).starts_with(b"2|")).then_some(None),
            },
            Rule {
                decision: "12",
                reason: "numbers and base64 have one spelling",
                result: |case| Fields::of(&signed(case)).is_none().then_some(None),
            },
            Rule {
                decision: "17",
                reason: "keys have no numbers, as with the peers; the key version is always 0",
                result: |case| (Fields::of(&signed(case))?.key_version != 0).then_some(None),
            },
            Rule {
                decision: "12",
                reason: "a value from more than five minutes ahead is refused",
                result: |case| {
                    let ahead = Fields::of(&signed(case))?
                        .seconds
                        .saturating_sub(now(case).as_secs());
                    (ahead > 300).then_some(None)
                },
            },
            Rule {
                decision: "CK-3",
                reason: "a name is a token",
                result: |case| (!is_name(text(&case["name"]))).then_some(None),
            },
            Rule {
                decision: "12",
                reason: "this crate's clock has whole seconds, so a value may live for a part of one more",
                result: |case| {
                    let fields = Fields::of(&signed(case))?;
                    let age = now(case).as_secs().checked_sub(fields.seconds)?;
                    let fraction = case["now"].as_f64()?.fract();
                    let last_second = Duration::from_secs(age) == max_age(case)?;
                    (fraction > 0.0 && last_second).then_some(Some(fields.payload))
                },
            },
        ],
        |case| (case["verdict"] == "ok").then(|| base64(text(&case["value_b64"]))),
        |case| open_of_server(case, &signed(case)),
    );
}

fn open_of_server(case: &Value, value: &[u8]) -> Option<Vec<u8>> {
    // Formats above 2 do not exist, so no client can send them.
    if case["min_version"].as_u64().is_some_and(|version| version > 2) {
        return None;
    }
    let name = CookieName::custom(text(&case["name"])).ok()?;
    let values = SignedValueCodec::new(&keyring_of(case));
    open(&values, &name, value, max_age(case)?, now(case)).ok()
}

#[test]
fn signed_cookies_of_a_hub_are_judged_as_the_hub_judges_them_but_strictly() {
    check_rows(
        "jupyterhub/signed_cookies.json",
        &[
            Rule {
                decision: "14",
                reason: "one pair of double quotes around a value is no part of it",
                result: |case| {
                    let value = text(&case["value"]).strip_prefix('"')?.strip_suffix('"')?;
                    (!value.contains('"')).then(|| open_of_hub(case, value))
                },
            },
            Rule {
                decision: "12",
                reason: "format 1 is refused",
                result: |case| (!text(&case["value"]).starts_with("2|")).then_some(None),
            },
            Rule {
                decision: "12",
                reason: "numbers and base64 have one spelling",
                result: |case| {
                    Fields::of(text(&case["value"]).as_bytes())
                        .is_none()
                        .then_some(None)
                },
            },
            Rule {
                decision: "17",
                reason: "keys have no numbers, as with the peers; the key version is always 0",
                result: |case| {
                    let fields = Fields::of(text(&case["value"]).as_bytes())?;
                    (fields.key_version != 0).then_some(None)
                },
            },
            Rule {
                decision: "12",
                reason: "a value from more than five minutes ahead is refused",
                result: |case| {
                    let fields = Fields::of(text(&case["value"]).as_bytes())?;
                    (fields.seconds > case["now"].as_u64()? + 300).then_some(None)
                },
            },
            Rule {
                decision: "21",
                reason: "a secret of fewer than 32 bytes signs nothing",
                result: |case| (text(&case["secret_hex"]).len() < 64).then_some(None),
            },
        ],
        |case| (case["valid"] == true).then(|| text(&case["payload"]).as_bytes().to_vec()),
        |case| open_of_hub(case, text(&case["value"])),
    );
}

fn open_of_hub(case: &Value, value: &str) -> Option<Vec<u8>> {
    let keyring = Keyring::from_secret(Secret::from(hex(text(&case["secret_hex"])))).ok()?;
    let name = CookieName::custom(text(&case["name"])).ok()?;
    let days = case["max_age_days"].as_u64().expect("a number of days");
    let now = UnixTime::from_secs(case["now"].as_u64().expect("a time"));
    let life = Duration::from_secs(days * 86_400);
    open(
        &SignedValueCodec::new(&keyring),
        &name,
        value.as_bytes(),
        life,
        now,
    )
    .ok()
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).expect("digits"));
    digits
        .map(|pair| u8::from_str_radix(pair, 16).expect("digits"))
        .collect()
}

/// The fields of a value in format 2, strictly read; the signature is not looked at.
struct Fields {
    key_version: u64,
    seconds: u64,
    payload: Vec<u8>,
}

impl Fields {
    fn of(value: &[u8]) -> Option<Self> {
        let value = std::str::from_utf8(value).ok()?;
        let mut rest = value.strip_prefix("2|")?;
        let mut fields = Vec::new();
        for _ in 0..4 {
            let (length, behind) = rest.split_once(':')?;
            let length = usize::try_from(number(length)?).ok()?;
            fields.push(behind.get(..length)?);
            rest = behind.get(length..)?.strip_prefix('|')?;
        }
        use base64::prelude::{BASE64_STANDARD, Engine as _};
        Some(Self {
            key_version: number(fields[0])?,
            seconds: number(fields[1])?,
            payload: BASE64_STANDARD.decode(fields[3]).ok()?,
        })
    }
}

fn number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn open(
    values: &SignedValueCodec,
    name: &CookieName,
    value: &[u8],
    max_age: Duration,
    now: UnixTime,
) -> Result<Vec<u8>, CookieDecodeError> {
    let mut buffer = [0; 4096];
    let opened = values.verify(name, value, max_age, || now, &mut buffer)?;
    Ok(opened.payload().to_vec())
}

fn signed(case: &Value) -> Vec<u8> {
    case["signed_b64"].as_str().map(base64).unwrap_or_default()
}

fn now(case: &Value) -> UnixTime {
    seconds(&case["now"])
}

/// Whole seconds, as our clock and the peer's values have them.
fn seconds(value: &Value) -> UnixTime {
    UnixTime::from_secs(value.as_f64().expect("seconds") as u64)
}

/// The greatest age, if it is one: a negative one cannot be expressed.
fn max_age(case: &Value) -> Option<Duration> {
    let days = case["max_age_days"].as_f64().expect("days");
    Duration::try_from_secs_f64(days * 86_400.0).ok()
}

/// The key of a row; of a numbered set the key 0, the only one that this crate can have.
fn keyring_of(case: &Value) -> Keyring {
    match (&case["secret_b64"], &case["secrets_b64"]["0"]) {
        (Value::String(secret), _) | (_, Value::String(secret)) => keyring(&base64(secret)),
        _ => Keyring::generate(),
    }
}

/// A keyring of bytes that may be fewer than we accept: HMAC itself fills a short key up with zeros.
fn keyring(secret: &[u8]) -> Keyring {
    let mut secret = secret.to_vec();
    secret.resize(secret.len().max(Keyring::MIN_SECRET_LEN), 0);
    Keyring::from_secret(Secret::from(secret)).expect("long enough")
}

fn is_name(name: &str) -> bool {
    CookieName::custom(name).is_ok()
}

#[track_caller]
fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex"))
        .collect()
}
