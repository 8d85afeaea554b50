//! What a database keeps of a token: the same columns in each.

mod attempt;
#[cfg(feature = "hub-server")]
mod hub;
mod session;

use aes_gcm_siv::{Aes256GcmSiv, KeyInit as _};

use crate::{
    clock::UnixTime,
    digest::Hmac,
    random,
    secret::{self, Secret},
    session::{grant::Grant, identity::Identity, scopes::Scopes},
    store::{RecordId, SaltedTokenHash, StoreError, StoreErrorKind, TokenRecord},
    token::TokenHash,
};

#[cfg(feature = "hub-server")]
pub(super) use self::hub::{ActivityRow, ClientRow, CodeRow};
#[cfg(feature = "sqlite")]
pub(super) use self::session::TOKEN;
pub(super) use self::{
    attempt::AttemptRow,
    session::{SessionRow, TouchRow, credential_bytes},
};

/// The columns of a grant.
pub(super) struct GrantRow {
    pub(super) owner: String,
    /// The other fields of the identity, if there are any.
    pub(super) identity: Option<String>,
    pub(super) scopes: String,
    pub(super) label: Option<String>,
    pub(super) expires_at: Option<i64>,
}

impl GrantRow {
    pub(super) fn of(grant: &Grant) -> Result<Self, StoreError> {
        let owner = grant.identity().username();
        let plain = *grant.identity() == Identity::new(owner);
        let identity = (!plain).then(|| grant.identity().to_payload());
        // What cannot be read again is not written.
        if let Some(payload) = &identity {
            Identity::from_payload(payload.as_bytes())
                .map_err(|error| unreadable("identity").with_source(error))?;
        }
        Ok(Self {
            owner: owner.to_owned(),
            identity,
            scopes: scopes_text(grant.scopes()),
            label: grant.label().map(str::to_owned),
            expires_at: grant.expires_at().map(seconds),
        })
    }

    fn grant(self) -> Result<Grant, StoreError> {
        let identity = match &self.identity {
            Some(payload) => Identity::from_payload(payload.as_bytes())
                .ok()
                .filter(|identity| identity.username() == self.owner)
                .ok_or_else(|| unreadable("identity"))?,
            None => Identity::new(&self.owner),
        };
        let mut grant = Grant::new(identity);
        let scopes = scopes(&self.scopes)?;
        if !scopes.is_empty() {
            grant = grant.with_scopes(scopes);
        }
        if let Some(expires_at) = self.expires_at {
            grant = grant.with_expiry(time(expires_at));
        }
        if let Some(label) = &self.label {
            grant = grant.with_label(label);
        }
        Ok(grant)
    }
}

/// A number of rows, as a database takes it.
pub(super) fn bounded(rows: u64) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// The condition of the tokens that end with those of `condition`: them, and all of their families.
pub(super) fn with_families(condition: &str) -> String {
    format!(
        "id IN (SELECT id FROM portcullis_tokens WHERE {condition} UNION
         SELECT member.id FROM portcullis_tokens AS member WHERE member.family IN
         (SELECT family FROM portcullis_tokens WHERE ({condition}) AND family IS NOT NULL))"
    )
}

/// A row of `portcullis_tokens`, without the hashes.
pub(super) struct TokenRow {
    pub(super) id: i64,
    pub(super) grant: GrantRow,
    pub(super) created: i64,
    pub(super) last_used: Option<i64>,
    pub(super) session_id: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) family: Option<i64>,
    pub(super) resource: Option<String>,
}

impl TokenRow {
    /// The columns, in the order in which they are written and read.
    pub(super) const COLUMNS: &str = "id, owner, identity, scopes, label, created, expires_at, last_used, \
                                      session_id, client_id, family, resource";

    pub(super) fn of(record: &TokenRecord) -> Result<Self, StoreError> {
        Ok(Self {
            id: number(record.id())?,
            grant: GrantRow::of(record.grant())?,
            created: seconds(record.created()),
            last_used: record.last_used().map(seconds),
            session_id: record.session_id().map(str::to_owned),
            client_id: record.client_id().map(str::to_owned),
            family: record.family().map(number).transpose()?,
            resource: record.resource().map(str::to_owned),
        })
    }

    pub(super) fn record(self) -> Result<TokenRecord, StoreError> {
        let mut record = TokenRecord::new(self.grant.grant()?, time(self.created)).with_id(id(self.id)?);
        if let Some(last_used) = self.last_used {
            record = record.with_last_used(time(last_used));
        }
        if let Some(session_id) = &self.session_id {
            record = record.with_session(session_id);
        }
        if let Some(client_id) = &self.client_id {
            record = record.with_client(client_id);
        }
        if let Some(family) = self.family {
            record = record.with_family(id(family)?);
        }
        if let Some(resource) = &self.resource {
            record = record.with_resource(resource);
        }
        Ok(record)
    }
}

/// The tokens of rows that hold a salted hash as text; one that cannot be read is no token's.
pub(super) fn salted_tokens(
    rows: Vec<(TokenRow, String)>,
) -> Result<Vec<(SaltedTokenHash, TokenRecord)>, StoreError> {
    let readable = rows
        .into_iter()
        .filter_map(|(row, salted)| Some((salted.parse().ok()?, row)));
    readable
        .map(|(salted, row)| Ok((salted, row.record()?)))
        .collect()
}

/// The key of the hashes in one database, so that the position of a hash does not reveal similar tokens.
///
/// It is stored in the database, unless the caller gives one: then a copy of the database does not even show whether a
/// guessed token is in it.
#[derive(Clone)]
pub(super) struct LookupKey {
    hmac: Hmac,
    /// Encrypts the hash of a token that a session came from.
    cipher: Aes256GcmSiv,
}

impl LookupKey {
    const LENGTH: usize = 32;

    pub(super) fn generate() -> [u8; Self::LENGTH] {
        random::bytes()
    }

    /// The key of a database: the stored one, or else the caller's, which must be the one it was created with.
    pub(super) fn of(stored: Option<&[u8]>, check: &[u8], own: Option<&Secret>) -> Result<Self, StoreError> {
        let schema_error = |message: &str| Err(StoreError::new(StoreErrorKind::Schema, message));
        let key = match (stored, own) {
            (Some(stored), None) => stored,
            (None, Some(own)) => own.expose(),
            (Some(_), Some(_)) => {
                return schema_error("database has a key within, expected it to be opened without one");
            }
            (None, None) => {
                return schema_error("database was made with a custom key, expected to be opened with it");
            }
        };
        let key = Self::new(key);
        if secret::constant_time_eq(&key.check(), check) {
            Ok(key)
        } else {
            schema_error("database was made with another key")
        }
    }

    pub(super) fn new(key: &[u8]) -> Self {
        let hmac = Hmac::new(key);
        let cipher = Aes256GcmSiv::new(&hmac.mac(b"portcullis: the key of credentials").into());
        Self { hmac, cipher }
    }

    /// Rejects a custom key that is short enough to be guessed.
    pub(super) fn check_own(own: Option<&Secret>) -> Result<(), StoreError> {
        let found = own.map_or(Self::LENGTH, |own| own.expose().len());
        if found >= Self::LENGTH {
            return Ok(());
        }
        let message = format!(
            "`with_key` expects at least {} bytes, found {found}: read them from a secret file",
            Self::LENGTH
        );
        Err(StoreError::new(StoreErrorKind::Config, message))
    }

    /// The value in the database that verifies its key: no hash can have the same value, because hashes have another length.
    pub(super) fn check(&self) -> [u8; 32] {
        self.hmac.mac(b"portcullis: the key of this store")
    }

    /// Under what `hash` is found.
    pub(super) fn hmac(&self, hash: TokenHash) -> [u8; 32] {
        self.hmac.mac(hash.as_bytes())
    }

    /// The cipher for the hash of a token that a session came from.
    fn cipher(&self) -> &Aes256GcmSiv {
        &self.cipher
    }
}

pub(super) fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

pub(super) fn time(seconds: i64) -> UnixTime {
    UnixTime::from_secs(u64::try_from(seconds).unwrap_or_default())
}

pub(super) fn number(id: RecordId) -> Result<i64, StoreError> {
    i64::try_from(id.as_u64()).map_err(|_| unreadable("id"))
}

/// The id of a row that is gone. No record has a negative one.
pub(super) fn record_id(number: i64) -> RecordId {
    RecordId::from(number.unsigned_abs())
}

fn id(number: i64) -> Result<RecordId, StoreError> {
    u64::try_from(number)
        .map(RecordId::from)
        .map_err(|_| unreadable("id"))
}

/// A list of JSON, as JupyterHub's column has it.
fn scopes_text(scopes: &Scopes) -> String {
    let scopes: Vec<&str> = scopes.iter().collect();
    serde_json::to_string(&scopes).expect("a list of texts is JSON")
}

fn scopes(text: &str) -> Result<Scopes, StoreError> {
    let scopes: Vec<String> = serde_json::from_str(text).map_err(|_| unreadable("scopes"))?;
    Ok(scopes.into_iter().collect())
}

fn unreadable(column: &str) -> StoreError {
    StoreError::new(
        StoreErrorKind::Corrupt,
        format!("a row's {column} cannot be kept or read"),
    )
}
