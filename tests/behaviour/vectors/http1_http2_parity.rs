//! The attacks once more, as bytes on a connection: over HTTP/1.1 and HTTP/2 the result is the same.
//!
//! Rows that the HTTP implementation rejects never reach the layer; only the parsers check them.

use std::{
    cell::Cell,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use http::{HeaderMap, Request, header::SET_COOKIE};
use portcullis::{
    AllowedHosts, AllowedOrigins, AuthLayer, AuthLayerBuilder, Grant, Identity, Keyring, MaybeFuture, Reason,
    RequestHead, Token, TokenVerifier, TrustedProxies, Verification, authenticate::TokenSource,
    middleware::Decision, token::PresentedToken,
};
use serde_json::Value;
use url::form_urlencoded;

use super::{bytes, check_rows, folder, load, tokens_in_query::header_token};
use crate::{
    common::TOKEN,
    http_connection::{Received, Sent, VERSIONS, Version, exchange},
};

/// Knows every token that is not too long for a token of the crate, and remembers the last.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Option<String>>>);

impl TokenVerifier for Listener {
    fn verify(&self, token: PresentedToken<'_>) -> MaybeFuture<Verification> {
        if token.expose().len() > Token::MAX_LEN {
            return Verification::Rejected(Reason::UnsupportedToken).into();
        }
        *self.0.lock().expect("one at a time") = Some(token.expose().to_owned());
        Verification::Valid(Grant::new(Identity::new("known"))).into()
    }
}

impl Listener {
    fn received_by_handler(&self) -> Option<String> {
        self.0.lock().expect("one at a time").take()
    }
}

/// Checks every row of `file` over `version`; `None` from `actual` is a row that never reached the layer.
#[track_caller]
pub(super) fn check_rows_over(
    version: Version,
    file: &str,
    expected: impl Fn(&Value) -> String,
    actual: &impl AsyncFn(&Value) -> Option<String>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (reached, kept) = (Cell::new(0), Cell::new(0));
    check_rows(file, &[], &expected, |case| {
        match runtime.block_on(actual(case)) {
            Some(result) => {
                reached.set(reached.get() + 1);
                result
            }
            None => {
                kept.set(kept.get() + 1);
                expected(case)
            }
        }
    });
    println!(
        "{file} over {version:?}: {} rows reached the layer, {} did not",
        reached.get(),
        kept.get()
    );
    assert!(
        !folder().1 || reached.get() > kept.get(),
        "{file} over {version:?} rarely reaches the layer"
    );
}

fn with_fields(mut sent: Sent, fields: &Value) -> Sent {
    for field in fields.as_array().into_iter().flatten() {
        let name = bytes(&field[0]);
        let value = bytes(&field[1]);
        sent = sent.header(&String::from_utf8_lossy(&name), value);
    }
    sent
}

fn with_host(sent: Sent) -> Sent {
    let named = sent
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"));
    if named {
        sent
    } else {
        sent.header("Host", "localhost")
    }
}

/// The result of a layer for tokens for a request.
fn token_result(received: &Received, received_by_handler: Option<String>) -> String {
    match (received.status, received_by_handler) {
        (200, Some(token)) => format!("token {token}"),
        (401, None) if received.body.contains("missing credentials") => "none".to_owned(),
        (401, None) if received.body.contains("unsupported token") => "none".to_owned(),
        (401, None) if received.body.contains("malformed request") => "malformed".to_owned(),
        (400, None) => "reject".to_owned(),
        (414, None) => "too_long".to_owned(),
        (status, received_by_handler) => format!(
            "{status} with {} token",
            if received_by_handler.is_some() { "a" } else { "no" }
        ),
    }
}

#[test]
fn authorization_fields_mean_the_same_over_both_versions() {
    for version in VERSIONS {
        let listener = Listener::default();
        let layer = AuthLayer::bearer_tokens(listener.clone());
        check_rows_over(
            version,
            "attacks/authorization.json",
            |case| match case["verdict"].as_str().expect("a result") {
                "credential" => {
                    format!(
                        "token {}",
                        String::from_utf8_lossy(&bytes(&case["credential"]["token"]))
                    )
                }
                "ignored" => "none".to_owned(),
                other => other.to_owned(),
            },
            &async |case: &Value| {
                if case["transport"] == "rejected" {
                    return None;
                }
                let sent = with_host(with_fields(Sent::get("/"), &case["headers"]));
                let received = exchange(&layer, version, &sent).await?;
                Some(token_result(&received, listener.received_by_handler()))
            },
        );
    }
}

/// The length of a query's only parameter, if that is `token`.
fn query_token_len(case: &Value) -> usize {
    let query = bytes(&case["query"]);
    let value = query.strip_prefix(b"token=").unwrap_or_default();
    form_urlencoded::parse(value).map(|(name, _)| name.len()).sum()
}

#[test]
fn tokens_in_queries_mean_the_same_over_both_versions() {
    for version in VERSIONS {
        let listener = Listener::default();
        let layer = AuthLayer::builder()
            .bearer_tokens(listener.clone())
            .token_sources([TokenSource::Authorization, TokenSource::Query])
            .build()
            .expect("a layer");
        check_rows_over(
            version,
            "attacks/tokens-in-query.json",
            |case| match case["verdict"].as_str().expect("a result") {
                "token" => format!("token {}", case["token"].as_str().expect("a token")),
                // The query says nothing, so the field decides.
                "none" => header_token(case).map_or("none".to_owned(), |token| format!("token {token}")),
                // Decision 4: in the query it may be as long as in a header, and is then no token of this crate.
                "malformed" if (513..=8_000).contains(&query_token_len(case)) => "none".to_owned(),
                other => other.to_owned(),
            },
            &async |case: &Value| {
                let mut sent = Sent::get("/?");
                sent.target.extend(bytes(&case["query"]));
                // A target that no HTTP client here can write is left to the parsers.
                if sent
                    .target
                    .iter()
                    .any(|byte| !byte.is_ascii_graphic() || *byte == b'#')
                {
                    return None;
                }
                let sent = with_host(with_fields(sent, &case["headers"]));
                let received = exchange(&layer, version, &sent).await?;
                for (name, wanted) in [("cache-control", "no-store"), ("referrer-policy", "no-referrer")] {
                    let held = case["scrubbed"]
                        .as_str()
                        .is_some_and(|scrubbed| scrubbed.contains("[token]"));
                    let found = received
                        .headers
                        .iter()
                        .any(|(field, value)| field == name && value == wanted);
                    assert!(
                        found || !held,
                        "{name} after a token in the URL: {case} {received:?}"
                    );
                }
                Some(token_result(&received, listener.received_by_handler()))
            },
        );
    }
}

#[test]
fn origins_have_the_same_result_over_both_versions() {
    let Some(whole) = load("attacks/origins.json") else {
        return;
    };
    let keyring = Keyring::generate();
    for version in VERSIONS {
        check_rows_over(
            version,
            "attacks/origins.json",
            |case| case["verdict"].as_str().expect("a result").to_owned(),
            &async |case: &Value| {
                let row = &case["request"];
                let websocket = row["websocket"] == true;
                // HTTP/1.1 trims the value of a header before the layer gets it.
                let padded = |field: &Value| bytes(&field[1]).trim_ascii() != bytes(&field[1]);
                if version == Version::Http1
                    && row["headers"]
                        .as_array()
                        .is_some_and(|fields| fields.iter().any(padded))
                {
                    return None;
                }
                // There is no login form in front of this layer, and HTTP/2 has no Upgrade.
                if row["login_form"] == true || (websocket && version == Version::Http2) {
                    return None;
                }
                let site = &whole["sites"][case["site"].as_str().expect("a site")];
                let layer = of_site(site, &keyring).build().expect("a layer");
                let mut sent = with_fields(Sent::get("/x"), &row["headers"]);
                row["method"]
                    .as_str()
                    .expect("a method")
                    .clone_into(&mut sent.method);
                sent.peer = SocketAddr::new(row["peer"].as_str()?.parse().expect("an address"), 40_000);
                if websocket {
                    sent = sent
                        .header("Connection", "Upgrade")
                        .header("Upgrade", "websocket");
                }
                let host = sent
                    .headers
                    .iter()
                    .find(|(name, _)| name.eq_ignore_ascii_case("host"));
                let host = host.map(|(_, value)| value.clone()).unwrap_or_default();
                let layer = match row["auth"].as_str().expect("auth") {
                    "none" => layer.optional(),
                    "token" => {
                        sent = sent.header("Authorization", format!("Bearer {TOKEN}"));
                        layer
                    }
                    _ => {
                        let (session, xsrf) = log_in(&keyring, &host)?;
                        let (_, others) = log_in(&keyring, &host)?;
                        sent = sent.header("Cookie", format!("{session}; {xsrf}"));
                        let argument = match row["xsrf"].as_str().expect("xsrf") {
                            "valid" => Some(xsrf),
                            "wrong" => Some(others),
                            _ => None,
                        };
                        if let Some(argument) = argument {
                            let value = argument.split_once('=').expect("a pair").1.to_owned();
                            sent = sent.header("X-XSRFToken", value);
                        }
                        layer
                    }
                };
                let received = exchange(&layer, version, &sent).await?;
                let reached = received.headers.iter().any(|(name, _)| name == "x-handler");
                let (allowed, denied) = (
                    reached && received.status == 200,
                    !reached && received.status >= 400,
                );
                // A preflight of a listed origin is answered by the layer.
                assert!(allowed || denied || received.status == 204, "{case} {received:?}");
                Some(if denied { "deny" } else { "allow" }.to_owned())
            },
        );
    }
}

fn of_site(site: &Value, keyring: &Keyring) -> AuthLayerBuilder {
    let texts = |list: &Value| -> Vec<String> {
        list.as_array()
            .into_iter()
            .flatten()
            .map(|entry| entry.as_str().expect("a text").to_owned())
            .collect()
    };
    let builder = AuthLayer::builder()
        .token(TOKEN.parse().expect("a token"))
        .keyring(keyring.clone())
        .allowed_hosts(AllowedHosts::from_list(texts(&site["hosts"])).expect("hosts"))
        .allowed_origins(AllowedOrigins::parse(texts(&site["allow_origins"])).expect("origins"))
        .https(site["own_tls"] == true);
    let proxies = texts(&site["trusted_proxies"]).join(",");
    if proxies.is_empty() {
        return builder;
    }
    builder
        .trusted_proxies(TrustedProxies::parse(&proxies).expect("proxies"))
        .public_origin(
            site["external_origin"]
                .as_str()
                .expect("an origin")
                .parse()
                .expect("an origin"),
        )
}

/// The session and `_xsrf` cookies of a login under `host`, whether or not that host is answered for.
fn log_in(keyring: &Keyring, host: &[u8]) -> Option<(String, String)> {
    let layer = AuthLayer::builder()
        .token(TOKEN.parse().expect("a token"))
        .keyring(keyring.clone())
        .danger_allow_any_host()
        .build()
        .expect("a layer");
    let request = Request::get(format!("/?token={TOKEN}"))
        .header("host", host)
        .body(())
        .ok()?;
    let mut headers = HeaderMap::new();
    match layer.decide(RequestHead::new(&request)) {
        MaybeFuture::Ready(Decision::Allow { afterwards, .. }) => afterwards.apply_to(&mut headers),
        other => panic!("expected to be allowed, found {other:?}"),
    }
    let mut pairs = headers.get_all(SET_COOKIE).iter().map(|line| {
        line.to_str()
            .expect("ASCII")
            .split(';')
            .next()
            .unwrap_or_default()
            .to_owned()
    });
    Some((pairs.next()?, pairs.next()?))
}
