//! One request to the hub.

use std::net::IpAddr;

use http::{Method, StatusCode, header::CONTENT_TYPE};
use serde_json::Value;

use super::{
    members::RequestMembers,
    response::{self, HubError},
    route::Route,
    state::HubState,
    username::Username,
};
use crate::{
    cookies::escape_path_segment,
    html::Page,
    middleware::{
        cookies::is_https,
        error_response::{FullResponse, SESSION_ENDED, page_response},
        form::UrlEncodedForm,
        protected_resource::preflight_of_every_origin,
    },
    request::{head::RequestHead, page_request::is_urlencoded, percent},
    request_policy::EffectiveTarget,
};

/// One request to the hub. Its host is checked, its body read.
#[derive(Clone, Copy)]
pub(crate) struct HubRequest<'a> {
    pub(crate) hub: &'a HubState,
    pub(crate) members: &'a RequestMembers<'a>,
    pub(crate) head: RequestHead<'a>,
    pub(crate) target: EffectiveTarget<'a>,
    pub(crate) body: &'a [u8],
}

/// What a request is answered with.
pub(crate) type HubResult = Result<FullResponse, HubError>;

impl HubRequest<'_> {
    /// From where the request comes, if that is known.
    pub(crate) fn client_ip(&self) -> Option<IpAddr> {
        self.hub.guards.client_ip(&self.target, self.head)
    }

    pub(crate) async fn answer(&self, route: &Route) -> HubResult {
        let hub = self.hub;
        match (route, self.head.method()) {
            (Route::Api, &Method::GET | &Method::HEAD) => Ok(hub.version()),
            (Route::Health, &Method::GET | &Method::HEAD) => Ok(response::empty(StatusCode::OK)),
            (Route::Home, &Method::GET | &Method::HEAD) => {
                Ok(response::redirect_found(&hub.hub_url.join("home")))
            }
            (Route::Metadata(issuer), &Method::GET | &Method::HEAD) => Ok(self.metadata(issuer)),
            (Route::Metadata(_), &Method::OPTIONS) => Ok(preflight_of_every_origin("GET, HEAD")),
            (route, &Method::OPTIONS) if route.is_for_pages_of_every_origin() => {
                Ok(preflight_of_every_origin("POST"))
            }
            (Route::OutsideHub, &Method::GET | &Method::HEAD) => self.below_hub(),
            (Route::Server { user, server, .. }, &Method::GET | &Method::HEAD) => {
                let names = (user.as_ref(), server.as_deref().unwrap_or_default());
                self.absent_server(names, route.is_for_programs(self.head)).await
            }
            (Route::OutsideHub | Route::Server { .. }, _) => Err(absent()),
            (Route::UserRedirect, &Method::GET | &Method::HEAD) => self.user_redirect().await,
            (Route::ProxyError(Some(status)), &Method::GET | &Method::HEAD) => Ok(self.proxy_error(*status)),
            (Route::Login, &Method::GET | &Method::HEAD) => self.login_page().await,
            (Route::Login, &Method::POST) => self.log_in().await,
            (Route::SignIn, _) => self.sign_in().await,
            (Route::Logout, &Method::GET | &Method::HEAD) => self.logout_page().await,
            (Route::Logout, &Method::POST) => self.log_out().await,
            (Route::HomePage, &Method::GET | &Method::HEAD) => self.home_page().await,
            (Route::HomePage, &Method::POST) => self.submit_home_form().await,
            (Route::Authorize, &Method::GET) => self.authorize().await,
            (Route::Authorize, &Method::POST) => self.consent().await,
            (Route::TokenEndpoint, &Method::POST) => self.exchange().await,
            (Route::Introspection, &Method::POST) => self.introspect().await,
            (Route::Registration, &Method::POST) => self.register().await,
            (Route::Revocation, &Method::POST) => self.revoke_for_client().await,
            (Route::Introspection | Route::Registration | Route::Revocation | Route::TokenEndpoint, _) => {
                Err(HubError::NotAllowed("POST"))
            }
            (Route::User, &Method::GET | &Method::HEAD) => self.current_user().await,
            (Route::Users, &Method::GET | &Method::HEAD) => self.users().await,
            (Route::UserByName(name), &Method::GET | &Method::HEAD) => self.user_named(name.as_ref()).await,
            (Route::UserServer(name, server), &Method::DELETE) => {
                self.stop_server(name.as_ref(), server.as_deref()).await
            }
            (Route::UserServer(..), _) => Err(HubError::NotAllowed("DELETE")),
            (Route::StoredTokens(name), &Method::GET | &Method::HEAD) => {
                self.list_tokens(name.as_ref()).await
            }
            (Route::StoredTokens(name), &Method::POST) => self.create_token(name.as_ref()).await,
            (Route::StoredToken(name, id), &Method::GET | &Method::HEAD) => {
                self.one_token(name.as_ref(), id).await
            }
            (Route::StoredToken(name, id), &Method::DELETE) => self.revoke_token(name.as_ref(), id).await,
            (Route::Activity(name), &Method::POST) => self.record_activity(name.as_ref()).await,
            (Route::Activity(_), _) => Err(HubError::NotAllowed("POST")),
            (Route::StoredToken(..), _) => Err(HubError::NotAllowed("DELETE, GET, HEAD")),
            (Route::Unknown { program: true }, _) => Err(HubError::Refused(StatusCode::NOT_FOUND, None)),
            (Route::ProxyError(None) | Route::Unknown { program: false }, _) => Err(HubError::no_page()),
            // HEAD would issue a code.
            (Route::Authorize, _) => Err(HubError::NotAllowed("GET, POST")),
            (Route::HomePage | Route::Login | Route::Logout | Route::StoredTokens(_), _) => {
                Err(HubError::NotAllowed("GET, HEAD, POST"))
            }
            _ => Err(HubError::NotAllowed("GET, HEAD")),
        }
    }

    /// Redirects a request that a proxy left to the hub to the same path below `hub/`, where the cookie is sent.
    fn below_hub(&self) -> HubResult {
        let uri = self.head.uri();
        let below = self.hub.base_url.strip_prefix(uri.path()).unwrap_or_default();
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        Ok(response::redirect_found(&format!(
            "{}{query}",
            self.hub.hub_url.join(below)
        )))
    }

    /// A proxy that has no route to the server sent the request here.
    async fn absent_server(
        &self,
        (user, server): (Option<&Username>, &str),
        is_for_program: bool,
    ) -> HubResult {
        let scopes = match self.token_owner().await? {
            Some(caller) => caller.scopes,
            None => match self.visitor().await?.known() {
                Some(visitor) => visitor.scopes(),
                None if is_for_program => return Err(HubError::forbidden()),
                None => return Ok(self.login_redirect(false)),
            },
        };
        let user = user.ok_or_else(HubError::not_found_or_forbidden)?;
        for server in ["", server] {
            let scope = format!("access:servers!server={user}/{server}");
            if scopes.covers(&scope, self.members).await? {
                return Err(absent());
            }
        }
        Err(HubError::not_found_or_forbidden())
    }

    /// Leads a link that is the same for every user to the server of the user who follows it.
    async fn user_redirect(&self) -> HubResult {
        let Some(visitor) = self.visitor().await?.known() else {
            return Ok(self.login_redirect(false));
        };
        let uri = self.head.uri();
        let below = self.hub.hub_url.strip_prefix(uri.path()).unwrap_or_default();
        let (path, query) = match below.strip_prefix("user-redirect") {
            Some(path) => (path, uri.query()),
            None => ("", None),
        };
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        let user = escape_path_segment(visitor.member.name());
        let server = self.hub.base_url.join(&format!("user/{user}"));
        let path = if path.is_empty() { "/" } else { path };
        Ok(response::redirect_found(&format!("{server}{path}{query}")))
    }

    /// The page for a proxy to show. The answer is 200, as the proxy adds the status itself.
    fn proxy_error(&self, status: StatusCode) -> FullResponse {
        let home = self.hub.hub_url.join("home");
        let style = &self.hub.page_style;
        let page = match status {
            StatusCode::SERVICE_UNAVAILABLE => Page::new(style, "Your server appears to be down")
                .paragraph("The server does not respond. Start it again, then reload this page."),
            _ => Page::new(style, &status.to_string()).paragraph("The proxy cannot answer this request."),
        };
        page_response(page.link(&home, "Go to home"))
    }

    /// A redirect to the login page, and back here after.
    pub(crate) fn login_redirect(&self, session_ended: bool) -> FullResponse {
        let here = self
            .head
            .uri()
            .path_and_query()
            .map_or("", http::uri::PathAndQuery::as_str);
        let mut location = self.hub.hub_url.join("login?next=");
        percent::form_encode(here.as_bytes(), &mut location);
        if session_ended {
            location.push_str(SESSION_ENDED);
        }
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
        UrlEncodedForm::parse(self.body).ok_or_else(|| HubError::bad_request("malformed form data"))
    }

    /// The JSON that was sent; nothing if nothing was.
    pub(crate) fn json(&self) -> Result<Value, HubError> {
        if self.body.trim_ascii().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(self.body)
            .map_err(|_| HubError::bad_request("Invalid JSON in body of request"))
    }

    /// The media type of the body, in lowercase.
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
        "The server is not running, or is not ready yet.",
    )
}
