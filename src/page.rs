//! Pages of the gate's own: a small escaping writer, one look, no script.

use std::sync::LazyLock;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::HeaderValue;
use sha2::{Digest, Sha256};

/// The one style sheet: readable on a phone, in the dark, and without any of it.
const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1d2433;--soft:#5b6478;--paper:#f6f7f9;--card:#fff;--line:#dfe3ea;--accent:#2a5bd7}\
@media(prefers-color-scheme:dark){:root{--ink:#e8ebf2;--soft:#a2abbd;--paper:#12151c;--card:#1b202a;--line:#303847;--accent:#8fb0ff}}\
*{box-sizing:border-box}\
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--paper);color:var(--ink);\
font:1rem/1.55 system-ui,sans-serif}\
main{width:100%;max-width:30rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:2rem}\
h1{margin:0 0 .75rem;font-size:1.35rem;line-height:1.3}\
p{margin:.5rem 0;overflow-wrap:anywhere}\
.soft{color:var(--soft);font-size:.92rem}\
code{font:.92em ui-monospace,monospace;background:var(--paper);border:1px solid var(--line);border-radius:.3rem;padding:.05rem .3rem}";

/// What a page of the gate may load and do: nothing but its own style sheet.
pub(crate) static CONTENT_SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; object-src 'none'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("a policy of visible ASCII")
});

/// A page with a heading and paragraphs. All text is escaped; `code` spans are written between backticks.
pub(crate) fn page(title: &str, paragraphs: &[&str]) -> Bytes {
    let mut html = String::with_capacity(STYLE.len() + 1024);
    html.push_str("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    html.push_str("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>");
    push_escaped(&mut html, title);
    html.push_str("</title><style>");
    html.push_str(STYLE);
    html.push_str("</style></head><body><main><h1>");
    push_escaped(&mut html, title);
    html.push_str("</h1>");
    for (place, paragraph) in paragraphs
        .iter()
        .filter(|paragraph| !paragraph.is_empty())
        .enumerate()
    {
        html.push_str(if place == 0 { "<p>" } else { "<p class=\"soft\">" });
        for (place, span) in paragraph.split('`').enumerate() {
            let is_code = place % 2 == 1;
            html.push_str(if is_code { "<code>" } else { "" });
            push_escaped(&mut html, span);
            html.push_str(if is_code { "</code>" } else { "" });
        }
        html.push_str("</p>");
    }
    html.push_str("</main></body></html>\n");
    html.into()
}

/// Writes `text` so that it is text wherever it stands: content or quoted attribute.
pub(crate) fn push_escaped(html: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_text_is_escaped_and_backticks_make_code() {
        let html = page("a <b>", &["x & \"y\"", "see `<i>` there", ""]);
        let html = std::str::from_utf8(&html).expect("text");
        assert!(html.contains("<h1>a &lt;b&gt;</h1><p>x &amp; &quot;y&quot;</p>"));
        assert!(html.contains("<p class=\"soft\">see <code>&lt;i&gt;</code> there</p></main>"));
    }
}
