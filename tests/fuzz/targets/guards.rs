//! The guards on any head: an unsafe request with a cookie passes only for our own or a listed page, and only
//! with `_xsrf`; a foreign host never passes.

use std::cell::Cell;

use http::{HeaderMap, Request};
use portcullis::{
    AllowedHosts, AllowedOrigins, Denial, RequestHead, TrustedProxies,
    request::Peer,
    request_policy::{CsrfCheck, CsrfMode, CsrfRequirement, RequestKind, RequestPolicy},
};
use url::Url;

/// Accepts every value, and records whether it was called.
struct Willing(Cell<bool>);

impl CsrfCheck for Willing {
    fn check(&self, _: RequestHead<'_>, _: CsrfRequirement) -> Result<(), Denial> {
        self.0.set(true);
        Ok(())
    }
}

const OWN: &str = "hub.example.org";
const LISTED: &str = "https://app.example.net";

/// A request in lines. One from a trusted proxy, one from another client.
pub fn run(data: &[u8]) {
    let Some(mut request) = super::request(data) else {
        return;
    };
    let guards = RequestPolicy::new()
        .with_allowed_hosts(AllowedHosts::from_list(["hub.example.org:*"]).expect("a host"))
        .with_allowed_origins(AllowedOrigins::parse([LISTED]).expect("an origin"))
        .with_trusted_proxies(TrustedProxies::parse("10.0.0.0/8").expect("a network"));
    for peer in ["10.1.2.3:4", "192.0.2.1:4"] {
        request
            .extensions_mut()
            .insert(Peer::Ip(peer.parse().expect("an address")));
        for asked in [
            CsrfMode::UnsafeMethods,
            CsrfMode::AllMethods,
            CsrfMode::OriginOnly,
        ] {
            check(
                &guards.clone().with_csrf_mode(asked),
                asked,
                &request,
                peer.starts_with("10."),
            );
        }
    }
}

fn check(guards: &RequestPolicy, asked: CsrfMode, request: &Request<()>, trusted: bool) {
    let head = RequestHead::new(request);
    let headers = request.headers();
    let mut fields = HeaderMap::new();
    guards.cors(head).apply_to(&mut fields);
    if let Some(echoed) = fields.get("access-control-allow-origin") {
        assert_eq!(origin(echoed.as_bytes()).as_deref(), Some(LISTED));
    }
    if let Some(preflight) = guards.preflight(head) {
        assert_eq!(request.method(), "OPTIONS");
        preflight.apply_to(&mut fields);
    }

    let Ok(target) = guards.check_target(head) else {
        return;
    };
    let _ = guards.client_ip(&target, head);
    let host = target.host().expect("an admitted host is text");
    let name = host.split(':').next().unwrap_or_default();
    assert!(name.eq_ignore_ascii_case(OWN), "{host}");
    if !trusted {
        let said = head.host().expect("a host");
        assert_eq!(said, host.as_bytes());
        assert_eq!(
            headers
                .get_all("host")
                .iter()
                .filter(|field| !field.as_bytes().eq_ignore_ascii_case(said))
                .count(),
            0
        );
    }
    assert_ne!(request.method(), "TRACE");

    let own = Url::parse(&format!("http://{host}")).expect("a host");
    let own_or_listed = |bytes: &[u8]| {
        origin(bytes).is_some_and(|sent| {
            let sent = Url::parse(&sent).expect("an origin");
            let same_host = sent.host_str() == own.host_str();
            sent.origin().ascii_serialization() == LISTED || same_host
        })
    };
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    // An opaque Origin says nothing where Fetch Metadata says `same-origin`.
    let sent: Vec<_> = headers
        .get_all("origin")
        .iter()
        .map(|origin| origin.as_bytes())
        .filter(|sent| *sent != b"null" || site != Some(b"same-origin"))
        .collect();
    let foreign_site = site.is_some_and(|site| site != b"same-origin" && site != b"none");
    let listed = sent
        .first()
        .is_some_and(|sent| origin(sent).as_deref() == Some(LISTED));

    for kind in [
        RequestKind::LoginForm,
        RequestKind::Unsafe,
        RequestKind::Safe,
        RequestKind::WebSocket,
    ] {
        let willing = Willing(Cell::new(false));
        if guards
            .check_cross_site(&target, head, kind, Some(&willing))
            .is_err()
        {
            continue;
        }
        let proved = willing.0.get();
        for once in ["origin", "sec-fetch-site"] {
            assert!(headers.get_all(once).iter().count() <= 1, "{once}");
        }
        match kind {
            RequestKind::Unsafe | RequestKind::LoginForm => {
                assert!(!foreign_site || listed);
                assert!(sent.first().is_none_or(|sent| own_or_listed(sent)));
                let by_origin = site == Some(b"same-origin") || !sent.is_empty();
                assert!(
                    proved || (asked == CsrfMode::OriginOnly && kind == RequestKind::Unsafe && by_origin)
                );
                if sent.is_empty() {
                    let referer = headers.get("referer").map(|referer| referer.as_bytes());
                    assert!(referer.is_none_or(own_or_listed), "{referer:?}");
                }
            }
            RequestKind::WebSocket => {
                assert!(listed || !foreign_site);
                assert!(sent.first().map_or(proved, |sent| own_or_listed(sent)));
            }
            _ => {
                let navigates = headers
                    .get("sec-fetch-mode")
                    .is_some_and(|mode| mode == "navigate");
                assert!(!foreign_site || listed || navigates);
            }
        }
    }
    let willing = Willing(Cell::new(false));
    if guards.require_same_origin(&target, head, Some(&willing)).is_ok() && foreign_site {
        assert!(willing.0.get());
    }
    // What shows no other site has neither a foreign Origin nor a foreign Sec-Fetch-Site.
    if !guards.is_cross_site(&target, head) {
        assert!(!foreign_site && sent.iter().all(|sent| own_or_listed(sent)));
    }
}

/// The origin of a URL as a browser's parser reads it.
fn origin(bytes: &[u8]) -> Option<String> {
    let url = Url::parse(&String::from_utf8_lossy(bytes)).ok()?;
    Some(url.origin().ascii_serialization()).filter(|origin| origin != "null")
}
