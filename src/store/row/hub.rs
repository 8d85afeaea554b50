//! What a database keeps of a code.

use super::{scopes, scopes_text, seconds, time};
use crate::store::{CodeRecord, StoreError};

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
