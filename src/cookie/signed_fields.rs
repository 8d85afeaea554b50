//! The fields of a signed value, behind a signature that was good.
//!
//! What is usual has a short way: seconds of ten digits, a payload of three digits' length. All else is read by the
//! long one, which is the specification; tests hold the two against each other.

use super::name::CookieName;
use crate::time::UnixTime;

/// Time and payload of a body whose signature was good, if it is one of the cookie `name`.
pub(super) fn fields<'v>(body: &'v [u8], name: &CookieName) -> Option<(UnixTime, &'v [u8])> {
    let (seconds, rest) = match body.strip_prefix(b"2|1:0|10:").and_then(ten_digits) {
        Some(found) => found,
        None => seconds(body)?,
    };
    let payload = only_field(rest.strip_prefix(name.as_field())?)?;
    Some((UnixTime::from_secs(seconds), payload))
}

/// The ten digits of a field, as the seconds of this age have them, and what stands behind its bar.
#[inline(always)]
fn ten_digits(octets: &[u8]) -> Option<(u64, &[u8])> {
    let (eight, rest) = octets.split_first_chunk::<8>()?;
    let &[a, b, b'|', ref rest @ ..] = rest else {
        return None;
    };
    let two = digits([b'0', b'0', a, b])? as u64;
    (eight[0] != b'0').then_some((eight_digits(*eight)? * 100 + two, rest))
}

/// The seconds of a body of any age, and what stands behind their field.
#[inline(never)]
fn seconds(body: &[u8]) -> Option<(u64, &[u8])> {
    let mut rest = body.strip_prefix(b"2|1:0|")?;
    let seconds = number(field(&mut rest)?)?;
    Some((seconds, rest))
}

/// The one field that these octets are.
#[inline(always)]
fn only_field(octets: &[u8]) -> Option<&[u8]> {
    // A payload of three digits is the usual one: its length is known, and only has to stand there.
    if let &[a, b, c, b':', ref field @ .., b'|'] = octets
        && let length @ 100..=999 = field.len()
        && [a, b, c] == [length / 100, length / 10 % 10, length % 10].map(|digit| b'0' + digit as u8)
    {
        return Some(field);
    }
    only_field_of_any_length(octets)
}

#[inline(never)]
fn only_field_of_any_length(mut octets: &[u8]) -> Option<&[u8]> {
    let field = field(&mut octets)?;
    octets.is_empty().then_some(field)
}

/// The next field, taken off the front of `rest`.
fn field<'v>(rest: &mut &'v [u8]) -> Option<&'v [u8]> {
    let (length, behind) = length(rest)?;
    let (field, behind) = behind.split_at_checked(length)?;
    *rest = behind.strip_prefix(b"|")?;
    Some(field)
}

/// A length without zeros before it, and what stands behind its colon.
fn length(octets: &[u8]) -> Option<(usize, &[u8])> {
    // A value has at most 4096 octets, so a length has at most four digits.
    match octets {
        [a, b':', behind @ ..] => Some((digits([b'0', b'0', b'0', *a])?, behind)),
        [a @ b'1'..=b'9', b, b':', behind @ ..] => Some((digits([b'0', b'0', *a, *b])?, behind)),
        [a @ b'1'..=b'9', b, c, b':', behind @ ..] => Some((digits([b'0', *a, *b, *c])?, behind)),
        [a @ b'1'..=b'9', b, c, d, b':', behind @ ..] => Some((digits([*a, *b, *c, *d])?, behind)),
        _ => None,
    }
}

/// The number of four digits.
#[inline(always)]
fn digits(digits: [u8; 4]) -> Option<usize> {
    let ones = digits.map(|digit| digit.wrapping_sub(b'0'));
    let number = ones.iter().fold(0, |number, one| 10 * number + usize::from(*one));
    ones.iter().all(|one| *one <= 9).then_some(number)
}

/// Digits alone, no zero before others, at most 19 of them: these fit without a check for each.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.len() > 19 || matches!(digits, [] | [b'0', _, ..]) {
        return None;
    }
    let (groups, rest) = digits.as_chunks();
    let mut number = 0;
    for group in groups {
        number = number * 100_000_000 + eight_digits(*group)?;
    }
    for digit in rest {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    Some(number)
}

/// The number of eight digits, read all at once: of neighbours first, then of pairs, then of fours.
fn eight_digits(digits: [u8; 8]) -> Option<u64> {
    let ones = u64::from_le_bytes(digits).wrapping_sub(0x3030_3030_3030_3030);
    // Below a digit the subtraction sets the highest bit, above one the addition.
    let foreign = ones | ones.wrapping_add(0x7676_7676_7676_7676);
    if foreign & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let pairs = (ones * 10 + (ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
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
    fn the_usual_lengths_are_read_as_any_other() {
        for length in 0..1_100 {
            let good = format!("{length}:{}|", "a".repeat(length)).into_bytes();
            let told = length.to_string();
            let payload = good.get(told.len() + 1..good.len() - 1);
            assert_eq!(only_field(&good), payload, "{length}");
            // Each octet of the frame changed, and one more or one less behind it.
            let mut near = vec![[&good[..], b"|"].concat(), [b"0", &good[..]].concat()];
            near.push(good[..good.len() - 1].to_vec());
            for place in (0..=told.len()).chain([good.len() - 1]) {
                for other in *b"0159:|a\0\xff" {
                    let mut changed = good.clone();
                    changed[place] = other;
                    near.push(changed);
                }
            }
            for octets in near {
                assert_eq!(
                    only_field(&octets),
                    only_field_of_any_length(&octets),
                    "{octets:?}"
                );
            }
        }
    }

    #[test]
    fn the_seconds_of_this_age_are_read_as_those_of_any() {
        let of_this_age = |body: &[u8]| {
            body.strip_prefix(b"2|1:0|10:")
                .and_then(ten_digits)
                .map(|(seconds, _)| seconds)
        };
        let of_any = |body: &[u8]| seconds(body).map(|(seconds, _)| seconds);
        for number in [
            0,
            1,
            999_999_999,
            1_000_000_000,
            1_700_000_000,
            4_294_967_295,
            9_999_999_999,
        ] {
            let good = format!("2|1:0|10:{number:010}|1:a|").into_bytes();
            let expected = (number >= 1_000_000_000).then_some(number);
            assert_eq!(of_this_age(&good), expected, "{number}");
            assert_eq!(of_any(&good), expected, "{number}");
            for place in 0..good.len() {
                for other in *b"0129:|a/ \0\xff" {
                    let mut changed = good.clone();
                    changed[place] = other;
                    // What the short way does not read is left to the long one.
                    if let Some(seconds) = of_this_age(&changed) {
                        assert_eq!(of_any(&changed), Some(seconds), "{changed:?}");
                    }
                }
            }
        }
    }
}
