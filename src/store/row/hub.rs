//! What a database keeps of a login and of a code.

use super::{id, number, scopes, scopes_text, seconds, time};
use crate::store::{CodeRecord, LoginRecord, StoreError};

/// A row of `portcullis_logins`, without the hash.
pub(in crate::store) struct LoginRow {
    pub(in crate::store) id: i64,
    pub(in crate::store) owner: String,
    pub(in crate::store) session_id: String,
    pub(in crate::store) created: i64,
    pub(in crate::store) expires_at: i64,
    pub(in crate::store) note: Option<String>,
}

impl LoginRow {
    /// The columns, in the order of the fields.
    pub(in crate::store) const COLUMNS: &str = "id, owner, session_id, created, expires_at, note";

    pub(in crate::store) fn of(login: &LoginRecord) -> Result<Self, StoreError> {
        Ok(Self {
            id: number(login.id())?,
            owner: login.owner().to_owned(),
            session_id: login.session_id().to_owned(),
            created: seconds(login.created()),
            expires_at: seconds(login.expires_at()),
            note: login.note().map(str::to_owned),
        })
    }

    pub(in crate::store) fn record(self) -> Result<LoginRecord, StoreError> {
        let (created, expires_at) = (time(self.created), time(self.expires_at));
        let login =
            LoginRecord::new(&self.owner, &self.session_id, created, expires_at).with_id(id(self.id)?);
        Ok(match &self.note {
            Some(note) => login.with_note(note),
            None => login,
        })
    }
}

/// A row of `portcullis_codes`, without the hash and the token it was redeemed for.
pub(in crate::store) struct CodeRow {
    pub(in crate::store) client_id: String,
    pub(in crate::store) redirect_uri: String,
    pub(in crate::store) owner: String,
    pub(in crate::store) expires_at: i64,
    pub(in crate::store) code_challenge: Option<String>,
    pub(in crate::store) scopes: String,
    pub(in crate::store) session_id: Option<String>,
}

impl CodeRow {
    /// The columns, in the order of the fields.
    pub(in crate::store) const COLUMNS: &str =
        "client_id, redirect_uri, owner, expires_at, code_challenge, scopes, session_id";

    pub(in crate::store) fn of(code: &CodeRecord) -> Self {
        Self {
            client_id: code.client_id().to_owned(),
            redirect_uri: code.redirect_uri().to_owned(),
            owner: code.owner().to_owned(),
            expires_at: seconds(code.expires_at()),
            code_challenge: code.code_challenge().map(str::to_owned),
            scopes: scopes_text(code.scopes()),
            session_id: code.session_id().map(str::to_owned),
        }
    }

    pub(in crate::store) fn record(self) -> Result<CodeRecord, StoreError> {
        let expires_at = time(self.expires_at);
        let mut code = CodeRecord::new(&self.client_id, &self.redirect_uri, &self.owner, expires_at)
            .with_scopes(scopes(&self.scopes)?);
        if let Some(code_challenge) = &self.code_challenge {
            code = code.with_code_challenge(code_challenge);
        }
        if let Some(session_id) = &self.session_id {
            code = code.with_session(session_id);
        }
        Ok(code)
    }
}
