//! The fields of a signed value, behind a signature that was good.

use super::name::CookieName;
use crate::clock::UnixTime;

/// Time and payload of a body whose signature was good, if it is one of the cookie `name`.
pub(super) fn fields<'v>(body: &'v [u8], name: &CookieName) -> Option<(UnixTime, &'v [u8])> {
    let mut rest = body.strip_prefix(b"2|1:0|")?;
    let seconds = number(field(&mut rest)?)?;
    let found = field(&mut rest)?;
    let payload = field(&mut rest)?;
    (found == name.as_str().as_bytes() && rest.is_empty()).then_some((UnixTime::from_secs(seconds), payload))
}

/// The next field, taken off the front of `rest`.
fn field<'v>(rest: &mut &'v [u8]) -> Option<&'v [u8]> {
    let (length, behind) = rest.split_at_checked(rest.iter().position(|byte| *byte == b':')?)?;
    let length = usize::try_from(number(length)?).ok()?;
    let (field, behind) = behind.get(1..)?.split_at_checked(length)?;
    *rest = behind.strip_prefix(b"|")?;
    Some(field)
}

/// Digits alone, no zero before others, at most 19 of them: these fit. `str::parse` is laxer: it takes `+1` and `01`.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.len() > 19 || matches!(digits, [] | [b'0', _, ..]) {
        return None;
    }
    digits.iter().try_fold(0, |number, digit| {
        let is_digit = digit.is_ascii_digit();
        is_digit.then(|| 10 * number + u64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_plain_digits() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1700000000", Some(1_700_000_000)),
            ("9999999999999999999", Some(9_999_999_999_999_999_999)),
            ("10000000000000000000", None),
            ("99999999999999999999999", None),
            ("", None),
            ("00", None),
            ("01", None),
            ("+1", None),
            ("-1", None),
            (" 1", None),
            ("1_0", None),
            ("1a", None),
        ] {
            assert_eq!(number(text.as_bytes()), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_number_is_what_the_standard_library_reads(number in any::<u64>(), digits in 1_u32..20, place in 0_usize..20, other: u8) {
            let text = (number % 10_u64.pow(digits)).to_string();
            prop_assert_eq!(super::number(text.as_bytes()), text.parse().ok());
            let mut text = text.into_bytes();
            let place = place % text.len();
            text[place] = other;
            if !other.is_ascii_digit() {
                prop_assert_eq!(super::number(&text), None);
            }
        }
    }

    #[test]
    fn a_field_has_the_length_it_says() {
        for (text, expected) in [
            ("0:|", Some(("", ""))),
            ("1:a|b", Some(("a", "b"))),
            ("3:a|b|1:c|", Some(("a|b", "1:c|"))),
            ("0010:aaaaaaaaaa|", None),
            ("00:|", None),
            ("01:a|", None),
            (":|", None),
            ("", None),
            ("1", None),
            ("1:", None),
            ("1:a", None),
            ("2:a|", None),
            ("-1:a|", None),
            ("12345:a|", None),
            ("99999999999999999999:a|", None),
        ] {
            let mut rest = text.as_bytes();
            let found = field(&mut rest).map(|field| (field, rest));
            let expected = expected.map(|(field, rest): (&str, &str)| (field.as_bytes(), rest.as_bytes()));
            assert_eq!(found, expected, "{text:?}");
        }
        let long = format!("4000:{}|", "a".repeat(4000));
        assert!(field(&mut long.as_bytes()).is_some());
    }

    #[test]
    fn a_body_is_read_only_if_each_byte_is_as_the_format_has_it() {
        let name = CookieName::custom("name").expect("a token");
        for seconds in [
            0,
            1,
            999_999_999,
            1_000_000_000,
            1_700_000_000,
            9_999_999_999,
            10_000_000_000,
        ] {
            for length in [0, 1, 9, 10, 99, 100, 101, 999, 1000, 1001] {
                let payload = "p".repeat(length);
                let digits = seconds.to_string().len();
                let good = format!("2|1:0|{digits}:{seconds}|4:name|{length}:{payload}|").into_bytes();
                let expected = Some((UnixTime::from_secs(seconds), payload.as_bytes()));
                assert_eq!(fields(&good, &name), expected);
                // Each byte of the frame replaced, preceded by another one, and removed. Other digits in the place of
                // the seconds would be another time.
                let at_seconds = 7 + digits.to_string().len();
                let at_payload = good.len() - payload.len() - 1;
                let frame = (0..at_seconds)
                    .chain(at_seconds + digits..at_payload)
                    .chain([good.len() - 1]);
                for place in frame {
                    let mut near = Vec::new();
                    for other in *b"0159:|an/ \0\xff" {
                        near.push([&good[..place], &[other], &good[place..]].concat());
                        if good[place] != other {
                            near.push([&good[..place], &[other], &good[place + 1..]].concat());
                        }
                    }
                    near.push([&good[..place], &good[place + 1..]].concat());
                    for body in near {
                        assert_eq!(fields(&body, &name), None, "{}", body.escape_ascii());
                    }
                }
                assert_eq!(fields(&[&good[..], b"|"].concat(), &name), None);
                assert_eq!(fields(&good, &CookieName::xsrf()), None);
            }
        }
    }
}
