//! What a database keeps of the password attempts of an account.

use super::{seconds, time, unreadable};
use crate::store::{AttemptRecord, StoreError};

/// A row of `portcullis_attempts`, without the key.
pub(in crate::store) struct AttemptRow {
    pub(in crate::store) failures: i64,
    pub(in crate::store) last_failure: i64,
    /// Of each attempt the id and the time, 8 bytes each.
    pub(in crate::store) under_way: Vec<u8>,
    pub(in crate::store) expires_at: i64,
}

impl AttemptRow {
    /// The columns, in the order of the fields.
    pub(in crate::store) const COLUMNS: &str = "failures, last_failure, under_way, expires_at";

    pub(in crate::store) fn of(record: &AttemptRecord) -> Self {
        let attempts = record.under_way().iter();
        Self {
            failures: record.failures().into(),
            last_failure: seconds(record.last_failure()),
            under_way: attempts
                .flat_map(|(id, until)| [id.to_be_bytes(), seconds(*until).to_be_bytes()])
                .flatten()
                .collect(),
            expires_at: seconds(record.expires_at()),
        }
    }

    pub(in crate::store) fn record(self) -> Result<AttemptRecord, StoreError> {
        let failures = u32::try_from(self.failures).map_err(|_| unreadable("failures"))?;
        let (words, []) = self.under_way.as_chunks::<8>() else {
            return Err(unreadable("attempts"));
        };
        let (pairs, []) = words.as_chunks::<2>() else {
            return Err(unreadable("attempts"));
        };
        let under_way = pairs
            .iter()
            .map(|[id, until]| (u64::from_be_bytes(*id), time(i64::from_be_bytes(*until))));
        Ok(AttemptRecord::new(time(self.expires_at))
            .with_failures(failures, time(self.last_failure))
            .with_under_way(under_way))
    }
}
