//! A login at a provider: where it begins, and where the provider sends browsers back to. A layer and a hub serve these pages.
//!
//! | request | response |
//! |---|---|
//! | GET `login/<name>`, logged in | 302 to `next` |
//! | GET `login/<name>` | 302 to the provider; a cookie with the encrypted state, PKCE verifier and `next` |
//! | GET `login/callback` with a code, and the cookie of its state | the cookies of a login, 302 to `next` |
//! | the state is older than ten minutes | once more to the provider; the second time 403 |
//! | the cookie of the state is missing, logged in | 302 to the home page |
//! | any other state, or none | 403, or 400 |
//! | an error of the provider instead of a code | 403 |
//! | another issuer, or a code or ID token that is not valid | 403 |
//! | a user for whom the mapping of claims returns a denial | its status |
//! | the provider does not respond | 503, `Retry-After` |

use std::{future::ready, sync::Arc};

use http::{HeaderValue, StatusCode};

use super::{
    configured::{ConfiguredProvider, SignIn},
    error::SignInError,
};
use crate::{
    clock::Clock,
    cookies::{RequestCookies, SetCookies},
    denial::{Denial, Reason},
    error::BackendError,
    html::{Page, PageStyle},
    maybe_future::BoxFuture,
    middleware::{
        denial_page::{Links, denial_page},
        error_response::{FullResponse, page_response, redirect, retry_after},
    },
    oauth::{AuthorizationResponse, CodeVerifier, OAuthError, StateCookie},
    redirect::{NextUrl, RedirectPolicy},
    request::{head::RequestHead, percent, query::Query},
    session::grant::Grant,
    token::TokenHash,
};

/// A request for one of these pages, and what the server knows of it.
pub(crate) struct SignInRequest<'a> {
    pub(crate) head: RequestHead<'a>,
    pub(crate) https: bool,
    /// The origin that the browser sees, if it is known.
    pub(crate) origin: Option<String>,
    pub(crate) is_logged_in: bool,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) page_style: &'a PageStyle,
}

/// What a request led to.
pub(crate) struct SignInOutcome {
    pub(crate) result: SignInResult,
    /// For the response, whatever it is.
    pub(crate) cookies: SetCookies,
}

pub(crate) enum SignInResult {
    /// The browser goes elsewhere.
    Redirect(FullResponse),
    /// The user logs in, and the browser goes to `next`.
    LogIn {
        grant: Grant,
        next: NextUrl,
        /// What stands for the session at the provider, if the provider reports its end.
        provider_session: Option<TokenHash>,
        /// The cookie of a browser whose logout goes on at the provider.
        marker: Option<HeaderValue>,
    },
    /// No user logs in; the page says why, and the failure is to be reported.
    Failed(Box<FullResponse>, SignInFailure),
}

/// What is reported to the observer.
pub(crate) enum SignInFailure {
    Denied(Reason),
    Provider(BackendError),
}

impl From<SignInResult> for SignInOutcome {
    fn from(result: SignInResult) -> Self {
        Self {
            result,
            cookies: SetCookies::default(),
        }
    }
}

impl SignInResult {
    fn into_outcome(self) -> BoxFuture<SignInOutcome> {
        Box::pin(ready(self.into()))
    }
}

impl SignIn {
    /// Responds where a login at `provider` begins.
    pub(crate) fn start(
        self: &Arc<Self>,
        provider: &Arc<ConfiguredProvider>,
        request: &SignInRequest<'_>,
    ) -> BoxFuture<SignInOutcome> {
        let next = self.next(Query::from_uri(request.head.uri()).parameter("next"));
        if request.is_logged_in {
            return redirected(&next).into_outcome();
        }
        self.begin(provider, request, &next, false)
    }

    /// Responds to a browser that comes back from a provider.
    pub(crate) fn callback(self: &Arc<Self>, request: &SignInRequest<'_>) -> BoxFuture<SignInOutcome> {
        let (head, now) = (request.head, request.head.now());
        let refused = |status, text| self.refused(request, status, text).into_outcome();
        let query = head.uri().query().unwrap_or_default();
        let Ok(response) = AuthorizationResponse::parse(query.as_bytes()) else {
            return refused(StatusCode::BAD_REQUEST, INVALID);
        };
        let state = response.state().unwrap_or_default();
        let mut providers = self.providers.iter();
        let found = providers.find_map(|provider| Some((provider, provider.states.read(state, now)?)));
        let Some((provider, state)) = found else {
            return refused(StatusCode::FORBIDDEN, INVALID);
        };
        let sent = RequestCookies::from_headers(head.headers()).ok();
        let remembered = sent.and_then(|sent| provider.states.remembered(&state, &sent, now));
        if state.is_expired(now) {
            if state.is_second_try {
                return refused(StatusCode::FORBIDDEN, EXPIRED);
            }
            let next = self.next(remembered.and_then(|login| login.next));
            return self.begin(provider, request, &next, true);
        }
        let Some(login) = remembered else {
            if request.is_logged_in {
                return redirected(&self.home).into_outcome();
            }
            return refused(StatusCode::FORBIDDEN, NO_COOKIE);
        };
        let Some(redirect_uri) = self.redirect_uri(request) else {
            return refused(StatusCode::BAD_REQUEST, INVALID);
        };
        let conclusion = Conclusion {
            sign_in: Arc::clone(self),
            provider: Arc::clone(provider),
            clock: Arc::clone(request.clock),
            page_style: request.page_style.clone(),
            https: request.https,
            redirect_uri,
            response,
            login,
        };
        Box::pin(conclusion.run())
    }

    /// Returns where a login leads: to `next` if that is a page of this server, else to the home page.
    fn next(&self, next: Option<impl AsRef<[u8]>>) -> NextUrl {
        let mut closed = vec![&*self.callback_path, &*self.login_path, &*self.logout_path];
        closed.extend(self.providers.iter().map(|provider| &*provider.path));
        let policy = RedirectPolicy::new(&self.base_url).excluding(&closed);
        next.and_then(|next| NextUrl::parse(next, policy))
            .unwrap_or_else(|| self.home.clone())
    }

    /// The redirect URI as the browser sees it.
    fn redirect_uri(&self, request: &SignInRequest<'_>) -> Option<String> {
        let origin = request.origin.as_deref()?;
        Some(format!("{origin}{}", self.callback_path))
    }

    /// Redirects to the provider.
    fn begin(
        self: &Arc<Self>,
        provider: &Arc<ConfiguredProvider>,
        request: &SignInRequest<'_>,
        next: &NextUrl,
        is_second_try: bool,
    ) -> BoxFuture<SignInOutcome> {
        let head = request.head;
        let Some(redirect_uri) = self.redirect_uri(request) else {
            return self
                .refused(request, StatusCode::BAD_REQUEST, INVALID)
                .into_outcome();
        };
        let sent = RequestCookies::from_headers(head.headers()).ok();
        let verifier = CodeVerifier::generate();
        let (state, cookies) = provider.states.begin(
            &verifier,
            Some(next.as_str()),
            is_second_try,
            sent.as_ref(),
            head.now(),
            request.https,
        );
        let (sign_in, provider) = (Arc::clone(self), Arc::clone(provider));
        let (page_style, next) = (request.page_style.clone(), next.clone());
        Box::pin(async move {
            let url = provider
                .provider
                .authorization_url(&redirect_uri, state, &verifier)
                .await;
            let url = url.and_then(|url| HeaderValue::try_from(url).map_err(SignInError::unavailable));
            match url {
                Ok(url) => SignInOutcome {
                    result: SignInResult::Redirect(redirect(StatusCode::FOUND, url)),
                    cookies,
                },
                Err(error) => sign_in.failed(&page_style, &error, &provider, &next).into(),
            }
        })
    }

    /// Refuses a request that no login of this browser can have led to.
    fn refused(&self, request: &SignInRequest<'_>, status: StatusCode, text: &str) -> SignInResult {
        let page = page(request.page_style, status, text, &self.login_path);
        SignInResult::Failed(Box::new(page), SignInFailure::Denied(Reason::CrossSite))
    }

    fn failed(
        &self,
        style: &PageStyle,
        error: &SignInError,
        provider: &ConfiguredProvider,
        next: &NextUrl,
    ) -> SignInResult {
        let cause = BackendError::new(error.to_string());
        let mut again = format!("{}?next=", provider.path);
        percent::form_encode(next.as_str().as_bytes(), &mut again);
        let response = match error {
            SignInError::Unavailable(_) => {
                let denial = Denial::new(Reason::Unavailable).with_retry_after(cause.retry_after());
                let page = page(style, StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE, &again);
                retry_after(page, &denial)
            }
            SignInError::Rejected(_) => page(style, StatusCode::FORBIDDEN, REJECTED, &again),
        };
        SignInResult::Failed(Box::new(response), SignInFailure::Provider(cause))
    }
}

fn redirected(next: &NextUrl) -> SignInResult {
    SignInResult::Redirect(redirect(StatusCode::FOUND, HeaderValue::from(next)))
}

fn page(style: &PageStyle, status: StatusCode, text: &str, again: &str) -> FullResponse {
    let page = Page::new(style, "Login failed");
    let mut response = page_response(page.paragraph(text).link(again, "Try again"));
    *response.status_mut() = status;
    response
}

/// The end of a login: everything that is needed once the request is gone.
struct Conclusion {
    sign_in: Arc<SignIn>,
    provider: Arc<ConfiguredProvider>,
    clock: Arc<dyn Clock>,
    page_style: PageStyle,
    https: bool,
    redirect_uri: String,
    response: AuthorizationResponse,
    login: StateCookie,
}

/// Why a login ends without one.
enum Failure {
    Provider(SignInError),
    /// The provider, or its user, refused.
    Refused,
    Denied(Denial),
}

impl Conclusion {
    async fn run(self) -> SignInOutcome {
        let next = self.sign_in.next(self.login.next.as_deref());
        // A state is used once, whatever the end of the login.
        let mut cookies = SetCookies::default();
        self.provider
            .states
            .remove(&self.login.cookie, self.https, &mut cookies);
        let result = match self.grant().await {
            Ok((grant, provider_session)) => SignInResult::LogIn {
                grant,
                provider_session,
                next,
                marker: self.marker(),
            },
            Err(Failure::Provider(error)) => {
                self.sign_in
                    .failed(&self.page_style, &error, &self.provider, &next)
            }
            Err(Failure::Refused) => {
                let login_path = &self.sign_in.login_path;
                let page = page(&self.page_style, StatusCode::FORBIDDEN, REFUSED, login_path);
                SignInResult::Failed(Box::new(page), SignInFailure::Denied(Reason::InsufficientScope))
            }
            Err(Failure::Denied(denial)) => {
                let links = Links {
                    home: self.sign_in.home.as_str(),
                    login: None,
                    logout: None,
                };
                let mut response = page_response(denial_page(&denial, &self.page_style, &links));
                *response.status_mut() = denial.status();
                SignInResult::Failed(Box::new(response), SignInFailure::Denied(denial.reason()))
            }
        };
        SignInOutcome { result, cookies }
    }

    fn marker(&self) -> Option<HeaderValue> {
        let marker = &self.provider.marker;
        let logs_out = self.provider.provider.logs_out();
        logs_out.then(|| marker.set_cookie(b"", "1", None, self.https).ok())?
    }

    async fn grant(&self) -> Result<(Grant, Option<TokenHash>), Failure> {
        let provider = &self.provider.provider;
        provider
            .check_issuer(self.response.issuer())
            .await
            .map_err(Failure::Provider)?;
        let code = self.response.code().map_err(|error| self.refusal(error))?;
        let claims = provider
            .claims(code, &self.login.verifier, &self.redirect_uri, &*self.clock)
            .await
            .map_err(Failure::Provider)?;
        let grant = (self.provider.mapping)(&claims).map_err(Failure::Denied)?;
        if grant.has_expired(|| self.clock.now()) {
            return Err(Failure::Provider(SignInError::rejected("the grant has expired")));
        }
        Ok((grant, provider.session(&claims)))
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
}

const INVALID: &str = "The login request is not valid or has expired.";
const EXPIRED: &str = "The login took too long. Please try again.";
const NO_COOKIE: &str =
    "Your browser did not send the cookie of this login. Check that cookies are enabled, and try again.";
const UNAVAILABLE: &str = "Login is temporarily unavailable. Please try again in a moment.";
const REJECTED: &str = "The login provider's response is not valid. Please try again.";
const REFUSED: &str = "You cancelled the login, or the login provider denied it.";
