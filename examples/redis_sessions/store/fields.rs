//! What Redis keeps of a session: a hash of texts.

use std::{collections::HashMap, net::IpAddr};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use portcullis::{
    clock::UnixTime,
    store::{RecordId, SessionCredential, SessionRecord, StoreError, StoreErrorKind},
};
use serde_json::json;

/// The fields of one session.
pub(super) type Fields = HashMap<String, String>;

pub(super) fn fields(session: &SessionRecord) -> Fields {
    let fields = [
        ("id", Some(session.id().to_string())),
        ("owner", Some(session.owner().to_owned())),
        ("session_id", Some(session.session_id().to_owned())),
        ("grant", Some(json!(session.grant()).to_string())),
        ("created", Some(seconds(session.created()))),
        ("last_used", Some(seconds(session.last_used()))),
        ("checked_at", Some(seconds(session.checked_at()))),
        ("expires_at", Some(seconds(session.expires_at()))),
        ("note", session.note().map(str::to_owned)),
        ("address", session.address().map(|address| address.to_string())),
        ("credential", session.credential().map(credential_text)),
    ];
    let given = fields
        .into_iter()
        .filter_map(|(field, value)| Some((field.to_owned(), value?)));
    given.collect()
}

pub(super) fn record(fields: &Fields) -> Result<SessionRecord, StoreError> {
    let read = || {
        let time = |field| Some(UnixTime::from_secs(fields.get(field)?.parse().ok()?));
        let grant = serde_json::from_str(fields.get("grant")?).ok()?;
        let mut record = SessionRecord::new(
            grant,
            fields.get("session_id")?,
            time("created")?,
            time("expires_at")?,
        )
        .with_id(fields.get("id")?.parse::<RecordId>().ok()?)
        .with_last_used(time("last_used")?)
        .with_checked_at(time("checked_at")?);
        if let Some(note) = fields.get("note") {
            record = record.with_note(note);
        }
        if let Some(address) = fields.get("address") {
            record = record.with_address(address.parse::<IpAddr>().ok()?);
        }
        if let Some(credential) = fields.get("credential") {
            let bytes = BASE64_STANDARD.decode(credential).ok()?;
            record = record.with_credential(SessionCredential::from_bytes(&bytes)?);
        }
        Some(record)
    };
    read().ok_or_else(|| StoreError::new(StoreErrorKind::Corrupt, "a session in Redis cannot be read"))
}

pub(super) fn credential_text(credential: SessionCredential) -> String {
    BASE64_STANDARD.encode(credential.to_bytes())
}

pub(super) fn seconds(time: UnixTime) -> String {
    time.as_secs().to_string()
}
