//! Texts that an operator configures: taken as they are read by others, or refused with the setting's name.

use portcullis::{
    AllowedHosts, AllowedOrigins, AuthLayer, RequestHead, Token, TrustedProxies,
    cookies::{CookieName, CookieScope},
    middleware::Challenge,
    request_policy::{Origin, RequestPolicy},
};
use url::Url;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    proxies(text);
    hosts(text);
    origins(text);
    names(text);
    if let Ok(challenge) = Challenge::bearer(text) {
        let layer = AuthLayer::builder()
            .token(Token::generate())
            .challenge(challenge)
            .build()
            .expect("complete");
        assert!(!format!("{layer:?}").is_empty());
    }
    let path = AuthLayer::builder()
        .token(Token::generate())
        .login_path(text)
        .build();
    if path.is_ok() {
        let url = Url::parse("http://h")
            .and_then(|origin| origin.join(text))
            .expect("a path");
        assert_eq!(
            (url.host_str(), url.query(), url.fragment()),
            (Some("h"), None, None),
            "{text:?}"
        );
    }
}

fn proxies(text: &str) {
    if TrustedProxies::parse(text).is_ok() {
        // No proxy is trusted by accident: every word is an address, a network or `unix`.
        for word in text
            .split([',', ' ', '\t', '\n', '\r', '\x0c'])
            .filter(|word| !word.is_empty())
        {
            let (address, prefix) = word.split_once('/').unwrap_or((word, "32"));
            let number = prefix
                .parse::<u8>()
                .is_ok_and(|number| number.to_string() == prefix);
            let written_once = address.parse::<std::net::IpAddr>().is_ok() && number;
            assert!(word == "unix" || written_once, "{word:?}");
            assert!(!word.ends_with("/0"), "{word:?}");
        }
    }
}

fn hosts(text: &str) {
    let Ok(hosts) = AllowedHosts::from_list([text]) else {
        return;
    };
    let guards = RequestPolicy::new().with_allowed_hosts(hosts);
    let admits = |host: &str| {
        let request = http::Request::get("/")
            .header("host", host)
            .body(())
            .expect("a request");
        guards.check_target(RequestHead::new(&request)).is_ok()
    };
    let name = text.strip_suffix(":*").unwrap_or(text);
    assert!(admits(name) && admits(&name.to_ascii_uppercase()), "{text:?}");
    assert!(
        !admits(&format!("x{name}")) && !admits(&format!("{name}x")),
        "{text:?}"
    );
    if !name.to_ascii_lowercase().starts_with("localhost") {
        assert!(!admits("localhost:9"), "{text:?}");
    }
    let url = Url::parse(&format!("http://{name}"));
    let other = url.as_ref().ok().and_then(Url::host_str).map(str::to_owned);
    let bare = name
        .rsplit_once(':')
        .filter(|(_, port)| !port.contains(']'))
        .map_or(name, |(host, _)| host);
    // A name that a browser rewrites (punycode errors, unusual numbers) would never be sent.
    if let Some(other) = other.filter(|_| !bare.starts_with('[')) {
        assert!(
            other.eq_ignore_ascii_case(bare),
            "{text:?} is {other:?} to a browser"
        );
    }
}

fn origins(text: &str) {
    assert_eq!(
        AllowedOrigins::parse([text]).is_ok(),
        text.parse::<Origin>().is_ok()
    );
    let Ok(origin) = text.parse::<Origin>() else {
        return;
    };
    let printed = origin.to_string();
    assert_eq!(
        printed.parse::<Origin>().expect("its own text"),
        origin,
        "{printed}"
    );
    if let Ok(url) = Url::parse(text)
        && url.origin().is_tuple()
        && ["http", "https"].contains(&url.scheme())
    {
        assert_eq!(url.origin().ascii_serialization(), printed, "{text:?}");
    }
}

fn names(text: &str) {
    if let Ok(name) = CookieName::custom(text) {
        assert!(super::is_token(text.as_bytes()));
        assert_eq!(name.as_str(), text);
        let _ = CookieScope::custom(name, "/");
    }
    for name in [
        CookieName::user(text),
        CookieName::server(text),
        CookieName::service(text),
    ] {
        assert!(super::is_token(name.as_str().as_bytes()), "{name}");
    }
    let _ = (CookieScope::user("/", text), CookieScope::service("/", text));
    let _ = CookieScope::hub_login(text);
    let _ = CookieScope::server(text);
    let _ = CookieScope::hub_login("/").and_then(|scope| scope.with_domain(text));
}
