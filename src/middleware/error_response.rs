//! The layer's own responses: how a denial is answered for each kind of client, by [`ErrorResponder::refuse`].
//!
//! | client | how it is recognized | response |
//! |---|---|---|
//! | a gRPC client | POST, `Content-Type: application/grpc…` | 200 with `grpc-status` 16, 7, 14 …, no body: module `grpc` |
//! | a browser that loads a page | a page request: module `page_request` | a page, or a redirect to the login |
//! | a browser that posts a form | module `page_request` | a page, with a link to the login where one is missing |
//! | htmx | `HX-Request` | JSON; where a login is missing 401 with `HX-Redirect` to the login |
//! | any other client | | JSON |

use std::sync::OnceLock;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, RETRY_AFTER,
        WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
    },
};
use http_body_util::Full;

use crate::{
    denial::{Denial, Reason},
    html::{Page, PageStyle},
    middleware::{
        challenge::Challenge,
        denial_page::{Links, denial_page},
        grpc,
    },
    redirect::{NextUrl, RedirectPolicy},
    request::{
        base_url::BaseUrl,
        head::RequestHead,
        page_request::{is_htmx, is_page_request, is_posted_form},
        percent,
        query::Query,
    },
    request_policy::XSRF_MISSING,
};

/// A response of the layer itself.
pub(crate) type FullResponse = Response<Full<Bytes>>;

/// The style of the responses to denied requests.
///
/// # Example
///
/// ```
/// use portcullis::{middleware::ResponseStyle, AuthLayer, Token};
///
/// let layer = AuthLayer::builder().token(Token::generate()).response_style(ResponseStyle::jupyter()).build()?;
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseStyle(StyleKind);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum StyleKind {
    Jupyter,
    #[default]
    Plain,
}

impl ResponseStyle {
    /// By the letter of HTTP: 401 with `WWW-Authenticate` where a credential is missing or not good, 403 where
    /// no credential would help. This is the default.
    pub const fn standard() -> Self {
        Self(StyleKind::Plain)
    }

    /// As Jupyter Server and JupyterHub answer, for their clients: 403 and `{"message": …, "reason": null}` on
    /// API requests without a login; a hub client would turn 401 into 500.
    pub const fn jupyter() -> Self {
        Self(StyleKind::Jupyter)
    }
}

/// What the response to a denial depends on, in addition to the denial and the request.
#[derive(Debug, Default)]
pub(crate) struct ErrorResponder {
    pub(crate) responses: ResponseStyle,
    pub(crate) challenge: Challenge,
    pub(crate) base_url: BaseUrl,
    pub(crate) page_style: PageStyle,
    /// The path of the login page, if there is one.
    pub(crate) login_path: Option<Box<str>>,
    /// The path that leads a user to a login: the login page, or the base URL where a hub has it.
    pub(crate) login_link: Option<Box<str>>,
    /// The JSON answers to denials that are a reason and nothing more, each built when it is first needed.
    pub(crate) json_answers: JsonAnswers,
}

/// One answer for each reason.
pub(crate) type JsonAnswers = [OnceLock<Response<Bytes>>; Reason::COUNT];

impl ErrorResponder {
    /// The answer to the request with this head, which is refused by `denial`. The denial is left in its
    /// extensions.
    pub(crate) fn refuse<B: From<Bytes>>(&self, denial: Denial, head: RequestHead<'_>) -> Response<B> {
        let needs_login = is_authentication_error(denial.reason());
        let link = self.login_link.as_deref().filter(|_| needs_login);
        let response = if let Some(media_type) = grpc::media_type(head) {
            with_denial(grpc::answer(&denial, media_type), denial)
        } else if is_page_request(head) {
            let login = self.login_path.as_deref().filter(|_| needs_login);
            let response = match login {
                Some(login) if self.is_login_without_base(login, head) => self.unreachable_login(),
                Some(login) => {
                    let has_ended = denial.reason() == Reason::ExpiredCookie;
                    redirect_to_login(login, &self.base_url, head, has_ended)
                }
                None => self.page(&denial, None),
            };
            with_denial(response, denial)
        } else if is_posted_form(head) {
            with_denial(self.page(&denial, link), denial)
        } else {
            match link.filter(|_| is_htmx(head)) {
                Some(login) => self.htmx_redirect(login, denial),
                None => self.json(denial),
            }
        };
        response.map(B::from)
    }

    /// Gives the answer of a handler that returned a [`Denial`] the status and the challenge of this layer. An answer
    /// that a layer further in has completed stays as it is.
    pub(crate) fn complete<B>(&self, response: &mut Response<B>) {
        let incomplete = response.extensions_mut().remove::<HandlerDenial>();
        let Some(HandlerDenial(denial)) =
            incomplete.filter(|HandlerDenial(denial)| denial.status() == response.status())
        else {
            return;
        };
        *response.status_mut() = self.status(&denial);
        response.headers_mut().remove(WWW_AUTHENTICATE);
        self.add_headers(&denial, response.headers_mut());
    }

    /// Whether this is a request for the login page from which something in front of the layer has removed the base: a
    /// redirect to the login would come back as the same request.
    fn is_login_without_base(&self, login: &str, head: RequestHead<'_>) -> bool {
        let (path, query) = (head.uri().path(), head.uri().query());
        path != login
            && self.base_url.join(path) == login
            && query.is_some_and(|query| query.starts_with("next="))
    }

    fn unreachable_login(&self) -> Response<Bytes> {
        let page = Page::new(&self.page_style, "The login page cannot be reached")
            .paragraph("A router or a proxy removes the beginning of each path before this server sees it.")
            .muted("Set `original_uri` for a nested router, or `stripped_prefix` for a proxy.");
        let mut response = page_response(page);
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    }

    /// htmx goes to the address in `HX-Redirect`. A redirect's target it would put into the page that is shown.
    fn htmx_redirect(&self, login: &str, denial: Denial) -> Response<Bytes> {
        let challenge = self.challenge.header_for(&denial);
        let mut response = self.json(denial);
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        let headers = response.headers_mut();
        headers.insert(WWW_AUTHENTICATE, challenge);
        if let Ok(login) = HeaderValue::try_from(login) {
            headers.insert(HX_REDIRECT, login);
        }
        response
    }

    fn page(&self, denial: &Denial, login: Option<&str>) -> Response<Bytes> {
        // Where browsers log in, they log out as well.
        let logout = self.login_link.as_ref().map(|_| self.base_url.join("logout"));
        let links = Links {
            home: self.base_url.as_str(),
            login,
            logout: logout.as_deref(),
        };
        let mut response = page_response(denial_page(denial, &self.page_style, &links));
        // The substitute is for scripts; a browser handles 503 correctly.
        *response.status_mut() = match self.status(denial) {
            StatusCode::BAD_GATEWAY => denial.status(),
            status => status,
        };
        self.add_headers(denial, response.headers_mut());
        response
    }

    fn json(&self, denial: Denial) -> Response<Bytes> {
        match self.json_answers.get(denial.reason() as usize) {
            Some(answer) if denial.is_reason_alone() => {
                let answer = answer.get_or_init(|| with_denial(self.json_answer(&denial), denial));
                answer.clone()
            }
            _ => with_denial(self.json_answer(&denial), denial),
        }
    }

    fn json_answer(&self, denial: &Denial) -> Response<Bytes> {
        let mut response = Response::new(self.json_body(denial));
        *response.status_mut() = self.status(denial);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(CONTENT_SECURITY_POLICY, CSP_NONE);
        headers.insert(CACHE_CONTROL, NO_STORE);
        headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        self.add_headers(denial, headers);
        response
    }

    /// Which credential would help, and when to try again.
    fn add_headers(&self, denial: &Denial, headers: &mut HeaderMap) {
        if self.status(denial) == StatusCode::UNAUTHORIZED || denial.reason() == Reason::InsufficientScope {
            headers.insert(WWW_AUTHENTICATE, self.challenge.header_for(denial));
        }
        if let Some(after) = denial.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
    }

    fn status(&self, denial: &Denial) -> StatusCode {
        match (self.responses.0, denial.status()) {
            (StyleKind::Jupyter, StatusCode::UNAUTHORIZED) => StatusCode::FORBIDDEN,
            // JupyterLab reads 503 as "your server is not running".
            (StyleKind::Jupyter, StatusCode::SERVICE_UNAVAILABLE) => StatusCode::BAD_GATEWAY,
            (_, status) => status,
        }
    }

    fn json_body(&self, denial: &Denial) -> Bytes {
        match self.responses.0 {
            StyleKind::Plain if denial.detail().is_empty() => {
                Bytes::from_static(plain_json(denial.reason()).as_bytes())
            }
            StyleKind::Plain => {
                let hint = if denial.detail() == XSRF_MISSING {
                    XSRF_HINT
                } else {
                    ""
                };
                let (message, reason) = (json_string(&format!("{denial}{hint}")), denial.reason());
                Bytes::from(format!("{{\"message\":{message},\"reason\":\"{reason}\"}}"))
            }
            StyleKind::Jupyter => jupyter_json(denial),
        }
    }
}

/// Added to the query of the login page after `next`: the reason why it is shown.
pub(crate) const SESSION_ENDED: &str = "&session=ended";

pub(crate) const SESSION_ENDED_ALERT: &str = "Your session ended. Please log in again.";

/// The alert of a login page that is shown because a session ended, else "".
pub(crate) fn session_ended_alert(head: RequestHead<'_>) -> &'static str {
    match Query::from_uri(head.uri()).parameter("session") {
        Some(value) if *value == *b"ended" => SESSION_ENDED_ALERT,
        _ => "",
    }
}

/// Marks an answer that a handler made of a [`Denial`]: the handler does not know the challenge of the layer.
#[derive(Clone)]
struct HandlerDenial(Denial);

/// Where `_xsrf` is read. Jupyter's clients know the text before it, so it is for the standard style alone.
const XSRF_HINT: &str = ": expected it in the query, in the header X-XSRFToken, or in a form field on a route with \
                         `csrf_in_form`";

/// The answer with the denial in its extensions.
fn with_denial(mut response: Response<Bytes>, denial: Denial) -> Response<Bytes> {
    response.extensions_mut().insert(denial);
    response
}

/// A page of the layer, with the headers that keep it out of caches, frames and referrers.
pub(crate) fn page_response<B: From<Bytes>>(page: Page<'_>) -> Response<B> {
    let policy = page.content_security_policy();
    let mut response = Response::new(B::from(page.finish()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HTML);
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(REFERRER_POLICY, NO_REFERRER);
    headers.insert(OPENER_POLICY, SAME_ORIGIN);
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    response
}

impl Denial {
    /// Returns the response to this denial, for a handler that rejects a request itself.
    ///
    /// The layer in front of the handler adds its own [`Challenge`] on the way out; without a layer the realm is
    /// `portcullis`. The denial is left in the extensions of the answer.
    pub fn into_response<B: From<Bytes>>(self, head: RequestHead<'_>) -> Response<B> {
        let mut response = ErrorResponder::default().refuse(self.clone(), head);
        response.extensions_mut().insert(HandlerDenial(self));
        response
    }
}

pub(crate) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
pub(crate) const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(crate) const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const CSP_NONE: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");

/// Whether logging in would change the answer.
pub(crate) fn is_authentication_error(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ExpiredCookie
            | Reason::ExpiredToken
            | Reason::InvalidCookie
            | Reason::TokenChecksumMismatch
            | Reason::MissingCredential
            | Reason::UnknownToken
            | Reason::UnsupportedToken
            | Reason::IncorrectPassword
    )
}

/// `response`, with the time after which to try again if the denial has one.
pub(crate) fn retry_after(mut response: FullResponse, denial: &Denial) -> FullResponse {
    if let Some(after) = denial.retry_after() {
        let seconds = HeaderValue::from(after.as_secs().max(1));
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

/// A redirect that is never cached and sends no referrer.
pub(crate) fn redirect<B: Default>(status: StatusCode, location: HeaderValue) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(LOCATION, location);
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(REFERRER_POLICY, NO_REFERRER);
    response
}

/// Writes `text`, which may hold any character, as a JSON string.
fn json_string(text: &str) -> serde_json::Value {
    serde_json::Value::from(text)
}

const fn plain_json(reason: Reason) -> &'static str {
    macro_rules! json {
        ($text:literal) => {
            concat!("{\"message\":\"", $text, "\",\"reason\":\"", $text, "\"}")
        };
    }
    match reason {
        Reason::CrossSite => json!("cross-site request"),
        Reason::ExpiredCookie => json!("expired cookie"),
        Reason::ExpiredToken => json!("expired token"),
        Reason::DisallowedHost => json!("host not allowed"),
        Reason::InsufficientScope => json!("insufficient scope"),
        Reason::InvalidCookie => json!("invalid cookie"),
        Reason::Malformed => json!("malformed request"),
        Reason::TokenChecksumMismatch => json!("invalid token checksum"),
        Reason::MissingCredential => json!("missing credentials"),
        Reason::RateLimited => json!("too many attempts"),
        Reason::TooLarge => json!("too large"),
        Reason::Unavailable => json!("unavailable"),
        Reason::UnknownToken => json!("unknown token"),
        Reason::UnsupportedToken => json!("unsupported token"),
        Reason::IncorrectPassword => json!("incorrect username or password"),
    }
}

/// The originals say `Forbidden` where a login is missing, and why where something else is wrong.
fn jupyter_json(denial: &Denial) -> Bytes {
    if is_authentication_error(denial.reason()) && denial.detail().is_empty() {
        return Bytes::from_static(b"{\"message\": \"Forbidden\", \"reason\": null}");
    }
    let message = if denial.detail().is_empty() {
        denial.reason().as_str()
    } else {
        denial.detail()
    };
    let message = json_string(message);
    Bytes::from(format!("{{\"message\": {message}, \"reason\": null}}"))
}

fn redirect_to_login(
    login: &str,
    base_url: &BaseUrl,
    head: RequestHead<'_>,
    session_ended: bool,
) -> Response<Bytes> {
    // A URL of another site becomes the base, so `next` never leads elsewhere.
    let here = NextUrl::from_request_uri(head.uri(), RedirectPolicy::new(base_url));
    let mut location = format!("{login}?next=");
    percent::form_encode(here.as_str().as_bytes(), &mut location);
    if session_ended {
        location.push_str(SESSION_ENDED);
    }
    let location = HeaderValue::try_from(location).unwrap_or_else(|_| HeaderValue::from(&here));
    redirect(StatusCode::FOUND, location)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn every_text_of_a_page_can_be_translated() {
        let texts = PageStyle::texts().map(|text| (text, "\u{5b57}"));
        let page_style = PageStyle::default().with_texts("zh", texts).expect("known texts");
        let responder = ErrorResponder {
            page_style,
            login_link: Some("/login".into()),
            ..ErrorResponder::default()
        };
        for (reason, login) in [
            (Reason::MissingCredential, None),
            (Reason::MissingCredential, Some("/login")),
            (Reason::ExpiredCookie, None),
            (Reason::ExpiredCookie, Some("/login")),
            (Reason::UnknownToken, None),
            (Reason::IncorrectPassword, None),
            (Reason::CrossSite, None),
            (Reason::DisallowedHost, None),
            (Reason::InsufficientScope, None),
            (Reason::Malformed, None),
            (Reason::TooLarge, None),
            (Reason::RateLimited, None),
            (Reason::Unavailable, None),
        ] {
            let page = responder.page(&Denial::new(reason), login).into_body();
            let page = String::from_utf8(page.to_vec()).expect("text");
            let (_, body) = page.split_once("</style>").expect("a style sheet");
            let texts = body.split('<').filter_map(|part| part.split_once('>'));
            let english = |text: &str| text.contains(|character: char| character.is_ascii_alphabetic());
            let left: Vec<_> = texts.map(|(_, text)| text).filter(|text| english(text)).collect();
            assert!(left.is_empty(), "{reason}: {left:?}");
        }
    }

    #[test]
    fn denial_pages_say_what_to_do_next() {
        let responder = ErrorResponder {
            login_link: Some("/login".into()),
            ..ErrorResponder::default()
        };
        let wait = |seconds| {
            let after = std::time::Duration::from_secs(seconds);
            Denial::new(Reason::RateLimited).with_retry_after(after)
        };
        for (denial, part) in [
            (wait(1), "Try again in 2 seconds."),
            (wait(119), "Try again in 119 seconds."),
            (wait(121), "Try again in 3 minutes."),
            (wait(7_201), "Try again in 3 hours."),
            (Denial::new(Reason::RateLimited), "Please try again later."),
            (Denial::new(Reason::Unavailable), "<a href=\"\">Try again</a>"),
            (
                Denial::new(Reason::InsufficientScope),
                "<a href=\"/logout\">Use another account</a>",
            ),
            (Denial::new(Reason::CrossSite), "<a href=\"/\">Go to home</a>"),
            (
                Denial::new(Reason::DisallowedHost).with_detail("another"),
                "<code>allowed_hosts</code>",
            ),
            (Denial::new(Reason::ExpiredCookie), "Your session ended"),
        ] {
            let page = responder.page(&denial, None).into_body();
            let page = String::from_utf8(page.to_vec()).expect("text");
            assert!(page.contains(part), "{denial}: {part} in {page}");
        }
    }

    #[test]
    fn json_answer_is_kept_only_for_denials_that_are_a_reason_alone() {
        let telling = ErrorResponder::default();
        let request = Request::new(());
        let answer = |denial: Denial| {
            let response: Response<Bytes> = telling.refuse(denial, RequestHead::new(&request));
            let denial = response
                .extensions()
                .get::<Denial>()
                .expect("a denial")
                .to_string();
            let challenged = response.headers().contains_key(WWW_AUTHENTICATE);
            let waits = response.headers().contains_key(RETRY_AFTER);
            (
                response.status().as_u16(),
                challenged,
                waits,
                denial,
                response.into_body(),
            )
        };
        let malformed = || Denial::new(Reason::Malformed);
        let alone = answer(malformed());
        assert_eq!(alone.0, 400);
        let detailed = answer(malformed().with_detail("two tokens"));
        assert_eq!(detailed.3, "malformed request: two tokens");
        assert_ne!(detailed.4, alone.4);
        let challenged = answer(malformed().with_status(StatusCode::UNAUTHORIZED));
        assert_eq!((challenged.0, challenged.1), (401, true));
        assert!(answer(malformed().with_retry_after(std::time::Duration::from_secs(9))).2);
        assert_eq!(answer(malformed()), alone);
        assert_eq!(
            answer(Denial::new(Reason::IncorrectPassword)).3,
            "incorrect username or password"
        );
    }
}
