//! Users, for programs: `api/user`, `api/users/<name>`; and their servers.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    activity::{missing_scope, truncate},
    activity_log,
    api_auth::Principal,
    client::OAuthClientConfig,
    date,
    expanded_scopes::ExpandedScopes,
    request::{HubRequest, HubResult},
    response::{self, HubError},
    user::HubUser,
    username::Username,
};
use crate::{clock::UnixTime, store::ActivityRecord};

impl HubRequest<'_> {
    /// The owner of the credential: clients call this to identify the user. 403 for an unknown credential.
    pub(crate) async fn current_user(&self) -> HubResult {
        let caller = self.caller().await?.ok_or_else(HubError::forbidden)?;
        let mut model = match &caller.who {
            Principal::Member(member) => {
                let known = self.shown_activity(member.name(), &caller.scopes).await?;
                self.model(member, &caller.scopes, &known).await?
            }
            Principal::Service(name) => {
                let mut model = Map::new();
                model.insert("kind".into(), "service".into());
                model.insert("name".into(), (**name).into());
                model.insert("admin".into(), false.into());
                model
            }
        };
        model.insert("scopes".into(), caller.scopes.iter().collect());
        model.insert("session_id".into(), caller.session_id.into());
        model.insert("token_id".into(), caller.token_id.into());
        Ok(response::json_response(StatusCode::OK, &Value::Object(model)))
    }

    pub(crate) async fn user_named(&self, name: Option<&Username>) -> HubResult {
        let caller = self.require_caller().await?;
        if !caller.scopes.has_name("read:users:name") {
            return Err(missing_scope("read:users"));
        }
        let name = name.ok_or_else(HubError::not_found_or_forbidden)?;
        let scope = format!("read:users:name!user={name}");
        let may = caller.scopes.covers(&scope, self.members).await?;
        let member = self.members.find(name.as_str()).await?.filter(|_| may);
        let member = member.ok_or_else(HubError::not_found_or_forbidden)?;
        let known = self.shown_activity(member.name(), &caller.scopes).await?;
        let model = self.model(&member, &caller.scopes, &known).await?;
        Ok(response::json_response(StatusCode::OK, &Value::Object(model)))
    }

    /// Returns a user's recorded activity, if these scopes show any of it.
    async fn shown_activity(
        &self,
        user: &str,
        held: &ExpandedScopes,
    ) -> Result<Vec<ActivityRecord>, HubError> {
        let mut shown = ["read:users:activity", "read:servers"].into_iter();
        match shown.any(|name| held.has_name(name)) {
            true => Ok(self.hub.activity_of(user).await?),
            false => Ok(Vec::new()),
        }
    }

    /// The servers of a user that run, by name, and since when.
    pub(super) fn running_servers<'s>(
        &'s self,
        user: &'s str,
        known: &'s [ActivityRecord],
    ) -> impl Iterator<Item = (&'s str, &'s OAuthClientConfig, UnixTime)> {
        let servers = self.hub.registry.servers_of(user);
        servers.filter_map(move |(server, client)| {
            let started = self.hub.running_since(known, user, server)?;
            Some((server, client, started))
        })
    }

    /// Stops a server, by the function that the application gave.
    pub(crate) async fn stop_server(&self, name: Option<&Username>, server: Option<&str>) -> HubResult {
        let (_, member) = self.owner(name, "delete:servers").await?;
        let name = member.name();
        let found = self
            .hub
            .registry
            .servers_of(name)
            .find(|(known, _)| Some(*known) == server);
        let Some((server, _)) = found else {
            let server = truncate(server.unwrap_or_default());
            let message = format!("{name} has no server named '{server}'");
            return Err(HubError::new(StatusCode::NOT_FOUND, message));
        };
        let Some(stop) = &self.hub.stopper else {
            return Err(HubError::bad_request(
                "This hub does not stop servers: its `server_stopper` is not set",
            ));
        };
        let known = self.hub.activity_of(name).await?;
        if self.hub.running_since(&known, name, server).is_none() {
            return Err(HubError::bad_request(format!("{name}:{server} is not running")));
        }
        stop(name, server).await.map_err(HubError::Unavailable)?;
        self.hub.record_stop(name, server, self.head.now()).await?;
        Ok(response::empty(StatusCode::NO_CONTENT))
    }

    /// The properties of a member that the caller may read.
    pub(super) async fn model(
        &self,
        member: &HubUser,
        held: &ExpandedScopes,
        known: &[ActivityRecord],
    ) -> Result<Map<String, Value>, HubError> {
        let name = member.name();
        let may = async |scope: &str| held.covers(&format!("{scope}!user={name}"), self.members).await;
        let prefix = |client: &OAuthClientConfig| self.hub.base_url.join(&client.prefix());
        let last_activity = |server| {
            let found = activity_log::find(known, name, server);
            found
                .and_then(ActivityRecord::last_activity)
                .map(date::to_iso8601)
        };
        let mut model = Map::new();
        let mut insert = |name: &str, value: Value| drop(model.insert(name.to_owned(), value));
        insert("kind", "user".into());
        insert("name", name.into());
        insert("admin", member.admin.into());
        insert("user_info", Value::Null);
        if may("read:users:groups").await? {
            insert("groups", member.groups.iter().map(|group| &**group).collect());
        }
        if may("read:users:activity").await? {
            insert("last_activity", last_activity(None).into());
        }
        if may("read:users").await? {
            let default = self
                .running_servers(name, known)
                .find(|(server, ..)| server.is_empty());
            insert("server", default.map(|(_, client, _)| prefix(client)).into());
            insert(
                "roles",
                if member.admin {
                    json!(["admin", "user"])
                } else {
                    json!(["user"])
                },
            );
            // Members are configured, not made at a time.
            insert("created", Value::Null);
            insert("pending", Value::Null);
        }
        if may("read:servers").await? {
            let servers = self
                .running_servers(name, known)
                .map(|(server, client, started)| {
                    let model = json!({
                        "name": server,
                        "full_name": format!("{name}/{server}"),
                        "last_activity": last_activity(Some(server)),
                        "started": date::to_iso8601(started),
                        "pending": null,
                        "ready": true,
                        "stopped": false,
                        "url": prefix(client),
                        "user_options": {},
                    });
                    (server.to_owned(), model)
                });
            insert("servers", Value::Object(servers.collect()));
        }
        Ok(model)
    }
}
