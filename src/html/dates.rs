//! Dates as pages show them.

use cookie::time::OffsetDateTime;

use super::style::PageStyle;
use crate::clock::UnixTime;

/// 9999-12-31T23:59:59Z: later times have no year of four digits, and are written as this one.
const LATEST: i64 = 253_402_300_799;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// `2026-11-22T01:53:40Z`, as programs read it.
pub(crate) fn iso_date(time: UnixTime) -> String {
    let (date, second) = (utc(time), utc(time).second());
    format!(
        "{}T{:02}:{:02}:{second:02}Z",
        day(date),
        date.hour(),
        date.minute()
    )
}

/// `2026-11-22 01:53 UTC`.
pub(crate) fn utc_date(time: UnixTime) -> String {
    let date = utc(time);
    format!("{} {:02}:{:02} UTC", day(date), date.hour(), date.minute())
}

/// "5 minutes ago", "in 3 days", or the day if it is more than 30 days away. Numbers are at least 2, so that each unit is a
/// plural.
pub(crate) fn relative_time(style: &PageStyle, time: UnixTime, now: UnixTime) -> String {
    let (past, future) = (
        now.saturating_duration_since(time),
        time.saturating_duration_since(now),
    );
    let is_past = future.is_zero();
    let seconds = past.as_secs().max(future.as_secs());
    let (ago, ahead, unit) = match seconds {
        _ if seconds < 2 * MINUTE => {
            return style
                .text(if is_past { "just now" } else { "in a moment" })
                .to_owned();
        }
        _ if seconds < 2 * HOUR => ("{} minutes ago", "in {} minutes", MINUTE),
        _ if seconds < 2 * DAY => ("{} hours ago", "in {} hours", HOUR),
        _ if seconds <= 30 * DAY => ("{} days ago", "in {} days", DAY),
        _ => return day(utc(time)),
    };
    // "in 7 days" for what was just created for 7 days.
    match is_past {
        true => style.text_with_number(ago, seconds / unit),
        false => style.text_with_number(ahead, seconds.div_ceil(unit)),
    }
}

fn day(date: OffsetDateTime) -> String {
    let (year, month, day) = date.to_calendar_date();
    format!("{year:04}-{:02}-{day:02}", u8::from(month))
}

/// The date in UTC.
pub(crate) fn utc(time: UnixTime) -> OffsetDateTime {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(LATEST).min(LATEST);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_for_readers_and_for_programs() {
        let time = UnixTime::from_secs(1_795_312_420);
        assert_eq!(utc_date(time), "2026-11-22 01:53 UTC");
        assert_eq!(iso_date(time), "2026-11-22T01:53:40Z");
        assert_eq!(iso_date(UnixTime::from_secs(u64::MAX)), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn times_near_now_are_relative_and_others_are_days() {
        let now = 1_795_312_420_u64;
        for (time, text) in [
            (now, "just now"),
            (now - 119, "just now"),
            (now - 120, "2 minutes ago"),
            (now - 7_199, "119 minutes ago"),
            (now - 7_200, "2 hours ago"),
            (now - 172_799, "47 hours ago"),
            (now - 172_800, "2 days ago"),
            (now - 30 * DAY, "30 days ago"),
            (now - 30 * DAY - 1, "2026-10-23"),
            (now + 1, "in a moment"),
            (now + 121, "in 3 minutes"),
            (now + 7_200, "in 2 hours"),
            (now + 30 * DAY, "in 30 days"),
            (now + 31 * DAY, "2026-12-23"),
            (0, "1970-01-01"),
            (u64::MAX, "9999-12-31"),
        ] {
            let (time, now) = (UnixTime::from_secs(time), UnixTime::from_secs(now));
            assert_eq!(relative_time(&PageStyle::default(), time, now), text);
        }
    }
}
