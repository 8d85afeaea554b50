//! The `_xsrf` argument of a request, checked for a session.

use std::fmt;

use http::HeaderValue;

use super::{
    csrf::{CsrfBinding, CsrfKey, CsrfTokens},
    violation::PolicyViolation,
};
use crate::{
    denial::Denial,
    request::{head::RequestHead, header_names, query::Query},
    secret,
};

/// How an `_xsrf` argument must be given, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CsrfRequirement {
    /// By the login form: signed for before the login, and equal to a cookie that was sent.
    LoginForm,
    /// By a request with a session, in the query, a field or the form.
    Session {
        /// Whether the request has none of `Sec-Fetch-Site`, Origin and Referer. Then one signed for before
        /// this login and equal to a cookie passes as well.
        browserless: bool,
        /// Whether the browser says that a page of this origin sent the request. Then one signed for whichever
        /// session and equal to a cookie passes as well: another server on this host, with the same keys, may
        /// have overwritten the cookie.
        same_origin: bool,
    },
    /// By a WebSocket handshake, and in [`CsrfMode::OriginOnly`](super::CsrfMode::OriginOnly) by every request without
    /// Origin and `Sec-Fetch-Site`: in `X-XSRFToken` alone, a field which no page can add.
    WebSocket {
        /// As above.
        browserless: bool,
    },
}

/// Something that can prove by `_xsrf` that a page of this server sent a request: an [`RequestCsrf`].
pub trait CsrfCheck {
    /// Nothing if the request has what is demanded.
    ///
    /// # Errors
    ///
    /// `Reason::CrossSite`, with Jupyter Server's error message.
    fn check(&self, head: RequestHead<'_>, demand: CsrfRequirement) -> Result<(), Denial>;
}

/// What a request's `_xsrf` argument is checked with: key, session and the cookies sent.
///
/// The argument is the first that is not empty of: the query's last `_xsrf`, the form's `_xsrf`, the fields
/// `X-XSRFToken` and `X-CSRFToken`. It is checked against the session; the cookie only carries it to the page,
/// and is compared only where no session is bound yet.
///
/// # Example
///
/// ```
/// use portcullis::{request_policy::{CsrfBinding, CsrfRequirement, CsrfCheck, CsrfTokens, CsrfKey, RequestCsrf}, RequestHead};
///
/// # fn check(key: impl CsrfKey) {
/// let guard = CsrfTokens::new(key);
/// let alice = CsrfBinding::of_session(b"alice's session");
/// let value = guard.issue(alice);
/// let request = http::Request::post("/").header("x-xsrftoken", &value).body(()).unwrap();
/// let demand = CsrfRequirement::Session { browserless: false, same_origin: false };
///
/// let hers = RequestCsrf::new(&guard, alice, Some(value.as_bytes()));
/// assert!(hers.check(RequestHead::new(&request), demand).is_ok());
///
/// let another = RequestCsrf::new(&guard, CsrfBinding::of_session(b"bob's session"), Some(value.as_bytes()));
/// let denial = another.check(RequestHead::new(&request), demand).unwrap_err();
/// assert_eq!(denial.detail(), "XSRF cookie does not match POST argument");
/// # }
/// ```
pub struct RequestCsrf<'a, K, C> {
    guard: &'a CsrfTokens<K>,
    binding: CsrfBinding,
    cookies: C,
    form: Option<&'a str>,
}

impl<'a, K, C> RequestCsrf<'a, K, C>
where
    K: CsrfKey,
    C: IntoIterator<Item = &'a [u8]> + Clone,
{
    /// The check of a request in this session; `cookies` are the values of all `_xsrf` cookies sent, in
    /// any order, read only where they matter.
    pub fn new(guard: &'a CsrfTokens<K>, binding: CsrfBinding, cookies: C) -> Self {
        Self {
            guard,
            binding,
            cookies,
            form: None,
        }
    }

    /// Default: none. The form's `_xsrf` field, for a caller that has read the form; whitespace around it is trimmed.
    #[must_use]
    pub fn with_form(self, field: Option<&'a str>) -> Self {
        Self { form: field, ..self }
    }

    fn was_sent_as_cookie(&self, value: &[u8]) -> bool {
        self.cookies
            .clone()
            .into_iter()
            .any(|cookie| secret::constant_time_eq(cookie, value))
    }
}

impl<'a, K, C> CsrfCheck for RequestCsrf<'a, K, C>
where
    K: CsrfKey,
    C: IntoIterator<Item = &'a [u8]> + Clone,
{
    fn check(&self, head: RequestHead<'_>, demand: CsrfRequirement) -> Result<(), Denial> {
        let field = |name| head.headers().get(name).map(HeaderValue::as_bytes);
        let xsrf_token = || head.header(&header_names::X_XSRFTOKEN).map(HeaderValue::as_bytes);
        let argument = match demand {
            CsrfRequirement::WebSocket { .. } => xsrf_token(),
            CsrfRequirement::LoginForm | CsrfRequirement::Session { .. } => in_query(head.uri().query())
                .or_else(|| {
                    self.form
                        .map(|field| field.trim_ascii().as_bytes())
                        .filter(|field| !field.is_empty())
                })
                .or_else(|| xsrf_token().filter(|value| !value.is_empty()))
                .or_else(|| field(&header_names::X_CSRFTOKEN)),
        };
        let argument = argument
            .filter(|argument| !argument.is_empty())
            .ok_or(PolicyViolation::XsrfMissing)?;
        let (before_login, same_origin) = match demand {
            CsrfRequirement::LoginForm => (true, false),
            CsrfRequirement::Session {
                browserless,
                same_origin,
            } => (browserless, same_origin),
            CsrfRequirement::WebSocket { browserless } => (browserless, false),
        };
        let is_for = |binding| self.guard.verify(argument, binding);
        if demand != CsrfRequirement::LoginForm
            && self.binding != CsrfBinding::Anonymous
            && is_for(self.binding)
        {
            return Ok(());
        }
        if (before_login && is_for(CsrfBinding::Anonymous) || same_origin && self.guard.is_signed(argument))
            && self.was_sent_as_cookie(argument)
        {
            return Ok(());
        }
        if CsrfTokens::<K>::is_well_formed(argument) {
            Err(PolicyViolation::XsrfMismatch.into())
        } else {
            Err(PolicyViolation::CsrfFormat.into())
        }
    }
}

impl<K, C> fmt::Debug for RequestCsrf<'_, K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("XsrfProof")
    }
}

/// The last `_xsrf` of a query, unless it is empty, or the query longer than [`Query::MAX_LEN`]. Nothing is decoded:
/// our values need no escape.
fn in_query(query: Option<&str>) -> Option<&[u8]> {
    query
        .filter(|query| query.len() <= Query::MAX_LEN)?
        .rsplit('&')
        .find_map(|pair| pair.strip_prefix("_xsrf="))
        .map(str::as_bytes)
        .filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::request_policy::csrf::tests::TestKey;

    const SESSION: CsrfBinding = CsrfBinding::Session(*b"alice\'s session.");
    const SESSION_ONLY: CsrfRequirement = CsrfRequirement::Session {
        browserless: false,
        same_origin: false,
    };
    const SAME_ORIGIN: CsrfRequirement = CsrfRequirement::Session {
        browserless: false,
        same_origin: true,
    };
    const BROWSERLESS: CsrfRequirement = CsrfRequirement::Session {
        browserless: true,
        same_origin: false,
    };

    #[test]
    fn the_argument_is_the_first_that_is_not_empty() {
        let guard = CsrfTokens::new(TestKey(b"own"));
        let good = guard.issue(SESSION);
        let bad = guard.issue(CsrfBinding::of_session(b"bob"));
        let (good, bad) = (good.as_str(), bad.as_str());
        let last = format!("_xsrf={bad}&x=1&_xsrf={good}");
        let last_bad = format!("_xsrf={good}&_xsrf={bad}");
        let query = format!("x=1&_xsrf={good}");
        let padded = format!(" {good} ");
        for (query, form, xsrf, csrf, expected) in [
            (query.as_str(), None, None, None, Ok(())),
            (last.as_str(), None, None, None, Ok(())),
            (
                last_bad.as_str(),
                None,
                None,
                None,
                Err("XSRF cookie does not match POST argument"),
            ),
            ("", Some(good), None, None, Ok(())),
            ("", Some(padded.as_str()), None, None, Ok(())),
            ("", None, Some(good), None, Ok(())),
            ("", None, None, Some(good), Ok(())),
            ("_xsrf=", Some(" "), Some(""), Some(good), Ok(())),
            (query.as_str(), Some(bad), Some(bad), Some(bad), Ok(())),
            ("", Some(good), Some(bad), None, Ok(())),
            (
                "",
                None,
                Some(bad),
                Some(good),
                Err("XSRF cookie does not match POST argument"),
            ),
            ("", None, None, None, Err("'_xsrf' argument missing from POST")),
            (
                "_xsrf=",
                None,
                None,
                None,
                Err("'_xsrf' argument missing from POST"),
            ),
            (
                "my_xsrf=1",
                None,
                None,
                None,
                Err("'_xsrf' argument missing from POST"),
            ),
            (
                "_xsrf=2|1|2|3",
                None,
                None,
                None,
                Err("'_xsrf' argument has invalid format"),
            ),
        ] {
            let mut request = Request::post(format!("/?{query}"));
            for (name, value) in [("x-xsrftoken", xsrf), ("x-csrftoken", csrf)] {
                if let Some(value) = value {
                    request = request.header(name, value);
                }
            }
            let request = request.body(()).expect("well-formed");
            let proof = RequestCsrf::new(&guard, SESSION, None).with_form(form);
            let found = proof
                .check(RequestHead::new(&request), SESSION_ONLY)
                .map_err(|denial| denial.detail());
            assert_eq!(found, expected, "{query:?} {form:?} {xsrf:?} {csrf:?}");
        }
    }

    #[test]
    fn one_from_before_the_login_needs_its_cookie_and_no_browser() {
        let guard = CsrfTokens::new(TestKey(b"own"));
        let before = guard.issue(CsrfBinding::Anonymous);
        let other = guard.issue(CsrfBinding::Anonymous);
        let after = guard.issue(SESSION);
        let ended = guard.issue(CsrfBinding::of_session(b"a session of alice that has ended"));
        let other_servers = CsrfTokens::new(TestKey(b"other")).issue(SESSION);
        let socket = CsrfRequirement::WebSocket { browserless: true };
        let (before, other, after) = (before.as_bytes(), other.as_bytes(), after.as_bytes());
        let (ended, other_servers) = (ended.as_bytes(), other_servers.as_bytes());
        for (argument, cookies, binding, demand, expected) in [
            (before, &[before][..], SESSION, BROWSERLESS, true),
            (before, &[other, before], SESSION, BROWSERLESS, true),
            (before, &[before], SESSION, socket, true),
            (before, &[before], SESSION, SESSION_ONLY, false),
            (
                before,
                &[before],
                SESSION,
                CsrfRequirement::WebSocket { browserless: false },
                false,
            ),
            (before, &[other], SESSION, BROWSERLESS, false),
            (before, &[], SESSION, BROWSERLESS, false),
            (after, &[], SESSION, SESSION_ONLY, true),
            (after, &[], SESSION, socket, true),
            (after, &[other], SESSION, SESSION_ONLY, true),
            (
                before,
                &[before],
                CsrfBinding::Anonymous,
                CsrfRequirement::LoginForm,
                true,
            ),
            (before, &[before], SESSION, CsrfRequirement::LoginForm, true),
            (
                before,
                &[other],
                CsrfBinding::Anonymous,
                CsrfRequirement::LoginForm,
                false,
            ),
            (
                before,
                &[],
                CsrfBinding::Anonymous,
                CsrfRequirement::LoginForm,
                false,
            ),
            (before, &[before], CsrfBinding::Anonymous, SESSION_ONLY, false),
            (
                after,
                &[after],
                CsrfBinding::Anonymous,
                CsrfRequirement::LoginForm,
                false,
            ),
            (after, &[after], SESSION, CsrfRequirement::LoginForm, false),
            // Another server on this host, with the same keys, has overwritten the cookie.
            (ended, &[ended], SESSION, SAME_ORIGIN, true),
            (before, &[before], SESSION, SAME_ORIGIN, true),
            (ended, &[after], SESSION, SAME_ORIGIN, false),
            (ended, &[], SESSION, SAME_ORIGIN, false),
            (ended, &[ended], SESSION, SESSION_ONLY, false),
            (ended, &[ended], SESSION, BROWSERLESS, false),
            (ended, &[ended], SESSION, socket, false),
            (other_servers, &[other_servers], SESSION, SAME_ORIGIN, false),
        ] {
            let request = Request::post("/")
                .header("x-xsrftoken", argument)
                .body(())
                .expect("well-formed");
            let proof = RequestCsrf::new(&guard, binding, cookies.iter().copied());
            let found = proof.check(RequestHead::new(&request), demand).is_ok();
            assert_eq!(
                found,
                expected,
                "{binding:?} {demand:?} {} cookies",
                cookies.len()
            );
        }
    }

    #[test]
    fn a_handshake_shows_it_in_the_one_field_that_no_page_can_add() {
        let guard = CsrfTokens::new(TestKey(b"own"));
        let good = guard.issue(SESSION);
        let demand = CsrfRequirement::WebSocket { browserless: true };
        let proof = RequestCsrf::new(&guard, SESSION, None).with_form(Some(&good));
        for (request, expected) in [
            (Request::get("/").header("x-xsrftoken", &good), true),
            (Request::get("/").header("x-csrftoken", &good), false),
            (Request::get(format!("/?_xsrf={good}")), false),
        ] {
            let request = request.body(()).expect("well-formed");
            assert_eq!(
                proof.check(RequestHead::new(&request), demand).is_ok(),
                expected,
                "{request:?}"
            );
        }
    }
}
