//! Dates as the hub's API writes and reads them: ISO 8601.

use crate::time::UnixTime;

const DAY: u64 = 24 * 60 * 60;

/// The date as JupyterHub writes it: `2026-11-22T01:53:40.000000Z`.
pub(crate) fn written(time: UnixTime) -> String {
    let (days, second) = (time.as_secs() / DAY, time.as_secs() % DAY);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000000Z")
}

/// The date as a person reads it: `2026-11-22 01:53 UTC`.
pub(crate) fn for_people(time: UnixTime) -> String {
    let text = written(time);
    let (day, clock) = (text.get(..10), text.get(11..16));
    format!("{} {} UTC", day.unwrap_or_default(), clock.unwrap_or_default())
}

/// The time of `YYYY-MM-DDThh:mm:ss`, with or without a fraction; `Z`, an offset, or nothing for UTC.
pub(crate) fn read(text: &str) -> Option<UnixTime> {
    let text = text.trim();
    let number = |from: usize, to: usize| -> Option<u64> {
        let digits = text.get(from..to)?;
        let plain = digits.bytes().all(|digit| digit.is_ascii_digit());
        digits.parse().ok().filter(|_| plain)
    };
    let mark = |place: usize, marks: &[u8]| {
        text.as_bytes()
            .get(place)
            .is_some_and(|mark| marks.contains(mark))
    };
    let punctuated = mark(4, b"-") && mark(7, b"-") && mark(10, b"T ") && mark(13, b":") && mark(16, b":");
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let sound = punctuated
        && year >= 1970
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 61;
    let days = days(year, month, day);
    if !sound || civil(days) != (year, month, day) {
        return None;
    }
    let mut rest = text.get(19..)?;
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = fraction.trim_start_matches(|digit: char| digit.is_ascii_digit());
    }
    let seconds = days * DAY + hour * 3600 + minute * 60 + second;
    let behind = text.len() - rest.len();
    let seconds = match rest.as_bytes() {
        [] | [b'Z' | b'z'] => seconds,
        [sign @ (b'+' | b'-'), ..] if rest.len() == 6 && mark(behind + 3, b":") => {
            let offset = number(behind + 1, behind + 3)? * 3600 + number(behind + 4, behind + 6)? * 60;
            if *sign == b'+' {
                seconds.checked_sub(offset)?
            } else {
                seconds + offset
            }
        }
        _ => return None,
    };
    Some(UnixTime::from_secs(seconds))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. The year begins in March here, so that the day
/// that is there every fourth year is its last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let of_year = (153 * month + 2) / 5 + day - 1;
    (year * 365 + year / 4 - year / 100 + year / 400 + of_year).saturating_sub(719_468)
}

/// The date so many days after 1970-01-01; the inverse of [`days`].
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days.min(2_932_896) + 719_468; // 9999-12-31 at the latest
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + carry, month, day)
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
            assert_eq!(written(time), text);
            assert_eq!(read(text), Some(time));
        }
        assert_eq!(
            for_people(UnixTime::from_secs(1_795_312_420)),
            "2026-11-22 01:53 UTC"
        );
        assert_eq!(written(UnixTime::from_secs(u64::MAX)).len(), 27);
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
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
