//! The login at the hub, and the way back from it.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, Method, StatusCode, header::RETRY_AFTER};

use super::{
    answers::Word,
    authenticator::session_by_cookie,
    hub_auth::{HubAuth, HubAuthInner, PROTOCOL_VERSION},
    shares::Share,
};
use crate::{
    cookies::{Lifetime, RequestCookies, SetCookies},
    digest::sha256,
    error::{BackendError, BoxError},
    event::{Event, RedactedPath},
    html::{Page, PageStyle},
    maybe_future::MaybeFuture,
    middleware::{
        cookies::is_https,
        endpoint::{Endpoint, EndpointRequest, not_allowed},
        error_response::{FullResponse, page_response, redirect},
        external_login::ExternalLogin,
        form::UrlEncodedForm,
        state::AuthState,
    },
    oauth::{CallbackError, OAuthCallback, OAuthErrorKind, PendingLogin},
    redirect::{NextUrl, RedirectPolicy},
    request::{
        head::RequestHead,
        page_request::is_page_request,
        query::{Query, TokenBuffer},
    },
};

static VERSION: HeaderName = HeaderName::from_static("x-jupyterhub-version");

impl HubAuth {
    pub(crate) fn external_login(&self) -> Arc<dyn ExternalLogin> {
        Arc::new(HubLogin(Arc::clone(&self.0)))
    }

    /// The built-in path to which the hub redirects browsers.
    pub(crate) fn callback(&self) -> (Box<str>, Box<dyn Endpoint>) {
        (
            self.0.callback_path.clone(),
            Box::new(CallbackEndpoint(Arc::clone(&self.0))),
        )
    }

    pub(crate) fn keyring(&self) -> &crate::cookies::Keyring {
        &self.0.keyring
    }

    pub(crate) fn public_origin(&self) -> Option<&crate::request_policy::Origin> {
        self.0.public_origin.as_ref()
    }
}

struct HubLogin(Arc<HubAuthInner>);

impl ExternalLogin for HubLogin {
    fn login_redirect(&self, head: RequestHead<'_>, https: bool) -> Option<FullResponse> {
        if !self.0.leads_to_login(head) {
            return None;
        }
        let next = NextUrl::from_request_uri(head.uri(), RedirectPolicy::new(&self.0.base_url));
        let sent = RequestCookies::from_headers(head.headers()).ok();
        let login = self
            .0
            .oauth
            .start_login(Some(next.as_str()), sent.as_ref(), head.now(), https);
        let (location, cookies) = login.into_parts();
        Some(with_version(redirected(location, cookies)))
    }

    fn logout_url(&self) -> HeaderValue {
        self.0.logout.clone()
    }

    fn persist_token(&self, head: RequestHead<'_>, https: bool, cookies: &mut SetCookies) {
        // Another site can cause any other request unseen, such as a WebSocket handshake.
        if !self.0.token_in_url || !is_page_request(head) {
            return;
        }
        let mut buffer = TokenBuffer::default();
        if let Ok(Some(token)) = Query::from_uri(head.uri()).token(&mut buffer)
            && !token.is_oversized()
            && let Ok(line) = self
                .0
                .jar
                .set_cookie(token.expose().as_bytes(), head.now(), https)
        {
            cookies.push_overriding(line);
        }
    }

    fn remove_cookies(
        &self,
        head: RequestHead<'_>,
        https: bool,
        with_pending_logins: bool,
        cookies: &mut SetCookies,
    ) {
        // At the path of this server alone: above it are the hub's and other servers'.
        if let Some(line) = self.0.jar.removal_cookie(https) {
            cookies.push_overriding(line);
        }
        if with_pending_logins && let Ok(sent) = RequestCookies::from_headers(head.headers()) {
            self.0.oauth.clear_all_logins(&sent, https, cookies);
            self.0.end_logins(&sent, head);
        }
    }
}

impl HubAuthInner {
    /// Ends every login whose cookie came with this request, and forgets what the hub said about its token.
    fn end_logins(&self, sent: &RequestCookies<'_>, head: RequestHead<'_>) {
        let (time, now) = (head.now(), head.monotonic_now());
        self.jar.for_host(b"").decode_each(
            sent,
            || time,
            |opened| {
                let token = sha256(opened.payload());
                self.ended_logins.end(token, &opened, time, now);
                self.verifier.invalidate(token, now);
            },
        );
    }

    /// Whether the request is sent to the login: a page request, but not one for the API.
    fn leads_to_login(&self, head: RequestHead<'_>) -> bool {
        let path = self.base_url.strip_prefix(head.uri().path());
        let is_for_api = path.is_some_and(|path| path.split('/').next() == Some("api"));
        !is_for_api && is_page_request(head)
    }

    /// The remembered target, if it is a URL of this server and not part of a login or logout.
    fn next(&self, next: Option<&str>) -> NextUrl {
        let logout = self.base_url.join("logout");
        let closed = [&*self.callback_path, logout.as_str()];
        next.and_then(|next| NextUrl::parse(next, RedirectPolicy::new(&self.base_url).excluding(&closed)))
            .unwrap_or_else(|| NextUrl::base(&self.base_url))
    }
}

/// The endpoint to which the hub redirects browsers.
///
/// | request | answer |
/// |---|---|
/// | state and cookie are valid, the hub gives a token for the code | the cookies of a login, 302 to the page |
/// | state is valid and older than ten minutes | once more to the hub; the second time 403 |
/// | state is valid, its cookie is missing, and the browser has a session | 302 to the base |
/// | any other state, or none | 403, or 400 |
/// | an error of the hub instead of a code | 400 |
/// | the hub refuses the code, or does not know its own token | 403 |
/// | the hub does not answer | 503 |
struct CallbackEndpoint(Arc<HubAuthInner>);

impl Endpoint for CallbackEndpoint {
    fn get(&self, request: &EndpointRequest<'_>) -> MaybeFuture<FullResponse> {
        let hub = &self.0;
        let head = request.head;
        // A code can be used once: only a request that reads the response may use it.
        if *head.method() != Method::GET {
            return with_version(not_allowed()).into();
        }
        let https = is_https(&request.target, head);
        let sent = RequestCookies::from_headers(head.headers()).ok();
        let query = head.uri().query().unwrap_or_default().as_bytes();
        let login = match hub.oauth.handle_callback(query, sent.as_ref(), head.now(), https) {
            Ok(OAuthCallback::ExchangeCode(login)) => login,
            Ok(OAuthCallback::Restart(login)) => {
                let (location, cookies) = login.into_parts();
                return with_version(redirected(location, cookies)).into();
            }
            Err(CallbackError::MissingCookie) if request.session.is_some() => {
                return with_version(redirect(StatusCode::FOUND, HeaderValue::from(&hub.next(None)))).into();
            }
            Err(error) => {
                request
                    .state()
                    .log_denied(crate::denial::Reason::CrossSite, head, &request.target);
                return hub
                    .error_page(
                        &request.state().error_responder.page_style,
                        error.status(),
                        &error_text(&error),
                        None,
                        None,
                    )
                    .into();
            }
        };
        let conclusion = CodeExchange {
            hub: Arc::clone(hub),
            auth_state: Arc::clone(request.state()),
            head: head.to_request(),
            client: request.client(),
            login,
            https,
        };
        MaybeFuture::from_future(conclusion.run())
    }

    fn post(&self, _: &EndpointRequest<'_>, _: &UrlEncodedForm) -> MaybeFuture<FullResponse> {
        with_version(not_allowed()).into()
    }
}

/// A login whose token is still to be requested.
struct CodeExchange {
    hub: Arc<HubAuthInner>,
    auth_state: Arc<AuthState>,
    head: http::Request<()>,
    client: Option<std::net::IpAddr>,
    login: PendingLogin,
    https: bool,
}

impl CodeExchange {
    async fn run(self) -> FullResponse {
        let Self {
            hub,
            auth_state,
            head,
            client,
            login,
            https,
        } = self;
        let clock = &*auth_state.clock;
        let style = &auth_state.error_responder.page_style;
        let unavailable = |error: BoxError, retry_after: Duration| {
            let unavailable = BackendError::new(error).with_retry_after(retry_after);
            auth_state.emit(&Event::Unavailable {
                error: &**unavailable.cause(),
                path: RedactedPath::new(&hub.callback_path),
            });
            let text = "The hub is temporarily unavailable. Please try again in a moment.";
            hub.error_page(
                style,
                StatusCode::SERVICE_UNAVAILABLE,
                text,
                Some(retry_after),
                None,
            )
        };
        let sent_at = clock.monotonic_now();
        let _permit = match hub.verifier.allow(Share::Callback, sent_at) {
            Ok(permit) => permit,
            Err(failure) => {
                let failure = BackendError::from(failure);
                let retry_after = failure.retry_after();
                return unavailable(failure.cause().to_string().into(), retry_after);
            }
        };
        let result = hub.verifier.api.redeem(login.token_request()).await;
        hub.verifier.record(&result, sent_at);
        let mut cookies = SetCookies::default();
        hub.oauth.clear_login(&login, https, &mut cookies);
        let answer = match result {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                let text = match error.kind() {
                    OAuthErrorKind::InvalidGrant => {
                        "The authorization code is invalid or has already been used."
                    }
                    OAuthErrorKind::InvalidClient => {
                        "The hub does not recognize this server. It may have been restarted."
                    }
                    _ => "The hub rejected the login.",
                };
                let failure = BackendError::new(format!("the hub refused a code: {error}"));
                auth_state.emit(&Event::Unavailable {
                    error: &**failure.cause(),
                    path: RedactedPath::new(&hub.callback_path),
                });
                return hub.error_page(style, StatusCode::FORBIDDEN, text, None, Some(cookies));
            }
            Err(failure) => return unavailable(failure.into(), Duration::from_secs(5)),
        };
        let token = answer.access_token();
        let head = RequestHead::new(&head).replace_clock(clock);
        let hash = sha256(token.expose());
        let key = hub.key(hash, RequestCookies::from_head(head).ok());
        let grant = match hub.verifier.insert_new(token, key, clock).await {
            Ok(Word::Allowed(grant)) => grant,
            Ok(Word::Forbidden) => {
                let text = "You are logged in, but your account does not have access to this server.";
                return hub.error_page(style, StatusCode::FORBIDDEN, text, None, Some(cookies));
            }
            Ok(Word::Unknown) => {
                let text = "The hub issued an invalid token.";
                return hub.error_page(style, StatusCode::FORBIDDEN, text, None, Some(cookies));
            }
            Err(failure) => {
                let failure = BackendError::from(failure);
                let retry_after = failure.retry_after();
                return unavailable(failure.cause().to_string().into(), retry_after);
            }
        };
        auth_state.emit(&Event::LoggedIn {
            identity: grant.identity(),
            client,
        });
        let mut set = SetCookies::default();
        let mut jar = hub.jar.clone();
        // The cookie ends with the token; 0 says nothing.
        let life = answer
            .expires_in()
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs);
        if let Some(life) = life.filter(|life| *life < jar.lifetime().absolute_timeout()) {
            jar = jar.with_lifetime(Lifetime::absolute(life));
        }
        match jar.set_cookie(token.expose(), clock.now(), https) {
            Ok(line) => set.push_overriding(line),
            Err(error) => return unavailable(error.into(), Duration::from_secs(5)),
        }
        auth_state
            .xsrf_cookie
            .renew(&session_by_cookie(grant, &hash), https, &mut set);
        for line in cookies.iter() {
            set.push_overriding(line.clone());
        }
        let location = HeaderValue::from(&hub.next(login.next()));
        with_version(redirected(location, set))
    }
}

impl HubAuthInner {
    /// A page that says what went wrong, with the way to try again.
    fn error_page(
        &self,
        style: &PageStyle,
        status: StatusCode,
        text: &str,
        retry_after: Option<Duration>,
        cookies: Option<SetCookies>,
    ) -> FullResponse {
        let page = Page::new(style, "Login failed")
            .paragraph(text)
            .link(self.base_url.as_str(), "Try again");
        let mut response = page_response(page);
        *response.status_mut() = status;
        if let Some(after) = retry_after {
            let seconds = HeaderValue::from(after.as_secs().max(1));
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        cookies.unwrap_or_default().append_to(response.headers_mut());
        with_version(response)
    }
}

/// The text for the user. The provider's own words are quoted, escaped by the page.
fn error_text(error: &CallbackError) -> String {
    match error {
        CallbackError::MissingCookie => {
            "Your browser did not send the login cookie (oauth state does not match). Check that cookies are enabled and that \
             you are using the same address."
                .to_owned()
        }
        CallbackError::StateExpired => "The login took too long. Please try again.".to_owned(),
        CallbackError::InvalidState => {
            "The login request is not valid or has expired (oauth state does not match).".to_owned()
        }
        CallbackError::Provider(error) => {
            let mut text = String::from("Error in oauth: ");
            let _ = write!(text, "{}", error.description().unwrap_or(error.kind().as_str()));
            text
        }
    }
}

fn redirected(location: HeaderValue, cookies: SetCookies) -> FullResponse {
    let mut response = redirect(StatusCode::FOUND, location);
    cookies.append_to(response.headers_mut());
    response
}

fn with_version(mut response: FullResponse) -> FullResponse {
    response
        .headers_mut()
        .insert(&VERSION, HeaderValue::from_static(PROTOCOL_VERSION));
    response
}
