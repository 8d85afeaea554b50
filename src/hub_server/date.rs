//! Dates as the hub's API writes and reads them: ISO 8601.

use ::time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{clock::UnixTime, html::utc};

/// The date as JupyterHub writes it: `2026-11-22T01:53:40.000000Z`.
pub(crate) fn to_iso8601(time: UnixTime) -> String {
    let date = utc(time);
    let (year, month, day) = date.to_calendar_date();
    let (hour, minute, second) = date.to_hms();
    let month = u8::from(month);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000000Z")
}

/// Reads `YYYY-MM-DDThh:mm:ss`, with or without a fraction; `Z`, an offset, or nothing for UTC. Times before 1970 are
/// refused.
pub(crate) fn parse_iso8601(text: &str) -> Option<UnixTime> {
    let text = text.trim();
    // The parser takes any character between date and time.
    if !matches!(text.as_bytes().get(10), Some(b'T' | b' ')) {
        return None;
    }
    let date = OffsetDateTime::parse(text, &Rfc3339);
    let date = date.or_else(|_| OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339));
    let seconds = u64::try_from(date.ok()?.unix_timestamp());
    seconds.ok().map(UnixTime::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_and_read_back() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (1_795_312_420, "2026-11-22T01:53:40.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
            (253_402_300_799, "9999-12-31T23:59:59.000000Z"),
        ] {
            let time = UnixTime::from_secs(seconds);
            assert_eq!(to_iso8601(time), text);
            assert_eq!(parse_iso8601(text), Some(time));
        }
        assert_eq!(to_iso8601(UnixTime::from_secs(u64::MAX)).len(), 27);
    }

    #[test]
    fn dates_of_other_writers_are_read_and_nonsense_is_not() {
        let noon = Some(UnixTime::from_secs(1_767_268_800));
        for (text, expected) in [
            ("2026-01-01T12:00:00", noon),
            ("2026-01-01 12:00:00Z", noon),
            ("2026-01-01T12:00:00.123456+00:00", noon),
            ("2026-01-01T14:00:00+02:00", noon),
            ("2026-01-01T08:30:00-03:30", noon),
            ("yesterday", None),
            ("", None),
            ("2026-02-30T00:00:00Z", None),
            ("2026-03-00T00:00:00Z", None),
            ("0000-01-01T00:00:00Z", None),
            ("0000-02-29T00:00:00Z", None),
            ("2026-01-01T00:00:00+99:99", None),
            ("2026-01-01\u{e9}12:00:00", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-00-01T00:00:00Z", None),
            ("2026-01-01T24:00:00Z", None),
            ("2026-01-01T12:00:00+2:00", None),
            ("2026-01-01T12:00:00X", None),
            ("+026-01-01T12:00:00", None),
            ("1969-12-31T23:59:59Z", None),
            ("1970-01-01T00:00:00+01:00", None),
            ("2026-01-01T12:00", None),
        ] {
            assert_eq!(parse_iso8601(text), expected, "{text}");
        }
    }

    #[test]
    fn dates_of_every_year_are_written_and_read_back() {
        for day in (0..=2_932_896).step_by(13) {
            let time = UnixTime::from_secs(day * 86_400 + day % 86_400);
            assert_eq!(
                parse_iso8601(&to_iso8601(time)),
                Some(time),
                "{}",
                to_iso8601(time)
            );
        }
    }

    #[test]
    fn no_digit_or_cut_of_a_date_panics() {
        let sound = "2026-03-31T23:59:59.5-01:30";
        for place in 0..sound.len() {
            let _ = parse_iso8601(&sound[..place]);
            for other in ["0", "9", "-", "\u{e9}", ""] {
                let _ = parse_iso8601(&format!("{}{other}{}", &sound[..place], &sound[place + 1..]));
            }
        }
        for text in [
            "9999-12-31T23:59:59-23:59",
            "9999-12-31T23:59:60Z",
            "1970-01-01T00:00:00-23:59",
        ] {
            assert!(
                parse_iso8601(text).is_none_or(|time| time.as_secs() <= 253_402_387_199),
                "{text}"
            );
        }
    }
}
