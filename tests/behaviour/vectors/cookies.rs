//! Cookie lines: what is read from them, and who is logged in by them.

use std::{collections::BTreeMap, time::Duration};

use http::{HeaderMap, HeaderValue, header::COOKIE};
use portcullis::{
    AuthLayer, AuthMethod, Authenticator, Denial, Grant, Identity, Keyring, MaybeFuture, Outcome, Reason,
    RequestHead, Secret, Session,
    clock::UnixTime,
    cookies::{CookieJar, CookieName, CookieScope, CookiesTooLarge, Lifetime, ReadCookie, RequestCookies},
    testing::TestClock,
};
use serde_json::Value;

use super::{bytes, check_rows, http1_http2_parity};
use crate::http_connection::{Sent, VERSIONS, exchange};

const FILE: &str = "attacks/cookies.json";
const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

#[test]
fn lines_are_read_by_the_rules_and_identities_signed() {
    check(CookieJar::signed);
}

#[cfg(feature = "encrypted-cookies")]
#[test]
fn lines_are_read_by_the_rules_and_identities_encrypted() {
    check(CookieJar::encrypted);
}

type MakeJar = fn(&Keyring, CookieScope) -> CookieJar;

#[derive(Debug, PartialEq)]
struct Found {
    status: String,
    accepted: Vec<(Vec<u8>, Vec<u8>)>,
    lookups: BTreeMap<String, Vec<Vec<u8>>>,
    session: Option<String>,
}

#[track_caller]
fn check(make: MakeJar) {
    // Values hold random bytes, so both sides of a row must see the same ones.
    let peers = Peers::new(make);
    check_rows(
        FILE,
        &[],
        |case| expected(case, &peers),
        |case| actual(case, &peers),
    );
}

fn expected(case: &Value, peers: &Peers) -> Found {
    let bytes = |value: &Value| bytes(&peers.fill(value, session_name(case)));
    let pair = |pair: &Value| (bytes(&pair[0]), bytes(&pair[1]));
    Found {
        status: case["status"].as_str().expect("a status").to_owned(),
        accepted: case["accepted"]
            .as_array()
            .into_iter()
            .flatten()
            .map(pair)
            .collect(),
        lookups: case["lookups"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, values)| {
                let values = values.as_array().expect("values");
                (name.clone(), values.iter().map(bytes).collect())
            })
            .collect(),
        session: case["session"]["verdict"].as_str().map(str::to_owned),
    }
}

fn actual(case: &Value, peers: &Peers) -> Found {
    let lines: Vec<Vec<u8>> = case["lines"]
        .as_array()
        .expect("lines")
        .iter()
        .map(|line| bytes(&peers.fill(line, session_name(case))))
        .collect();
    let slices: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
    let result = checked(RequestCookies::from_lines(&slices), case, peers);
    if case["transport"] == "ok" {
        let mut headers = HeaderMap::new();
        for line in &lines {
            headers.append(
                COOKIE,
                HeaderValue::from_bytes(line).expect("a receiver lets it through"),
            );
        }
        let same = checked(RequestCookies::from_headers(&headers), case, peers);
        assert_eq!(result, same, "bytes and head differ: {case}");
    }
    result
}

fn checked(cookies: Result<RequestCookies<'_>, CookiesTooLarge>, case: &Value, peers: &Peers) -> Found {
    let names = case["lookups"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name);
    let cookies = match cookies {
        Ok(cookies) => cookies,
        Err(error) => {
            let status = if error == CookiesTooLarge::Count {
                "too_many"
            } else {
                "too_large"
            };
            return Found {
                status: status.to_owned(),
                accepted: Vec::new(),
                lookups: names.map(|name| (name.clone(), Vec::new())).collect(),
                session: None,
            };
        }
    };
    Found {
        status: "ok".to_owned(),
        accepted: cookies
            .pairs()
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect(),
        lookups: names
            .map(|name| {
                let values = CookieName::custom(name)
                    .map(|name| cookies.values(&name).map(<[u8]>::to_vec).collect())
                    .unwrap_or_default();
                (name.clone(), values)
            })
            .collect(),
        session: session_name(case).map(|name| peers.session(&cookies, name)),
    }
}

#[test]
fn who_is_logged_in_is_the_same_over_both_versions() {
    let peers = Peers::new(CookieJar::signed);
    for version in VERSIONS {
        http1_http2_parity::check_rows_over(
            version,
            FILE,
            |case| match (case["status"].as_str(), case["session"]["verdict"].as_str()) {
                (Some("ok"), Some(result)) => result.replace("ambiguous", "anonymous"),
                (Some("ok"), None) => "anonymous".to_owned(),
                _ => "431".to_owned(),
            },
            &async |case: &Value| {
                if case["transport"] != "ok" {
                    return None;
                }
                let jar = peers.jar(&peers.ours, session_name(case).unwrap_or("a-name"));
                let layer = AuthLayer::builder()
                    .authenticator(Payloads(jar))
                    .clock(TestClock::new(NOW))
                    .build()
                    .expect("a layer");
                let mut sent = Sent::get("/").header("Host", "localhost");
                for line in case["lines"].as_array().expect("lines") {
                    sent = sent.header("Cookie", bytes(&peers.fill(line, session_name(case))));
                }
                let received = exchange(&layer, version, &sent).await?;
                Some(match received.status {
                    200 => format!("user:{}", received.body.split(' ').next().unwrap_or_default()),
                    401 => "anonymous".to_owned(),
                    other => other.to_string(),
                })
            },
        );
    }
}

/// Returns the user in the payload of a cookie, as it is.
struct Payloads(CookieJar);

impl Authenticator for Payloads {
    fn authenticate(&self, head: RequestHead<'_>) -> MaybeFuture<Outcome> {
        let cookies = match RequestCookies::from_headers(head.headers()) {
            Ok(cookies) => cookies,
            Err(error) => return Outcome::Malformed(Denial::from(error)).into(),
        };
        let who = |payload: &[u8]| Some(payload.to_vec());
        let outcome = self.0.read(
            &cookies,
            || head.now(),
            who,
            |read| match read {
                ReadCookie::Missing => Outcome::Absent,
                ReadCookie::Ambiguous | ReadCookie::Invalid(_) => Outcome::Rejected(Reason::InvalidCookie),
                ReadCookie::Valid(opened) => {
                    let name = String::from_utf8_lossy(opened.payload()).into_owned();
                    Outcome::Authenticated(Session::new(Grant::new(Identity::new(&name)), AuthMethod::Cookie))
                }
            },
        );
        outcome.into()
    }
}

fn session_name(case: &Value) -> Option<&str> {
    case["session"]["cookie"].as_str()
}

/// Those who make the values that placeholders stand for; see rule C9 of the file.
struct Peers {
    ours: Keyring,
    old: Keyring,
    foreign: Keyring,
    make: MakeJar,
    made: std::cell::RefCell<BTreeMap<(String, String), String>>,
}

impl Peers {
    fn new(make: MakeJar) -> Self {
        let secret = |byte| Secret::from(&[byte; 32][..]);
        let ring = |byte| Keyring::from_secret(secret(byte)).expect("32 bytes");
        Self {
            ours: ring(1)
                .with_previous_key(secret(2), NOW.saturating_add(Duration::from_secs(60)))
                .expect("32 bytes"),
            old: ring(2),
            foreign: ring(3),
            make,
            made: std::cell::RefCell::default(),
        }
    }

    fn jar(&self, keyring: &Keyring, name: &str) -> CookieJar {
        let name = CookieName::custom(name).expect("a token");
        (self.make)(keyring, CookieScope::custom(name, "/").expect("a path"))
            .with_lifetime(Lifetime::absolute(Duration::from_secs(60)))
    }

    fn session(&self, cookies: &RequestCookies<'_>, name: &str) -> String {
        let who = |payload: &[u8]| Some(payload.to_vec());
        let jar = self.jar(&self.ours, name);
        jar.read(
            cookies,
            || NOW,
            who,
            |read| match read {
                ReadCookie::Missing | ReadCookie::Invalid(_) => "anonymous".to_owned(),
                ReadCookie::Ambiguous => "ambiguous".to_owned(),
                ReadCookie::Valid(opened) => format!("user:{}", String::from_utf8_lossy(opened.payload())),
            },
        )
    }

    /// The value with its placeholders filled in.
    fn fill(&self, value: &Value, name: Option<&str>) -> Value {
        let (Some(mut rest), Some(name)) = (value.as_str(), name) else {
            return value.clone();
        };
        let mut filled = String::new();
        while let Some((before, behind)) = rest.split_once("{{") {
            let (placeholder, behind) = behind.split_once("}}").expect("a closed placeholder");
            filled += before;
            filled += &self.value(placeholder, name);
            rest = behind;
        }
        Value::String(filled + rest)
    }

    fn value(&self, placeholder: &str, name: &str) -> String {
        let key = (placeholder.to_owned(), name.to_owned());
        self.made
            .borrow_mut()
            .entry(key)
            .or_insert_with(|| self.make_value(placeholder, name))
            .clone()
    }

    fn make_value(&self, placeholder: &str, name: &str) -> String {
        let (kind, user) = placeholder.split_once(':').expect("a kind and a user");
        let write = |keyring, name: &str, now| {
            let jar = self.jar(keyring, name);
            let line = jar
                .set_cookie(user.as_bytes(), now, true)
                .expect("a small payload");
            let line = line.to_str().expect("ASCII");
            let (value, _) = line.split_once("; ").expect("attributes");
            value
                .strip_prefix(&format!("{name}="))
                .expect("the name")
                .to_owned()
        };
        match kind {
            "valid" => write(&self.ours, name, NOW),
            "expired" => write(&self.ours, name, NOW.saturating_sub(Duration::from_secs(61))),
            "othername" => write(&self.ours, "another-name", NOW),
            "oldkey" => write(&self.old, name, NOW),
            "foreignkey" => write(&self.foreign, name, NOW),
            "tampered" => {
                let mut value = write(&self.ours, name, NOW).into_bytes();
                let middle = value.len() / 2;
                value[middle] ^= 1;
                String::from_utf8(value).expect("ASCII")
            }
            other => panic!("an unknown placeholder {other}"),
        }
    }
}
