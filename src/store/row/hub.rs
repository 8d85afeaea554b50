//! What a database keeps of a code, and of activity.

use super::{scopes, scopes_text, seconds, time, unreadable};
use crate::{
    clock::UnixTime,
    store::{ActivityRecord, ClientRecord, CodeRecord, StoreError},
};

/// A row of `portcullis_codes`, without the hash and the token it was redeemed for.
pub(in crate::store) struct CodeRow {
    pub(in crate::store) client_id: String,
    pub(in crate::store) redirect_uri: String,
    pub(in crate::store) owner: String,
    pub(in crate::store) expires_at: i64,
    pub(in crate::store) code_challenge: Option<String>,
    pub(in crate::store) scopes: String,
    pub(in crate::store) session_id: Option<String>,
    pub(in crate::store) resource: Option<String>,
}

impl CodeRow {
    /// The columns, in the order of the fields.
    pub(in crate::store) const COLUMNS: &str =
        "client_id, redirect_uri, owner, expires_at, code_challenge, scopes, session_id, resource";

    pub(in crate::store) fn of(code: &CodeRecord) -> Self {
        Self {
            client_id: code.client_id().to_owned(),
            redirect_uri: code.redirect_uri().to_owned(),
            owner: code.owner().to_owned(),
            expires_at: seconds(code.expires_at()),
            code_challenge: code.code_challenge().map(str::to_owned),
            scopes: scopes_text(code.scopes()),
            session_id: code.session_id().map(str::to_owned),
            resource: code.resource().map(str::to_owned),
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
        if let Some(resource) = &self.resource {
            code = code.with_resource(resource);
        }
        Ok(code)
    }
}

/// A row of `portcullis_clients`.
pub(in crate::store) struct ClientRow {
    pub(in crate::store) id: String,
    pub(in crate::store) name: String,
    /// A list of JSON.
    pub(in crate::store) redirect_uris: String,
    pub(in crate::store) created: i64,
    pub(in crate::store) expires_at: i64,
}

impl ClientRow {
    /// The columns, in the order of the fields.
    pub(in crate::store) const COLUMNS: &str = "id, name, redirect_uris, created, expires_at";

    pub(in crate::store) fn of(client: &ClientRecord) -> Self {
        Self {
            id: client.id().to_owned(),
            name: client.name().to_owned(),
            redirect_uris: serde_json::to_string(client.redirect_uris()).expect("a list of texts is JSON"),
            created: seconds(client.created()),
            expires_at: seconds(client.expires_at()),
        }
    }

    pub(in crate::store) fn record(self) -> Result<ClientRecord, StoreError> {
        let uris: Vec<String> =
            serde_json::from_str(&self.redirect_uris).map_err(|_| unreadable("redirect URIs"))?;
        Ok(
            ClientRecord::new(&self.id, time(self.created), time(self.expires_at))
                .with_name(&self.name)
                .with_redirect_uris(uris),
        )
    }
}

/// A row of `portcullis_activity`: a time is 0 for never.
pub(in crate::store) struct ActivityRow {
    pub(in crate::store) owner: String,
    pub(in crate::store) server: String,
    pub(in crate::store) last_activity: i64,
    pub(in crate::store) started: i64,
    pub(in crate::store) stopped: i64,
}

impl ActivityRow {
    /// The columns, in the order of the fields.
    pub(in crate::store) const COLUMNS: &str = "owner, server, last_activity, started, stopped";
    /// The server's name in the row of a user as a whole.
    const USER: &str = "/";

    pub(in crate::store) fn of(record: &ActivityRecord) -> Self {
        let time = |time: Option<UnixTime>| time.map_or(0, seconds);
        Self {
            owner: record.owner().to_owned(),
            server: record.server().unwrap_or(Self::USER).to_owned(),
            last_activity: time(record.last_activity()),
            started: time(record.started()),
            stopped: time(record.stopped()),
        }
    }

    pub(in crate::store) fn record(self) -> ActivityRecord {
        let server = Some(&*self.server).filter(|server| *server != Self::USER);
        let mut record = ActivityRecord::new(&self.owner, server);
        if self.last_activity > 0 {
            record = record.with_last_activity(time(self.last_activity));
        }
        if self.started > 0 {
            record = record.with_started(time(self.started));
        }
        if self.stopped > 0 {
            record = record.with_stopped(time(self.stopped));
        }
        record
    }
}
