//! Removes the credentials of this gateway from requests: the application does not need them, and so cannot leak them.

use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Uri,
    header::{AUTHORIZATION, COOKIE, SET_COOKIE},
    uri::PathAndQuery,
};
use portcullis::{AuthMethod, RequestHead, Session, cookies::CookieName, request::Query};

/// What goes before the name of a cookie of the application that is called like a login's. Jupyter Server
/// names its cookie after the host as this crate does, and sets one even without authentication.
const APART: &[u8] = b"upstream-";

/// How the name of a login cookie begins. Browsers send cookies to every port of a host, so logins of other
/// servers there come along.
const LOGIN: &[u8] = b"username-";

/// Headers in which a proxy reports the user or the original request to an application, which may trust them from any
/// client. A hyphen at the end stands for every name that begins so.
///
/// [`Forward`](crate::common::forward::Forward) removes those of `X-Forwarded-` by itself.
const CLAIMS: [&str; 22] = [
    "cf-access-",
    "remote-",
    "ssl-client-",
    "tailscale-",
    "x-amzn-oidc-",
    "x-auth-email",
    "x-auth-groups",
    "x-auth-request-",
    "x-auth-user",
    "x-auth-username",
    "x-authenticated-",
    "x-authentik-",
    "x-envoy-original-path",
    "x-goog-authenticated-",
    "x-ms-client-principal-",
    "x-original-",
    "x-override-url",
    "x-pomerium-",
    "x-remote-",
    "x-rewrite-",
    "x-ssl-client-",
    "x-webauth-",
];

/// The login cookie's name in a request that was passed on without it.
pub(crate) struct Own(CookieName);

impl Own {
    /// Removes the credential of `request`. A credential that may be meant for the application stays: next to a valid
    /// cookie, a token belongs to the application.
    pub(crate) fn keep_from<B>(request: &mut Request<B>) -> Self {
        let own = Self(CookieName::server(
            RequestHead::new(request).host().unwrap_or_default(),
        ));
        own.keep_cookie(request.headers_mut());
        remove_claims(request.headers_mut());
        let session = Session::from_extensions(request.extensions());
        if session.is_some_and(|session| session.auth_method() == AuthMethod::Token) {
            if request.headers().get(AUTHORIZATION).is_some_and(is_token) {
                request.headers_mut().remove(AUTHORIZATION);
            }
            if let Some(uri) = without_token(request.uri()) {
                *request.uri_mut() = uri;
            }
        }
        own
    }

    fn keep_cookie(&self, headers: &mut HeaderMap) {
        let mut kept: Vec<Vec<u8>> = Vec::new();
        for line in headers.get_all(COOKIE) {
            for pair in line.as_bytes().split(|byte| *byte == b';') {
                let pair = pair.trim_ascii();
                let theirs = pair.strip_prefix(APART).filter(|pair| self.is_login(pair));
                if !self.is_login(pair) && !pair.is_empty() {
                    kept.push(theirs.unwrap_or(pair).to_vec());
                }
            }
        }
        headers.remove(COOKIE);
        if let Ok(line) = HeaderValue::from_bytes(&kept.join(&b"; "[..]))
            && !line.is_empty()
        {
            headers.insert(COOKIE, line);
        }
    }

    /// Whether a cookie's `name=value` is a login, of this server or of another one on this host.
    fn is_login(&self, pair: &[u8]) -> bool {
        let name = name(pair);
        let bare = [&b"__Host-"[..], b"__Secure-"]
            .into_iter()
            .find_map(|prefix| name.strip_prefix(prefix));
        name == self.0.as_str().as_bytes() || bare.unwrap_or(name).starts_with(LOGIN)
    }

    /// Gives a cookie of the application that is called like a login's another name.
    pub(crate) fn set_apart(&self, headers: &mut HeaderMap) {
        for (name, line) in headers.iter_mut() {
            let pair = line.as_bytes().trim_ascii_start();
            if name == SET_COOKIE
                && self.is_login(pair)
                && let Ok(apart) = HeaderValue::from_bytes(&[APART, pair].concat())
            {
                *line = apart;
            }
        }
    }
}

/// The name in a cookie's `name=value`, with or without attributes.
fn name(pair: &[u8]) -> &[u8] {
    let name = pair.split(|byte| matches!(byte, b'=' | b';')).next();
    name.unwrap_or_default().trim_ascii()
}

/// Removes the headers by which the client could claim another identity, or another request. Many
/// applications take `Remote_User` for `Remote-User`.
fn remove_claims(headers: &mut HeaderMap) {
    let is_claim = |name: &HeaderName| {
        let name = name.as_str().replace('_', "-");
        CLAIMS
            .iter()
            .any(|claim| name == *claim || (claim.ends_with('-') && name.starts_with(claim)))
    };
    let claims: Vec<HeaderName> = headers.keys().filter(|name| is_claim(name)).cloned().collect();
    for name in claims {
        headers.remove(name);
    }
}

/// Whether an `Authorization` header is of a scheme in which the layer takes tokens.
fn is_token(field: &HeaderValue) -> bool {
    let scheme = field
        .as_bytes()
        .split(u8::is_ascii_whitespace)
        .next()
        .unwrap_or_default();
    scheme.eq_ignore_ascii_case(b"bearer") || scheme.eq_ignore_ascii_case(b"token")
}

/// `uri` without `token`, if it has one.
fn without_token(uri: &Uri) -> Option<Uri> {
    let query = Query::from_uri(uri);
    if !query.has_token_parameter() {
        return None;
    }
    let mut place = uri.path().as_bytes().to_vec();
    let query = query.without_token();
    if !query.is_empty() {
        place.push(b'?');
        place.extend_from_slice(&query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(place).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use portcullis::{Grant, Identity};

    use super::*;

    fn passed_on(credential: AuthMethod, target: &str, fields: &[(&'static str, &str)]) -> Request<()> {
        let mut request = Request::builder().uri(target).header("host", "localhost:8888");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let session = Session::new(Grant::new(Identity::new("alice")), credential);
        let mut request = request.extension(session).body(()).expect("a request");
        let _ = Own::keep_from(&mut request);
        request
    }

    #[test]
    fn login_cookies_of_every_port_are_removed_and_no_other() {
        for (sent, expected) in [
            (&["username-localhost-8888=x"][..], None),
            (&["a=1; username-localhost-8888=\"x\"; b=2"], Some("a=1; b=2")),
            (
                &["a=1", "username-localhost-8888=x", "_xsrf=2"],
                Some("a=1; _xsrf=2"),
            ),
            (&["username-localhost-8888 =x;username-localhost-8888"], None),
            (
                &["username-localhost-9999=x; Username-localhost-8888=y"],
                Some("Username-localhost-8888=y"),
            ),
            (
                &["username-=x; __Host-username-a=x; __Secure-username-a=x; usernames=y"],
                Some("usernames=y"),
            ),
            (
                &["username-b=x; upstream-username-b=app; upstream-upstream-username-b=y"],
                Some("username-b=app; upstream-upstream-username-b=y"),
            ),
            (
                &["upstream-username-localhost-8888=app; upstream-a=1"],
                Some("username-localhost-8888=app; upstream-a=1"),
            ),
            (&[" ; ;"], None),
        ] {
            let fields: Vec<_> = sent.iter().map(|line| ("cookie", *line)).collect();
            let request = passed_on(AuthMethod::Cookie, "/", &fields);
            let found = request
                .headers()
                .get(COOKIE)
                .map(|line| line.to_str().expect("text"));
            assert_eq!(found, expected, "{sent:?}");
        }
    }

    #[test]
    fn clients_claim_no_user_and_no_other_path() {
        let claims = [
            "Remote-User",
            "Remote_User",
            "REMOTE-GROUPS",
            "X-Remote-User",
            "X_Remote-Group",
            "X-Auth-Request-Email",
            "X_Auth_Request_User",
            "X-Auth-User",
            "X-WebAuth-User",
            "X-Original-URL",
            "X_Original_URI",
            "X-Rewrite-URL",
            "X_Rewrite_URL",
        ];
        let kept = ["x-auth-token", "x-remotely", "x-requested-with", "x-xsrftoken"];
        let fields: Vec<_> = claims.iter().chain(&kept).map(|name| (*name, "admin")).collect();
        let request = passed_on(AuthMethod::Cookie, "/", &fields);
        let mut left: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, [&["host"][..], &kept].concat());
    }

    #[test]
    fn a_token_is_taken_out_if_it_is_what_let_the_request_in() {
        for (credential, authorization, target, kept, expected) in [
            (AuthMethod::Token, "Bearer x", "/a?b=1", false, "/a?b=1"),
            (AuthMethod::Token, "token x", "/a?token=x&b=1", false, "/a?b=1"),
            (AuthMethod::Token, "Basic x", "/a?token=x", true, "/a"),
            (
                AuthMethod::Cookie,
                "Bearer app",
                "/a?token=app",
                true,
                "/a?token=app",
            ),
        ] {
            let request = passed_on(credential, target, &[("authorization", authorization)]);
            assert_eq!(
                request.headers().contains_key(AUTHORIZATION),
                kept,
                "{authorization}"
            );
            assert_eq!(request.uri(), expected, "{authorization}");
        }
    }

    #[test]
    fn a_cookie_of_the_application_never_becomes_the_gateways() {
        let mut headers = HeaderMap::new();
        for line in [
            "username-localhost-8888=app; Path=/",
            "_xsrf=1; Path=/",
            " username-localhost-8888=; expires=x",
            "username-localhost-9999=app",
        ] {
            headers.append(SET_COOKIE, HeaderValue::from_static(line));
        }
        Own(CookieName::server("localhost:8888")).set_apart(&mut headers);
        let lines: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
        assert_eq!(
            lines,
            [
                "upstream-username-localhost-8888=app; Path=/",
                "_xsrf=1; Path=/",
                "upstream-username-localhost-8888=; expires=x",
                "upstream-username-localhost-9999=app"
            ]
        );
    }
}
