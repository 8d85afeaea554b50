//! Who sent a request, and where it went: the corpus of origins, and what the original makes of Host, Origin,
//! Referer and `_xsrf`.

use std::net::SocketAddr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{
    HeaderValue, Request, header::ACCESS_CONTROL_ALLOW_CREDENTIALS, header::ACCESS_CONTROL_ALLOW_ORIGIN,
};
use portcullis::{
    AllowedHosts, AllowedOrigins, Denial, Outcome, RequestHead, TrustedProxies,
    request::Peer,
    request_policy::{CsrfBinding, CsrfKey, CsrfTokens, PolicyRule, RequestCsrf, RequestKind, RequestPolicy},
};
use serde_json::Value;
use sha2::Sha256;
use url::Url;

use super::{
    Rule,
    authorization::{SERVER_TOKEN, by_token},
    check_rows, load,
};

struct Key;

impl CsrfKey for Key {
    fn mac(&self, message: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"vectors").expect("a key of any length");
        mac.update(message);
        mac.finalize().into_bytes().into()
    }
}

struct AnotherKey;

impl CsrfKey for AnotherKey {
    fn mac(&self, message: &[u8]) -> [u8; 32] {
        Key.mac(message).map(|byte| !byte)
    }
}

const SESSION: CsrfBinding = CsrfBinding::Session(*b"alice\'s session.");

/// What a guard made of a row: nothing, or the rule that refused.
type RuleResult = Option<&'static str>;

const PASSED: RuleResult = None;
/// For rows of the original, whose statuses name no rule.
const REFUSED: RuleResult = Some("refused");

fn rule(denial: &Denial) -> &'static str {
    match PolicyRule::from_denial(denial) {
        Some(PolicyRule::FetchMetadata) => "fetch",
        Some(PolicyRule::Host) => "host",
        Some(PolicyRule::Method) => "method",
        Some(PolicyRule::Origin) => "origin",
        Some(PolicyRule::Scheme) => "scheme",
        Some(PolicyRule::Csrf) => "xsrf",
        _ => "no guard",
    }
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array()
        .into_iter()
        .flatten()
        .map(|entry| entry.as_str().expect("a text"))
        .collect()
}

/// A field as a row has it: one byte a character, as the originals read it.
fn field(value: &str) -> HeaderValue {
    let bytes: Vec<u8> = value
        .chars()
        .map(|byte| u8::try_from(u32::from(byte)).expect("latin-1"))
        .collect();
    HeaderValue::from_bytes(&bytes).expect("bytes a field may hold")
}

// ---- the corpus

#[test]
fn requests_of_other_sites_are_refused_by_the_rule_the_corpus_names() {
    let Some(whole) = load("attacks/origins.json") else {
        return;
    };
    let expected = |case: &Value| match case["verdict"].as_str() {
        Some("allow") => PASSED,
        _ => Some(match case["reason"].as_str().expect("a refusal has a reason") {
            "fetch" => "fetch",
            "host" => "host",
            "method" => "method",
            "origin" => "origin",
            "scheme" => "scheme",
            "xsrf" => "xsrf",
            other => panic!("unknown reason {other}"),
        }),
    };
    check_rows("attacks/origins.json", &[], expected, |case| {
        let site = &whole["sites"][case["site"].as_str().expect("a site")];
        decide(&guards(site), &case["request"])
            .err()
            .map(|denial| rule(&denial))
    });
}

/// A site as an operator would configure it. Of one without a proxy every listed host is its own origin, by
/// the scheme it is known to use; the origin of one behind a proxy must be configured.
fn guards(site: &Value) -> RequestPolicy {
    let guards = RequestPolicy::new()
        .with_allowed_hosts(AllowedHosts::from_list(texts(&site["hosts"])).expect("hosts"))
        .with_allowed_origins(AllowedOrigins::parse(texts(&site["allow_origins"])).expect("origins"))
        .with_https(site["own_tls"].as_bool().expect("own_tls"));
    let proxies = texts(&site["trusted_proxies"]).join(",");
    if proxies.is_empty() {
        return guards;
    }
    let public = site["external_origin"].as_str().expect("an origin");
    guards
        .with_trusted_proxies(TrustedProxies::parse(&proxies).expect("proxies"))
        .with_public_origin(public.parse().expect("an origin"))
}

fn decide(guards: &RequestPolicy, row: &Value) -> Result<(), Denial> {
    let xsrf = CsrfTokens::new(Key);
    let login_form = row["login_form"] == true;
    let binding = if login_form {
        CsrfBinding::Anonymous
    } else {
        SESSION
    };
    let argument = match row["xsrf"].as_str().expect("xsrf") {
        "valid" => Some(xsrf.issue(binding)),
        // Of another server: one of this server for another session may pass where the browser says `same-origin`.
        "wrong" => Some(CsrfTokens::new(AnotherKey).issue(binding)),
        _ => None,
    };
    let mut request = Request::builder()
        .method(row["method"].as_str().expect("a method"))
        .uri("/x");
    for pair in row["headers"].as_array().expect("headers") {
        request = request.header(
            pair[0].as_str().expect("a name"),
            field(pair[1].as_str().expect("a value")),
        );
    }
    if row["websocket"] == true {
        request = request
            .header("connection", "Upgrade")
            .header("upgrade", "websocket");
    }
    if let Some(argument) = &argument {
        request = request.header("x-xsrftoken", argument);
    }
    let peer = row["peer"].as_str().expect("a peer").parse().expect("an address");
    let request = request
        .extension(Peer::Ip(SocketAddr::new(peer, 40_000)))
        .body(())
        .expect("a request");
    let head = RequestHead::new(&request);

    let target = guards.check_target(head)?;
    let proof = RequestCsrf::new(&xsrf, binding, argument.as_deref().map(str::as_bytes));
    match row["auth"].as_str().expect("auth") {
        _ if login_form => guards.check_cross_site(&target, head, RequestKind::LoginForm, Some(&proof)),
        "cookie" => guards.check_cross_site(&target, head, RequestKind::from_head(head), Some(&proof)),
        _ => Ok(()),
    }
}

// ---- Host

#[test]
fn hosts_are_checked_as_in_jupyter_or_by_decision() {
    let rules = [
        Rule {
            decision: "23",
            reason: "with the check off no Host is looked at; what it must look like is the HTTP layer's to say",
            result: |case| (case["allow_remote_access"] == true).then_some(PASSED),
        },
        Rule {
            decision: "23",
            reason: "a port is a number of 16 bits without leading zeros",
            result: |case| {
                let (_, port) = host(case)?.rsplit_once(':')?;
                let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
                let odd = port
                    .parse::<u16>()
                    .map_or(true, |number| number.to_string() != port);
                (digits && odd).then_some(REFUSED)
            },
        },
        Rule {
            decision: "23",
            reason: "brackets hold an IPv6 literal and nothing else",
            result: |case| {
                let inner = host(case)?.strip_prefix('[')?.split(']').next()?;
                inner.parse::<std::net::Ipv6Addr>().is_err().then_some(REFUSED)
            },
        },
        Rule {
            decision: "23",
            reason: "there is no path form",
            result: |case| host(case)?.contains('%').then_some(REFUSED),
        },
        Rule {
            decision: "23",
            reason: "case does not matter, and localhost is always a loopback host",
            result: |case| {
                let host = host(case)?;
                let (name, port) = host.split_once(':').unwrap_or((host, "0"));
                let listed = texts(&case["local_hostnames"]);
                let as_listed = listed.contains(&name);
                let any_case = listed
                    .iter()
                    .chain(&["localhost"])
                    .any(|listed| listed.eq_ignore_ascii_case(name));
                let port = port.parse::<u16>().is_ok() && !port.starts_with('+');
                (any_case && !as_listed && port).then_some(PASSED)
            },
        },
    ];
    let expected = |case: &Value| {
        if case["verdict"] == "allow" {
            PASSED
        } else {
            REFUSED
        }
    };
    check_rows("jupyter-server/host_check.json", &rules, expected, |case| {
        let names: Vec<String> = texts(&case["local_hostnames"])
            .into_iter()
            .filter(|name| *name != "localhost")
            .map(|name| format!("{name}:*"))
            .collect();
        let guards = if case["allow_remote_access"] == true {
            RequestPolicy::new().danger_allow_any_host()
        } else if names.is_empty() {
            RequestPolicy::new()
        } else {
            RequestPolicy::new().with_allowed_hosts(
                AllowedHosts::loopback().union(AllowedHosts::from_list(names).expect("names")),
            )
        };
        let mut request = Request::builder();
        if let Some(host) = host(case) {
            request = request.header("host", field(host));
        }
        let request = request.body(()).expect("a request");
        guards
            .check_target(RequestHead::new(&request))
            .map_or(REFUSED, |_| PASSED)
    });
}

/// The header's value, without the whitespace around it that an HTTP receiver drops.
fn host(case: &Value) -> Option<&str> {
    case["host"].as_str().map(|host| host.trim_matches([' ', '\t']))
}

// ---- Origin and Referer

/// Our word over the page a row's Origin or Referer names, by a second reader: the `url` crate. It reads more
/// than a serialised origin, so what it gives must be the text again, but for case and a default port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Foreign,
    Listed,
    Own,
}

fn page(case: &Value, sent: &str) -> Page {
    let Some(sent) = serialised(sent) else {
        return Page::Foreign;
    };
    let host = case["host"].as_str().expect("a host");
    if sent == format!("http://{host}") || sent == format!("https://{host}") {
        return Page::Own;
    }
    match case["allow_origin"].as_str().and_then(serialised) {
        Some(listed) if listed == sent => Page::Listed,
        _ => Page::Foreign,
    }
}

fn serialised(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let origin = format!("{}://{}", url.scheme(), url.host_str()?);
    let origin = match url.port() {
        Some(port) => format!("{origin}:{port}"),
        None => origin,
    };
    let lower = text.to_ascii_lowercase();
    let default = [":80", ":443"]
        .into_iter()
        .any(|port| lower == format!("{origin}{port}"));
    (lower == origin || default).then_some(origin)
}

/// Whether the original, which compares texts, reads what was sent otherwise than we do: where it or the
/// listed origin is not the serialised form of an origin that HTTP serves.
fn is_odd(case: &Value, sent: &str) -> bool {
    let odd = |text: &str| serialised(text).as_deref() != Some(text) || !text.starts_with("http");
    odd(sent)
        || case["allow_origin"]
            .as_str()
            .is_some_and(|listed| !listed.is_empty() && odd(listed))
}

/// Whether a row lists origins in a way we do not offer.
fn is_loose(case: &Value) -> bool {
    case["allow_origin"] == "*" || case["allow_origin_pat"].is_string()
}

/// The origin of a Referer: what stands before its path.
fn before_the_path(referer: &str) -> &str {
    let start = referer.find("://").map_or(0, |place| place + 3);
    let length = referer[start..]
        .find(['/', '?', '#'])
        .unwrap_or(referer.len() - start);
    &referer[..start + length]
}

/// The guards of a row of the original: an exact origin is listed; `*` and patterns cannot be.
fn original(case: &Value) -> RequestPolicy {
    let exact = case["allow_origin"]
        .as_str()
        .filter(|origin| !origin.is_empty() && *origin != "*");
    RequestPolicy::new().with_allowed_origins(AllowedOrigins::parse(exact).expect("an origin"))
}

/// What a request of a row is answered, as far as the guards are concerned.
fn answer(case: &Value, kind: &str, fields: &[(&str, Option<&str>)], xsrf_good: bool) -> RuleResult {
    let xsrf = CsrfTokens::new(Key);
    let value = xsrf.issue(SESSION);
    let mut request = Request::builder()
        .method(kind)
        .uri("/x")
        .header("host", field(case["host"].as_str().expect("a host")));
    for (name, value) in fields {
        if let Some(value) = value {
            request = request.header(*name, field(value));
        }
    }
    if xsrf_good {
        request = request.header("x-xsrftoken", &value);
    }
    let request = request.body(()).expect("a request");
    let head = RequestHead::new(&request);
    let guards = original(case);
    let Ok(target) = guards.check_target(head) else {
        return REFUSED;
    };
    if !case["auth"].as_str().expect("auth").starts_with("cookie") {
        return PASSED;
    }
    let proof = RequestCsrf::new(&xsrf, SESSION, Some(value.as_bytes()));
    guards
        .check_cross_site(&target, head, RequestKind::from_head(head), Some(&proof))
        .map_or(REFUSED, |()| PASSED)
}

/// Our word over a request with a cookie, by its Origin alone.
fn by_origin(case: &Value) -> Option<RuleResult> {
    let cookie = case["auth"].as_str()?.starts_with("cookie");
    let method = case["method"].as_str()?;
    if !cookie || method.starts_with("OPTIONS") {
        return Some(PASSED);
    }
    let foreign = case["origin"]
        .as_str()
        .is_some_and(|origin| page(case, origin) == Page::Foreign);
    Some(if foreign { REFUSED } else { PASSED })
}

#[test]
fn origins_of_api_requests_are_checked_as_in_jupyter_or_by_decision() {
    let rules = [
        Rule {
            decision: "25",
            reason: "without a cookie there is nothing that another site could use",
            result: |case| (case["auth"] == "none").then_some(PASSED),
        },
        Rule {
            decision: "37",
            reason: "origins are listed exactly: `*` and patterns list no origin",
            result: |case| by_origin(case).filter(|_| is_loose(case)),
        },
        Rule {
            decision: "25",
            reason: "an Origin is scheme, host and port, well-formed, whatever its case, of a page that HTTP serves",
            result: |case| {
                by_origin(case).filter(|_| is_odd(case, case["origin"].as_str().unwrap_or("http://h")))
            },
        },
    ];
    let expected = |case: &Value| if case["status"] == 200 { PASSED } else { REFUSED };
    check_rows("jupyter-server/origin_api.json", &rules, expected, |case| {
        let method = case["method"]
            .as_str()
            .expect("a method")
            .split(' ')
            .next()
            .expect("a word");
        answer(
            case,
            method,
            &[("origin", case["origin"].as_str())],
            case["auth"] == "cookie+xsrf",
        )
    });
}

#[test]
fn cors_fields_go_to_listed_origins_alone() {
    type Fields = (Option<String>, bool);
    let rules = [Rule {
        decision: "37",
        reason: "a listed origin is echoed and may send cookies; no other gets a header",
        result: |case| {
            let origin = case["origin"].as_str().unwrap_or_default();
            let listed = page(case, origin) == Page::Listed;
            // Without a policy the original adds fields for its tokens alone.
            let adds = is_loose(case) || case["allow_origin"] != "" || case["auth"] == "token";
            adds.then(|| (listed.then(|| origin.to_owned()), listed))
        },
    }];
    let expected =
        |case: &Value| -> Fields { (case["acao"].as_str().map(str::to_owned), case["acac"] == "true") };
    check_rows("jupyter-server/origin_api.json", &rules, expected, |case| {
        let method = case["method"].as_str().expect("a method");
        let preflight = method.starts_with("OPTIONS");
        let mut request = Request::builder().method(if preflight { "OPTIONS" } else { method });
        if let Some(origin) = case["origin"].as_str() {
            request = request.header("origin", field(origin));
        }
        if preflight {
            request = request
                .header("access-control-request-method", "GET")
                .header("access-control-request-headers", "authorization");
        }
        let request = request.body(()).expect("a request");
        let head = RequestHead::new(&request);
        let guards = original(case);
        let mut headers = http::HeaderMap::new();
        match guards.preflight(head) {
            Some(preflight) => {
                preflight.apply_to(&mut headers);
                assert_eq!(
                    headers["access-control-allow-headers"],
                    case["allow_headers"].as_str().expect("a list")
                );
                assert_eq!(
                    headers["access-control-allow-methods"],
                    case["allow_methods"].as_str().expect("a list")
                );
            }
            None => guards.cors(head).apply_to(&mut headers),
        }
        let echoed = headers.get(ACCESS_CONTROL_ALLOW_ORIGIN);
        (
            echoed.map(|origin| origin.to_str().expect("ASCII").to_owned()),
            headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS),
        )
    });
}

/// Our word over a handshake with a cookie and without `_xsrf`.
fn by_socket(case: &Value) -> Option<RuleResult> {
    let site = case["sec_fetch_site"].as_str();
    let page = case["origin"].as_str().map(|origin| page(case, origin));
    (case["auth"] == "cookie").then_some(match page {
        Some(Page::Listed) => PASSED,
        Some(Page::Own) if matches!(site, None | Some("same-origin" | "none")) => PASSED,
        _ => REFUSED,
    })
}

#[test]
fn origins_of_websockets_are_checked_as_in_jupyter_or_by_decision() {
    let rules = [
        Rule {
            decision: "25",
            reason: "a good token is exempt, whatever page opened the socket",
            result: |case| (case["auth"] == "token").then_some(PASSED),
        },
        Rule {
            decision: "26",
            reason: "a socket with a cookie needs an Origin, and Fetch Metadata that agrees unless it is listed",
            result: |case| {
                let says = case["sec_fetch_site"].is_string() || case["origin"].is_null();
                by_socket(case).filter(|_| says)
            },
        },
        Rule {
            decision: "37",
            reason: "origins are listed exactly: `*` and patterns list no origin",
            result: |case| by_socket(case).filter(|_| is_loose(case)),
        },
        Rule {
            decision: "25",
            reason: "an Origin is scheme, host and port, well-formed, whatever its case, of a page that HTTP serves",
            result: |case| {
                by_socket(case).filter(|_| is_odd(case, case["origin"].as_str().unwrap_or_default()))
            },
        },
    ];
    let expected = |case: &Value| if case["status"] == 101 { PASSED } else { REFUSED };
    check_rows("jupyter-server/origin_websocket.json", &rules, expected, |case| {
        if case["auth"] == "none" {
            // Denied without a credential, before any check but that of Host.
            return REFUSED;
        }
        let fields = [
            ("upgrade", Some("websocket")),
            ("origin", case["origin"].as_str()),
            ("sec-fetch-site", case["sec_fetch_site"].as_str()),
        ];
        answer(case, "GET", &fields, false)
    });
}

#[test]
fn user_content_is_read_as_the_original_has_it_or_by_decision() {
    let rules = [
        Rule {
            decision: "37",
            reason: "origins are listed exactly: `*` and patterns list no origin",
            result: |case| by_referer(case).filter(|_| is_loose(case)),
        },
        Rule {
            decision: "25",
            reason: "an Origin that is there is an own or a listed page's, once and well-formed",
            result: |case| {
                let fields = content_fields(case);
                let mut origins = fields
                    .iter()
                    .filter(|(name, _)| name.eq_ignore_ascii_case("origin"));
                let (origin, second) = (origins.next()?, origins.next());
                let foreign = second.is_some() || page(case, origin.1) == Page::Foreign;
                (case["auth"] == "cookie" && foreign).then_some(REFUSED)
            },
        },
        Rule {
            decision: "40",
            reason: "the Referer's origin is scheme, host and port, well-formed, whatever its case",
            result: |case| {
                let referer = before_the_path(case["referer"].as_str().unwrap_or("http://h"));
                by_referer(case).filter(|_| is_odd(case, referer))
            },
        },
    ];
    let expected = |case: &Value| if case["status"] == 200 { PASSED } else { REFUSED };
    check_rows("jupyter-server/referer_files.json", &rules, expected, |case| {
        if case["auth"] == "token" {
            return PASSED;
        }
        let xsrf = CsrfTokens::new(Key);
        let mut request =
            Request::get("/files/x").header("host", field(case["host"].as_str().expect("a host")));
        let mut good = String::new();
        for (name, value) in content_fields(case) {
            if name.eq_ignore_ascii_case("x-xsrftoken") {
                // Equal to the cookie stands for the session's, anything else for another's.
                let same = case["xsrf_cookie"] == value;
                good = xsrf.issue(if same {
                    SESSION
                } else {
                    CsrfBinding::of_session(b"another")
                });
                request = request.header(name, &good);
            } else {
                request = request.header(name, field(value));
            }
        }
        let request = request.body(()).expect("a request");
        let head = RequestHead::new(&request);
        let guards = original(case);
        let target = guards.check_target(head).expect("a loopback host");
        let proof = RequestCsrf::new(&xsrf, SESSION, Some(good.as_bytes()));
        guards
            .check_cross_site(&target, head, RequestKind::from_head(head), Some(&proof))
            .and_then(|()| guards.require_same_origin(&target, head, Some(&proof)))
            .map_or(REFUSED, |()| PASSED)
    });
}

/// The fields of a read of user content, but for the credential.
fn content_fields(case: &Value) -> Vec<(&str, &str)> {
    match case["headers"].as_array() {
        Some(headers) => headers
            .iter()
            .map(|pair| {
                (
                    pair[0].as_str().expect("a name"),
                    pair[1].as_str().expect("a value"),
                )
            })
            .collect(),
        None => Vec::from_iter(case["referer"].as_str().map(|referer| ("referer", referer))),
    }
}

/// Our word over a read of user content with a cookie, by its Referer alone.
fn by_referer(case: &Value) -> Option<RuleResult> {
    if case["auth"] != "cookie" || case["headers"].is_array() {
        return None;
    }
    let referer = case["referer"].as_str().unwrap_or_default();
    let foreign = page(case, before_the_path(referer)) == Page::Foreign;
    Some(if foreign { REFUSED } else { PASSED })
}

// ---- `_xsrf`

/// What a row of `_xsrf` sends, in the original's own values.
#[derive(Debug, Default)]
struct Sent {
    logged_in: bool,
    /// The last `_xsrf` cookie, which is the one that counts there; here it stands for the session.
    cookie: Option<String>,
    fields: Vec<(String, String)>,
    target: String,
    form: Vec<(String, String)>,
}

impl Sent {
    fn of(case: &Value) -> Self {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let parsed = |text: &str| {
            url::form_urlencoded::parse(text.as_bytes())
                .into_owned()
                .collect()
        };
        let mut sent = Self {
            logged_in: true,
            cookie: case["cookie"].as_str().map(str::to_owned),
            target: "/api/x".to_owned(),
            ..Self::default()
        };
        if let Some(headers) = case["headers"].as_array() {
            sent.target = text(&case["path"]);
            sent.form = parsed(case["body"].as_str().unwrap_or_default());
            sent.fields = headers
                .iter()
                .map(|pair| (text(&pair[0]), text(&pair[1])))
                .collect();
            let (cookies, fields): (Vec<_>, _) =
                sent.fields.into_iter().partition(|(name, _)| name == "Cookie");
            sent.fields = fields;
            let pairs = cookies.iter().flat_map(|(_, line)| line.split(';'));
            sent.logged_in = pairs.clone().any(|pair| pair.trim() == "<login cookie>");
            let mut xsrf = pairs.filter_map(|pair| pair.trim().strip_prefix("_xsrf="));
            sent.cookie = xsrf.next_back().map(|value| value.trim().to_owned());
        } else if let Some(argument) = case["argument"].as_str() {
            match case["where"].as_str().expect("a place") {
                "form" => sent.form.push(("_xsrf".to_owned(), argument.to_owned())),
                "query" => sent.target += &format!("?_xsrf={}", encoded(argument)),
                // An HTTP receiver drops the whitespace around a header's value.
                name => sent.fields.push((name.to_owned(), argument.trim().to_owned())),
            }
        }
        sent
    }

    /// The same with every argument as one of this crate: one equal to the cookie's stands for a value that is valid for
    /// the session, another for one of another session. An argument that Jupyter cannot read is sent as it is.
    fn with_arguments_of(mut self, xsrf: &CsrfTokens<Key>) -> Self {
        let cookie = self.cookie_token();
        let ours = |argument: &mut String| {
            let trimmed = argument.trim();
            *argument = match raw_token(trimmed) {
                None => return,
                raw if raw == cookie => argument.replace(trimmed, &xsrf.issue(SESSION)),
                Some(_) => argument.replace(trimmed, &xsrf.issue(CsrfBinding::of_session(b"another"))),
            };
        };
        let is_argument = |name: &str| {
            let names = ["_xsrf", "x-xsrftoken", "x-csrftoken"];
            names.iter().any(|known| name.eq_ignore_ascii_case(known))
        };
        for (name, value) in self.fields.iter_mut().chain(&mut self.form) {
            if is_argument(name) {
                ours(value);
            }
        }
        // What else is in the query keeps its spelling.
        for (name, mut value) in self.query().into_iter().filter(|(name, _)| is_argument(name)) {
            let theirs = format!("{name}={}", encoded(&value));
            ours(&mut value);
            self.target = self
                .target
                .replacen(&theirs, &format!("{name}={}", encoded(&value)), 1);
        }
        self
    }

    fn query(&self) -> Vec<(String, String)> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect()
    }

    fn request(&self) -> Request<()> {
        let mut request = Request::post(&self.target).header("host", "localhost:8888");
        for (name, value) in &self.fields {
            request = request.header(name, field(value));
        }
        request.body(()).expect("a request")
    }

    fn cookie_token(&self) -> Option<Vec<u8>> {
        raw_token(self.cookie.as_deref()?.trim_matches('"'))
    }

    fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let (_, value) = fields.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    fn query_tokens(&self) -> Vec<String> {
        let query = self.query().into_iter();
        let tokens = query.filter(|(name, value)| name == "token" && !value.is_empty());
        tokens.map(|(_, value)| value).collect()
    }

    fn header_token(&self) -> Option<String> {
        let value = self.field("authorization")?;
        let (scheme, token) = value.split_once([' ', '\t']).unwrap_or((value, ""));
        let ours = ["token", "bearer"];
        let is_ours = ours.iter().any(|known| scheme.eq_ignore_ascii_case(known));
        is_ours.then(|| token.trim().to_owned())
    }

    /// Whether a token is sent in a form that is no credential: twice in the query, not bare, or two that differ.
    fn has_malformed_token(&self) -> bool {
        let (query, header) = (self.query_tokens(), self.header_token());
        let differ = header
            .iter()
            .any(|header| query.iter().any(|token| token != header));
        let mut tokens = query.iter().chain(&header);
        let bare = |token: &String| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        query.len() > 1 || differ || !tokens.all(bare)
    }

    /// Our word over the row by the argument alone.
    fn by_argument(&self) -> Told {
        if !self.logged_in {
            return Err(NO_SESSION.to_owned());
        }
        let of = |pairs: &[(String, String)]| {
            let mut pairs = pairs.iter().rev();
            pairs
                .find(|(name, _)| name == "_xsrf")
                .map(|(_, value)| value.clone())
        };
        let fields = ["x-xsrftoken", "x-csrftoken"].map(|name| self.field(name).map(str::to_owned));
        let places = [of(&self.query())]
            .into_iter()
            .chain(fields)
            .chain([of(&self.form)]);
        let argument = places.flatten().find(|argument| !argument.is_empty());
        let error = match argument.map(|argument| raw_token(argument.trim())) {
            None => "'_xsrf' argument missing from POST",
            Some(None) => "'_xsrf' argument has invalid format",
            Some(token) if token == self.cookie_token() => return Ok(()),
            Some(_) => "XSRF cookie does not match POST argument",
        };
        Err(error.to_owned())
    }
}

fn encoded(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

type Told = Result<(), String>;

const MALFORMED: &str = "malformed token";
const NO_SESSION: &str = "no session";

#[test]
fn xsrf_arguments_are_judged_as_the_original_does_or_by_decision() {
    let rules: [Rule<Told>; 3] = [
        Rule {
            decision: "2 and 4",
            reason: "a token is sent in one place, once and bare; anything else is refused before the cookie is read",
            result: |case| {
                Sent::of(case)
                    .has_malformed_token()
                    .then(|| Err(MALFORMED.to_owned()))
            },
        },
        Rule {
            decision: "4",
            reason: "an argument in the query is not trimmed",
            result: |case| {
                let mut query = Sent::of(case).query().into_iter();
                let padded = query.any(|(name, value)| name == "_xsrf" && value.trim() != value);
                padded.then(|| Err("'_xsrf' argument has invalid format".to_owned()))
            },
        },
        Rule {
            decision: "4",
            reason: "a token in a body is read by the login form alone",
            result: |case| {
                let sent = Sent::of(case);
                let in_form = sent.form.iter().any(|(name, _)| name == "token");
                let mut elsewhere = sent.query_tokens().into_iter().chain(sent.header_token());
                let elsewhere = elsewhere.any(|token| token == SERVER_TOKEN);
                (in_form && !elsewhere).then(|| sent.by_argument())
            },
        },
    ];
    let expected = |case: &Value| match case["message"].as_str() {
        None => Ok(()),
        Some(_) if !Sent::of(case).logged_in => Err(NO_SESSION.to_owned()),
        Some(message) => Err(message.to_owned()),
    };
    check_rows("jupyter-server/xsrf.json", &rules, expected, |case| {
        let xsrf = CsrfTokens::new(Key);
        let sent = Sent::of(case).with_arguments_of(&xsrf);
        let request = sent.request();
        let head = RequestHead::new(&request);
        let guards = RequestPolicy::new();
        let target = guards.check_target(head).expect("a loopback host");
        match by_token(head) {
            Outcome::Authenticated(_) => return Ok(()),
            Outcome::Malformed(_) => return Err(MALFORMED.to_owned()),
            _ if !sent.logged_in => return Err(NO_SESSION.to_owned()),
            _ => {}
        }
        let form = sent.form.iter().rev().find(|(name, _)| name == "_xsrf");
        let form = form.map(|(_, value)| value.as_str());
        let proof = RequestCsrf::new(&xsrf, SESSION, None).with_form(form);
        guards
            .check_cross_site(&target, head, RequestKind::from_head(head), Some(&proof))
            .map_err(|denial| denial.detail().to_owned())
    });
}

/// The token within the original's value: unmasked, or the hexadecimal digits' bytes, or the text itself.
fn raw_token(value: &str) -> Option<Vec<u8>> {
    let hex = |text: &str| -> Option<Vec<u8>> {
        let pairs = text.as_bytes().chunks(2);
        pairs
            .map(|pair| {
                u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16).ok()
            })
            .collect()
    };
    let (version, rest) = value.split_once('|').unwrap_or(("", ""));
    if version.starts_with(|digit: char| ('1'..='9').contains(&digit)) && version.parse::<u16>().is_ok() {
        let [mask, masked, time] = rest.split('|').collect::<Vec<_>>().try_into().ok()?;
        time.parse::<i64>().ok().filter(|_| version == "2")?;
        let (mask, masked) = (hex(mask).filter(|mask| mask.len() == 4)?, hex(masked)?);
        let token: Vec<u8> = masked
            .iter()
            .zip(mask.iter().cycle())
            .map(|(a, b)| a ^ b)
            .collect();
        return Some(token).filter(|token| !token.is_empty());
    }
    Some(hex(value).unwrap_or_else(|| value.as_bytes().to_vec())).filter(|token| !token.is_empty())
}
