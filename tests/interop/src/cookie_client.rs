//! An HTTP client that keeps cookies as browsers do, and follows redirects on request.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    http::{self, Answer},
    tls,
};

/// A client with a cookie jar.
#[derive(Clone, Debug)]
pub struct CookieClient {
    address: String,
    origin: String,
    trusted: Option<PathBuf>,
    cookies: Vec<Cookie>,
}

/// A cookie as it was set.
#[derive(Clone, Debug)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its value, quotes and all.
    pub value: String,
    /// The host it goes to, after a dot if it goes to all below it too.
    pub domain: String,
    /// Its path.
    pub path: String,
    /// Its attributes, as they came.
    pub attributes: String,
}

impl CookieClient {
    /// A client without cookies, for `address` (host and port).
    pub fn new(address: &str) -> Self {
        Self::at(address, &format!("http://{address}"), None)
    }

    /// A client without cookies that finds `origin`, such as `http://hub.localhost:8000`, and the hosts below it at
    /// `address`. By TLS it trusts the certificate `trusted` alone.
    pub fn at(address: &str, origin: &str, trusted: Option<&Path>) -> Self {
        Self {
            address: address.to_owned(),
            origin: origin.to_owned(),
            trusted: trusted.map(Path::to_owned),
            cookies: Vec::new(),
        }
    }

    /// Opens a page, at a path or a URL, as a browser would, and follows nothing.
    ///
    /// # Panics
    ///
    /// If no HTTP answer comes.
    #[track_caller]
    pub fn open(&mut self, target: &str) -> Answer {
        self.send(
            "GET",
            target,
            &[
                ("Accept", "text/html"),
                ("Sec-Fetch-Mode", "navigate"),
                ("Sec-Fetch-Dest", "document"),
                ("Sec-Fetch-Site", "none"),
            ],
            "",
        )
    }

    /// Opens a page and follows redirects; every target, and the last answer.
    ///
    /// # Panics
    ///
    /// If there are more than ten, or one leads elsewhere.
    #[track_caller]
    pub fn follow(&mut self, target: &str) -> (Vec<String>, Answer) {
        let mut targets = vec![target.to_owned()];
        loop {
            let target = targets.last().expect("one at least").clone();
            let answer = self.open(&target);
            let Some(location) = answer
                .fields("location")
                .first()
                .map(|&location| location.to_owned())
            else {
                return (targets, answer);
            };
            assert!(
                targets.len() < 10,
                "expected an end of redirects, found {targets:?}"
            );
            // A path is one of the host that says so.
            let (at, _) = self.locate(&target);
            let location = if location.starts_with('/') {
                format!("{at}{location}")
            } else {
                location
            };
            let _ = self.locate(&location);
            let location = location
                .strip_prefix(&self.origin)
                .unwrap_or(&location)
                .to_owned();
            targets.push(location);
        }
    }

    /// Sends a request, to a path or a URL, with the cookies for it.
    ///
    /// # Panics
    ///
    /// If no HTTP answer comes.
    #[track_caller]
    pub fn send(&mut self, method: &str, target: &str, fields: &[(&str, &str)], body: &str) -> Answer {
        self.try_send(method, target, fields, body)
            .unwrap_or_else(|error| panic!("{method} {target}: {error}"))
    }

    /// The same of a server that may not be there.
    ///
    /// # Errors
    ///
    /// If no HTTP answer comes.
    pub fn try_send(
        &mut self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        body: &str,
    ) -> io::Result<Answer> {
        let (origin, target) = self.locate(target);
        let (_, authority) = origin.split_once("://").expect("a scheme");
        let line = self.line(&origin, &target);
        let cookie = [("Cookie", line.as_str())];
        let host = [("Host", authority)];
        let hosted = fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
        let fields: Vec<_> = host
            .iter()
            .filter(|_| !hosted)
            .chain(fields)
            .chain(cookie.iter().filter(|_| !line.is_empty()))
            .copied()
            .collect();
        let answer = match &self.trusted {
            None => http::try_request_with(&self.address, method, &target, &fields, body)?,
            Some(trusted) => tls::request_with(trusted, &self.address, method, &target, &fields, body)?,
        };
        self.keep(&answer, &origin, &target);
        Ok(answer)
    }

    /// The cookie `name` that goes to `target`, a path or a URL.
    pub fn cookie(&self, name: &str, target: &str) -> Option<&Cookie> {
        let (origin, target) = self.locate(target);
        let mut cookies = self.cookies.iter();
        cookies.find(|cookie| cookie.name == name && cookie.goes_to(&origin, &target))
    }

    /// All cookies.
    pub fn cookies(&self) -> &[Cookie] {
        &self.cookies
    }

    /// Takes a cookie away.
    pub fn lose(&mut self, name: &str) {
        self.cookies.retain(|cookie| cookie.name != name);
    }

    /// The origin of `target`, and the rest of it.
    fn locate(&self, target: &str) -> (String, String) {
        let Some(place) = target.find("://").filter(|_| !target.starts_with('/')) else {
            assert!(
                target.starts_with('/'),
                "expected a path or a URL, found {target}"
            );
            return (self.origin.clone(), target.to_owned());
        };
        let end = target[place + 3..]
            .find('/')
            .map_or(target.len(), |slash| place + 3 + slash);
        let (origin, path) = target.split_at(end);
        let (scheme, home) = self.origin.split_once("://").expect("a scheme");
        let below = origin
            .strip_prefix(&format!("{scheme}://"))
            .and_then(|authority| authority.strip_suffix(home))
            .is_some_and(|name| name.is_empty() || name.ends_with('.'));
        assert!(
            below,
            "expected a place at or below {}, found {target}",
            self.origin
        );
        (origin.to_owned(), path.to_owned())
    }

    fn line(&self, origin: &str, target: &str) -> String {
        let sent = self
            .cookies
            .iter()
            .filter(|cookie| cookie.goes_to(origin, target));
        let pairs: Vec<_> = sent
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        pairs.join("; ")
    }

    fn keep(&mut self, answer: &Answer, origin: &str, target: &str) {
        let path = path_of(target);
        let folder = path.rfind('/').map_or("/", |end| &path[..=end]);
        for line in answer.fields("set-cookie") {
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let attribute = |wanted: &str| {
                attributes.split(';').find_map(|attribute| {
                    let (name, value) = attribute.trim().split_once('=').unwrap_or((attribute.trim(), ""));
                    name.eq_ignore_ascii_case(wanted).then(|| value.to_owned())
                })
            };
            let host = host_of(origin);
            let cookie = Cookie {
                name: name.to_owned(),
                value: value.to_owned(),
                domain: match attribute("domain") {
                    Some(domain) => format!(".{}", domain.trim_start_matches('.')),
                    None => host.to_owned(),
                },
                path: attribute("path").unwrap_or_else(|| folder.to_owned()),
                attributes: attributes.to_owned(),
            };
            let secure = attribute("secure").is_some();
            let whole_host = secure && cookie.path == "/" && cookie.domain == host;
            let refused = !cookie.goes_to_host(host)
                || (secure && !origin.starts_with("https:"))
                || (name.starts_with("__Host-") && !whole_host)
                || (name.starts_with("__Secure-") && !secure);
            assert!(!refused, "no browser keeps this cookie of {origin}: {line}");
            self.cookies.retain(|kept| {
                (&kept.name, &kept.domain, &kept.path) != (&cookie.name, &cookie.domain, &cookie.path)
            });
            let gone =
                attribute("max-age").is_some_and(|age| age == "0") || value.is_empty() || value == "\"\"";
            if !gone {
                self.cookies.push(cookie);
            }
        }
    }
}

impl Cookie {
    fn goes_to(&self, origin: &str, target: &str) -> bool {
        let requested = path_of(target);
        self.goes_to_host(host_of(origin))
            && (requested == self.path
                || requested
                    .strip_prefix(&self.path)
                    .is_some_and(|rest| self.path.ends_with('/') || rest.starts_with('/')))
    }

    fn goes_to_host(&self, host: &str) -> bool {
        self.domain == host || (self.domain.starts_with('.') && format!(".{host}").ends_with(&self.domain))
    }
}

fn path_of(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

/// The host of an origin, without its port.
fn host_of(origin: &str) -> &str {
    let (_, authority) = origin.split_once("://").unwrap_or(("", origin));
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}
