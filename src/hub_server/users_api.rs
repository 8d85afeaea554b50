//! Who somebody is, for programs: `api/user`, `api/users`, `api/users/<name>`.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    activity::{missing_scope, truncate},
    api_auth::Principal,
    client::OAuthClientConfig,
    date,
    expanded_scopes::ExpandedScopes,
    members::Members,
    request::{HubRequest, HubResult},
    response::{self, HubError},
    user::HubUser,
    username::Username,
};
use crate::{clock::UnixTime, middleware::form::UrlEncodedForm};

impl HubRequest<'_> {
    /// The owner of the credential: what a client asks to know who is logged in. 403 for what is not known.
    pub(crate) async fn current_user(&self) -> HubResult {
        let caller = self.caller().await?.ok_or_else(HubError::forbidden)?;
        let mut model = match &caller.who {
            Principal::Member(member) => self.model(member, &caller.scopes).await?,
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

    pub(crate) async fn users(&self) -> HubResult {
        let caller = self.require_caller().await?;
        if !caller.scopes.has_name("list:users") {
            return Err(missing_scope("list:users"));
        }
        let query = self.head.uri().query().unwrap_or_default();
        let query = UrlEncodedForm::parse(query.as_bytes())
            .ok_or_else(|| HubError::bad_request("Malformed request parameters."))?;
        let state = query.text("state");
        let mut models = Vec::new();
        for name in self.user_names() {
            let scope = format!("list:users!user={name}");
            let has_state = match &*state {
                "active" | "ready" => self.running_servers(&name).next().is_some(),
                "inactive" => self.running_servers(&name).next().is_none(),
                _ => true,
            };
            if has_state
                && caller.scopes.covers(&scope, self.members).await?
                && let Some(member) = self.members.find(&name).await?
            {
                models.push(Value::Object(self.model(&member, &caller.scopes).await?));
            }
        }
        Ok(response::json_response(StatusCode::OK, &Value::Array(models)))
    }

    /// The names of all users that the hub can list, in alphabetical order.
    fn user_names(&self) -> Vec<Box<str>> {
        match &self.hub.members {
            Members::Listed(users) => users.names(),
            Members::Directory(..) => self.hub.registry.server_owners(),
        }
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
        let model = self.model(&member, &caller.scopes).await?;
        Ok(response::json_response(StatusCode::OK, &Value::Object(model)))
    }

    /// The servers of a user that run, by name, and since when.
    fn running_servers<'s>(
        &'s self,
        user: &'s str,
    ) -> impl Iterator<Item = (&'s str, &'s OAuthClientConfig, UnixTime)> {
        let servers = self.hub.registry.servers_of(user);
        servers.filter_map(move |(server, client)| {
            let started = self.hub.activities.running_since(user, server)?;
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
        if self.hub.activities.running_since(name, server).is_none() {
            return Err(HubError::bad_request(format!("{name}:{server} is not running")));
        }
        stop(name, server).await.map_err(HubError::Unavailable)?;
        self.hub.activities.note_stop(name, server, self.head.now());
        Ok(response::empty(StatusCode::NO_CONTENT))
    }

    /// What may be told of a member.
    async fn model(&self, member: &HubUser, held: &ExpandedScopes) -> Result<Map<String, Value>, HubError> {
        let name = member.name();
        let may = async |scope: &str| held.covers(&format!("{scope}!user={name}"), self.members).await;
        let prefix = |client: &OAuthClientConfig| self.hub.base_url.join(&client.prefix());
        let time = |time: Option<UnixTime>| time.map(date::to_iso8601);
        let mut model = Map::new();
        let mut tell = |name: &str, value: Value| drop(model.insert(name.to_owned(), value));
        tell("kind", "user".into());
        tell("name", name.into());
        tell("admin", member.admin.into());
        tell("user_info", Value::Null);
        if may("read:users:groups").await? {
            tell("groups", member.groups.iter().map(|group| &**group).collect());
        }
        if may("read:users:activity").await? {
            tell("last_activity", time(self.hub.activities.of(name, None)).into());
        }
        if may("read:users").await? {
            let default = self.running_servers(name).find(|(server, ..)| server.is_empty());
            tell("server", default.map(|(_, client, _)| prefix(client)).into());
            tell(
                "roles",
                if member.admin {
                    json!(["admin", "user"])
                } else {
                    json!(["user"])
                },
            );
            // Members are configured, not made at a time.
            tell("created", Value::Null);
            tell("pending", Value::Null);
        }
        if may("read:servers").await? {
            let servers = self.running_servers(name).map(|(server, client, started)| {
                let told = json!({
                    "name": server,
                    "full_name": format!("{name}/{server}"),
                    "last_activity": time(self.hub.activities.of(name, Some(server))),
                    "started": date::to_iso8601(started),
                    "pending": null,
                    "ready": true,
                    "stopped": false,
                    "url": prefix(client),
                    "user_options": {},
                });
                (server.to_owned(), told)
            });
            tell("servers", Value::Object(servers.collect()));
        }
        Ok(model)
    }
}
