//! What holds of every cookie, not of chosen ones.

use std::{cell::Cell, time::Duration};

use http::HeaderValue;
use portcullis::{
    Keyring,
    clock::UnixTime,
    cookies::{
        CookieDecodeError, CookieJar, CookieName, CookieScope, Lifetime, ReadCookie, RequestCookies,
        SameSite, SecureAttribute,
    },
};
use proptest::{collection::vec, prelude::*, sample::select};

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);
const LIFE: Duration = Duration::from_secs(3_600);

type MakeJar = fn(&Keyring, CookieScope) -> CookieJar;

fn forms() -> Vec<MakeJar> {
    vec![
        CookieJar::signed,
        #[cfg(feature = "encrypted-cookies")]
        CookieJar::encrypted,
    ]
}

fn scope(name: &str, path: &str) -> CookieScope {
    let name = CookieName::custom(name).expect("a token");
    CookieScope::custom(name, path).expect("a path")
}

/// A result that can be compared: user and time of issue, or the error.
#[derive(Clone, Debug, PartialEq)]
enum Kept {
    Absent,
    Ambiguous,
    Opened(Vec<u8>, UnixTime),
    Refused(CookieDecodeError),
}

fn read(jar: &CookieJar, line: &[u8], now: UnixTime) -> Kept {
    let lines = [line];
    let cookies = RequestCookies::from_lines(&lines).expect("a short line");
    let who = |payload: &[u8]| Some(payload.to_vec());
    jar.read(
        &cookies,
        || now,
        who,
        |read| match read {
            ReadCookie::Missing => Kept::Absent,
            ReadCookie::Ambiguous => Kept::Ambiguous,
            ReadCookie::Valid(opened) => Kept::Opened(opened.payload().to_vec(), opened.issued_at()),
            ReadCookie::Invalid(error) => Kept::Refused(error),
        },
    )
}

fn value(line: &HeaderValue) -> String {
    let line = line.to_str().expect("ASCII");
    let (pair, _) = line.split_once("; ").expect("attributes");
    let (_, value) = pair.split_once('=').expect("a value");
    value.to_owned()
}

/// `Set-Cookie` by the grammar of RFC 6265bis §4.1.1: name, value, attributes; none of them twice.
fn strictly(line: &HeaderValue) -> Option<(String, String, Vec<String>)> {
    let line = line.to_str().ok()?;
    let mut pieces = line.split("; ");
    let (name, value) = pieces.next()?.split_once('=')?;
    CookieName::custom(name).ok()?;
    let byte = |byte: u8| matches!(byte, 0x21 | 0x23..=0x2B | 0x2D..=0x3A | 0x3C..=0x5B | 0x5D..=0x7E);
    if !value.bytes().all(byte) {
        return None;
    }
    let mut attributes = Vec::new();
    for piece in pieces {
        let (attribute, value) = piece.split_once('=').unwrap_or((piece, ""));
        let legal = match attribute {
            "HttpOnly" | "Secure" => !piece.contains('='),
            "Max-Age" => value == "0" || (!value.starts_with('0') && value.parse::<u64>().is_ok()),
            "SameSite" => matches!(value, "Lax" | "Strict" | "None"),
            "Path" => value.starts_with('/') && value.bytes().all(|byte| matches!(byte, b'!'..=b'~')),
            "Domain" => !value.is_empty(),
            "Expires" => value == "Thu, 01 Jan 1970 00:00:00 GMT",
            _ => false,
        };
        if !legal || attributes.iter().any(|earlier| earlier == attribute) {
            return None;
        }
        attributes.push(attribute.to_owned());
    }
    Some((name.to_owned(), value.to_owned(), attributes))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_was_written_is_read_until_its_time_is_over(
        payload in vec(any::<u8>(), 0..600),
        age in 0..7_200_u64,
        quoted: bool,
        form in select(forms()),
    ) {
        let jar = form(&Keyring::generate(), scope("name", "/path/")).with_lifetime(Lifetime::absolute(LIFE));
        let value = value(&jar.set_cookie(&payload, NOW, true).expect("small enough"));
        let line = if quoted { format!("name=\"{value}\"") } else { format!("name={value}") };
        let expected = if Duration::from_secs(age) > LIFE {
            Kept::Refused(CookieDecodeError::Expired)
        } else {
            Kept::Opened(payload, NOW)
        };
        prop_assert_eq!(read(&jar, line.as_bytes(), NOW.saturating_add(Duration::from_secs(age))), expected);
    }

    #[test]
    fn a_changed_value_is_refused(
        payload in vec(any::<u8>(), 0..60),
        place: prop::sample::Index,
        with in 1..=255_u8,
        form in select(forms()),
    ) {
        let jar = form(&Keyring::generate(), scope("name", "/"));
        let mut line = format!("name={}", value(&jar.set_cookie(&payload, NOW, true).expect("small"))).into_bytes();
        let start = b"name=".len();
        let place = start + place.index(line.len() - start);
        line[place] ^= with;
        // Some changes shorten the value or remove its last byte; none of them is accepted.
        let found = read(&jar, &line, NOW);
        prop_assert!(!matches!(found, Kept::Opened(..)), "{:?} from {}", found, String::from_utf8_lossy(&line));
        line[place] ^= with;
        line.pop();
        prop_assert_eq!(read(&jar, &line, NOW), Kept::Refused(CookieDecodeError::Invalid));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(line in vec(any::<u8>(), 0..300), form in select(forms())) {
        let jar = form(&Keyring::generate(), scope("a", "/"));
        let found = read(&jar, &[b"a=2|", &line[..]].concat(), NOW);
        prop_assert!(!matches!(found, Kept::Opened(..)));
    }

    #[test]
    fn every_order_of_cookies_gives_the_same_result(
        kinds in vec(0..7_usize, 0..9).prop_shuffle(),
        seed: u64,
        form in select(forms()),
    ) {
        let keyring = Keyring::generate();
        let jar = form(&keyring, scope("name", "/")).with_lifetime(Lifetime::absolute(LIFE));
        let later = NOW.saturating_add(Duration::from_secs(9));
        let write = |jar: &CookieJar, user: &[u8], now| value(&jar.set_cookie(user, now, true).expect("small"));
        let values = [
            write(&jar, b"alice", NOW),
            write(&jar, b"alice", later),
            write(&jar, b"alice", NOW.saturating_sub(LIFE)),
            write(&jar, b"mallory", NOW.saturating_sub(LIFE)),
            write(&form(&Keyring::generate(), scope("name", "/")), b"mallory", NOW),
            "junk".to_owned(),
            write(&jar, b"bob", NOW),
        ];
        let line = |kinds: &[usize]| {
            let pairs: Vec<_> = kinds.iter().map(|&kind| format!("name={}", values[kind])).collect();
            pairs.join("; ").into_bytes()
        };
        let first = read(&jar, &line(&kinds), later);
        let mut shuffled = kinds.clone();
        let turn = usize::try_from(seed % 9).expect("small") % kinds.len().max(1);
        shuffled.rotate_left(turn);
        shuffled.reverse();
        prop_assert_eq!(&read(&jar, &line(&shuffled), later), &first);

        let has = |kind: usize| kinds.contains(&kind);
        let expected = match (has(0) || has(1), has(6)) {
            (true, true) => Kept::Ambiguous,
            (true, false) => Kept::Opened(b"alice".to_vec(), if has(1) { later } else { NOW }),
            (false, true) => Kept::Opened(b"bob".to_vec(), NOW),
            (false, false) if kinds.is_empty() => Kept::Absent,
            (false, false) if has(2) || has(3) => Kept::Refused(CookieDecodeError::Expired),
            (false, false) => Kept::Refused(CookieDecodeError::Invalid),
        };
        prop_assert_eq!(first, expected);
    }

    #[test]
    fn our_lines_are_legal_by_the_strictest_grammar(
        user in "\\PC{1,20}",
        payload in vec(any::<u8>(), 0..200),
        https: bool,
        strict: bool,
        seconds in 0..u64::MAX,
        form in select(forms()),
    ) {
        let expected = CookieName::user(&user);
        let Ok(scope) = CookieScope::user("/base/", &user) else {
            prop_assert!(matches!(user.as_str(), "." | ".."), "{user}");
            return Ok(());
        };
        let scope = if strict {
            scope.with_same_site(SameSite::Strict).and_then(|scope| scope.with_secure(SecureAttribute::Always))
        } else {
            scope.with_domain("example.org")
        };
        let jar = form(&Keyring::generate(), scope.expect("legal"))
            .with_lifetime(Lifetime::absolute(Duration::from_secs(seconds)));
        let line = jar.set_cookie(&payload, NOW, https).expect("small enough");
        let (name, _, attributes) = strictly(&line).expect("the grammar");
        prop_assert_eq!(name, expected.as_str());
        prop_assert_eq!(attributes.iter().any(|name| name == "Secure"), https || strict);
        if let Some(removal) = jar.removal_cookie(https) {
            let (name, value, _) = strictly(&removal).expect("the grammar");
            prop_assert_eq!(name, expected.as_str());
            prop_assert_eq!(value, "");
        }
    }
}

#[test]
fn a_value_is_valid_under_its_own_name_and_key_alone_and_encrypted_ones_at_their_path_alone() {
    for form in forms() {
        let keyring = Keyring::generate();
        let here = form(&keyring, scope("name", "/a/"));
        let value = value(&here.set_cookie(b"alice", NOW, true).expect("small"));
        let opened = Kept::Opened(b"alice".to_vec(), NOW);
        assert_eq!(read(&here, format!("name={value}").as_bytes(), NOW), opened);

        let other_name = form(&keyring, scope("nama", "/a/"));
        let other_key = form(&Keyring::generate(), scope("name", "/a/"));
        let mixed = form(&keyring.clone().bound_to_password("x"), scope("name", "/a/"));
        for (line, jar) in [("nama", other_name), ("name", other_key), ("name", mixed)] {
            let found = read(&jar, format!("{line}={value}").as_bytes(), NOW);
            assert_eq!(found, Kept::Refused(CookieDecodeError::Invalid), "{jar:?}");
        }
    }
    #[cfg(feature = "encrypted-cookies")]
    {
        let keyring = Keyring::generate();
        let jar = |path| CookieJar::encrypted(&keyring, scope("name", path));
        let value = value(&jar("/a/").set_cookie(b"alice", NOW, true).expect("small"));
        for path in ["/", "/a", "/b/", "/a/b/"] {
            let found = read(&jar(path), format!("name={value}").as_bytes(), NOW);
            assert_eq!(found, Kept::Refused(CookieDecodeError::Invalid), "{path}");
        }
    }
}

#[test]
fn a_cookie_of_the_old_key_is_read_until_it_retires_and_then_rewritten_with_the_same_end() {
    for form in forms() {
        let secret = |byte: u8| portcullis::Secret::from(&[byte; 32][..]);
        let old = Keyring::from_secret(secret(1)).expect("long enough");
        let retires_at = NOW.saturating_add(Duration::from_secs(100));
        let new = Keyring::from_secret(secret(2))
            .and_then(|ring| ring.with_previous_key(secret(1), retires_at))
            .expect("long enough");
        let jar = |ring| form(ring, scope("name", "/")).with_lifetime(Lifetime::absolute(LIFE));
        let line = format!(
            "name={}",
            value(&jar(&old).set_cookie(b"alice", NOW, true).expect("small"))
        );
        let lines = [line.as_bytes()];
        let cookies = RequestCookies::from_lines(&lines).expect("short");
        let later = NOW.saturating_add(Duration::from_secs(60));
        let who = |payload: &[u8]| Some(payload.to_vec());
        let renewed = jar(&new).read(
            &cookies,
            || later,
            who,
            |read| {
                let ReadCookie::Valid(opened) = read else {
                    panic!("a reading key opens it");
                };
                assert!(opened.needs_renewal());
                jar(&new).renew(&opened, later, true).expect("small")
            },
        );
        assert!(
            renewed.to_str().is_ok_and(|line| line.ends_with("Max-Age=3540")),
            "{renewed:?}"
        );

        let renewed = format!("name={}", value(&renewed));
        let end = NOW.saturating_add(LIFE);
        assert!(matches!(
            read(&jar(&new), renewed.as_bytes(), end),
            Kept::Opened(..)
        ));
        let over = end.saturating_add(Duration::from_secs(1));
        assert_eq!(
            read(&jar(&new), renewed.as_bytes(), over),
            Kept::Refused(CookieDecodeError::Expired)
        );
        assert_eq!(
            read(&jar(&new), line.as_bytes(), retires_at),
            Kept::Refused(CookieDecodeError::Invalid)
        );
    }
}

#[cfg(feature = "encrypted-cookies")]
#[test]
fn idle_time_restarts_with_each_renewal_and_the_absolute_end_stays() {
    let seconds = Duration::from_secs;
    let lifetime = Lifetime::absolute(seconds(100)).with_idle_timeout(seconds(40));
    let jar = CookieJar::encrypted(&Keyring::generate(), scope("name", "/")).with_lifetime(lifetime);
    let mut line = jar.set_cookie(b"alice", NOW, true).expect("small");
    // when it is used, whether it is stale then, what Max-Age the renewed one has
    for (passed, stale, max_age) in [(19, false, 40), (58, true, 40), (95, true, 5)] {
        let now = NOW.saturating_add(seconds(passed));
        let pair = format!("name={}", value(&line));
        let lines = [pair.as_bytes()];
        let cookies = RequestCookies::from_lines(&lines).expect("short");
        line = jar.read(
            &cookies,
            || now,
            |_| Some(()),
            |read| {
                let ReadCookie::Valid(opened) = read else {
                    panic!("after {passed} s");
                };
                assert_eq!(
                    (opened.needs_renewal(), opened.login_at()),
                    (stale, NOW),
                    "after {passed} s"
                );
                jar.renew(&opened, now, true).expect("small")
            },
        );
        let end = format!("Max-Age={max_age}");
        assert!(line.to_str().is_ok_and(|line| line.ends_with(&end)), "{line:?}");
    }
    let pair = format!("name={}", value(&line));
    let at = |passed| read(&jar, pair.as_bytes(), NOW.saturating_add(seconds(passed)));
    assert!(matches!(at(100), Kept::Opened(..)));
    assert_eq!(at(101), Kept::Refused(CookieDecodeError::Expired));
}

#[cfg(feature = "encrypted-cookies")]
#[test]
fn a_shorter_absolute_limit_counts_for_cookies_renewed_before_it_was_set() {
    let seconds = Duration::from_secs;
    let keyring = Keyring::generate();
    let jar = |limit| {
        CookieJar::encrypted(&keyring, scope("name", "/")).with_lifetime(Lifetime::absolute(seconds(limit)))
    };
    let line = format!(
        "name={}",
        value(&jar(1_000).set_cookie(b"alice", NOW, true).expect("small"))
    );
    let lines = [line.as_bytes()];
    let cookies = RequestCookies::from_lines(&lines).expect("short");
    let later = NOW.saturating_add(seconds(90));
    let renewed = jar(1_000).read(
        &cookies,
        || later,
        |_| Some(()),
        |read| match read {
            ReadCookie::Valid(opened) => jar(1_000).renew(&opened, later, true).expect("small"),
            other => panic!("it is young: {other:?}"),
        },
    );
    let renewed = format!("name={}", value(&renewed));
    let at = |passed| read(&jar(100), renewed.as_bytes(), NOW.saturating_add(seconds(passed)));
    assert!(matches!(at(100), Kept::Opened(..)));
    assert_eq!(at(101), Kept::Refused(CookieDecodeError::Expired));
}

#[test]
fn the_clock_is_read_at_most_once_for_one_cookie() {
    for form in forms() {
        let jar = form(&Keyring::generate(), scope("name", "/"));
        let line = format!(
            "name={}",
            value(&jar.set_cookie(b"alice", NOW, true).expect("small"))
        );
        let lines = [line.as_bytes()];
        let cookies = RequestCookies::from_lines(&lines).expect("short");
        let readings = Cell::new(0);
        let now = || {
            readings.set(readings.get() + 1);
            NOW
        };
        jar.read(
            &cookies,
            now,
            |_| Some(()),
            |read| assert!(matches!(read, ReadCookie::Valid(_))),
        );
        assert_eq!(readings.get(), 1);
    }
}
