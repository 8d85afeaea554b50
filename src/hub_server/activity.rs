//! Reports of when users and their servers were last active.

use http::StatusCode;
use serde_json::Value;

use super::{
    date,
    request::{HubRequest, HubResult},
    response::{self, HubError},
    username::Username,
};
use crate::clock::UnixTime;

impl HubRequest<'_> {
    /// `{"last_activity": …, "servers": {"<name>": {"last_activity": …}}}`.
    pub(crate) async fn record_activity(&self, name: Option<&Username>) -> HubResult {
        let caller = self.require_caller().await?;
        let name = name.ok_or_else(HubError::not_found_or_forbidden)?;
        let scope = format!("users:activity!user={name}");
        let may = caller.scopes.covers(&scope, self.members).await?;
        let Some(member) = self.members.find(name.as_str()).await?.filter(|_| may) else {
            return Err(match caller.scopes.has_name("users:activity") {
                true => HubError::not_found_or_forbidden(),
                false => missing_scope("users:activity"),
            });
        };
        let body = self.json()?;
        let time = |value: &Value| -> Result<UnixTime, HubError> {
            let text = value.as_str().unwrap_or_default();
            let bad = || HubError::bad_request(format!("Not a valid timestamp: '{}'", truncate(text)));
            // A time in the future counts as now.
            Ok(date::parse_iso8601(text).ok_or_else(bad)?.min(self.head.now()))
        };
        let (user, servers) = (
            body.get("last_activity"),
            body.get("servers").and_then(Value::as_object),
        );
        let user = user.filter(|value| !value.is_null()).map(time).transpose()?;
        if user.is_none() && servers.is_none_or(serde_json::Map::is_empty) {
            return Err(HubError::bad_request(
                "body must contain at least one of `last_activity` or `servers`",
            ));
        }
        // All is read before any of it is noted.
        let mut noted = Vec::new();
        for (server, report) in servers.into_iter().flatten() {
            if !self
                .hub
                .registry
                .servers_of(name.as_str())
                .any(|(known, _)| known == server)
            {
                let server = truncate(server);
                return Err(HubError::bad_request(format!(
                    "No such server '{server}' for user {name}"
                )));
            }
            let last = report.get("last_activity").unwrap_or(&Value::Null);
            noted.push((server.as_str(), time(last)?));
        }
        let last = noted.iter().map(|(_, time)| *time).chain(user).max();
        let servers = noted.into_iter().map(|(server, time)| (Some(server), time));
        let reports = servers.chain(last.map(|last| (None, last)));
        self.hub.record_activity(member.name(), reports).await?;
        Ok(response::json_response_empty(StatusCode::OK))
    }
}

pub(crate) fn missing_scope(name: &str) -> HubError {
    HubError::new(
        StatusCode::FORBIDDEN,
        format!("Action is not authorized with current scopes; requires any of [{name}]"),
    )
}

/// Shortens a text of the client, to quote it in the response.
pub(crate) fn truncate(text: &str) -> String {
    text.chars().take(64).collect()
}
