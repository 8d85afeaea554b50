//! A small HTML page: escaped, with a policy that lets nothing in, light or dark, for any width.

use std::{
    fmt::{self, Write as _},
    sync::LazyLock,
};

use axum::{
    Json,
    response::{Html, IntoResponse, Response},
};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("page.css");

/// The style is named by its hash, so that no other, injected one is applied. Scripts may connect to this server
/// (`connect-src`), but there are none, and none is executed.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    HeaderValue::try_from(format!(
        "default-src 'none'; style-src 'sha256-{hash}'; connect-src 'self'; img-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ))
    .expect("the policy is visible ASCII")
});

/// A page. `body` is HTML: all text in it that comes from outside went through [`Escaped`].
pub(crate) fn page(title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n<main>\n{body}</main>\n</html>\n",
        Escaped(title)
    );
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY.clone()),
        // The page names the user: it must not be cached.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
    ];
    (headers, Html(html)).into_response()
}

/// An error: a page with a link to `home` for a browser (`is_page`), Jupyter's JSON for a program.
pub(crate) fn error(is_page: bool, status: StatusCode, message: &str, home: &str) -> Response {
    let mut response = if is_page {
        let title = status.canonical_reason().unwrap_or("Error");
        let body = format!(
            "<section>\n<h1>{title}</h1>\n<p>{}</p>\n<p><a href=\"{}\">Go to home</a></p>\n</section>\n",
            Escaped(message),
            Escaped(home)
        );
        page(title, &body)
    } else {
        let no_store = [(header::CACHE_CONTROL, "no-store")];
        (no_store, Json(json!({ "message": message, "reason": null }))).into_response()
    };
    *response.status_mut() = status;
    response
}

/// Text as HTML shows it, between tags and within a quoted attribute.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            _ => f.write_char(character),
        })
    }
}

/// A path as a URL carries it: every byte but letters, digits, `-._~` and the slash is percent-encoded.
pub(crate) struct Encoded<'a>(pub(crate) &'a str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.bytes().try_for_each(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                f.write_char(byte.into())
            }
            _ => write!(f, "%{byte:02X}"),
        })
    }
}
