//! What a database keeps of a session.

use super::{GrantRow, id, number, seconds, time, unreadable};
use crate::{
    clock::UnixTime,
    store::{SessionCredential, SessionRecord, SessionTouch, StoreError},
};

/// A row of `portcullis_sessions`, without the hash.
pub(in crate::store) struct SessionRow {
    pub(in crate::store) id: i64,
    pub(in crate::store) grant: GrantRow,
    pub(in crate::store) session_id: String,
    pub(in crate::store) created: i64,
    pub(in crate::store) last_used: i64,
    pub(in crate::store) checked_at: i64,
    pub(in crate::store) expires_at: i64,
    pub(in crate::store) note: Option<String>,
    pub(in crate::store) address: Option<String>,
    pub(in crate::store) credential: Option<Vec<u8>>,
}

impl SessionRow {
    /// The columns, in the order in which they are written and read.
    pub(in crate::store) const COLUMNS: &str = "id, owner, identity, scopes, label, grant_expires_at, session_id, \
         created, last_used, checked_at, expires_at, note, address, credential";

    pub(in crate::store) fn of(session: &SessionRecord) -> Result<Self, StoreError> {
        Ok(Self {
            id: number(session.id())?,
            grant: GrantRow::of(session.grant())?,
            session_id: session.session_id().to_owned(),
            created: seconds(session.created()),
            last_used: seconds(session.last_used()),
            checked_at: seconds(session.checked_at()),
            expires_at: seconds(session.expires_at()),
            note: session.note().map(str::to_owned),
            address: session.address().map(|address| address.to_string()),
            credential: session
                .credential()
                .map(|credential| credential.to_bytes().to_vec()),
        })
    }

    pub(in crate::store) fn record(self) -> Result<SessionRecord, StoreError> {
        let (created, expires_at) = (time(self.created), time(self.expires_at));
        let mut session = SessionRecord::new(self.grant.grant()?, &self.session_id, created, expires_at)
            .with_id(id(self.id)?)
            .with_last_used(time(self.last_used))
            .with_checked_at(time(self.checked_at));
        if let Some(note) = &self.note {
            session = session.with_note(note);
        }
        if let Some(address) = &self.address {
            let address: std::net::IpAddr = address.parse().map_err(|_| unreadable("address"))?;
            session = session.with_address(address);
        }
        if let Some(credential) = self.credential {
            let credential = SessionCredential::from_bytes(&credential);
            session = session.with_credential(credential.ok_or_else(|| unreadable("credential"))?);
        }
        Ok(session)
    }
}

/// What [`SessionTouch`] writes.
pub(in crate::store) struct TouchRow {
    pub(in crate::store) last_used: i64,
    pub(in crate::store) expires_at: i64,
    pub(in crate::store) checked: Option<(i64, GrantRow)>,
}

impl TouchRow {
    pub(in crate::store) fn of(touch: &SessionTouch) -> Result<Self, StoreError> {
        let checked = touch.checked();
        let row = |(time, grant): (UnixTime, _)| GrantRow::of(grant).map(|grant| (seconds(time), grant));
        Ok(Self {
            last_used: seconds(touch.last_used()),
            expires_at: seconds(touch.expires_at()),
            checked: checked.map(row).transpose()?,
        })
    }
}
