//! Where a login at a provider begins, and where the provider sends browsers back to.
//!
//! | request | response |
//! |---|---|
//! | GET `login/<name>`, logged in | 302 to `next` |
//! | GET `login/<name>` | 302 to the provider; a cookie with the encrypted state, PKCE verifier and `next` |
//! | GET `login/callback` with a code, and the cookie of its state | the cookies of a login, 302 to `next` |
//! | the state is older than ten minutes | once more to the provider; the second time 403 |
//! | the cookie of the state is missing, logged in | 302 to the base |
//! | any other state, or none | 403, or 400 |
//! | an error of the provider instead of a code | 403 |
//! | another issuer, or a code or ID token that is not valid | 403 |
//! | a user for whom the mapping of claims returns a denial | its status |
//! | the provider does not respond | 503, `Retry-After` |

use std::sync::Arc;

use http::{HeaderValue, Method, StatusCode};

use super::{
    error::SignInError,
    layer_providers::{LayerProvider, SignIn},
};
use crate::{
    cookies::{RequestCookies, SetCookies},
    denial::{Denial, Reason},
    error::BackendError,
    html::Page,
    maybe_future::MaybeFuture,
    middleware::{
        Browser,
        cookies::is_https,
        denial_page::{Links, denial_page},
        endpoint::{Endpoint, EndpointRequest, not_allowed},
        error_response::{FullResponse, page_response, redirect, retry_after},
        form::UrlEncodedForm,
        state::AuthState,
    },
    oauth::{AuthorizationResponse, CodeVerifier, OAuthError, StateCookie},
    redirect::{NextUrl, RedirectPolicy},
    request::{head::RequestHead, percent, query::Query},
    session::grant::Grant,
};

/// Where a login at one provider begins.
pub(super) struct StartEndpoint {
    pub(super) shared: Arc<SignIn>,
    pub(super) provider: Arc<LayerProvider>,
}

impl Endpoint for StartEndpoint {
    fn get(&self, request: &EndpointRequest<'_>) -> MaybeFuture<FullResponse> {
        if *request.head.method() != Method::GET {
            return not_allowed().into();
        }
        let next = Query::from_uri(request.head.uri()).parameter("next");
        let next = self.shared.next(next);
        match request.permitted_session() {
            Some(_) => redirect(StatusCode::FOUND, HeaderValue::from(&next)).into(),
            None => self.shared.begin(&self.provider, request, &next, false),
        }
    }

    fn post(&self, _: &EndpointRequest<'_>, _: &UrlEncodedForm) -> MaybeFuture<FullResponse> {
        not_allowed().into()
    }
}

/// Where providers send browsers back to.
pub(super) struct CallbackEndpoint(pub(super) Arc<SignIn>);

impl Endpoint for CallbackEndpoint {
    fn get(&self, request: &EndpointRequest<'_>) -> MaybeFuture<FullResponse> {
        let (shared, head) = (&self.0, request.head);
        // A code is used once, and only by a browser.
        if *head.method() != Method::GET {
            return not_allowed().into();
        }
        let query = head.uri().query().unwrap_or_default();
        let Ok(response) = AuthorizationResponse::parse(query.as_bytes()) else {
            return shared.refused(request, StatusCode::BAD_REQUEST, INVALID).into();
        };
        let now = head.now();
        let state = response.state().unwrap_or_default();
        let mut providers = shared.providers.iter();
        let found = providers.find_map(|provider| Some((provider, provider.states.read(state, now)?)));
        let Some((provider, state)) = found else {
            return shared.refused(request, StatusCode::FORBIDDEN, INVALID).into();
        };
        let sent = RequestCookies::from_headers(head.headers()).ok();
        let remembered = sent.and_then(|sent| provider.states.remembered(&state, &sent, now));
        if state.is_expired(now) {
            if state.is_second_try {
                return shared.refused(request, StatusCode::FORBIDDEN, EXPIRED).into();
            }
            let next = shared.next(remembered.and_then(|login| login.next));
            return shared.begin(provider, request, &next, true);
        }
        let Some(login) = remembered else {
            if request.session.is_some() {
                let base = NextUrl::base(&shared.base_url);
                return redirect(StatusCode::FOUND, HeaderValue::from(&base)).into();
            }
            return shared.refused(request, StatusCode::FORBIDDEN, NO_COOKIE).into();
        };
        let Some(redirect_uri) = shared.redirect_uri(request) else {
            return shared.refused(request, StatusCode::BAD_REQUEST, INVALID).into();
        };
        let conclusion = Conclusion {
            shared: Arc::clone(shared),
            provider: Arc::clone(provider),
            auth_state: Arc::clone(request.state()),
            browser: Browser::of(request.state(), head, &request.target),
            head: head.to_request(),
            redirect_uri,
            response,
            login,
        };
        MaybeFuture::from_future(conclusion.run())
    }

    fn post(&self, _: &EndpointRequest<'_>, _: &UrlEncodedForm) -> MaybeFuture<FullResponse> {
        not_allowed().into()
    }
}

impl SignIn {
    /// Returns the target of a login: `next` if it is a page of this server, else the base URL.
    fn next(&self, next: Option<impl AsRef<[u8]>>) -> NextUrl {
        let mut closed = vec![&*self.callback_path, &*self.login_path, &*self.logout_path];
        closed.extend(self.providers.iter().map(|provider| &*provider.path));
        let policy = RedirectPolicy::new(&self.base_url).excluding(&closed);
        next.and_then(|next| NextUrl::parse(next, policy))
            .unwrap_or_else(|| NextUrl::base(&self.base_url))
    }

    /// Returns the redirect URI, at the host of the request.
    fn redirect_uri(&self, request: &EndpointRequest<'_>) -> Option<String> {
        let origin = request.state().guards.own_origin(&request.target, request.head)?;
        Some(format!("{origin}{}", self.callback_path))
    }

    /// Redirects a browser to the provider.
    fn begin(
        self: &Arc<Self>,
        provider: &Arc<LayerProvider>,
        request: &EndpointRequest<'_>,
        next: &NextUrl,
        is_second_try: bool,
    ) -> MaybeFuture<FullResponse> {
        let head = request.head;
        let Some(redirect_uri) = self.redirect_uri(request) else {
            return self.refused(request, StatusCode::BAD_REQUEST, INVALID).into();
        };
        let sent = RequestCookies::from_headers(head.headers()).ok();
        let https = is_https(&request.target, head);
        let verifier = CodeVerifier::generate();
        let (state, cookies) = provider.states.begin(
            &verifier,
            Some(next.as_str()),
            is_second_try,
            sent.as_ref(),
            head.now(),
            https,
        );
        let (shared, provider, auth_state) = (
            Arc::clone(self),
            Arc::clone(provider),
            Arc::clone(request.state()),
        );
        let (path, next) = (Box::<str>::from(head.uri().path()), next.clone());
        MaybeFuture::from_future(async move {
            let url = provider
                .provider
                .authorization_url(&redirect_uri, state, &verifier)
                .await;
            let url = url.and_then(|url| HeaderValue::try_from(url).map_err(SignInError::unavailable));
            match url {
                Ok(url) => {
                    let mut response = redirect(StatusCode::FOUND, url);
                    cookies.append_to(response.headers_mut());
                    response
                }
                Err(error) => shared.failed(&auth_state, &error, &path, &provider, &next),
            }
        })
    }

    /// The page of a callback that belongs to no login of this browser.
    fn refused(&self, request: &EndpointRequest<'_>, status: StatusCode, text: &str) -> FullResponse {
        let auth_state = request.state();
        auth_state.log_denied(Reason::CrossSite, request.head, &request.target);
        self.page(auth_state, status, text, &self.login_path)
    }

    /// The page of a login that failed at the provider. Reports the error.
    fn failed(
        &self,
        auth_state: &AuthState,
        error: &SignInError,
        path: &str,
        provider: &LayerProvider,
        next: &NextUrl,
    ) -> FullResponse {
        let denial = auth_state.backend_error(&BackendError::new(error.to_string()), path);
        let mut again = format!("{}?next=", provider.path);
        percent::form_encode(next.as_str().as_bytes(), &mut again);
        match error {
            SignInError::Unavailable(_) => {
                let page = self.page(auth_state, StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE, &again);
                retry_after(page, &denial)
            }
            SignInError::Rejected(_) => self.page(auth_state, StatusCode::FORBIDDEN, REJECTED, &again),
        }
    }

    fn page(&self, auth_state: &AuthState, status: StatusCode, text: &str, again: &str) -> FullResponse {
        let page = Page::new(&auth_state.error_responder.page_style, "Login failed");
        let mut response = page_response(page.paragraph(text).link(again, "Try again"));
        *response.status_mut() = status;
        response
    }
}

/// A login whose state is proved, and whose code is not exchanged yet.
struct Conclusion {
    shared: Arc<SignIn>,
    provider: Arc<LayerProvider>,
    auth_state: Arc<AuthState>,
    browser: Browser,
    head: http::Request<()>,
    redirect_uri: String,
    response: AuthorizationResponse,
    login: StateCookie,
}

/// Why there is no grant.
enum Failure {
    Provider(SignInError),
    /// The provider said so: the user refused, or may not log in.
    Refused,
    Denied(Denial),
}

impl Conclusion {
    async fn run(self) -> FullResponse {
        let (https, path) = (self.browser.https, self.browser.path.clone());
        let next = self.shared.next(self.login.next.as_deref());
        // A state is used once, whatever the end of the login.
        let mut cookies = SetCookies::default();
        self.provider
            .states
            .remove(&self.login.cookie, https, &mut cookies);
        let mut response = match self.grant().await {
            Ok(grant) => {
                let target = HeaderValue::from(&next);
                self.browser
                    .log_in_and_redirect(&self.auth_state, Some(grant), StatusCode::FOUND, target)
                    .await
            }
            Err(Failure::Provider(error)) => {
                self.shared
                    .failed(&self.auth_state, &error, &path, &self.provider, &next)
            }
            Err(Failure::Refused) => {
                self.report(Reason::InsufficientScope);
                self.shared.page(
                    &self.auth_state,
                    StatusCode::FORBIDDEN,
                    REFUSED,
                    &self.shared.login_path,
                )
            }
            Err(Failure::Denied(denial)) => {
                self.report(denial.reason());
                let links = Links {
                    home: self.shared.base_url.as_str(),
                    login: None,
                    logout: None,
                };
                let page = denial_page(&denial, &self.auth_state.error_responder.page_style, &links);
                let mut response = page_response(page);
                *response.status_mut() = denial.status();
                response
            }
        };
        if response.status() == StatusCode::FOUND && self.provider.provider.logs_out() {
            let marker = self.provider.marker.set_cookie(b"", "1", None, https);
            if let Ok(line) = marker {
                cookies.push_overriding(line);
            }
        }
        cookies.append_to(response.headers_mut());
        response
    }

    /// Returns the grant of the user.
    async fn grant(&self) -> Result<Grant, Failure> {
        let provider = &self.provider.provider;
        provider
            .check_issuer(self.response.issuer())
            .await
            .map_err(Failure::Provider)?;
        let code = self.response.code().map_err(|error| self.refusal(error))?;
        let now = self.auth_state.clock.now();
        let claims = provider
            .claims(code, &self.login.verifier, &self.redirect_uri, now)
            .await
            .map_err(Failure::Provider)?;
        let grant = (self.provider.mapping)(&claims).map_err(Failure::Denied)?;
        if grant.has_expired(|| self.auth_state.clock.now()) {
            return Err(Failure::Provider(SignInError::rejected("the grant has expired")));
        }
        Ok(grant)
    }

    /// The failure that an error of the provider is, in the query of the callback.
    fn refusal(&self, error: &OAuthError) -> Failure {
        match error.kind().as_str() {
            "access_denied" | "error" => Failure::Refused,
            "server_error" | "temporarily_unavailable" => {
                Failure::Provider(SignInError::unavailable(error.clone()))
            }
            _ => Failure::Provider(SignInError::rejected(error.clone())),
        }
    }

    fn report(&self, reason: Reason) {
        let head = RequestHead::new(&self.head);
        let target = self.auth_state.guards.check_target(head).ok();
        self.auth_state
            .report_refusal(reason, None, head, target.as_ref());
    }
}

const INVALID: &str = "The login request is not valid or has expired.";
const EXPIRED: &str = "The login took too long. Please try again.";
const NO_COOKIE: &str =
    "Your browser did not send the cookie of this login. Check that cookies are enabled, and try again.";
const UNAVAILABLE: &str = "Login is temporarily unavailable. Please try again in a moment.";
const REJECTED: &str = "The login provider's response is not valid. Please try again.";
const REFUSED: &str = "You cancelled the login, or the login provider denied it.";
