//! Who somebody is, for programs: `api/user`, `api/users`, `api/users/<name>`.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    activity::{missing_scope, truncate},
    api_auth::Principal,
    client::OAuthClientConfig,
    date,
    expanded_scopes::ExpandedScopes,
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
            Principal::Member(member) => self.model(member, &caller.scopes),
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
        let members = self.hub.members.all().into_iter();
        let query = self.head.uri().query().unwrap_or_default();
        let query = UrlEncodedForm::parse(query.as_bytes())
            .ok_or_else(|| HubError::bad_request("The parameters cannot be read."))?;
        let state = query.text("state");
        let shown = members.filter(|member| {
            let scope = format!("list:users!user={}", member.name());
            let has_state = match &*state {
                "active" | "ready" => self.running_servers(member).next().is_some(),
                "inactive" => self.running_servers(member).next().is_none(),
                _ => true,
            };
            has_state && caller.scopes.covers(&scope, &self.hub.members)
        });
        let models = shown
            .map(|member| Value::Object(self.model(&member, &caller.scopes)))
            .collect();
        Ok(response::json_response(StatusCode::OK, &Value::Array(models)))
    }

    pub(crate) async fn user_named(&self, name: Option<&Username>) -> HubResult {
        let caller = self.require_caller().await?;
        if !caller.scopes.has_name("read:users:name") {
            return Err(missing_scope("read:users"));
        }
        let name = name.ok_or_else(HubError::not_found_or_forbidden)?;
        let scope = format!("read:users:name!user={name}");
        let member = self.hub.members.find(name.as_str());
        let member = member.filter(|_| caller.scopes.covers(&scope, &self.hub.members));
        let member = member.ok_or_else(HubError::not_found_or_forbidden)?;
        let model = self.model(&member, &caller.scopes);
        Ok(response::json_response(StatusCode::OK, &Value::Object(model)))
    }

    /// The servers of a member that run, by name, and since when.
    fn running_servers(
        &self,
        member: &HubUser,
    ) -> impl Iterator<Item = (&str, &OAuthClientConfig, UnixTime)> {
        let name = member.name.clone();
        let servers = self.hub.registry.servers_of(member.name());
        servers.filter_map(move |(server, client)| {
            let started = self.hub.activities.running_since(name.as_str(), server)?;
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
    fn model(&self, member: &HubUser, held: &ExpandedScopes) -> Map<String, Value> {
        let name = member.name();
        let may = |scope: &str| held.covers(&format!("{scope}!user={name}"), &self.hub.members);
        let prefix = |client: &OAuthClientConfig| self.hub.base_url.join(&client.prefix());
        let time = |time: Option<UnixTime>| time.map(date::to_iso8601);
        let mut model = Map::new();
        let mut tell = |name: &str, value: Value| drop(model.insert(name.to_owned(), value));
        tell("kind", "user".into());
        tell("name", name.into());
        tell("admin", member.admin.into());
        tell("user_info", Value::Null);
        if may("read:users:groups") {
            tell("groups", member.groups.iter().map(|group| &**group).collect());
        }
        if may("read:users:activity") {
            tell("last_activity", time(self.hub.activities.of(name, None)).into());
        }
        if may("read:users") {
            let default = self
                .running_servers(member)
                .find(|(server, ..)| server.is_empty());
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
        if may("read:servers") {
            let servers = self.running_servers(member).map(|(server, client, started)| {
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
        model
    }
}
