//! A user with a browser that keeps cookies and follows redirects, and shows nothing.

use std::time::Duration;

use crate::http::{self, Answer};

/// A user with a browser: cookies by name and path, for all ports, as browsers keep them.
#[derive(Clone, Debug, Default)]
pub struct HeadlessBrowser {
    cookies: Vec<Cookie>,
    forwarded_for: Option<&'static str>,
}

#[derive(Clone, Debug)]
struct Cookie {
    name: String,
    path: String,
    value: String,
}

/// Where a way ended.
#[derive(Debug)]
pub struct Page {
    /// The last URL.
    pub url: String,
    /// What was answered there.
    pub answer: Answer,
    /// Every URL on the way, the first included.
    pub way: Vec<String>,
}

impl Page {
    /// The value of the hidden field `name` of the first form that has one.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[track_caller]
    pub fn hidden(&self, name: &str) -> String {
        self.all_hidden(name)
            .into_iter()
            .next()
            .unwrap_or_else(|| panic!("no field {name} at {}: {}", self.url, self.answer.body))
    }

    /// The values of all hidden fields `name`.
    pub fn all_hidden(&self, name: &str) -> Vec<String> {
        let mark = format!("name=\"{name}\" value=\"");
        let fields = self.answer.body.split(&mark).skip(1);
        fields
            .filter_map(|rest| rest.split('"').next())
            .map(|value| value.replace("&amp;", "&"))
            .collect()
    }
}

impl Page {
    /// The URL that follows `before` on the page, such as that of a form after `action="`.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[track_caller]
    pub fn target(&self, before: &str) -> String {
        let rest = self.answer.body.split(before).nth(1);
        let rest = rest.unwrap_or_else(|| panic!("no {before} at {}: {}", self.url, self.answer.body));
        let url = rest.split('"').next().unwrap_or_default();
        let origin: Vec<&str> = self.url.splitn(4, '/').take(3).collect();
        match url.starts_with('/') {
            true => format!("{}{url}", origin.join("/")),
            false => url.to_owned(),
        }
    }
}

impl HeadlessBrowser {
    /// A browser whose requests have `address` in `X-Forwarded-For`, as a proxy would add it.
    pub fn forwarded_for(address: &'static str) -> Self {
        Self {
            forwarded_for: Some(address),
            ..Self::default()
        }
    }

    /// Opens `url`, and follows every redirect.
    ///
    /// # Panics
    ///
    /// If there are more than 20, or a server does not answer.
    #[track_caller]
    pub fn open(&mut self, url: &str) -> Page {
        let answer = self.send("GET", url, "");
        self.follow(url, answer)
    }

    /// Posts a form from the page at `url` itself, and follows every redirect.
    ///
    /// # Panics
    ///
    /// As [`HeadlessBrowser::open`].
    #[track_caller]
    pub fn submit(&mut self, url: &str, fields: &[(&str, &str)]) -> Page {
        let body: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        let answer = self.send("POST", url, &body.join("&"));
        self.follow(url, answer)
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let cookie = self.cookies.iter().find(|cookie| cookie.name == name)?;
        Some(&cookie.value)
    }

    /// Forgets the cookies whose name begins so.
    pub fn forget(&mut self, name: &str) {
        self.cookies.retain(|cookie| !cookie.name.starts_with(name));
    }

    /// One request, no redirect followed.
    ///
    /// # Panics
    ///
    /// If the server does not answer.
    #[track_caller]
    pub fn send(&mut self, method: &str, url: &str, body: &str) -> Answer {
        let (address, target) = parts(url);
        let path = target.split('?').next().unwrap_or_default();
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .filter(|cookie| path.starts_with(&cookie.path) || format!("{path}/") == cookie.path)
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        let cookies = cookies.join("; ");
        let origin = format!("http://{address}");
        let mut fields = vec![
            ("Accept", "text/html"),
            (
                "User-Agent",
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            ),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", "document"),
        ];
        fields.extend(self.forwarded_for.map(|address| ("X-Forwarded-For", address)));
        if !cookies.is_empty() {
            fields.push(("Cookie", &cookies));
        }
        if method == "POST" {
            fields.push(("Content-Type", "application/x-www-form-urlencoded"));
            fields.push(("Origin", &origin));
            fields.push(("Sec-Fetch-Site", "same-origin"));
        }
        let answer = http::request_with(address, method, target, &fields, body);
        for line in answer.fields("set-cookie") {
            self.keep(line, path);
        }
        answer
    }

    #[track_caller]
    fn follow(&mut self, url: &str, answer: Answer) -> Page {
        let mut page = Page {
            url: url.to_owned(),
            answer,
            way: vec![url.to_owned()],
        };
        while matches!(page.answer.status, 302 | 303) {
            assert!(page.way.len() < 20, "redirected in circles: {:#?}", page.way);
            let location = page
                .answer
                .fields("location")
                .first()
                .copied()
                .unwrap_or_default()
                .to_owned();
            let (address, _) = parts(&page.url);
            page.url = match location.strip_prefix('/') {
                Some(_) => format!("http://{address}{location}"),
                None => location,
            };
            page.way.push(page.url.clone());
            page.answer = self.send("GET", &page.url, "");
        }
        page
    }

    fn keep(&mut self, line: &str, request_path: &str) {
        let mut parts = line.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        let attributes: Vec<(String, &str)> = parts
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        let attribute = |wanted: &str| {
            attributes
                .iter()
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| *value)
        };
        let path = attribute("path").unwrap_or(request_path).to_owned();
        self.cookies
            .retain(|cookie| cookie.name != name || cookie.path != path);
        let removed = attribute("max-age").is_some_and(|age| age == "0") || matches!(value, "" | "\"\"");
        if !removed {
            self.cookies.push(Cookie {
                name: name.to_owned(),
                path,
                value: value.to_owned(),
            });
        }
    }
}

/// Waits until `holds`.
///
/// # Panics
///
/// If it does not within 30 seconds.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..300 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("expected that {what} within 30 s");
}

/// Host with port, and what stands behind.
#[track_caller]
fn parts(url: &str) -> (&str, &str) {
    let rest = url
        .strip_prefix("http://")
        .unwrap_or_else(|| panic!("expected an http URL, found {url}"));
    let end = rest.find('/').unwrap_or(rest.len());
    let (address, target) = rest.split_at(end);
    (address, if target.is_empty() { "/" } else { target })
}

/// A value as a form holds it.
pub fn encoded(value: &str) -> String {
    value
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
