//! The walk through the decision table: every row at least once, and the rows on both sides of it.

use std::collections::BTreeSet;

use http::Request;

use super::{
    AllowedHosts, AllowedOrigins, CsrfBinding, CsrfCheck, CsrfMode, CsrfTokens, PolicyRule, RequestCsrf,
    RequestKind, RequestPolicy, TrustedProxies, csrf::tests::TestKey,
};
use crate::{
    denial::Denial,
    request::{head::RequestHead, peer::Peer},
};

/// How the request was authenticated, and with which `_xsrf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Anyone,
    /// A cookie, the argument in `X-XSRFToken`.
    Cookie(Argument),
    LoginForm(Argument),
    Token,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Argument {
    /// Signed for before the login, and sent as cookie too.
    Before,
    /// The same, without the cookie.
    BeforeAlone,
    Foreign,
    Good,
    Missing,
    Odd,
}

use Argument::{Before, BeforeAlone, Foreign, Good, Missing, Odd};
use By::{Anyone, Cookie, LoginForm, Token};

pub(super) const SESSION: CsrfBinding = CsrfBinding::Session(*b"alice\'s session.");

/// A line of the walk: its row of the table, the request line and its headers, the credential, the guards, and
/// which of them denies with which status.
type Line<'a> = (
    &'a str,
    &'a str,
    &'a [(&'a str, &'a str)],
    By,
    &'a RequestPolicy,
    Option<(PolicyRule, u16)>,
);

pub(super) const HOST: (&str, &str) = ("host", "hub.example.org");
pub(super) const OWN: (&str, &str) = ("origin", "https://hub.example.org");
pub(super) const LISTED: (&str, &str) = ("origin", "https://app.example.net");
pub(super) const EVIL: (&str, &str) = ("origin", "https://evil.example");
pub(super) const NULL: (&str, &str) = ("origin", "null");
pub(super) const SAME: (&str, &str) = ("sec-fetch-site", "same-origin");
pub(super) const NONE: (&str, &str) = ("sec-fetch-site", "none");
pub(super) const CROSS: (&str, &str) = ("sec-fetch-site", "cross-site");
pub(super) const SIBLING: (&str, &str) = ("sec-fetch-site", "same-site");
pub(super) const NAVIGATE: (&str, &str) = ("sec-fetch-mode", "navigate");
const NO_CORS: (&str, &str) = ("sec-fetch-mode", "no-cors");
const CORS: (&str, &str) = ("sec-fetch-mode", "cors");
pub(super) const DOCUMENT: (&str, &str) = ("sec-fetch-dest", "document");
const IFRAME: (&str, &str) = ("sec-fetch-dest", "iframe");
const UPGRADE: (&str, &str) = ("upgrade", "websocket");
const PROXY: (&str, &str) = ("peer", "10.0.0.1");
pub(super) const REFERER: (&str, &str) = ("referer", "https://hub.example.org/lab");
pub(super) const EVIL_REFERER: (&str, &str) = ("referer", "https://evil.example/https://hub.example.org/");

/// The guards of the walk: a site with a name, one listed origin, a proxy.
pub(super) fn site() -> RequestPolicy {
    RequestPolicy::new()
        .with_allowed_hosts(AllowedHosts::from_list(["hub.example.org"]).expect("well-formed"))
        .with_public_origin("https://hub.example.org".parse().expect("well-formed"))
        .with_allowed_origins(AllowedOrigins::parse(["https://app.example.net"]).expect("well-formed"))
        .with_trusted_proxies(TrustedProxies::parse("10.0.0.1").expect("well-formed"))
}

fn decision_on(line: Line<'_>) -> Result<(), Denial> {
    let (_, target, fields, by, guards, _) = line;
    let (method, target) = target.split_once(' ').expect("a method and a target");
    let xsrf = CsrfTokens::new(TestKey(b"own"));
    let binding = if matches!(by, LoginForm(_)) {
        CsrfBinding::Anonymous
    } else {
        SESSION
    };
    let argument = match by {
        Cookie(argument) | LoginForm(argument) => argument,
        Anyone | Token => Missing,
    };
    let value = match argument {
        Before | BeforeAlone => Some(xsrf.issue(CsrfBinding::Anonymous)),
        Foreign => Some(xsrf.issue(CsrfBinding::of_session(b"bob"))),
        Good => Some(xsrf.issue(SESSION)),
        Missing => None,
        Odd => Some("2|01020304|0103|1700000000".to_owned()),
    };
    let cookie = value
        .as_deref()
        .filter(|_| argument != BeforeAlone)
        .map(str::as_bytes);

    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in fields {
        if *name == "peer" {
            let address = std::net::SocketAddr::new(value.parse().expect("an address"), 1);
            request = request.extension(Peer::Ip(address));
        } else {
            request = request.header(*name, *value);
        }
    }
    if let Some(value) = &value {
        request = request.header("x-xsrftoken", value);
    }
    let request = request.body(()).expect("well-formed");
    let head = RequestHead::new(&request);

    let target = guards.check_target(head)?;
    let proof = RequestCsrf::new(&xsrf, binding, cookie);
    let (kind, proof): (_, Option<&dyn CsrfCheck>) = match by {
        Token => return Ok(()),
        Anyone => (RequestKind::from_head(head), None),
        Cookie(_) => (RequestKind::from_head(head), Some(&proof)),
        LoginForm(_) => (RequestKind::LoginForm, Some(&proof)),
    };
    guards.check_cross_site(&target, head, kind, proof)
}

#[test]
#[expect(clippy::too_many_lines, reason = "a line per row")]
fn every_row_of_the_decision_table_decides_as_it_says() {
    let site = &site();
    let off = &site.clone().danger_allow_any_host();
    let local =
        &RequestPolicy::new().with_trusted_proxies(TrustedProxies::parse("10.0.0.1").expect("well-formed"));
    let reads = &site.clone().with_csrf_mode(CsrfMode::AllMethods);
    let never = &site.clone().with_csrf_mode(CsrfMode::OriginOnly);
    let host = |status| Some((PolicyRule::Host, status));
    let scheme = |status| Some((PolicyRule::Scheme, status));
    let method = Some((PolicyRule::Method, 405));
    let origin = Some((PolicyRule::Origin, 403));
    let fetch = Some((PolicyRule::FetchMetadata, 403));
    let xsrf = Some((PolicyRule::Csrf, 403));
    let lines: &[Line<'_>] = &[
        ("H1", "GET /", &[("host", "evil.example")], Token, off, None),
        ("H1", "GET /", &[], Token, off, None),
        ("H1", "TRACE /", &[], Token, off, method),
        ("H2", "GET /", &[], Token, site, host(400)),
        ("H2", "GET /", &[HOST, HOST], Token, site, host(400)),
        (
            "H2",
            "GET https://hub.example.org/",
            &[("host", "evil.example")],
            Token,
            site,
            host(400),
        ),
        ("H2", "GET https://evil.example/", &[HOST], Token, site, host(400)),
        (
            "H3",
            "GET /",
            &[HOST, PROXY, ("x-forwarded-host", "evil.example, hub.example.org")],
            Token,
            site,
            host(400),
        ),
        (
            "H3",
            "GET /",
            &[
                HOST,
                PROXY,
                ("x-forwarded-host", "hub.example.org"),
                ("x-forwarded-host", "hub.example.org"),
            ],
            Token,
            site,
            host(400),
        ),
        (
            "H4",
            "GET /",
            &[("host", "user@hub.example.org")],
            Token,
            site,
            host(400),
        ),
        (
            "H4",
            "GET https://user@hub.example.org/",
            &[],
            Token,
            site,
            host(400),
        ),
        (
            "H4",
            "GET /",
            &[("host", "hub.example.org:0443")],
            Token,
            site,
            host(400),
        ),
        ("H5", "GET /", &[HOST], Token, site, None),
        ("H5", "GET https://hub.example.org/", &[], Token, site, None),
        (
            "H5",
            "GET https://hub.example.org/",
            &[("host", "HUB.example.org")],
            Token,
            site,
            None,
        ),
        (
            "H5",
            "GET /",
            &[("host", "HUB.EXAMPLE.ORG:443")],
            Token,
            site,
            None,
        ),
        (
            "H5",
            "GET /",
            &[
                ("host", "backend:8000"),
                PROXY,
                ("x-forwarded-host", "hub.example.org"),
            ],
            Token,
            site,
            None,
        ),
        ("H5", "GET /", &[("host", "localhost:8888")], Token, local, None),
        ("H6", "GET /", &[("host", "evil.example")], Token, site, host(403)),
        ("H6", "GET https://evil.example/", &[], Token, site, host(403)),
        (
            "H6",
            "GET /",
            &[("host", "hub.example.org.")],
            Token,
            site,
            host(403),
        ),
        (
            "H6",
            "GET /",
            &[("host", "hub.example.org:80")],
            Token,
            site,
            host(403),
        ),
        ("H6", "GET /", &[("host", "localhost")], Token, site, host(403)),
        ("H6", "GET /", &[("host", "127.1")], Token, local, host(403)),
        (
            "H7",
            "GET /",
            &[HOST, ("x-forwarded-host", "evil.example")],
            Token,
            site,
            None,
        ),
        (
            "H7",
            "GET /",
            &[("host", "backend:8000"), ("x-forwarded-host", "hub.example.org")],
            Token,
            site,
            host(403),
        ),
        (
            "S1",
            "GET /",
            &[HOST, PROXY, ("x-forwarded-proto", "gopher")],
            Token,
            site,
            scheme(400),
        ),
        (
            "S1",
            "GET /",
            &[HOST, PROXY, ("x-forwarded-proto", ",https")],
            Token,
            site,
            scheme(400),
        ),
        (
            "S1",
            "GET /",
            &[HOST, PROXY, ("x-forwarded-proto", "https http")],
            Token,
            site,
            scheme(400),
        ),
        (
            "S1",
            "GET /",
            &[HOST, PROXY, ("x-forwarded-proto", " ")],
            Token,
            site,
            scheme(400),
        ),
        (
            "S2",
            "GET /",
            &[HOST, PROXY, ("x-forwarded-proto", "http, https")],
            Token,
            site,
            scheme(403),
        ),
        (
            "S2",
            "GET /",
            &[HOST, PROXY, ("x-forwarded-proto", "ws")],
            Token,
            site,
            scheme(403),
        ),
        (
            "S3",
            "GET /",
            &[HOST, PROXY, ("x-forwarded-proto", "https,http")],
            Token,
            site,
            None,
        ),
        (
            "S3",
            "GET /",
            &[HOST, PROXY, ("x-forwarded-proto", "https , gopher")],
            Token,
            site,
            None,
        ),
        (
            "S3",
            "GET /",
            &[HOST, PROXY, ("x-forwarded-proto", "wss")],
            Token,
            site,
            None,
        ),
        (
            "S3",
            "GET /",
            &[HOST, PROXY, ("x-forwarded-proto", "WSS, ws")],
            Token,
            site,
            None,
        ),
        (
            "S1",
            "GET /",
            &[
                ("host", "localhost"),
                PROXY,
                ("x-forwarded-proto", "http"),
                ("x-forwarded-proto", "http"),
            ],
            Token,
            local,
            scheme(400),
        ),
        (
            "S2",
            "GET /",
            &[HOST, PROXY, ("x-forwarded-proto", "http")],
            Token,
            site,
            scheme(403),
        ),
        (
            "S2",
            "GET /",
            &[
                ("host", "hub.example.org:443"),
                PROXY,
                ("x-forwarded-proto", "http"),
            ],
            Token,
            site,
            scheme(403),
        ),
        (
            "S3",
            "GET /",
            &[HOST, PROXY, ("x-forwarded-proto", "HTTPS")],
            Token,
            site,
            None,
        ),
        (
            "S3",
            "GET /",
            &[("host", "localhost"), PROXY, ("x-forwarded-proto", "http")],
            Token,
            local,
            None,
        ),
        (
            "S4",
            "GET /",
            &[HOST, ("x-forwarded-proto", "gopher")],
            Token,
            site,
            None,
        ),
        ("M1", "TRACE /", &[HOST], Token, site, method),
        (
            "M1",
            "TRACE /",
            &[("host", "evil.example")],
            Token,
            site,
            host(403),
        ),
        (
            "M2",
            "CONNECT hub.example.org:443",
            &[],
            Cookie(Good),
            site,
            method,
        ),
        ("M2", "CONNECT /", &[HOST], Cookie(Good), site, method),
        (
            "M3",
            "CONNECT https://hub.example.org/ws",
            &[OWN],
            Cookie(Missing),
            site,
            None,
        ),
        (
            "M3",
            "CONNECT https://hub.example.org/ws",
            &[EVIL],
            Cookie(Good),
            site,
            origin,
        ),
        ("M4", "PURGE /", &[HOST], Token, site, None),
        ("O1", "GET /", &[HOST, OWN, OWN], Cookie(Good), site, origin),
        (
            "O1",
            "POST /",
            &[HOST, ("origin", "https://hub.example.org/"), SAME],
            Cookie(Good),
            site,
            origin,
        ),
        (
            "O1",
            "GET /",
            &[HOST, ("origin", "NULL"), CROSS],
            Cookie(Good),
            site,
            origin,
        ),
        (
            "O1",
            "POST /",
            &[HOST, OWN, EVIL],
            LoginForm(Before),
            site,
            origin,
        ),
        ("O2", "GET /", &[HOST, SAME, SAME], Cookie(Good), site, origin),
        ("O2", "GET /", &[HOST, SAME, CROSS], Token, site, None),
        ("O3", "POST /", &[HOST, NULL, SAME], Cookie(Good), site, None),
        ("O3", "POST /", &[HOST, NULL, SAME], Cookie(Missing), site, xsrf),
        ("O3", "POST /", &[HOST, NULL, SAME], Cookie(Missing), never, None),
        ("O3", "POST /", &[HOST, NULL, SAME], LoginForm(Before), site, None),
        (
            "O3",
            "POST /",
            &[HOST, NULL, SAME, EVIL_REFERER],
            Cookie(Good),
            site,
            origin,
        ),
        (
            "O3",
            "POST /",
            &[HOST, NULL, NULL, SAME],
            Cookie(Good),
            site,
            origin,
        ),
        (
            "O3",
            "GET /ws",
            &[HOST, UPGRADE, NULL, SAME],
            Cookie(Good),
            site,
            origin,
        ),
        (
            "R1",
            "GET /",
            &[HOST, LISTED, CROSS, CORS],
            Cookie(Missing),
            site,
            None,
        ),
        (
            "R2",
            "GET /",
            &[HOST, CROSS, NAVIGATE, DOCUMENT],
            Cookie(Missing),
            site,
            None,
        ),
        (
            "R2",
            "HEAD /",
            &[HOST, SIBLING, NAVIGATE, DOCUMENT],
            Cookie(Missing),
            site,
            None,
        ),
        (
            "R3",
            "OPTIONS /",
            &[HOST, CROSS, NAVIGATE, DOCUMENT],
            Cookie(Missing),
            site,
            fetch,
        ),
        (
            "R3",
            "GET /",
            &[HOST, CROSS, NAVIGATE, IFRAME],
            Cookie(Missing),
            site,
            fetch,
        ),
        (
            "R3",
            "GET /",
            &[HOST, CROSS, NAVIGATE],
            Cookie(Missing),
            site,
            fetch,
        ),
        (
            "R3",
            "GET /",
            &[HOST, SIBLING, NO_CORS],
            Cookie(Missing),
            site,
            fetch,
        ),
        (
            "R3",
            "GET /",
            &[HOST, EVIL, CROSS, CORS],
            Cookie(Missing),
            site,
            fetch,
        ),
        (
            "R3",
            "GET /",
            &[HOST, ("sec-fetch-site", "unknown")],
            Cookie(Missing),
            site,
            fetch,
        ),
        ("R3", "GET /", &[HOST, CROSS, NO_CORS], Anyone, site, fetch),
        ("R4", "GET /", &[HOST, SAME, CORS], Cookie(Missing), site, None),
        (
            "R4",
            "GET /",
            &[HOST, NONE, NAVIGATE, DOCUMENT],
            Cookie(Missing),
            site,
            None,
        ),
        ("R5", "GET /", &[HOST, EVIL], Cookie(Missing), site, origin),
        ("R5", "GET /", &[HOST, NULL], Cookie(Missing), site, origin),
        ("R6", "GET /", &[HOST], Cookie(Missing), site, None),
        ("R6", "GET /", &[HOST, OWN], Cookie(Missing), site, None),
        ("R6", "GET /", &[HOST, LISTED], Cookie(Missing), site, None),
        ("R7", "GET /", &[HOST, SAME, CORS], Cookie(Missing), reads, xsrf),
        ("R7", "GET /", &[HOST, SAME, CORS], Cookie(Good), reads, None),
        (
            "R7",
            "GET /",
            &[HOST, SAME, NO_CORS],
            Cookie(Missing),
            reads,
            None,
        ),
        (
            "R7",
            "GET /",
            &[HOST, NONE, NO_CORS],
            Cookie(Missing),
            reads,
            xsrf,
        ),
        (
            "R7",
            "GET /",
            &[HOST, NONE, NAVIGATE],
            Cookie(Missing),
            reads,
            None,
        ),
        ("R7", "GET /", &[HOST, SAME], Cookie(Missing), reads, None),
        (
            "R7",
            "GET /",
            &[HOST, SAME, CORS, CORS],
            Cookie(Missing),
            reads,
            xsrf,
        ),
        (
            "U1",
            "POST /",
            &[HOST, EVIL, CROSS, NAVIGATE, DOCUMENT],
            Cookie(Good),
            site,
            fetch,
        ),
        ("U1", "POST /", &[HOST, OWN, CROSS], Cookie(Good), site, fetch),
        ("U1", "POST /", &[HOST, SIBLING], LoginForm(Before), site, fetch),
        ("U1", "POST /", &[HOST, CROSS], Anyone, site, fetch),
        ("U2", "POST /", &[HOST, EVIL], Cookie(Good), site, origin),
        ("U2", "POST /", &[HOST, NULL], Cookie(Good), site, origin),
        ("U2", "POST /", &[HOST, NULL, NONE], Cookie(Good), site, origin),
        ("U2", "POST /", &[HOST, EVIL], LoginForm(Before), site, origin),
        ("U3", "POST /", &[HOST, EVIL_REFERER], Cookie(Good), site, origin),
        (
            "U3",
            "POST /",
            &[HOST, EVIL_REFERER, SAME],
            Cookie(Good),
            site,
            origin,
        ),
        (
            "U3",
            "POST /",
            &[HOST, ("referer", "")],
            Cookie(Good),
            site,
            origin,
        ),
        (
            "U3",
            "POST /",
            &[HOST, REFERER, REFERER],
            Cookie(Good),
            site,
            origin,
        ),
        ("U3", "POST /", &[HOST, REFERER], Cookie(Good), site, None),
        (
            "U3",
            "POST /",
            &[HOST, OWN, EVIL_REFERER],
            Cookie(Good),
            site,
            None,
        ),
        ("U4", "POST /", &[HOST, OWN, SAME], Cookie(Missing), site, xsrf),
        ("U4", "POST /", &[HOST, OWN, SAME], Cookie(Odd), site, xsrf),
        (
            "U4",
            "POST /",
            &[HOST, LISTED, CROSS],
            Cookie(Missing),
            site,
            xsrf,
        ),
        ("U4", "PURGE /", &[HOST, OWN], Cookie(Missing), site, xsrf),
        ("U5", "POST /", &[HOST, OWN, SAME], Cookie(Good), site, None),
        ("U5", "DELETE /", &[HOST], Cookie(Good), site, None),
        ("U5", "PUT /", &[HOST, LISTED, CROSS], Cookie(Good), site, None),
        ("U6", "POST /", &[HOST], Cookie(Before), site, None),
        ("U7", "POST /", &[HOST], Cookie(BeforeAlone), site, xsrf),
        ("U7", "POST /", &[HOST, OWN], Cookie(Before), site, xsrf),
        ("U6", "POST /", &[HOST, SAME], Cookie(Before), site, None),
        ("U6", "POST /", &[HOST, SAME], Cookie(Foreign), site, None),
        ("U7", "POST /", &[HOST, SAME], Cookie(BeforeAlone), site, xsrf),
        ("U7", "POST /", &[HOST, SAME], Cookie(Before), reads, xsrf),
        ("U7", "POST /", &[HOST, SAME], Cookie(Foreign), reads, xsrf),
        ("U7", "POST /", &[HOST, REFERER], Cookie(Before), site, xsrf),
        ("U7", "POST /", &[HOST, OWN], Cookie(Foreign), site, xsrf),
        ("U8", "POST /", &[HOST], Anyone, site, None),
        ("U8", "POST /", &[HOST, EVIL], Anyone, site, origin),
        ("U9", "POST /", &[HOST, SAME], Cookie(Missing), never, None),
        ("U9", "POST /", &[HOST, OWN], Cookie(Missing), never, None),
        (
            "U9",
            "POST /",
            &[HOST, LISTED, CROSS],
            Cookie(Missing),
            never,
            None,
        ),
        ("U10", "POST /", &[HOST], Cookie(Good), never, None),
        ("U10", "POST /", &[HOST], Cookie(Before), never, None),
        ("U10", "POST /", &[HOST, REFERER], Cookie(Good), never, None),
        ("U11", "POST /", &[HOST], Cookie(Missing), never, origin),
        ("U11", "POST /", &[HOST, NONE], Cookie(Good), never, origin),
        ("U11", "POST /", &[HOST, REFERER], Cookie(Before), never, origin),
        ("L1", "POST /", &[HOST, OWN, SAME], LoginForm(Before), site, None),
        ("L1", "POST /", &[HOST], LoginForm(Before), never, None),
        (
            "L2",
            "POST /",
            &[HOST, OWN, SAME],
            LoginForm(BeforeAlone),
            site,
            xsrf,
        ),
        ("L2", "POST /", &[HOST, OWN, SAME], LoginForm(Good), site, xsrf),
        (
            "L2",
            "POST /",
            &[HOST, OWN, SAME],
            LoginForm(Missing),
            never,
            xsrf,
        ),
        (
            "W1",
            "GET /ws",
            &[HOST, UPGRADE, LISTED, CROSS],
            Cookie(Missing),
            site,
            None,
        ),
        (
            "W2",
            "GET /ws",
            &[HOST, UPGRADE, OWN, SAME],
            Cookie(Missing),
            site,
            None,
        ),
        (
            "W2",
            "GET /ws",
            &[HOST, UPGRADE, OWN],
            Cookie(Missing),
            never,
            None,
        ),
        ("W3", "GET /ws", &[HOST, UPGRADE], Cookie(Good), site, None),
        ("W3", "GET /ws", &[HOST, UPGRADE], Cookie(Before), site, None),
        ("W3", "GET /ws", &[HOST, UPGRADE], Cookie(Good), never, None),
        ("W4", "GET /ws", &[HOST, UPGRADE], Anyone, site, None),
        ("W5", "GET /ws", &[HOST, UPGRADE, EVIL], Anyone, site, origin),
        ("W5", "GET /ws", &[HOST, UPGRADE], Cookie(Missing), site, origin),
        (
            "W5",
            "GET /ws",
            &[HOST, UPGRADE],
            Cookie(BeforeAlone),
            site,
            origin,
        ),
        (
            "W5",
            "GET /ws",
            &[HOST, UPGRADE, REFERER],
            Cookie(Before),
            site,
            origin,
        ),
        ("W5", "GET /ws", &[HOST, UPGRADE], Cookie(Missing), never, origin),
        (
            "W5",
            "GET /ws",
            &[HOST, UPGRADE, SAME],
            Cookie(Good),
            site,
            origin,
        ),
        (
            "W5",
            "GET /ws",
            &[HOST, UPGRADE, OWN, SIBLING],
            Cookie(Good),
            site,
            origin,
        ),
        (
            "W5",
            "GET /ws",
            &[HOST, UPGRADE, EVIL],
            Cookie(Good),
            site,
            origin,
        ),
        (
            "W5",
            "GET /ws",
            &[HOST, UPGRADE, NULL],
            Cookie(Good),
            site,
            origin,
        ),
        (
            "W5",
            "GET /ws",
            &[HOST, ("upgrade", "h2c, WebSocket/13"), EVIL],
            Cookie(Good),
            site,
            origin,
        ),
        (
            "W5",
            "GET /ws",
            &[HOST, ("upgrade", "h2c"), UPGRADE, EVIL, CROSS],
            Cookie(Good),
            site,
            origin,
        ),
        (
            "R6",
            "GET /",
            &[HOST, ("upgrade", "h2c")],
            Cookie(Missing),
            site,
            None,
        ),
    ];

    let mut wrong = Vec::new();
    for line in lines {
        let found = decision_on(*line).err().map(|denial| {
            let rule = PolicyRule::from_denial(&denial).expect("a guard refused");
            (rule, denial.status().as_u16())
        });
        if found != line.5 {
            wrong.push(format!(
                "{} {} {:?} {:?}: wanted {:?}, found {found:?}",
                line.0, line.1, line.2, line.3, line.5
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let walked: BTreeSet<&str> = lines.iter().map(|line| line.0).collect();
    let documented: BTreeSet<&str> = include_str!("mod.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! | ")?.split_once(" |").map(|(row, _)| row))
        .filter(|row| row.ends_with(|last: char| last.is_ascii_digit()))
        .collect();
    assert_eq!(walked, documented, "the table and the walk name the same rows");
}

#[test]
fn other_headers_never_change_a_decision() {
    let site = &site();
    let other_headers = [
        ("x-forwarded-uri", "/health"),
        ("x-original-url", "/login"),
        ("x-http-method-override", "GET"),
        ("forwarded", "host=evil.example;proto=http"),
        ("x-sec-fetch-site", "same-origin"),
        ("user-agent", "kube-probe/1.0"),
    ];
    for (target, fields, by) in [
        ("POST /", &[HOST, EVIL, CROSS][..], Cookie(Good)),
        ("POST /", &[HOST, OWN, SAME], Cookie(Good)),
        ("GET /", &[HOST, CROSS, NO_CORS], Cookie(Missing)),
        ("GET /", &[("host", "evil.example")], Token),
        ("GET /ws", &[HOST, UPGRADE], Cookie(Missing)),
        ("GET /", &[HOST, PROXY], Token),
    ] {
        let before = decision_on(("", target, fields, by, site, None)).is_ok();
        for other_header in other_headers {
            let with: Vec<_> = fields.iter().copied().chain([other_header]).collect();
            let after = decision_on(("", target, &with, by, site, None)).is_ok();
            assert_eq!(before, after, "{target} {fields:?} {other_header:?}");
        }
    }
}
