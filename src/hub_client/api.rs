//! Requests to the hub's API, and what its responses mean.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::Full;
use serde::Deserialize;

use crate::{
    error::BoxError,
    http_client::Transport,
    oauth::{self, OAuthError, TokenRequest, TokenResponse},
    secret::Secret,
    session::{grant::Grant, identity::Identity},
};

/// The hub's API.
pub(super) struct HubApi {
    pub(super) transport: Arc<dyn Transport>,
    /// Without a slash at its end.
    pub(super) url: Box<str>,
}

/// A request that failed: the result is unknown, neither yes nor no.
#[derive(Debug)]
pub(super) struct HubApiError {
    what: String,
    source: Option<BoxError>,
    pub(super) origin: ErrorOrigin,
    /// How long the hub wants no more requests.
    pub(super) retry_after: Option<Duration>,
}

/// What caused that there is no answer, for the circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorOrigin {
    /// The hub does not answer, or fails for every request.
    Hub,
    /// The hub answers, and cannot use this one request.
    Request,
    /// The request was not sent.
    Own,
}

impl HubApi {
    /// The grant of a token; `None` if the hub does not know it.
    ///
    /// 200 with JSON of a user or a service is a yes, 403 is a no, and everything else is no answer.
    pub(super) async fn user(&self, token: &Secret) -> Result<Option<Grant>, HubApiError> {
        let request = self.request(Method::GET, "/user", Bytes::new(), Some(token))?;
        let answer = self.send("GET /user", request).await?;
        match answer.status() {
            StatusCode::OK => match grant(answer.body()) {
                Some(grant) => Ok(Some(grant)),
                None => {
                    let what = "the hub's GET /user: expected JSON of a user or a service";
                    // A readable answer shows that the hub works. Its content is up to the one token.
                    let is_readable = oauth::object::<serde_json::Map<_, _>>(answer.body()).is_some();
                    let origin = if is_readable {
                        ErrorOrigin::Request
                    } else {
                        ErrorOrigin::Hub
                    };
                    Err(HubApiError {
                        origin,
                        ..HubApiError::new(what)
                    })
                }
            },
            StatusCode::FORBIDDEN => Ok(None),
            _ => Err(HubApiError::of("GET /user", &answer)),
        }
    }

    /// The token for a code. An error that the hub reports counts as its answer.
    pub(super) async fn redeem(
        &self,
        login: &TokenRequest,
    ) -> Result<Result<TokenResponse, OAuthError>, HubApiError> {
        let what = "POST /oauth2/token";
        let body = Bytes::copy_from_slice(login.to_form().expose());
        let mut request = self.request(Method::POST, "/oauth2/token", body, None)?;
        request.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        let answer = self.send(what, request).await?;
        match answer.status() {
            StatusCode::OK => Ok(TokenResponse::parse(answer.body())),
            status if status.is_client_error() => match OAuthError::from_json(answer.body()) {
                Some(error) => Ok(Err(error)),
                None => Err(HubApiError::of(what, &answer)),
            },
            _ => Err(HubApiError::of(what, &answer)),
        }
    }

    /// Reports when this server was used last.
    pub(super) async fn report(&self, url: &str, body: String, token: &Secret) -> Result<(), HubApiError> {
        let what = "POST activity";
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url
            .parse()
            .map_err(|_| HubApiError::new("the URL for activity is none"))?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(AUTHORIZATION, authorization(token)?);
        let answer = self.send(what, request).await?;
        if answer.status().is_success() {
            Ok(())
        } else {
            Err(HubApiError::of(what, &answer))
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        token: Option<&Secret>,
    ) -> Result<Request<Full<Bytes>>, HubApiError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = format!("{}{path}", self.url)
            .parse()
            .map_err(|_| HubApiError::new("the URL of the hub's API is none"))?;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, authorization(token)?);
        }
        Ok(request)
    }

    async fn send(&self, what: &str, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, HubApiError> {
        self.transport.send(request).await.map_err(|error| HubApiError {
            what: format!("the hub does not answer {what}"),
            source: Some(error),
            origin: ErrorOrigin::Hub,
            retry_after: None,
        })
    }
}

/// What the hub's own clients send, in lower case: its proxy takes no other.
fn authorization(token: &Secret) -> Result<HeaderValue, HubApiError> {
    let text = zeroize::Zeroizing::new(format!("token {}", token.expose_str().unwrap_or_default()));
    let mut value =
        HeaderValue::try_from(&*text).map_err(|_| HubApiError::new("the token is no field's value"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The grant that a model of a user or a service gives. What does not say clearly whose it is, is none.
fn grant(body: &[u8]) -> Option<Grant> {
    #[derive(Deserialize)]
    struct Model {
        kind: Kind,
        name: String,
        scopes: Vec<String>,
        groups: Option<Vec<String>>,
        admin: Option<bool>,
    }
    #[derive(Clone, Copy, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Service,
        User,
    }
    let model: Model = oauth::object(body)?;
    if model.name.is_empty() || model.name.chars().any(char::is_control) {
        return None;
    }
    let label = match model.kind {
        Kind::Service => "service of the hub",
        Kind::User => "user of the hub",
    };
    let scopes: crate::session::scopes::Scopes = model.scopes.iter().collect();
    let grant = Grant::new(Identity::new(&model.name))
        .with_scopes(scopes)
        .with_label(label)
        .with_groups(model.groups.unwrap_or_default());
    Some(if model.admin == Some(true) {
        grant.as_admin()
    } else {
        grant
    })
}

impl HubApiError {
    fn new(what: &str) -> Self {
        Self {
            what: what.to_owned(),
            source: None,
            origin: ErrorOrigin::Own,
            retry_after: None,
        }
    }

    fn of(what: &str, answer: &Response<Bytes>) -> Self {
        let detail = OAuthError::from_json(answer.body());
        let detail = detail.map(|error| format!(": {error}")).unwrap_or_default();
        let seconds = answer
            .headers()
            .get(http::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let overload = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
        let is_of_request = answer.status().is_client_error() && !overload.contains(&answer.status());
        Self {
            what: format!("the hub answers {what} with {}{detail}", answer.status()),
            source: None,
            origin: if is_of_request {
                ErrorOrigin::Request
            } else {
                ErrorOrigin::Hub
            },
            retry_after: seconds.map(|seconds| Duration::from_secs(seconds.min(60))),
        }
    }
}

impl fmt::Display for HubApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        let mut source = self
            .source
            .as_deref()
            .map(|error| error as &dyn std::error::Error);
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for HubApiError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_has_the_groups_of_the_user_and_whether_they_are_an_administrator() {
        for (fields, expected) in [
            ("", Some((&[][..], false))),
            (r#", "groups": [], "admin": false"#, Some((&[], false))),
            (
                r#", "groups": ["staff", "a b"], "admin": true"#,
                Some((&["staff", "a b"], true)),
            ),
            (r#", "groups": null, "admin": null"#, Some((&[], false))),
            (r#", "groups": "staff""#, None),
            (r#", "groups": [{"name": "staff"}]"#, None),
            (r#", "admin": "true""#, None),
            (r#", "admin": false, "admin": true"#, None),
        ] {
            let model = format!(r#"{{"kind": "user", "name": "bob", "scopes": []{fields}}}"#);
            let grant = grant(model.as_bytes());
            let found = grant
                .as_ref()
                .map(|grant| (grant.groups().collect(), grant.is_admin()));
            assert_eq!(
                found,
                expected.map(|(groups, admin)| (groups.to_vec(), admin)),
                "{model}"
            );
        }
    }
}
