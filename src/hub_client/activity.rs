//! Reports to the hub when this server was last used.

use std::{sync::atomic::Ordering, time::Duration};

use super::hub_auth::HubAuth;
use crate::{
    clock::{Clock, SystemClock, UnixTime},
    random,
};

/// Reports of when a server was used last; see [`HubAuth::activity_reporter`].
///
/// # Example
///
/// ```no_run
/// # async fn serve() -> Result<(), portcullis::ConfigError> {
/// let hub = portcullis::HubAuth::from_env()?;
/// tokio::spawn(hub.activity_reporter().run());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ActivityReporter(HubAuth);

impl HubAuth {
    /// Reports to the hub when this server was used last, for programs that stop idle servers; nothing happens until it is
    /// [run](ActivityReporter::run).
    pub fn activity_reporter(&self) -> ActivityReporter {
        ActivityReporter(self.clone())
    }
}

impl ActivityReporter {
    /// Reports every [`activity_interval`](super::HubAuthBuilder::activity_interval), give or take a tenth, and as
    /// long as it is polled. Reports that fail are made up for by the next. Without
    /// [`activity_url`](super::HubAuthBuilder::activity_url), as for a service, or with an interval of zero, it ends at
    /// once.
    pub async fn run(self) {
        let hub = &*self.0.0;
        let Some((url, server)) = &hub.activity else {
            return;
        };
        // The server's start counts as its first use.
        hub.last_activity
            .fetch_max(SystemClock.now().as_secs(), Ordering::Relaxed);
        loop {
            let last = iso(UnixTime::from_secs(hub.last_activity.load(Ordering::Relaxed)));
            let report = serde_json::json!({ "last_activity": last, "servers": { server: { "last_activity": last } } });
            let _ = hub.verifier.api.report(url, report.to_string(), &hub.token).await;
            tokio::time::sleep(with_jitter(hub.activity_interval)).await;
        }
    }
}

/// Within a tenth of `interval`, so that servers which started together do not report together.
fn with_jitter(interval: Duration) -> Duration {
    let [byte] = random::bytes::<1>();
    let seconds = interval.as_secs_f64() * (0.9 + 0.2 * f64::from(byte) / 255.0);
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// `2026-11-22T01:53:40.000000Z`.
fn iso(time: UnixTime) -> String {
    const DAY: u64 = 24 * 60 * 60;
    let (days, second) = (time.as_secs() / DAY, time.as_secs() % DAY);
    // Counted in years that begin in March, so that the leap day is the last: Hinnant, `civil_from_days`.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000000Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_the_hub_reads_them() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (1_795_312_420, "2026-11-22T01:53:40.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(iso(UnixTime::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn reports_are_spread_by_a_tenth() {
        for _ in 0..100 {
            let interval = with_jitter(Duration::from_secs(300)).as_secs_f64();
            assert!((270.0..=330.0).contains(&interval), "{interval}");
            let _ = with_jitter(Duration::MAX);
        }
    }
}
