//! The authorization endpoint: RFC 6749 §4.1.1, as JupyterHub answers it.
//!
//! | request | answer |
//! |---|---|
//! | no user is logged in | 302 to the login page and back |
//! | client unknown, missing, twice; another redirect URI | 400, a page; never a redirect |
//! | anything else wrong | 302 to the redirect URI with `error` and the state |
//! | the user has no access to the client's service or server | 403, a page; on POST as well |
//! | a public client | 200, the consent page, each time |
//! | the user's own server, a client without consent, or one that this user has authorized before | 302 with code and state |
//! | otherwise | 200, the consent page; POST with its `_xsrf` authorizes or cancels |

use std::{borrow::Cow, collections::BTreeSet, time::Duration};

use http::StatusCode;

use super::{
    browser_session::SignedInUser,
    client::{OAuthClientConfig, Resource},
    client_uri::form_target,
    expanded_scopes::ExpandedScopes,
    members::RequestMembers,
    request::{HubRequest, HubResult},
    response::{self, HubError},
    scope::{self, IDENTIFY, Owner},
};
use crate::{
    cookies::SetCookies,
    error::BackendError,
    event::Event,
    html::{Button, Details, Page},
    middleware::{
        error_response::{FullResponse, page_response},
        form::UrlEncodedForm,
    },
    oauth::{AuthorizationResponse, CodeChallenge, OAuthError, OAuthErrorKind},
    random::{self, BASE62},
    secret::Secret,
    session::scopes::Scopes,
    store::{CodeRecord, TokenFilter},
    token::PresentedToken,
};

/// In how many of the newest tokens of a user and a client the answer to an earlier question is looked for.
const TOKENS: u64 = 100;
/// How long a code is valid.
const CODE_LIFE: Duration = Duration::from_secs(60);

/// The validated parameters of a client's request.
struct AuthorizationParams<'a> {
    client: Cow<'a, OAuthClientConfig>,
    redirect_uri: String,
    /// Named in the response.
    issuer: Option<&'a str>,
    state: Option<String>,
    challenge: Option<String>,
    /// The resource that the token will be for.
    resource: Option<String>,
    /// In alphabetical order.
    scopes: Vec<String>,
}

/// Why a client's request is rejected.
enum AuthorizationError {
    /// For the user: the client is not known, so there is no redirect to it.
    Page(&'static str),
    /// For the client.
    Redirect(Box<FullResponse>),
    /// The members or clients cannot be read now.
    Unavailable(HubError),
}

impl From<AuthorizationError> for HubResult {
    fn from(refusal: AuthorizationError) -> Self {
        match refusal {
            AuthorizationError::Page(message) => Err(HubError::bad_request(message)),
            AuthorizationError::Redirect(response) => Ok(*response),
            AuthorizationError::Unavailable(error) => Err(error),
        }
    }
}

impl From<BackendError> for AuthorizationError {
    fn from(error: BackendError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<HubError> for AuthorizationError {
    fn from(error: HubError) -> Self {
        Self::Unavailable(error)
    }
}

impl HubRequest<'_> {
    pub(crate) async fn authorize(&self) -> HubResult {
        let sight = self.visitor().await?;
        let stale = matches!(sight, super::browser_session::BrowserSession::Expired);
        let Some(visitor) = sight.known() else {
            return Ok(self.redirect_to_login(stale));
        };
        self.hub.guards.check_cross_site(
            &self.target,
            self.head,
            crate::request_policy::RequestKind::Safe,
            None,
        )?;
        let params = match self.authorization_params(&visitor).await {
            Ok(params) => params,
            Err(refusal) => return refusal.into(),
        };
        self.check_access(&visitor, &params.client).await?;
        if self.needs_consent(&visitor, &params).await? {
            return Ok(self.consent_page(&visitor, &params));
        }
        let scopes = params.scopes.clone();
        self.grant_code(&visitor, &params, scopes).await
    }

    pub(crate) async fn consent(&self) -> HubResult {
        let (visitor, form) = self.visitor_by_form().await?;
        let params = match self.authorization_params(&visitor).await {
            Ok(params) => params,
            Err(refusal) => return refusal.into(),
        };
        self.check_access(&visitor, &params.client).await?;
        if form.field("deny").is_some() {
            return Ok(params.refused(OAuthErrorKind::AccessDenied, "The user denied access."));
        }
        let ticked: Vec<&str> = form.all("scopes").collect();
        let mut scopes: Vec<String> = params
            .scopes
            .iter()
            .filter(|scope| ticked.contains(&scope.as_str()))
            .cloned()
            .collect();
        if ticked.is_empty() {
            scopes = IDENTIFY.map(|name| format!("{name}!user")).to_vec();
        }
        self.grant_code(&visitor, &params, scopes).await
    }

    async fn authorization_params<'s>(
        &'s self,
        visitor: &SignedInUser,
    ) -> Result<AuthorizationParams<'s>, AuthorizationError> {
        let query = self.head.uri().query().unwrap_or_default();
        let query = UrlEncodedForm::parse(query.as_bytes())
            .ok_or(AuthorizationError::Page("Malformed request parameters."))?;
        let one = |name: &str| query.field(name).and_then(|value| value.expose_str());
        let count = |name: &str| query.all(name).count();
        if count("client_id") == 0 {
            return Err(AuthorizationError::Page("Missing client_id parameter."));
        }
        let client = match one("client_id") {
            Some(id) => self.client(id).await?,
            None => None,
        };
        let client = client.ok_or(AuthorizationError::Page("Invalid client_id parameter value."))?;
        let redirect_uri = match (count("redirect_uri"), one("redirect_uri")) {
            (0, _) => client
                .redirect_uri(None)
                .ok_or(AuthorizationError::Page("Missing redirect URI."))?,
            (_, sent) => sent
                .and_then(|sent| client.redirect_uri(Some(sent)))
                .ok_or(AuthorizationError::Page("Mismatching redirect URI."))?,
        };
        let redirect_uri = redirect_uri.to_owned();
        let mut params = AuthorizationParams {
            client,
            redirect_uri,
            issuer: self.hub.issuer.as_deref(),
            state: one("state").map(str::to_owned),
            challenge: None,
            resource: None,
            scopes: Vec::new(),
        };
        let refused = |kind, description: &str| {
            Err(AuthorizationError::Redirect(Box::new(
                params.refused(kind, description),
            )))
        };
        for name in [
            "response_type",
            "state",
            "scope",
            "code_challenge",
            "code_challenge_method",
        ] {
            if count(name) > 1 {
                return refused(
                    OAuthErrorKind::InvalidRequest,
                    &format!("Duplicate {name} parameter."),
                );
            }
        }
        let resource = match (count("resource"), one("resource")) {
            (0, _) => None,
            (1, Some(uri)) if self.hub.is_resource(uri) => Some(uri.to_owned()),
            _ => {
                return refused(
                    OAuthErrorKind::InvalidTarget,
                    "Expected one resource that is known here.",
                );
            }
        };
        match one("response_type") {
            Some("code") => {}
            Some(_) => return refused(OAuthErrorKind::UnsupportedResponseType, ""),
            None => return refused(OAuthErrorKind::InvalidRequest, "Missing response_type parameter."),
        }
        let scopes = grantable_scopes(&params.client, one("scope"), visitor, self.members).await?;
        let Some(scopes) = scopes else {
            return refused(OAuthErrorKind::InvalidScope, "");
        };
        let challenge = match (one("code_challenge"), one("code_challenge_method")) {
            (None, None) if params.client.pkce_optional => None,
            (None, _) => return refused(OAuthErrorKind::InvalidRequest, "Code challenge required."),
            // A request without a method means `plain`, whose challenge is the verifier itself.
            (Some(_), method) if method != Some(CodeChallenge::METHOD) => {
                return refused(
                    OAuthErrorKind::InvalidRequest,
                    "Transform algorithm not supported.",
                );
            }
            (Some(challenge), _) if CodeChallenge::parse(challenge).is_some() => Some(challenge.to_owned()),
            (Some(_), _) => {
                return refused(
                    OAuthErrorKind::InvalidRequest,
                    "Invalid code_challenge parameter.",
                );
            }
        };
        params.challenge = challenge;
        params.resource = resource;
        params.scopes = scopes;
        Ok(params)
    }

    async fn check_access(&self, visitor: &SignedInUser, client: &OAuthClientConfig) -> Result<(), HubError> {
        let Some(access) = client.resource.access_scope() else {
            return Ok(());
        };
        if visitor.scopes().covers(&access, self.members).await? {
            return Ok(());
        }
        Err(HubError::new(
            StatusCode::FORBIDDEN,
            format!(
                "You do not have permission to access {}",
                client.resource.described()
            ),
        ))
    }

    async fn needs_consent(
        &self,
        visitor: &SignedInUser,
        params: &AuthorizationParams<'_>,
    ) -> Result<bool, HubError> {
        // Any program can send the id of one that has no secret.
        if params.client.is_public() {
            return Ok(true);
        }
        let owner = visitor.member.name();
        let own = matches!(&params.client.resource, Resource::Server { user, .. } if user.as_str() == owner);
        if own || params.client.skip_consent {
            return Ok(false);
        }
        let of_client = TokenFilter::owner(owner).and_client(&params.client.id);
        let given = self
            .hub
            .store
            .newest_tokens(of_client, self.head.now(), 0, TOKENS);
        let given = given.await?;
        let known = |scope: &String| given.iter().any(|token| token.grant().scopes().contains(scope));
        Ok(!params.scopes.iter().all(known))
    }

    fn consent_page(&self, visitor: &SignedInUser, params: &AuthorizationParams<'_>) -> FullResponse {
        let mut cookies = SetCookies::default();
        self.restore_session_id(visitor, &mut cookies);
        let xsrf = self.xsrf_of(visitor, &mut cookies);
        let what = params.client.resource.described();
        let access = params.client.resource.access_scope();
        let usual = |scope: &str| {
            Some(scope) == access.as_deref() || IDENTIFY.iter().any(|name| scope == format!("{name}!user"))
        };
        let more: Vec<&String> = params.scopes.iter().filter(|scope| !usual(scope)).collect();
        let style = self.hub.page_style.clone();
        let style = match form_target(&params.redirect_uri).filter(|_| params.client.is_public()) {
            Some(target) => style.with_form_targets([target]),
            None => style,
        };
        let mut page = Page::new(&style, &format!("Authorize {what}?"))
            .paragraph(&format!("{what} wants to see your username and groups."))
            .link(
                &self.hub.hub_url.join("logout"),
                &format!("Not {}? Switch account", visitor.member.name()),
            );
        if !more.is_empty() {
            page = page.paragraph("It also requests permission to:");
            for scope in more {
                page = page.item(&scope::description(scope), &Details::default(), None, |_| {});
            }
        }
        if params.client.registered_itself {
            page = page.alert("This application registered itself. Its name is not verified.");
        }
        if let Some(resource) = &params.resource {
            page = page.paragraph(&format!("Its access is for `{resource}`."));
        }
        let page = page
            .muted(&format!("You will be redirected to `{}`.", params.redirect_uri))
            .form("", "Authorize", |fields| {
                fields.hidden("_xsrf", &xsrf);
                for scope in &params.scopes {
                    fields.hidden("scopes", scope);
                }
            })
            .secondary(
                &Button {
                    action: "",
                    label: "Cancel",
                    question: "",
                },
                |fields| {
                    fields.hidden("_xsrf", &xsrf);
                    fields.hidden("deny", "1");
                },
            );
        let mut response = page_response(page);
        cookies.append_to(response.headers_mut());
        response
    }

    async fn grant_code(
        &self,
        visitor: &SignedInUser,
        params: &AuthorizationParams<'_>,
        scopes: Vec<String>,
    ) -> HubResult {
        let hub = self.hub;
        let code = random::text(BASE62, 30);
        let hash = PresentedToken::new(code.as_bytes()).map(PresentedToken::hash);
        let hash = hash.ok_or_else(|| HubError::Refused(StatusCode::INTERNAL_SERVER_ERROR, None))?;
        let now = self.head.now();
        let owner = visitor.member.name();
        let client = &params.client;
        let mut record = CodeRecord::new(
            &client.id,
            &params.redirect_uri,
            owner,
            now.saturating_add(CODE_LIFE),
        )
        .with_scopes(scopes.iter().collect::<Scopes>())
        .with_session(visitor.login.session_id());
        if let Some(challenge) = &params.challenge {
            record = record.with_code_challenge(challenge);
        }
        if let Some(resource) = &params.resource {
            record = record.with_resource(resource);
        }
        if !hub.store.insert_code(hash, record, now).await? {
            // The login ended in the meantime.
            return Ok(self.redirect_to_login(true));
        }
        hub.emit(&Event::ClientAuthorized {
            username: owner,
            client_id: &client.id,
            scopes: &scopes,
            client: self.client_ip(),
        });
        let mut response = params.granted(Secret::from(&*code));
        let mut cookies = SetCookies::default();
        self.restore_session_id(visitor, &mut cookies);
        cookies.append_to(response.headers_mut());
        Ok(response)
    }
}

/// The requested scopes that the user has, or `None` if the client may not request one of them.
async fn grantable_scopes(
    client: &OAuthClientConfig,
    requested: Option<&str>,
    visitor: &SignedInUser,
    members: &RequestMembers<'_>,
) -> Result<Option<Vec<String>>, BackendError> {
    let owner = Owner::User(visitor.member.name());
    let usual = IDENTIFY.map(|name| format!("{name}!user"));
    let access = client.resource.access_scope();
    let allowed = ExpandedScopes::of(client.allowed.iter(), owner).and_identify(owner);
    let allowed = match &access {
        Some(access) => allowed.and(access),
        None => allowed,
    };
    let wished: Vec<&str> = match requested {
        Some(requested) => requested.split(' ').filter(|scope| !scope.is_empty()).collect(),
        None => client.allowed.iter().collect(),
    };
    let (held, mut scopes) = (visitor.scopes(), BTreeSet::from(usual));
    scopes.extend(access);
    for scope in wished {
        let expanded = ExpandedScopes::of([scope], owner);
        let is_known = scope::is_scope(scope) && scope != "inherit";
        if !is_known || !allowed.covers_all(&expanded, members).await? {
            return Ok(None);
        }
        if held.covers_all(&expanded, members).await? {
            scopes.insert(scope.to_owned());
        }
    }
    Ok(Some(scopes.into_iter().collect()))
}

impl AuthorizationParams<'_> {
    fn refused(&self, kind: OAuthErrorKind, description: &str) -> FullResponse {
        let error = OAuthError::new(kind).with_description(description);
        self.sent(AuthorizationResponse::with_error(error, self.state.as_deref()))
    }

    fn granted(&self, code: Secret) -> FullResponse {
        self.sent(AuthorizationResponse::with_code(code, self.state.as_deref()))
    }

    fn sent(&self, answer: AuthorizationResponse) -> FullResponse {
        let answer = match self.issuer {
            Some(issuer) => answer.with_issuer(issuer),
            None => answer,
        };
        response::redirect_found(&answer.to_url(&self.redirect_uri))
    }
}
