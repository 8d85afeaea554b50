//! A browser without a screen: it keeps cookies by path, and follows redirects when told to.

use crate::http::{self, Answer};

/// Somebody who visits a server, with cookies.
#[derive(Clone, Debug)]
pub struct Visitor {
    address: String,
    cookies: Vec<Cookie>,
}

/// A cookie as it was set.
#[derive(Clone, Debug)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its value, quotes and all.
    pub value: String,
    /// Its path.
    pub path: String,
    /// Its attributes, as they came.
    pub attributes: String,
}

impl Visitor {
    /// A stranger at `address` (host and port).
    pub fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            cookies: Vec::new(),
        }
    }

    /// Opens a page as a browser would, and follows nothing.
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
            let own = format!("http://{}", self.address);
            let location = location.strip_prefix(&own).unwrap_or(&location).to_owned();
            assert!(location.starts_with('/'), "expected a path, found {location}");
            targets.push(location);
        }
    }

    /// Sends a request with the cookies for its path.
    ///
    /// # Panics
    ///
    /// If no HTTP answer comes.
    #[track_caller]
    pub fn send(&mut self, method: &str, target: &str, fields: &[(&str, &str)], body: &str) -> Answer {
        let path = target.split('?').next().unwrap_or_default();
        let line = self.line(path);
        let cookie = [("Cookie", line.as_str())];
        let fields: Vec<_> = fields
            .iter()
            .chain(cookie.iter().filter(|_| !line.is_empty()))
            .copied()
            .collect();
        let answer = http::request_with(&self.address, method, target, &fields, body);
        self.keep(&answer, path);
        answer
    }

    /// The value of the cookie `name` that goes to `path`.
    pub fn cookie(&self, name: &str, path: &str) -> Option<&Cookie> {
        let mut cookies = self.cookies.iter();
        cookies.find(|cookie| cookie.name == name && goes_to(&cookie.path, path))
    }

    /// All cookies.
    pub fn cookies(&self) -> &[Cookie] {
        &self.cookies
    }

    /// Takes a cookie away.
    pub fn lose(&mut self, name: &str) {
        self.cookies.retain(|cookie| cookie.name != name);
    }

    fn line(&self, path: &str) -> String {
        let sent = self.cookies.iter().filter(|cookie| goes_to(&cookie.path, path));
        let pairs: Vec<_> = sent
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        pairs.join("; ")
    }

    fn keep(&mut self, answer: &Answer, requested: &str) {
        for line in answer.fields("set-cookie") {
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let attribute = |wanted: &str| {
                attributes.split(';').find_map(|attribute| {
                    let (name, value) = attribute.trim().split_once('=')?;
                    name.eq_ignore_ascii_case(wanted).then(|| value.to_owned())
                })
            };
            let folder = requested.rfind('/').map_or("/", |end| &requested[..=end]);
            let path = attribute("path").unwrap_or_else(|| folder.to_owned());
            self.cookies
                .retain(|cookie| cookie.name != name || cookie.path != path);
            let gone =
                attribute("max-age").is_some_and(|age| age == "0") || value.is_empty() || value == "\"\"";
            if !gone {
                self.cookies.push(Cookie {
                    name: name.to_owned(),
                    value: value.to_owned(),
                    path,
                    attributes: attributes.to_owned(),
                });
            }
        }
    }
}

fn goes_to(path: &str, requested: &str) -> bool {
    requested == path
        || (requested.starts_with(path)
            && (path.ends_with('/') || requested.as_bytes().get(path.len()) == Some(&b'/')))
}
