//! One request to the hub.

use http::{Method, StatusCode, header::CONTENT_TYPE};
use serde_json::Value;

use super::{
    response::{self, HubError},
    route::Route,
    state::HubState,
    username::Username,
};
use crate::{
    middleware::{cookies::is_https, error_response::FullResponse, form::UrlEncodedForm},
    request::{head::RequestHead, page_request::is_urlencoded, percent},
    request_policy::EffectiveTarget,
};

/// One request to the hub: its host is good, its body read.
#[derive(Clone, Copy)]
pub(crate) struct HubRequest<'a> {
    pub(crate) hub: &'a HubState,
    pub(crate) head: RequestHead<'a>,
    pub(crate) target: EffectiveTarget<'a>,
    pub(crate) body: &'a [u8],
}

/// What a request is answered with.
pub(crate) type HubResult = Result<FullResponse, HubError>;

impl HubRequest<'_> {
    pub(crate) async fn answer(&self, route: &Route) -> HubResult {
        let hub = self.hub;
        match (route, self.head.method()) {
            (Route::Api, &Method::GET | &Method::HEAD) => Ok(hub.version()),
            (Route::Health, &Method::GET | &Method::HEAD) => Ok(response::empty(StatusCode::OK)),
            (Route::Home, &Method::GET | &Method::HEAD) => {
                Ok(response::redirect_found(&hub.hub_url.join("home")))
            }
            (Route::OutsideHub, _) => self.below_hub(),
            (Route::Server(user), &Method::GET | &Method::HEAD) => self.absent_server(user.as_ref()).await,
            (Route::Server(_), _) => Err(absent()),
            (Route::Login, &Method::GET | &Method::HEAD) => self.login_page().await,
            (Route::Login, &Method::POST) => self.log_in().await,
            (Route::Logout, &Method::GET | &Method::HEAD) => self.logout_page().await,
            (Route::Logout, &Method::POST) => self.log_out().await,
            (Route::HomePage, &Method::GET | &Method::HEAD) => self.home_page().await,
            (Route::HomePage, &Method::POST) => self.submit_home_form().await,
            (Route::Authorize, &Method::GET) => self.authorize().await,
            (Route::Authorize, &Method::POST) => self.consent().await,
            (Route::TokenEndpoint, &Method::POST) => self.exchange().await,
            (Route::TokenEndpoint, _) => Ok(response::not_allowed("POST")),
            (Route::User, &Method::GET | &Method::HEAD) => self.current_user().await,
            (Route::Users, &Method::GET | &Method::HEAD) => self.users().await,
            (Route::UserByName(name), &Method::GET | &Method::HEAD) => self.user_named(name.as_ref()).await,
            (Route::StoredTokens(name), &Method::GET | &Method::HEAD) => {
                self.list_tokens(name.as_ref()).await
            }
            (Route::StoredTokens(name), &Method::POST) => self.create_token(name.as_ref()).await,
            (Route::StoredToken(name, id), &Method::GET | &Method::HEAD) => {
                self.one_token(name.as_ref(), id).await
            }
            (Route::StoredToken(name, id), &Method::DELETE) => self.revoke_token(name.as_ref(), id).await,
            (Route::Activity(name), &Method::POST) => self.record_activity(name.as_ref()).await,
            (Route::Activity(_), _) => Ok(response::not_allowed("POST")),
            (Route::StoredToken(..), _) => Ok(response::not_allowed("DELETE, GET, HEAD")),
            (Route::Unknown { program: true }, _) => Err(HubError::Refused(StatusCode::NOT_FOUND, None)),
            (Route::Unknown { program: false }, _) => Err(HubError::Refused(
                StatusCode::NOT_FOUND,
                Some("The address is mistyped, or what was here is gone.".to_owned()),
            )),
            (
                Route::Authorize | Route::HomePage | Route::Login | Route::Logout | Route::StoredTokens(_),
                _,
            ) => Ok(response::not_allowed("GET, HEAD, POST")),
            _ => Ok(response::not_allowed("GET, HEAD")),
        }
    }

    /// What a proxy left to the hub is asked for below `hub/` once more, where its cookie goes.
    fn below_hub(&self) -> HubResult {
        let uri = self.head.uri();
        let below = self.hub.base_url.strip_prefix(uri.path()).unwrap_or_default();
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        Ok(response::redirect_found(&format!(
            "{}{query}",
            self.hub.hub_url.join(below)
        )))
    }

    /// Whoever comes here was sent by a proxy that has no route to the server.
    async fn absent_server(&self, user: Option<&Username>) -> HubResult {
        let Some(visitor) = self.visitor().await?.known() else {
            return Ok(self.login_redirect());
        };
        let user = user.ok_or_else(HubError::not_found_or_forbidden)?;
        let scope = format!("access:servers!user={user}");
        if !visitor.scopes().covers(&scope, &self.hub.members) {
            return Err(HubError::not_found_or_forbidden());
        }
        Err(absent())
    }

    /// A redirect to the login page, and back here after.
    pub(crate) fn login_redirect(&self) -> FullResponse {
        let here = self
            .head
            .uri()
            .path_and_query()
            .map_or("", http::uri::PathAndQuery::as_str);
        let mut location = self.hub.hub_url.join("login?next=");
        percent::form_encode(here.as_bytes(), &mut location);
        response::redirect_found(&location)
    }

    pub(crate) fn https(&self) -> bool {
        is_https(&self.target, self.head)
    }

    /// The fields of the form that was sent.
    pub(crate) fn form(&self) -> Result<UrlEncodedForm, HubError> {
        if !is_urlencoded(self.head) {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(HubError::new(status, UrlEncodedForm::EXPECTED_TYPE));
        }
        UrlEncodedForm::parse(self.body)
            .ok_or_else(|| HubError::bad_request("expected a form of well-formed fields"))
    }

    /// The JSON that was sent; nothing if nothing was.
    pub(crate) fn json(&self) -> Result<Value, HubError> {
        if self.body.trim_ascii().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(self.body)
            .map_err(|_| HubError::bad_request("Invalid JSON in body of request"))
    }

    /// What the body is said to be, in small letters.
    pub(crate) fn content_type(&self) -> String {
        let value = self
            .head
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        value.unwrap_or_default().trim().to_ascii_lowercase()
    }
}

fn absent() -> HubError {
    HubError::new(
        StatusCode::FAILED_DEPENDENCY,
        "No server is running there, or the proxy does not know of it yet.",
    )
}
