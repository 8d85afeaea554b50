//! Reports of when somebody was last active.

use http::StatusCode;
use serde_json::Value;

use super::{
    call::{Answered, Call},
    date,
    told::{self, Trouble},
    username::Username,
};
use crate::time::UnixTime;

impl Call<'_> {
    /// `{"last_activity": …, "servers": {"<name>": {"last_activity": …}}}`.
    pub(crate) async fn note_activity(&self, name: Option<&Username>) -> Answered {
        let caller = self.known_caller().await?;
        let name = name.ok_or_else(Trouble::hidden)?;
        let scope = format!("users:activity!user={name}");
        let may = caller.held.covers(&scope, &self.hub.members);
        let Some(member) = self.hub.members.find(name.as_str()).filter(|_| may) else {
            return Err(match caller.held.holds_some("users:activity") {
                true => Trouble::hidden(),
                false => missing_scope("users:activity"),
            });
        };
        let body = self.json()?;
        let time = |value: &Value| -> Result<UnixTime, Trouble> {
            let text = value.as_str().unwrap_or_default();
            let bad = || Trouble::bad(format!("Not a valid timestamp: '{}'", shortened(text)));
            // Nobody was active later than now.
            Ok(date::read(text).ok_or_else(bad)?.min(self.head.now()))
        };
        let (user, servers) = (
            body.get("last_activity"),
            body.get("servers").and_then(Value::as_object),
        );
        let user = user.filter(|value| !value.is_null()).map(time).transpose()?;
        if user.is_none() && servers.is_none_or(serde_json::Map::is_empty) {
            return Err(Trouble::bad(
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
                let server = shortened(server);
                return Err(Trouble::bad(format!("No such server '{server}' for user {name}")));
            }
            let last = report.get("last_activity").unwrap_or(&Value::Null);
            noted.push((server, time(last)?));
        }
        for (server, time) in noted {
            self.hub.activities.note(member.name(), Some(server), time);
            self.hub.activities.note(member.name(), None, time);
        }
        if let Some(time) = user {
            self.hub.activities.note(member.name(), None, time);
        }
        Ok(told::json_response_empty(StatusCode::OK))
    }
}

pub(crate) fn missing_scope(name: &str) -> Trouble {
    Trouble::new(
        StatusCode::FORBIDDEN,
        format!("Action is not authorized with current scopes; requires any of [{name}]"),
    )
}

/// What somebody sent, to be told back to them.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
