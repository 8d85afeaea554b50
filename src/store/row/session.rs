//! What a database keeps of a session.

use std::borrow::Cow;

use aes_gcm_siv::{AeadInOut as _, aead::inout::InOutBuf};
use serde::{Deserialize, Serialize};

use super::{GrantRow, LookupKey, id, number, seconds, time, unreadable};
use crate::{
    clock::UnixTime,
    session::{grant::Grant, identity::to_json},
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
    pub(in crate::store) membership: Option<String>,
}

impl SessionRow {
    /// The columns, in the order in which they are written and read.
    pub(in crate::store) const COLUMNS: &str = "id, owner, identity, scopes, label, grant_expires_at, session_id, \
         created, last_used, checked_at, expires_at, note, address, credential, membership";

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
            membership: membership(session.grant()),
        })
    }

    pub(in crate::store) fn record(self, key: &LookupKey) -> Result<SessionRecord, StoreError> {
        let (created, expires_at) = (time(self.created), time(self.expires_at));
        let grant = with_membership(self.grant.grant()?, self.membership)?;
        let mut session = SessionRecord::new(grant, &self.session_id, created, expires_at)
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

/// The groups of a user, and whether the user is an administrator.
#[derive(Deserialize, Serialize)]
struct Membership<'a> {
    #[serde(borrow)]
    groups: Vec<Cow<'a, str>>,
    admin: bool,
}

/// The groups and the role of a grant as JSON; nothing for a user without either.
fn membership(grant: &Grant) -> Option<String> {
    let membership = Membership {
        groups: grant.groups().map(Cow::Borrowed).collect(),
        admin: grant.is_admin(),
    };
    let is_plain = membership.groups.is_empty() && !membership.admin;
    (!is_plain).then(|| to_json(&membership))
}

fn with_membership(grant: Grant, membership: Option<String>) -> Result<Grant, StoreError> {
    let Some(membership) = membership else {
        return Ok(grant);
    };
    let Membership { groups, admin } =
        serde_json::from_str(&membership).map_err(|error| unreadable("membership").with_source(error))?;
    let grant = grant.with_groups(groups);
    Ok(if admin { grant.as_admin() } else { grant })
}

/// The first byte of a token's credential. The key of the token's row follows, then the token's hash, encrypted.
pub(in crate::store) const TOKEN: u8 = 1;
/// All bytes but the encrypted hash.
const TOKEN_PREFIX: usize = 33;
/// AES-GCM-SIV may use a nonce again: the same hash is then encrypted to the same bytes, by which its sessions are found.
const NONCE: [u8; 12] = [0; 12];

/// The bytes of a credential in a database. A token's hash is not readable in them: who guesses a token cannot find it by a
/// copy of a database whose key is elsewhere.
pub(in crate::store) fn credential_bytes(credential: SessionCredential, key: &LookupKey) -> Vec<u8> {
    match credential {
        SessionCredential::Token(hash) => {
            let mut bytes = vec![TOKEN];
            bytes.extend(key.hmac(hash));
            let mut encrypted = *hash.as_bytes();
            let tag = key
                .cipher()
                .encrypt_inout_detached(&NONCE.into(), &bytes, InOutBuf::from(&mut encrypted[..]))
                .expect("a hash is shorter than 2^36 bytes");
            bytes.extend(encrypted);
            bytes.extend(tag);
            bytes
        }
        other => other.to_bytes().to_vec(),
    }
}

fn read_credential(bytes: &[u8], key: &LookupKey) -> Option<SessionCredential> {
    match bytes.split_at_checked(TOKEN_PREFIX) {
        Some((prefix, encrypted)) if !encrypted.is_empty() => {
            let (hash, tag) = encrypted.split_first_chunk::<32>()?;
            let (mut hash, tag) = (*hash, <[u8; 16]>::try_from(tag).ok()?);
            key.cipher()
                .decrypt_inout_detached(&NONCE.into(), prefix, InOutBuf::from(&mut hash[..]), &tag.into())
                .ok()?;
            Some(SessionCredential::Token(TokenHash::from(hash)))
        }
        _ => SessionCredential::from_bytes(bytes),
    }
}

/// What [`SessionTouch`] writes.
pub(in crate::store) struct TouchRow {
    pub(in crate::store) last_used: i64,
    pub(in crate::store) expires_at: i64,
    pub(in crate::store) checked: Option<(i64, GrantRow, Option<String>)>,
}

impl TouchRow {
    pub(in crate::store) fn of(touch: &SessionTouch) -> Result<Self, StoreError> {
        let checked = touch.checked();
        let row = |(time, grant): (UnixTime, &Grant)| {
            GrantRow::of(grant).map(|row| (seconds(time), row, membership(grant)))
        };
        Ok(Self {
            last_used: seconds(touch.last_used()),
            expires_at: seconds(touch.expires_at()),
            checked: checked.map(row).transpose()?,
        })
    }
}
