//! The list of users, for programs, page by page: `api/users`.

use std::collections::BTreeSet;

use http::{HeaderMap, StatusCode, header::ACCEPT};
use serde_json::{Value, json};

use super::{
    activity::{missing_scope, truncate},
    expanded_scopes::ExpandedScopes,
    members::Members,
    request::{HubRequest, HubResult},
    response::{self, HubError},
};
use crate::middleware::form::UrlEncodedForm;

/// What an `Accept` field names if the client reads pages.
const PAGES: &str = "application/jupyterhub-pagination+json";
/// The users on a page, if the client does not say.
const DEFAULT_LIMIT: u64 = 50;
/// The users on a page at most, and for a client that does not read pages.
const MAX_LIMIT: u64 = 200;

/// The part of a list that a client requests.
struct Paging {
    offset: u64,
    limit: u64,
    /// Whether the client reads pages.
    is_known: bool,
}

impl Paging {
    fn read(query: &UrlEncodedForm, headers: &HeaderMap) -> Result<Self, HubError> {
        let mut accepted = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let is_known = accepted.any(|list| {
            list.split(',')
                .any(|kind| kind.trim().eq_ignore_ascii_case(PAGES))
        });
        let number = |name, default| match query.field(name) {
            None => Ok(default),
            // Python's `abs(int(text))`.
            Some(text) => match text.expose_str().and_then(|text| text.trim().parse::<i64>().ok()) {
                Some(number) => Ok(number.unsigned_abs()),
                None => Err(HubError::bad_request(
                    "Invalid argument type, offset and limit must be integers",
                )),
            },
        };
        let default = if is_known { DEFAULT_LIMIT } else { MAX_LIMIT };
        Ok(Self {
            offset: number("offset", 0)?,
            limit: number("limit", default)?.clamp(1, MAX_LIMIT),
            is_known,
        })
    }

    fn cut<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> (Vec<String>, u64) {
        let (mut page, mut total) = (Vec::new(), 0);
        for name in names {
            if (self.offset..self.offset.saturating_add(self.limit)).contains(&total) {
                page.push(name.to_owned());
            }
            total += 1;
        }
        (page, total)
    }
}

impl HubRequest<'_> {
    pub(crate) async fn users(&self) -> HubResult {
        let caller = self.require_caller().await?;
        if !caller.scopes.has_name("list:users") {
            return Err(missing_scope("list:users"));
        }
        let query = self.head.uri().query().unwrap_or_default();
        let query = UrlEncodedForm::parse(query.as_bytes())
            .ok_or_else(|| HubError::bad_request("Malformed request parameters."))?;
        let running = match &*query.text("state") {
            "" => None,
            "active" | "ready" => Some(true),
            "inactive" => Some(false),
            other => {
                let other = truncate(other);
                return Err(HubError::bad_request(format!(
                    "Unrecognized state filter: '{other}'"
                )));
            }
        };
        let paging = Paging::read(&query, self.head.headers())?;
        let (names, total) = self.user_names(&caller.scopes, running, &paging).await?;
        let known = self.hub.store.activity(names.clone()).await?;
        let mut models = Vec::new();
        for name in names {
            let runs = self.running_servers(&name, &known).next().is_some();
            if running.is_none_or(|running| running == runs)
                && self.may_list(&caller.scopes, &name).await?
                && let Some(member) = self.members.find(&name).await?
            {
                let model = self.model(&member, &caller.scopes, &known).await?;
                models.push(Value::Object(model));
            }
        }
        let body = match paging.is_known {
            true => self.page(&models, &paging, total),
            false => Value::Array(models),
        };
        Ok(response::json_response(StatusCode::OK, &body))
    }

    async fn may_list(&self, held: &ExpandedScopes, name: &str) -> Result<bool, HubError> {
        Ok(held
            .covers(&format!("list:users!user={name}"), self.members)
            .await?)
    }

    /// Returns the names on a page, and how many names there are. Some can be of users who are not to be shown: the
    /// members of a directory, and the servers of a user, are read for the names of the page alone.
    async fn user_names(
        &self,
        held: &ExpandedScopes,
        running: Option<bool>,
        paging: &Paging,
    ) -> Result<(Vec<String>, u64), HubError> {
        if let Some(named) = held.users_named("list:users") {
            return Ok(paging.cut(named.into_iter().collect::<BTreeSet<_>>()));
        }
        if running == Some(true) {
            return Ok(paging.cut(self.hub.registry.server_owners()));
        }
        let Members::Listed(users) = &self.hub.members else {
            return Ok(self.hub.store.list_users(paging.offset, paging.limit).await?);
        };
        let mut users = users.all();
        if !held.covers_by_name("list:users") {
            let mut shown = Vec::new();
            for user in users {
                if self.may_list(held, user.name()).await? {
                    shown.push(user);
                }
            }
            users = shown;
        }
        Ok(paging.cut(users.iter().map(|user| user.name())))
    }

    /// A page as JupyterHub writes it.
    fn page(&self, items: &[Value], paging: &Paging, total: u64) -> Value {
        let &Paging { offset, limit, .. } = paging;
        let next = Some(offset.saturating_add(limit)).filter(|next| *next < total);
        let next =
            next.map(|next| json!({ "offset": next, "limit": limit, "url": self.url_of_page(next, limit) }));
        json!({
            "items": items,
            "_pagination": { "offset": offset, "limit": limit, "total": total, "next": next },
        })
    }

    /// The address of this request, for another page.
    fn url_of_page(&self, offset: u64, limit: u64) -> String {
        let uri = self.head.uri();
        let scheme = if self.https() { "https" } else { "http" };
        let origin = self.target.host().map(|host| format!("{scheme}://{host}"));
        let mut url = format!("{}{}?", origin.unwrap_or_default(), uri.path());
        for pair in uri.query().unwrap_or_default().split('&') {
            if !pair.is_empty() && !["offset", "limit"].contains(&pair.split('=').next().unwrap_or_default())
            {
                url.push_str(pair);
                url.push('&');
            }
        }
        url.push_str(&format!("offset={offset}&limit={limit}"));
        url
    }
}
