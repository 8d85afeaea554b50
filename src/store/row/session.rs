//! What a database keeps of a session.

use super::{GrantRow, LookupKey, id, number, seconds, time, unreadable};
use crate::{
    clock::UnixTime,
    store::{SessionCredential, SessionRecord, SessionTouch, StoreError},
    token::TokenHash,
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

    pub(in crate::store) fn of(session: &SessionRecord, key: &LookupKey) -> Result<Self, StoreError> {
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
                .map(|credential| credential_bytes(credential, key)),
        })
    }

    pub(in crate::store) fn record(self, key: &LookupKey) -> Result<SessionRecord, StoreError> {
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
            let credential = read_credential(&credential, key);
            session = session.with_credential(credential.ok_or_else(|| unreadable("credential"))?);
        }
        Ok(session)
    }
}

/// The first byte of a token's credential. What the token's row lies under follows, then the token's hash, encrypted.
pub(in crate::store) const TOKEN: u8 = 1;
/// All bytes but the hash.
const TOKEN_PREFIX: usize = 33;

/// The bytes of a credential in a database. A token's hash is not among them: who guesses a token cannot find it by a copy of a
/// database whose key is elsewhere.
pub(in crate::store) fn credential_bytes(credential: SessionCredential, key: &LookupKey) -> Vec<u8> {
    match credential {
        SessionCredential::Token(hash) => {
            let mut bytes = vec![TOKEN];
            bytes.extend(key.hmac(hash));
            let mask = key.mask(&bytes);
            bytes.extend(hash.as_bytes().iter().zip(mask).map(|(byte, mask)| byte ^ mask));
            bytes
        }
        other => other.to_bytes().to_vec(),
    }
}

fn read_credential(bytes: &[u8], key: &LookupKey) -> Option<SessionCredential> {
    match bytes.split_at_checked(TOKEN_PREFIX) {
        Some((prefix, encrypted)) if !encrypted.is_empty() => {
            let mut hash = <[u8; 32]>::try_from(encrypted).ok()?;
            for (byte, mask) in hash.iter_mut().zip(key.mask(prefix)) {
                *byte ^= mask;
            }
            let credential = SessionCredential::Token(TokenHash::from(hash));
            (credential_bytes(credential, key) == bytes).then_some(credential)
        }
        _ => SessionCredential::from_bytes(bytes),
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
